//! Fresh logons: the account that a rung has chosen to log on with, and those that were refused.

use fleetmend_model::{Phase, StepEnd, StepRef};

use super::state::PcState;
use crate::program::{Program, StepRun};

/// The id of the end of a logon step whose account the PC refused.
pub const LOGON_REFUSED: &str = "LogonRefused";

impl PcState {
    /// Takes in what the end of a step says of logons.
    pub(super) fn logon_ended(&mut self, step: &StepRef, end: &StepEnd) {
        if !matches!(step.phase, Phase::Preflight | Phase::Repair) {
            return;
        }
        match end {
            StepEnd::Answered { .. } => self.answered.push(step.clone()),
            StepEnd::Failed { error_id, .. } if error_id == LOGON_REFUSED => {
                self.refused_logons.push(step.clone());
            }
            StepEnd::Failed { .. } | StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => {}
        }
    }
}

/// Returns the parameter with the account that a step has logged on with and that is to be kept
/// from there on; nothing while the inventory's is in use.
pub fn kept_account<'a>(program: &'a Program, state: &PcState) -> Option<&'a str> {
    let plans = state.answered.iter().rev();
    plans
        .filter_map(|step| program.step(step))
        .find_map(|plan| {
            let StepRun::Logon(logon) = &plan.run else {
                return None;
            };
            logon.credential.as_deref().filter(|_| logon.keep)
        })
}
