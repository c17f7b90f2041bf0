//! How PCs ended whose run has no end: it was killed, or it still goes on.
//!
//! The journal holds every intent before its act. So it tells the PCs on which something was
//! under way, whose state nobody knows, from those that were left as they were.

use fleetmend_model::{HostEvent, HostName, HostResult, Outcome, RunId, RunMode, StepRef};
use jiff::Timestamp;

use crate::hazard::Watch;

/// What is known of a PC before it has its result.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// The step that was sent and has no end.
    open: Option<String>,
    /// What last ran of a repair or a command: once there is any, the PC may be changed.
    touched: Option<String>,
    /// When it was told to restart, and is not known to be back.
    restarting: Option<Timestamp>,
    /// Whether work on it began.
    begun: bool,
    watch: Watch,
    first: Option<Timestamp>,
    latest: Option<Timestamp>,
}

impl Progress {
    /// Takes one more event in.
    pub(crate) fn apply(&mut self, what: &HostEvent, at: Timestamp) {
        self.begun = true;
        self.first.get_or_insert(at);
        self.latest = Some(at);
        self.watch.apply(what);
        match what {
            HostEvent::StepStarted { step, changes, .. } => {
                self.open = Some(step.to_string());
                if *changes {
                    self.touched = Some(step.to_string());
                }
            }
            HostEvent::RebootOrdered { ordered, .. } => self.restarting = Some(*ordered),
            HostEvent::StepEnded { step, .. } => self.close(step),
            HostEvent::RungStarted { rung, .. } => self.touched = Some(format!("repair/{rung}")),
            HostEvent::Connecting
            | HostEvent::CredentialUsed { .. }
            | HostEvent::Connected { .. }
            | HostEvent::ConnectFailed { .. }
            | HostEvent::Diagnosed { .. }
            | HostEvent::StepSkipped { .. }
            | HostEvent::HandedIn(_)
            | HostEvent::RungEnded { .. }
            | HostEvent::Finished { .. } => {}
        }
    }

    /// Returns the result that follows for a PC without one, in this run.
    pub(crate) fn result(
        &self,
        host: &HostName,
        mode: Option<RunMode>,
        run: Option<RunId>,
    ) -> HostResult {
        let (outcome, reason, next) = match (&self.open, &self.restarting, &self.touched) {
            (Some(step), Some(ordered), _) => (
                unknown(step),
                format!("it was told to restart at {ordered}; the journal has not that it is back"),
                advice(mode),
            ),
            (Some(step), None, _) => (
                unknown(step),
                format!(
                    "the journal has no end of {step}: the run was cut there or is still at it"
                ),
                advice(mode),
            ),
            (None, _, Some(step)) => (
                unknown(step),
                format!("the journal has no result after {step}: what it left behind is not known"),
                advice(mode),
            ),
            (None, _, None) => (
                Outcome::Skipped {
                    why: "not-reached".to_owned(),
                },
                if self.begun {
                    "the run has not come further than to connect and diagnose; nothing was changed"
                } else {
                    "the run has not come to this PC; nothing was changed"
                }
                .to_owned(),
                "if the run is over, run again on it".to_owned(),
            ),
        };
        // A PC amid a restart is best gone on with: that waits for it, and knows what comes next.
        let resume = self
            .restarting
            .zip(run)
            .map(|(_, run)| format!("if the run is over, go on with it: fleetmend resume {run}"));
        let (reason, next) = match self.watch.hazard() {
            Some(hazard) if resume.is_some() => (
                format!("{reason}; {}", hazard.caution),
                resume.unwrap_or_default(),
            ),
            Some(hazard) => (
                format!("{reason}; {}", hazard.caution),
                format!(
                    "if the run is over, run again: {} is then begun anew",
                    hazard.rung
                ),
            ),
            None => (reason, resume.unwrap_or(next)),
        };
        let elapsed = match (self.first, self.latest) {
            (Some(first), Some(latest)) => latest.duration_since(first).as_millis(),
            _ => 0,
        };
        HostResult {
            host: host.clone(),
            outcome,
            cause: None,
            reason,
            next,
            evidence: None,
            elapsed_ms: u64::try_from(elapsed).unwrap_or(0),
        }
    }

    fn close(&mut self, step: &StepRef) {
        if self
            .open
            .as_ref()
            .is_some_and(|open| *open == step.to_string())
        {
            self.open = None;
            self.restarting = None;
        }
    }
}

fn unknown(step: &str) -> Outcome {
    Outcome::Unknown {
        step: step.to_owned(),
    }
}

