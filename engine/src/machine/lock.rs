//! Holding a PC against other controllers before a rung touches it.

use std::time::Duration;

use fleetmend_model::{Phase, Platform, StepEnd, StepRef};
use serde_json::{Map, Value};

use super::next::Machine;
use super::state::PcState;
use super::{Action, Call, ending};
use crate::own::LOCK;

impl PcState {
    pub(super) fn lock_ended(&mut self, end: &StepEnd) {
        self.unheld = match end {
            StepEnd::Answered { answer } => answer.get("error").and_then(error),
            StepEnd::Failed {
                error_id, message, ..
            } => Some(format!("{message} ({error_id})")),
            StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => None,
        };
        self.held = match end {
            StepEnd::Answered { answer } => {
                Some(answer.get("held").and_then(Value::as_bool) == Some(true))
            }
            StepEnd::Failed { .. } => Some(false),
            // The session was lost, and with it what it held.
            StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => None,
        };
    }
}

/// Returns what went wrong when the PC was to be held, with its number.
fn error(error: &Value) -> Option<String> {
    let id = error.get("error_id")?.as_str()?;
    let code = error.get("code").and_then(Value::as_i64);
    Some(code.map_or_else(|| id.to_owned(), |code| format!("{id}, code {code}")))
}

impl Machine<'_> {
    /// Returns what must come before a step of the rung: taking hold of the PC, or its end if
    /// another controller holds it.
    pub(super) fn lock(self, rung: &str) -> Option<Action> {
        if self.program.platform != Platform::Windows {
            return None;
        }
        match self.state.held {
            Some(true) => None,
            Some(false) => Some(Action::Finish(ending::held_by_other(self.state))),
            // The one that runs the step adds which run it is.
            None => Some(Action::Run(Call {
                step: StepRef {
                    phase: Phase::Repair,
                    rung: Some(rung.to_owned()),
                    step: LOCK.to_owned(),
                },
                on: None,
                params: Map::new(),
                pause: Duration::ZERO,
                shielded: self.state.rung.as_ref().is_some_and(|rung| rung.changed),
            })),
        }
    }
}
