//! How a simulated PC restarts: what dies with its memory, and what goes wrong.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use fleetmend_model::TransportKind;
use jiff::Timestamp;

use super::{ChannelMemory, Machine};

/// What goes wrong with one restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartFault {
    /// Nothing.
    #[default]
    None,
    /// The PC goes down and is never seen again.
    NeverReturns,
    /// Only this one of the ports that it had answers afterwards.
    ReturnsOver(TransportKind),
    /// The order is refused with this Win32 code; the PC goes on.
    Refused(u32),
    /// Somebody else has ordered a restart: the order is refused with 1190, and the PC restarts
    /// all the same after its delay.
    AlreadyScheduled,
    /// The order is accepted, and nothing comes of it.
    NeverGoesDown,
    /// As soon as the PC is back it goes down once more.
    BootsTwice,
    /// The order is carried out at once, before it could be answered.
    BeforeTheAnswer,
}

/// How a PC restarts; a test sets it before the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Restarts {
    /// Multiplies the delay of an order (`shutdown /t`).
    pub delay_scale: f64,
    /// How long nothing answers.
    pub down_for: Duration,
    /// Whether connections are not even refused meanwhile.
    pub silent: bool,
    /// How long Windows is busy with updates after a boot.
    pub servicing_for: Duration,
    /// How long after a boot it is not ready for a logon.
    pub logon_ready_after: Duration,
    /// How long after a boot every logon is refused; each counts as a wrong password.
    pub refuses_for: Duration,
    /// What goes wrong, one for each order, in their order; none, when there are no more.
    pub faults: VecDeque<RestartFault>,
}

impl Default for Restarts {
    fn default() -> Self {
        Self {
            delay_scale: 0.05,
            down_for: Duration::from_millis(400),
            silent: false,
            servicing_for: Duration::from_millis(100),
            logon_ready_after: Duration::from_millis(200),
            refuses_for: Duration::ZERO,
            faults: VecDeque::new(),
        }
    }
}

/// An order to restart that waits to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartOrder {
    /// The delay that was asked for, unscaled.
    pub delay: Duration,
    /// What goes wrong with it.
    pub fault: RestartFault,
}

/// Who repairs the PC: those who have the named mutex open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairLock {
    /// The processes.
    pub processes: BTreeSet<u64>,
    /// The run for which they have it.
    pub run: String,
}

/// One boot of a PC: what its memory holds, and what tests count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootState {
    /// `BootId`, which counts boots; `None`: this Windows does not.
    pub id: Option<u64>,
    /// Until when Windows is busy with updates.
    pub servicing_until: Option<Timestamp>,
    /// From when it is ready for a logon.
    pub logon_ready_at: Option<Timestamp>,
    /// Until when every logon is refused.
    pub refuses_until: Option<Timestamp>,
    /// Who holds the PC.
    pub lock: Option<RepairLock>,
    /// An order that nobody carries out yet.
    pub order: Option<RestartOrder>,
    /// Whether a restart is on its way: a further order is answered with 1190.
    pub scheduled: bool,
    /// How often the PC has restarted.
    pub restarts: u32,
    /// How often somebody ordered a restart, refused orders too.
    pub orders: u32,
}

impl Machine {
    /// Orders a restart as `shutdown /r /t` does. Returns 0, 5 (not elevated), 1190 (one is
    /// scheduled already) or what a [`RestartFault::Refused`] says. [`crate::SimPc`] carries it
    /// out once the script that ordered it has answered.
    pub fn order_restart(&mut self, delay: Duration, elevated: bool) -> u32 {
        self.boot.orders += 1;
        if !elevated {
            return crate::win32::ACCESS_DENIED;
        }
        if self.boot.scheduled {
            return crate::win32::SHUTDOWN_IS_SCHEDULED;
        }
        let fault = self.restarts.faults.pop_front().unwrap_or_default();
        if let RestartFault::Refused(code) = fault {
            return code;
        }
        self.boot.scheduled = true;
        self.boot.order = Some(RestartOrder { delay, fault });
        if fault == RestartFault::AlreadyScheduled {
            return crate::win32::SHUTDOWN_IS_SCHEDULED;
        }
        crate::win32::OK
    }

