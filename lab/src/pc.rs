//! A simulated PC as the protocol servers see it: a machine, its domain, and processes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::channel;
use crate::command;
use crate::exec_reader;
use crate::life::Presence;
use crate::machine::Machine;
use crate::process::{LabCommand, Pc, Process};
use crate::shared::{Shared, count, lock};
use crate::stdio::Stdio;

/// How many chunks may wait in each of a process's streams; a server that reads slowly holds the
/// process up, as a full pipe does.
const PIPE_CHUNKS: usize = 8;

/// A simulated PC. Cheap to clone; all clones are the same PC.
#[derive(Clone, Debug)]
pub struct SimPc {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    machine: Mutex<Machine>,
    shared: Arc<Shared>,
    record: Mutex<Option<Arc<Mutex<Vec<u8>>>>>,
    presence: watch::Sender<Presence>,
    processes: AtomicU64,
}

impl SimPc {
    /// Returns a PC with this machine inside.
    pub fn new(machine: Machine, shared: Arc<Shared>) -> Self {
        let life = shared.cancel.child_token();
        Self {
            inner: Arc::new(Inner {
                machine: Mutex::new(machine),
                shared,
                record: Mutex::default(),
                presence: watch::Sender::new(Presence::up(life)),
                processes: AtomicU64::new(1),
            }),
        }
    }

    /// Returns its state, to look at it or to change it by hand.
    pub fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.inner.machine)
    }

    /// Returns what it shares with the other PCs of its lab.
    pub fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Notes from now on every command line and every byte of standard input that reaches it, as
    /// its processes see them: nothing on the way there hides them any more.
    pub fn record(&self) {
        *lock(&self.inner.record) = Some(Arc::default());
    }

    /// Returns what [`SimPc::record`] noted.
    pub fn received(&self) -> Vec<u8> {
        let record = lock(&self.inner.record).clone();
        record.map_or_else(Vec::new, |record| lock(&record).clone())
    }

    pub(crate) fn presence(&self) -> &watch::Sender<Presence> {
        &self.inner.presence
    }

    /// Runs this beside everything else, until it is done or the lab ends.
    pub(crate) fn in_background<F>(&self, work: impl FnOnce(Self) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work = work(self.clone());
        let cancel = self.shared().cancel.clone();
        self.shared().tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Waits as long as work of this length takes here.
    pub(crate) async fn work(&self, base: Duration) {
        let slowness = self.machine().slowness;
        let time = self.shared().pace.of(base, slowness);
        if !time.is_zero() {
            tokio::time::sleep(time).await;
        }
    }
}

impl Pc for SimPc {
    fn computer_name(&self) -> String {
        self.machine().name.clone()
    }

    fn is_member(&self) -> bool {
        self.machine().is_member()
    }

    fn password_of(&self, user: &str) -> Option<String> {
        let machine = self.machine();
        if machine.refuses_logons(now()) {
            return None;
        }
        machine.password_of(user).map(str::to_owned)
    }

    fn note_logon(&self, user: &str, accepted: bool) {
        let counters = &self.shared().counters;
        count(if accepted {
            &counters.logons_accepted
        } else {
            &counters.logons_refused
        });
        self.machine().note_logon(user, accepted);
    }

    fn may_use_winrm(&self, user: &str) -> bool {
        self.machine().is_elevated(user)
    }

    fn has_program(&self, path: &str) -> bool {
        command::exists(path, self.machine().nltest)
    }

    fn spawn(&self, command: LabCommand) -> Process {
        count(&self.shared().counters.processes);
        let (stdin, input) = mpsc::channel(PIPE_CHUNKS);
        let (sender, output) = mpsc::channel(PIPE_CHUNKS);
        let record = lock(&self.inner.record).clone();
        if let Some(record) = &record {
            let mut record = lock(record);
            record.extend_from_slice(command.line.as_bytes());
            record.push(b'\n');
        }
        let kill = self.presence().borrow().life.child_token();
        let running = Running {
            pc: self.clone(),
            id: self.inner.processes.fetch_add(1, Ordering::Relaxed),
        };
        let cut = kill.clone();
        self.shared().tasks.spawn(async move {
            let stdio = Stdio::new(input, sender).recorded(record);
            tokio::select! {
                biased;
                () = cut.cancelled() => {}
                () = run(running, command, stdio) => {}
            }
        });
        Process {
            stdin,
            output,
            kill,
        }
    }
}

/// A process that runs. However it ends, what it held is free then.
struct Running {
    pc: SimPc,
    id: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.pc.machine().process_ended(self.id);
    }
}

/// Runs a process to its end. A reader that went away ends it quietly.
async fn run(running: Running, command: LabCommand, mut stdio: Stdio) {
    let pc = running.pc.clone();
    let end = if fleetmend_transport::powershell::is_bootstrap(&command.line) {
        let process = channel::Process {
            pc: &pc,
            id: running.id,
            user: &command.user,
        };
        channel::serve(process, &mut stdio).await
    } else if fleetmend_transport::powershell::is_exec_reader(&command.line) {
        exec_reader::serve(&pc, &command, &mut stdio).await
    } else {
        command::serve(&pc, &command, &mut stdio).await
    };
    if let Ok(code) = end {
        stdio.exit(code).await;
    }
}

/// Returns the domain's time: the controller's own.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
