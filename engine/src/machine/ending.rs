//! How a PC ends, and the words for it.

use fleetmend_model::{Cause, Outcome, OutcomeClass, Place, Platform, StepEnd, StepRef};
use fleetmend_playbooks::DecisionError;

use super::state::{Consulted, Link, PcState, RungState};
use super::{Ending, evidence};
use crate::connect_failure;

pub(super) use crate::connect_failure::CREDENTIAL_REFUSED;

/// Reason and advice.
#[derive(Default)]
pub(super) struct Story {
    pub(super) reason: String,
    pub(super) next: String,
}

impl Story {
    fn new(reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            next: next.into(),
        }
    }

    /// Adds the caution of a rung that may have made the PC worse, unless the PC is well.
    fn cautioned(mut self, state: &PcState, class: OutcomeClass) -> Self {
        let Some(hazard) = state.hazard().filter(|_| !class.is_well()) else {
            return self;
        };
        let gap = if self.reason.is_empty() { "" } else { "; " };
        self.reason = format!("{}{gap}{}", self.reason, hazard.caution);
        let again = format!("run again: {} is then begun anew", hazard.rung);
        let not_back = state.rung.as_ref().and_then(RungState::not_back).is_some();
        self.next = match class {
            OutcomeClass::Unreachable if not_back => format!("{}; {again}", self.next),
            OutcomeClass::Unknown | OutcomeClass::Unreachable | OutcomeClass::Skipped => again,
            _ if self.next.is_empty() || self.next.starts_with("run ") => again,
            _ => format!("{}; then {again}", self.next),
        };
        self
    }
}

fn end(state: &PcState, outcome: Outcome, story: Story) -> Ending {
    ended(state, state.found.clone(), outcome, story)
}

fn ended(state: &PcState, cause: Option<Cause>, outcome: Outcome, story: Story) -> Ending {
    let story = story.cautioned(state, outcome.class());
    Ending {
        outcome,
        cause,
        reason: story.reason,
        next: story.next,
        evidence: None,
    }
}

/// Returns the ending of a PC whose work stops at a safe place: `why` is `interrupted` or
/// `journal`.
///
/// A step in doubt, or a change that verify never proved, is `unknown`; a PC on which a rung was
/// tried to its end keeps its cause; any other PC was left as it was and is `skipped`.
pub fn halted(state: &PcState, why: &str) -> Ending {
    if let Some(step) = open_step(state) {
        return unknown(state, &step, why);
    }
    match &state.cause.clone().or_else(|| state.found.clone()) {
        Some(cause) if state.changed => end(
            state,
            Outcome::NotRepaired {
                cause: cause.clone(),
            },
            Story::new(
                format!("stopped ({why}) after a rung did not help"),
                "run the playbook on it again",
            ),
        ),
        _ => end(
            state,
            Outcome::Skipped {
                why: why.to_owned(),
            },
            Story::new(
                format!("stopped ({why}); nothing was changed"),
                "run the playbook on it",
            ),
        ),
    }
}

/// Returns the ending of a PC that was cut off: like [`halted`], but any step that was under way
/// is `unknown`.
pub fn cut_off(state: &PcState, why: &str) -> Ending {
    match &state.link {
        Link::Lost {
            step, sent: true, ..
        } => unknown(state, step, why),
        _ => halted(state, why),
    }
}

/// The step of a repair that may have run without anyone knowing the end, or whose effect was
/// never looked at.
fn open_step(state: &PcState) -> Option<StepRef> {
    if let Some(running) = state.running.as_ref().filter(|running| running.changes) {
        return Some(running.step.clone());
    }
    if let Some(step) = &state.doubt {
        return Some(step.clone());
    }
    let rung = state
        .rung
        .as_ref()
        .filter(|rung| rung.changed || rung.proving)?;
    rung.last_end.as_ref().map(|(step, _)| step.clone())
}

fn unknown(state: &PcState, step: &StepRef, why: &str) -> Ending {
    end(
        state,
        Outcome::Unknown {
            step: step.to_string(),
        },
        Story::new(
            format!("stopped ({why}) with the end of {step} not known"),
            "run check on it to see how it is",
        ),
    )
}