    /// Restarts: the disk becomes what it is kept at, what waited for a boot takes effect, and
    /// all that was in memory is gone.
    pub fn restart(&mut self, now: Timestamp) {
        self.boot_disk();
        self.booted = now;
        if let Some(secret) = self.secret_after_restart.take() {
            self.secret = Some(secret);
        }
        self.boot_membership();
        self.boot_safety();
        if let Some(revision) = self.servicing.boot() {
            self.os.ubr = revision;
        }
        for adapter in &mut self.adapters {
            if adapter.allowed == 2 && adapter.stored_off() {
                adapter.allowed = 1;
            }
        }
        self.channel = ChannelMemory::default();
        let after = |wait: Duration| (!wait.is_zero()).then(|| later(now, wait));
        self.boot = BootState {
            id: self.boot.id.map(|id| id + 1),
            servicing_until: after(self.restarts.servicing_for),
            logon_ready_at: after(self.restarts.logon_ready_after),
            refuses_until: after(self.restarts.refuses_for),
            restarts: self.boot.restarts + 1,
            orders: self.boot.orders,
            ..BootState::default()
        };
    }

    /// Tells whether Windows is busy with updates.
    pub fn is_servicing(&self, now: Timestamp) -> bool {
        self.boot.servicing_until.is_some_and(|until| now < until)
    }

    /// Tells whether somebody could log on at the screen.
    pub fn is_logon_ready(&self, now: Timestamp) -> bool {
        self.boot.logon_ready_at.is_none_or(|from| now >= from)
    }

    /// Tells whether it refuses every logon, as for a while after some boots.
    pub fn refuses_logons(&self, now: Timestamp) -> bool {
        self.boot.refuses_until.is_some_and(|until| now < until)
    }

    /// Takes the PC for a run, and tells whether it is free or that run's already.
    pub fn take_lock(&mut self, process: u64, run: &str) -> bool {
        let lock = self.boot.lock.get_or_insert_with(|| RepairLock {
            processes: BTreeSet::new(),
            run: run.to_owned(),
        });
        if lock.run != run {
            return false;
        }
        lock.processes.insert(process);
        true
    }

    /// A process has ended; what no other holds is free.
    pub fn process_ended(&mut self, process: u64) {
        if let Some(lock) = &mut self.boot.lock {
            lock.processes.remove(&process);
            if lock.processes.is_empty() {
                self.boot.lock = None;
            }
        }
    }
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn a_boot_ends_what_memory_holds_and_counts_itself() {
        let mut pc = Machine::new("PC-001");
        assert!(pc.take_lock(1, "run-a"));
        assert!(!pc.take_lock(2, "run-b"), "held by another run");
        assert!(pc.take_lock(3, "run-a"), "the same run goes on");
        pc.process_ended(3);
        assert!(!pc.take_lock(2, "run-b"), "the first process lives on");
        let before = pc.boot.id.unwrap();
        pc.restart(NOW);
        assert_eq!((pc.boot.id, pc.boot.restarts), (Some(before + 1), 1));
        assert!(pc.take_lock(2, "run-b"), "the mutex died with the memory");
        assert!(pc.is_servicing(NOW) && !pc.is_logon_ready(NOW));
        let then = NOW + Duration::from_secs(1);
        assert!(!pc.is_servicing(then) && pc.is_logon_ready(then));
    }

    #[test]
    fn a_second_order_finds_the_first() {
        let mut pc = Machine::new("PC-001");
        let delay = Duration::from_secs(5);
        assert_eq!(pc.order_restart(delay, false), 5);
        assert_eq!(pc.order_restart(delay, true), 0);
        assert_eq!(pc.order_restart(delay, true), 1190);
        pc.restart(NOW);
        pc.restarts.faults = [RestartFault::Refused(5), RestartFault::AlreadyScheduled].into();
        assert_eq!(pc.order_restart(delay, true), 5);
        assert_eq!(pc.boot.order, None, "a refused order is none");
        assert_eq!(pc.order_restart(delay, true), 1190);
        assert!(pc.boot.order.is_some(), "it restarts all the same");
        assert_eq!(pc.boot.orders, 5);
    }
}
