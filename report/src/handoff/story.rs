//! What happened on a PC so far, folded from its events.

use fleetmend_model::{HostEvent, Phase, StepEnd};
use jiff::Timestamp;
use serde_json::Value;

use crate::hazard::Watch;

/// What happened on a PC so far.
#[derive(Clone, Debug, Default)]
pub struct Story {
    pub(super) lines: Vec<Line>,
    facts: Option<Value>,
    watch: Watch,
}

/// One thing that is worth a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub(super) at: Timestamp,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    Reached(String),
    NotReached { why: String, reason: String },
    Diagnosed(String),
    Began(String),
    Ended { rung: String, verified: bool },
    Failed { step: String, why: String },
    Restart,
}

impl Story {
    /// Takes the next event of the PC in.
    pub fn apply(&mut self, what: &HostEvent, at: Timestamp) {
        self.watch.apply(what);
        let line = match what {
            HostEvent::Connected { transport, address } => {
                What::Reached(format!("{transport}, {address}"))
            }
            HostEvent::ConnectFailed { why, reason } => What::NotReached {
                why: why.clone(),
                reason: reason.clone(),
            },
            HostEvent::Diagnosed { cause } => What::Diagnosed(cause.to_string()),
            HostEvent::RungStarted { rung, .. } => What::Began(rung.clone()),
            HostEvent::RungEnded { rung, verified } => What::Ended {
                rung: rung.clone(),
                verified: *verified,
            },
            HostEvent::RebootOrdered { .. } => What::Restart,
            HostEvent::StepEnded { step, end, .. } => match end {
                StepEnd::Answered { answer } => {
                    if step.phase == Phase::Diagnose && step.step != "directory" {
                        self.facts = Some(answer.clone());
                    }
                    return;
                }
                StepEnd::Failed {
                    error_id,
                    code,
                    message,
                } => {
                    let code = code.map_or_else(String::new, |code| format!(", {code}"));
                    What::Failed {
                        step: step.to_string(),
                        why: format!("{message} ({error_id}{code})"),
                    }
                }
                StepEnd::NotRun { reason } | StepEnd::Unknown { reason } => What::Failed {
                    step: step.to_string(),
                    why: reason.clone(),
                },
            },
            HostEvent::Connecting
            | HostEvent::CredentialUsed { .. }
            | HostEvent::StepStarted { .. }
            | HostEvent::StepSkipped { .. }
            | HostEvent::HandedIn(_)
            | HostEvent::Finished { .. } => return,
        };
        self.lines.push(Line { at, what: line });
    }

    /// Returns a fact that the last diagnosis told, as text; none where it is null.
    pub fn fact(&self, pointer: &str) -> Option<String> {
        match self.facts.as_ref()?.pointer(pointer)? {
            Value::Null => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Returns the domain that the PC says it is in.
    pub fn domain(&self) -> Option<String> {
        self.fact("/computer/part_of_domain")
            .filter(|joined| joined == "true")?;
        self.fact("/computer/domain")
    }

    /// Returns what must be known because a rung was cut amid a change.
    pub(super) fn caution(&self) -> Option<&str> {
        self.watch.hazard().map(|hazard| hazard.caution.as_str())
    }
}
