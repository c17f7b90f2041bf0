//! A restart of the PC: what is known of it, and what follows from that.

use std::time::Duration;

use fleetmend_model::{Boot, HostEvent, StepEnd, StepRef};
use jiff::Timestamp;

use super::state::{Link, PcState, RungState, Running};
use super::{Action, Call, Stop, Work};
use crate::program::{Program, StepRun};

/// The id of the end of a restart step: the PC refused the order.
pub const RESTART_REFUSED: &str = "RestartRefused";
/// The same: somebody is logged on, or that is not known, and it was not to restart then.
pub const SOMEBODY_LOGGED_ON: &str = "SomebodyLoggedOn";
/// The same: it answers, but never booted anew.
pub const DID_NOT_RESTART: &str = "DidNotRestart";
/// The same: it was not reached any more, or refused the account.
pub const NOT_BACK: &str = "NotBackAfterReboot";
/// The same: it is back, and another controller was faster to take hold of it.
pub const OTHER_CONTROLLER: &str = "OtherController";

/// The same: the run was cut before anything was sent to the PC.
pub const NOT_ORDERED: &str = "RestartNotOrdered";

/// By how much the time of the last boot must differ to be that of another boot: setting the clock
/// by a little moves it, too.
const MOVED_SECONDS: f64 = 10.0;

/// A restart that was ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered {
    /// The step that ordered it.
    pub step: StepRef,
    /// The boot that is to end.
    pub boot: Boot,
    /// When, by the controller's clock.
    pub at: Timestamp,
}

/// Tells whether `now` is another boot than `before`, so long after the restart was ordered.
///
/// The number of the boot is the surest sign, where Windows counts. That it is the same proves
/// nothing: a disk that is restored at every boot restores the number, too. Then, and where there
/// is none, two must speak for it: the time of the last boot has moved, and Windows runs for a
/// shorter time than before the order, or than has passed since.
pub fn is_new_boot(before: &Boot, now: &Boot, since_order: Duration) -> bool {
    if let (Some(before), Some(now)) = (before.boot_id, now.boot_id)
        && before != now
    {
        return true;
    }
    let moved = (now.last_boot_unix - before.last_boot_unix).abs() > MOVED_SECONDS;
    let longest = before.uptime_seconds.max(since_order.as_secs_f64());
    moved && now.uptime_seconds < longest
}

impl PcState {
    pub(super) fn reboot_ordered(&mut self, step: &StepRef, boot: &Boot, at: Timestamp) {
        if let Some(rung) = &mut self.rung {
            rung.ordered = Some(Ordered {
                step: step.clone(),
                boot: *boot,
                at,
            });
        }
    }

    /// Takes in what the end of a step says of a restart that it ordered.
    pub(super) fn reboot_ended(&mut self, step: &StepRef, end: &StepEnd) {
        let ordered = self.rung.as_ref().and_then(|rung| rung.ordered.as_ref());
        if ordered.is_none_or(|ordered| ordered.step != *step) {
            return;
        }
        let id = match end {
            StepEnd::NotRun { .. } => return,
            StepEnd::Failed { error_id, .. } => Some(error_id.as_str()),
            StepEnd::Answered { .. } | StepEnd::Unknown { .. } => None,
        };
        match (end, id) {
            // The session is the old one still.
            (_, Some(RESTART_REFUSED | SOMEBODY_LOGGED_ON)) => return,
            // It was given up for the wait, and connecting is what comes next.
            (_, Some(DID_NOT_RESTART)) => {
                self.link = Link::None;
                return;
            }
            // The PC was taken hold of before the step ended.
            (StepEnd::Answered { .. }, _) => self.held = Some(true),
            (_, Some(OTHER_CONTROLLER)) => self.held = Some(false),
            _ => {}
        }
        self.reboots = self.reboots.saturating_add(1);
    }

    /// Returns the restart for which the PC is waited, if it is.
    pub fn awaited(&self) -> Option<&Ordered> {
        let running = self.running.as_ref()?;
        let ordered = self.rung.as_ref()?.ordered.as_ref()?;
        (ordered.step == running.step).then_some(ordered)
    }
}

impl RungState {
    /// Returns the restart from which the PC did not come back, if that is how it stands.
    pub(super) fn not_back(&self) -> Option<&Ordered> {
        let ordered = self.ordered.as_ref()?;
        let (step, end) = self.last_end.as_ref()?;
        let not_back = matches!(end, StepEnd::Failed { error_id, .. } if error_id == NOT_BACK);
        (ordered.step == *step && not_back).then_some(ordered)
    }
}

/// What to do with a step that was announced and has no end. Only a replay asks: the controller
/// died under the step. None: go on as if it had not been announced.
pub(super) fn cut_under(
    work: Work<'_>,
    stop: Stop,
    state: &PcState,
    running: &Running,
    call: impl Fn(&Program, &StepRef) -> Option<Call>,
) -> Option<Action> {
    let ended = |end: StepEnd| {
        Some(Action::Note(HostEvent::StepEnded {
            step: running.step.clone(),
            end,
            elapsed_ms: 0,
        }))
    };
    let unknown = || {
        ended(StepEnd::Unknown {
            reason: "the run ended under it".to_owned(),
        })
    };
    let Work::Playbook(program) = work else {
        return unknown();
    };
    let plan = program.step(&running.step);
    if !plan.is_some_and(|plan| matches!(plan.run, StepRun::Reboot)) {
        return unknown();
    }
    if state.awaited().is_none() {
        let changed = state.rung.as_ref().is_some_and(|rung| rung.changed);
        if changed {
            return None;
        }
        return ended(StepEnd::Failed {
            error_id: NOT_ORDERED.to_owned(),
            code: None,
            message: "the run ended before the restart was ordered".to_owned(),
        });
    }
    if let Link::Failed { reason, .. } = &state.link {
        return ended(StepEnd::Failed {
            error_id: NOT_BACK.to_owned(),
            code: None,
            message: reason.clone(),
        });
    }
    if stop == Stop::Cut {
        return unknown();
    }
    match call(program, &running.step) {
        Some(call) => Some(Action::Await(call)),
        None => unknown(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(last_boot_unix: f64, boot_id: Option<u64>, uptime_seconds: f64) -> Boot {
        Boot {
            last_boot_unix,
            boot_id,
            uptime_seconds,
        }
    }

    #[test]
    fn tells_one_boot_from_another() {
        let minute = Duration::from_secs(60);
        let before = boot(1_000_000.0, Some(7), 5_000.0);
        for (now, new, why) in [
            (boot(1_005_030.0, Some(8), 20.0), true, "counted"),
            (boot(1_000_000.0, Some(7), 5_060.0), false, "the same"),
            (
                boot(1_000_000.0, Some(8), 5_060.0),
                true,
                "counted, though odd",
            ),
            (
                boot(1_005_030.0, Some(7), 20.0),
                true,
                "a restored disk counts anew",
            ),
            (boot(1_005_030.0, None, 20.0), true, "not counted any more"),
            (boot(1_003_600.0, None, 5_060.0), false, "the clock was set"),
            (boot(1_000_004.0, None, 20.0), false, "hardly moved"),
            (
                boot(1_003_600.0, Some(7), 5_060.0),
                false,
                "the clock was set",
            ),
        ] {
            assert_eq!(is_new_boot(&before, &now, minute), new, "{why}");
        }
        // A PC whose clock went back by days at the boot.
        let restored = boot(900_000.0, None, 10.0);
        assert!(is_new_boot(&before, &restored, minute));
    }
}
