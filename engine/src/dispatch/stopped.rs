//! The words for PCs that stop because too many others failed.

use fleetmend_model::Outcome;

use crate::connect_failure::INTERRUPTED;
use crate::machine::Ending;

/// Why PCs are skipped after too many have failed.
pub(super) const ERROR_BUDGET: &str = "error-budget";

/// Tells it in an ending that came of the order to begin nothing new: to the machine that is the
/// same as the operator's first Ctrl-C.
pub(super) fn over_budget(mut ending: Ending) -> Ending {
    if let Outcome::Skipped { why } = &mut ending.outcome
        && why == INTERRUPTED
    {
        ERROR_BUDGET.clone_into(why);
    }
    let (before, after) = (INTERRUPTED, ERROR_BUDGET);
    ending.reason = ending.reason.replacen(
        &format!("stopped ({before})"),
        &format!("stopped ({after})"),
        1,
    );
    ending
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{self, PcState};

    #[test]
    fn only_the_reason_for_stopping_is_another() {
        let ending = over_budget(machine::halted(&PcState::default(), INTERRUPTED));
        assert_eq!(ending.outcome.to_string(), "skipped(error-budget)");
        assert_eq!(ending.reason, "stopped (error-budget); nothing was changed");
        let journal = machine::halted(&PcState::default(), "journal");
        assert_eq!(over_budget(journal.clone()), journal);
    }
}
