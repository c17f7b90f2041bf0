//! How far a logon has come, told while it is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const NOTHING: u8 = 0;
const LEFT: u8 = 1;
const ACCEPTED: u8 = 2;

/// Tells whether the password, or a proof of it, is on its way to the PC, and whether the PC took
/// it.
///
/// Whoever lets a logon happen keeps a clone: an error, a cancel or a dropped future may end the
/// logon at any point, and only this tells then whether something was spent on the account. Clones
/// share their state.
#[derive(Clone, Debug, Default)]
pub struct LogonMark(Arc<AtomicU8>);

impl LogonMark {
    /// Returns a mark of a logon that has shown nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The password or its proof leaves with the next bytes.
    pub fn leaves(&self) {
        self.0.fetch_max(LEFT, Ordering::SeqCst);
    }

    /// After all no byte of it has left.
    pub fn did_not_leave(&self) {
        let order = Ordering::SeqCst;
        // One that was accepted before stays so.
        let _ = self.0.compare_exchange(LEFT, NOTHING, order, order);
    }

    /// The PC has accepted the password.
    pub fn accepted(&self) {
        self.0.fetch_max(ACCEPTED, Ordering::SeqCst);
    }

    /// Tells whether the PC has accepted the password.
    pub fn is_accepted(&self) -> bool {
        self.0.load(Ordering::SeqCst) == ACCEPTED
    }

    /// Tells whether the PC may have judged the password without our knowing how. A refusal is not
    /// noted here: it is an error of its own.
    pub fn is_unanswered(&self) -> bool {
        self.0.load(Ordering::SeqCst) == LEFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_tell_what_became_of_the_password() {
        let mark = LogonMark::new();
        let kept = mark.clone();
        assert!(!kept.is_unanswered() && !kept.is_accepted());
        mark.leaves();
        assert!(kept.is_unanswered() && !kept.is_accepted());
        mark.did_not_leave();
        assert!(!kept.is_unanswered());
        mark.leaves();
        mark.accepted();
        // Accepted once, it may be shown again; nothing takes that back.
        mark.leaves();
        mark.did_not_leave();
        assert!(kept.is_accepted() && !kept.is_unanswered());
    }
}