pub(super) fn not_connected(state: &PcState, why: &str, reason: &str) -> Ending {
    if let Some(step) = &state.doubt {
        return end(
            state,
            Outcome::Unknown {
                step: step.to_string(),
            },
            Story::new(
                format!(
                    "the answer to {step} was lost, and the PC could not be reached again: {reason}"
                ),
                "run check on it once it answers again",
            ),
        );
    }
    if let Some(done) = state.rung.as_ref().and_then(done_until_restart) {
        let why = match connect_failure::outcome(why) {
            Outcome::Unreachable { .. } => connect_failure::AFTER_REBOOT,
            _ => why,
        };
        let outcome = connect_failure::outcome(why);
        let next = connect_failure::advice(why);
        return end(
            state,
            outcome,
            Story::new(format!("{reason}; {done}"), next),
        );
    }
    if let Some(cause) = state.found.as_ref().filter(|_| state.changed) {
        return end(
            state,
            Outcome::NotRepaired {
                cause: cause.clone(),
            },
            Story::new(
                format!(
                    "the connection was lost after a rung, and could not be made again: {reason}"
                ),
                "run check on it once it answers again",
            ),
        );
    }
    if why == "interrupted" {
        return halted(state, why);
    }
    let outcome = connect_failure::outcome(why);
    let next = connect_failure::advice(why);
    end(state, outcome, Story::new(reason, next))
}

/// Returns what a rung had done when the PC did not come back from a restart.
fn done_until_restart(rung: &RungState) -> Option<String> {
    let ordered = rung.not_back()?;
    let steps: Vec<&str> = rung
        .answers
        .iter()
        .filter(|(_, answer)| !answer.is_null())
        .map(|(step, _)| step.as_str())
        .collect();
    let steps = if steps.is_empty() {
        "no step before it".to_owned()
    } else {
        steps.join(", ")
    };
    Some(format!(
        "{} had done: {steps}; its {} ordered the restart at {}",
        rung.id, ordered.step.step, ordered.at
    ))
}

pub(super) fn held_by_other(state: &PcState) -> Ending {
    let next = connect_failure::advice(connect_failure::OTHER_CONTROLLER).to_owned();
    let reason = match &state.unheld {
        Some(why) => format!("whether another controller works on the PC is not known: {why}"),
        None => "another controller works on the PC".to_owned(),
    };
    blocked(state, connect_failure::OTHER_CONTROLLER, reason, next)
}

pub(super) fn lost(state: &PcState, step: &StepRef, sent: bool, reason: &str) -> Ending {
    let open = state.doubt.as_ref().or(sent.then_some(step));
    if let Some(step) = open {
        return end(
            state,
            Outcome::Unknown {
                step: step.to_string(),
            },
            Story::new(
                format!("the answer to {step} was lost: {reason}"),
                "run check on it to see how it is",
            ),
        );
    }
    not_connected(state, "connection-lost", reason)
}

pub(super) fn exec(step_end: &StepEnd) -> Ending {
    let (outcome, reason, next) = match step_end {
        StepEnd::Answered { answer } => {
            match answer.get("exit_code").and_then(serde_json::Value::as_i64) {
                Some(0) => (Outcome::Healthy, String::new(), ""),
                code => (
                    Outcome::NotRepaired {
                        cause: Cause {
                            code,
                            ..Cause::new("exit-code")
                        },
                    },
                    code.map_or_else(
                        || "the command ended without an exit code".to_owned(),
                        |code| format!("the command ended with exit code {code}"),
                    ),
                    "read what it printed",
                ),
            }
        }
        StepEnd::Failed {
            error_id,
            code,
            message,
        } => (
            Outcome::NotRepaired {
                cause: Cause {
                    code: *code,
                    ..Cause::new("command-failed")
                },
            },
            describe_failure(error_id, *code, message),
            "read what it printed",
        ),
        StepEnd::NotRun { reason } => (
            connect_failure::outcome("connection-lost"),
            format!("the command was not run: {reason}"),
            "run it again on this PC",
        ),
        StepEnd::Unknown { reason } => (
            Outcome::Unknown {
                step: crate::ExecJob::step().to_string(),
            },
            format!("whether the command ran to its end is not known: {reason}"),
            "look at the PC before you run it again",
        ),
    };
    Ending {
        outcome,
        cause: None,
        reason,
        next: next.to_owned(),
        evidence: None,
    }
}

pub(super) fn healthy() -> Ending {
    Ending {
        outcome: Outcome::Healthy,
        cause: Some(Cause::new("healthy")),
        reason: String::new(),
        next: String::new(),
        evidence: None,
    }
}

/// `made`: the rung gave the PC a secret that was made for it.
pub(super) fn repaired(state: &PcState, rung: &str, made: bool) -> Ending {
    let outcome = Outcome::Repaired {
        rung: rung.to_owned(),
    };
    let last = state.last.as_ref();
    let after = match last.and_then(|last| last.consulted.as_ref()) {
        Some(Consulted::Answer(after)) => Some(after),
        Some(Consulted::Nothing(_)) | None => None,
    };
    let answers = last.map(|last| &last.answers).filter(|_| made);
    Ending {
        evidence: evidence::of(after, state.before.as_ref(), answers),
        ..end(state, outcome, Story::default())
    }
}