fn advice(mode: Option<RunMode>) -> String {
    match mode {
        Some(RunMode::Exec) => "if the run is over, look at the PC before you run it again",
        _ => "if the run is over, run check on it to see how it is",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use fleetmend_model::{Phase, StepEnd};

    use super::*;

    fn step(phase: Phase, rung: Option<&str>) -> StepRef {
        StepRef {
            phase,
            rung: rung.map(str::to_owned),
            step: "s".into(),
        }
    }

    fn started(step: &StepRef, changes: bool) -> HostEvent {
        let step = step.clone();
        HostEvent::StepStarted {
            step,
            changes,
            place: fleetmend_model::Place::Pc,
        }
    }

    fn ended(step: &StepRef) -> HostEvent {
        HostEvent::StepEnded {
            step: step.clone(),
            end: StepEnd::NotRun { reason: "".into() },
            elapsed_ms: 1,
        }
    }

    /// Cuts a repair of two halves after each event: from the first on until the proof its caution
    /// is told.
    #[test]
    fn until_the_proof_the_caution_is_told() {
        let caution = "PC はまだ新しいパスワードを知りません";
        let reset = step(Phase::Repair, Some("account"));
        let store = StepRef {
            step: "store".into(),
            ..reset.clone()
        };
        let verify = step(Phase::Verify, Some("account"));
        let rung = "account".to_owned();
        let begun = HostEvent::RungStarted {
            rung: rung.clone(),
            caution: Some(caution.into()),
        };
        let over = |verified| HostEvent::RungEnded {
            rung: rung.clone(),
            verified,
        };
        let on_controller = HostEvent::StepStarted {
            step: reset.clone(),
            changes: true,
            place: fleetmend_model::Place::Controller,
        };
        let end = |step: &StepRef, end: StepEnd| HostEvent::StepEnded {
            step: step.clone(),
            end,
            elapsed_ms: 1,
        };
        let answer = StepEnd::Answered {
            answer: serde_json::json!({}),
        };
        let failed = StepEnd::Failed {
            error_id: "E".into(),
            code: Some(50),
            message: "m".into(),
        };
        let way = [
            (begun.clone(), false),
            (on_controller.clone(), true),
            (end(&reset, failed), false),
            (over(false), false),
            (begun.clone(), false),
            (on_controller.clone(), true),
            (end(&reset, answer.clone()), true),
            (started(&store, true), true),
            (ended(&store), true),
            (over(false), true),
            (begun, true),
            (on_controller, true),
            (end(&reset, answer.clone()), true),
            (started(&store, true), true),
            (end(&store, answer), true),
            (started(&verify, false), true),
            (over(true), false),
        ];
        let host = HostName("pc-001".into());
        let mut progress = Progress::default();
        for (event, told) in way {
            progress.apply(&event, Timestamp::UNIX_EPOCH);
            let result = progress.result(&host, Some(RunMode::Repair), None);
            assert_eq!(result.reason.contains(caution), told, "after {event:?}");
            assert_eq!(result.next.contains("run again: account"), told);
        }
    }

    #[test]
    fn a_pc_that_was_restarting_is_gone_on_with() {
        let restart = step(Phase::Repair, Some("rejoin"));
        let caution = "PC はドメインから外れています";
        let host = HostName("pc-001".into());
        let run = RunId(uuid::Uuid::from_u128(7));
        let ordered = HostEvent::RebootOrdered {
            step: restart.clone(),
            boot: fleetmend_model::Boot {
                last_boot_unix: 1.7e9,
                boot_id: None,
                uptime_seconds: 60.0,
            },
            ordered: Timestamp::from_second(1_800_000_000).unwrap(),
        };
        for caution in [None, Some(caution.to_owned())] {
            let mut progress = Progress::default();
            let begun = HostEvent::RungStarted {
                rung: "rejoin".into(),
                caution: caution.clone(),
            };
            for event in [begun, started(&restart, true), ordered.clone()] {
                progress.apply(&event, Timestamp::UNIX_EPOCH);
            }
            let result = progress.result(&host, Some(RunMode::Repair), Some(run));
            assert_eq!(result.outcome.to_string(), "unknown(repair/rejoin/s)");
            assert!(
                result.reason.contains("told to restart at 2027-01-15"),
                "{}",
                result.reason
            );
            assert_eq!(result.reason.contains("外れて"), caution.is_some());
            assert!(
                result.next.ends_with(&format!("fleetmend resume {run}")),
                "{}",
                result.next
            );
            // Once it is back there is no more to wait for.
            progress.apply(&ended(&restart), Timestamp::UNIX_EPOCH);
            let result = progress.result(&host, Some(RunMode::Repair), Some(run));
            assert!(!result.next.contains("resume") && !result.reason.contains("restart at"));
        }
    }

    /// Cuts the whole way of a PC after each event: from the first change on nobody knows.
    #[test]
    fn wherever_it_is_cut_a_touched_pc_is_unknown() {
        let diagnose = step(Phase::Diagnose, None);
        let repair = step(Phase::Repair, Some("sc-reset"));
        let verify = step(Phase::Verify, Some("sc-reset"));
        let rung = "sc-reset".to_owned();
        let way = [
            (HostEvent::Connecting, "skipped(not-reached)"),
            (started(&diagnose, false), "unknown(diagnose/s)"),
            (ended(&diagnose), "skipped(not-reached)"),
            (
                HostEvent::RungStarted {
                    rung: rung.clone(),
                    caution: None,
                },
                "unknown(repair/sc-reset)",
            ),
            (started(&repair, true), "unknown(repair/sc-reset/s)"),
            (ended(&repair), "unknown(repair/sc-reset/s)"),
            (started(&verify, false), "unknown(verify/sc-reset/s)"),
            (ended(&verify), "unknown(repair/sc-reset/s)"),
            (
                HostEvent::RungEnded {
                    rung,
                    verified: false,
                },
                "unknown(repair/sc-reset/s)",
            ),
        ];
        let host = HostName("pc-001".into());
        let mut progress = Progress::default();
        let result = progress.result(&host, None, None);
        assert_eq!(result.outcome.to_string(), "skipped(not-reached)");
        for (at, (event, expected)) in way.into_iter().enumerate() {
            let second = i64::try_from(at).unwrap();
            progress.apply(&event, Timestamp::from_second(second).unwrap());
            let result = progress.result(&host, Some(RunMode::Repair), None);
            assert_eq!(result.outcome.to_string(), expected, "after {event:?}");
            assert!(!result.reason.is_empty() && !result.next.is_empty());
        }
        assert_eq!(progress.result(&host, None, None).elapsed_ms, 8_000);
    }
}