pub(super) fn would_repair(state: &PcState, rung: String, reason: &str) -> Ending {
    let code = state.found.as_ref().and_then(|cause| cause.code);
    // Most reasons name their number themselves.
    let code = code
        .map(|code| code.to_string())
        .filter(|code| !reason.contains(code.as_str()))
        .map_or_else(String::new, |code| format!(" ({code})"));
    let gap = if reason.is_empty() { "" } else { "; " };
    let story = Story::new(
        format!("{reason}{code}{gap}{rung} would be tried first"),
        "run the playbook without --check to repair it",
    );
    end(state, Outcome::WouldRepair { rung }, story)
}

pub(super) fn reboot_pending(state: &PcState, rung: &str) -> Ending {
    let story = Story::new(
        format!("the rung {rung} needs a reboot to finish"),
        "reboot the PC, then run check on it",
    );
    end(state, Outcome::RebootPending, story)
}

/// Diagnose finds nothing any more, but verify does not hold.
pub(super) fn unproven(state: &PcState) -> Ending {
    let cause = state.found.clone().unwrap_or_else(|| Cause::new("unknown"));
    end(
        state,
        Outcome::NotRepaired { cause },
        Story::new(
            "diagnose finds nothing wrong any more, but verify did not prove the repair",
            "run check on it in a few minutes",
        ),
    )
}

pub(super) fn decided(state: &PcState, cause: Cause, outcome: Outcome, story: Story) -> Ending {
    ended(state, Some(cause), outcome, story)
}

/// Returns the ending of a PC that lacks what its next rung needs.
pub fn blocked(state: &PcState, guard: &str, reason: String, next: String) -> Ending {
    let guard = guard.to_owned();
    end(state, Outcome::Blocked { guard }, Story { reason, next })
}

/// Returns the ending of a PC for whose platform the run has no playbook. It is not connected to.
pub fn other_platform(platform: Platform, playbook: &str) -> Ending {
    let platform = match platform {
        Platform::Windows => "Windows",
        Platform::Posix => "posix",
    };
    end(
        &PcState::default(),
        Outcome::Skipped {
            why: "platform".to_owned(),
        },
        Story::new(
            format!("{playbook} has no playbook for {platform} hosts; it was not connected to"),
            "run a playbook for its platform on it, or correct its platform in the inventory",
        ),
    )
}

pub(super) fn credential_refused(state: &PcState, reason: String) -> Ending {
    let next = connect_failure::advice(CREDENTIAL_REFUSED).to_owned();
    blocked(state, CREDENTIAL_REFUSED, reason, next)
}

pub(super) fn diagnose_failed(
    state: &PcState,
    error_id: &str,
    code: Option<i64>,
    message: &str,
) -> Ending {
    end(
        state,
        Outcome::NeedsHands {
            why: "diagnose-failed".to_owned(),
        },
        Story::new(
            format!(
                "the diagnose script failed: {}",
                describe_failure(error_id, code, message)
            ),
            "look at the PC by hand: it is not known what is wrong with it",
        ),
    )
}

pub(super) fn odd_answer(state: &PcState, step: &StepRef, error: Option<&DecisionError>) -> Ending {
    let detail = error.map_or_else(|| "it is no object".to_owned(), ToString::to_string);
    end(
        state,
        Outcome::NeedsHands {
            why: "odd-answer".to_owned(),
        },
        Story::new(
            format!("{step} answered what its schema does not allow: {detail}"),
            "report this with the journal: script and schema disagree",
        ),
    )
}

/// Returns the ending of a PC whose facts or parameters disagree with the playbook.
pub fn playbook_error(state: &PcState, error: &DecisionError) -> Ending {
    end(
        state,
        Outcome::NeedsHands {
            why: "playbook-error".to_owned(),
        },
        Story::new(error.to_string(), "mend the playbook, then run it again"),
    )
}

/// Returns how the last step of a rung ended, if it did not answer.
pub(super) fn stopped(rung: &str, step: &StepRef, end: &StepEnd, place: Place) -> Option<String> {
    let step = &step.step;
    match end {
        StepEnd::Answered { .. } => None,
        StepEnd::Failed {
            error_id,
            code,
            message,
        } => {
            let number = match code {
                Some(code) if place == Place::Controller && error_id.starts_with("Ldap") => {
                    format!(" (LDAP {code})")
                }
                Some(code) => format!(" ({error_id}, code {code})"),
                None => format!(" ({error_id})"),
            };
            Some(format!("{rung} failed at {step}: {message}{number}"))
        }
        StepEnd::NotRun { reason } => Some(format!("{rung} did not come to {step}: {reason}")),
        StepEnd::Unknown { reason } => Some(format!("{rung} was cut at {step}: {reason}")),
    }
}

fn describe_failure(error_id: &str, code: Option<i64>, message: &str) -> String {
    match code {
        Some(code) => format!("{error_id}, code {code}: {message}"),
        None => format!("{error_id}: {message}"),
    }
}
