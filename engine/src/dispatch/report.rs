//! What a run gives back.

use fleetmend_model::{ErrorsSpent, HostName, HostResult, Place, RunId};
use fleetmend_transport::ExecOutput;

use crate::exit_code;
use crate::journal::JournalError;

/// What a run gives back: one result for every PC, whatever broke.
#[derive(Debug)]
pub struct RunReport {
    /// The run's id; `None` when not even its beginning could be stored.
    pub run: Option<RunId>,
    /// One for each PC, in the plan's order.
    pub results: Vec<HostResult>,
    /// What commands by hand printed, in the plan's order; only of PCs where they ran.
    pub exec: Vec<(HostName, ExecOutput)>,
    /// Why the run ended.
    pub end: RunEnd,
    /// The exit code of the process, one of [`crate::exit_code`].
    pub exit_code: i32,
    /// The reader of live events took none for seconds and was given up; the journal has all.
    pub reader_lost: bool,
}

/// Why a run ended.
#[derive(Clone, Debug)]
pub enum RunEnd {
    /// Every PC came to its end.
    Complete,
    /// The operator interrupted it.
    Interrupted,
    /// A domain account was refused, and nothing that needs it was done any more.
    CredentialRefused {
        /// Its name.
        account: String,
        /// The PC that reported it, or for which the directory was first asked.
        host: HostName,
        /// Who refused it: the PC, or the directory the controller's own account.
        place: Place,
        /// The Win32 code; a refused logon has none.
        code: Option<i64>,
        /// The PCs that ended without what needs it, since it was not used there any more.
        not_reached: Vec<HostName>,
    },
    /// A domain account was not even tried: what other runs of this machine spent, or what its
    /// domain says, leaves no room for another mistake.
    AccountSpared {
        /// Its name.
        account: String,
        /// Why.
        why: String,
        /// The PCs that ended without what needs it.
        not_reached: Vec<HostName>,
    },
    /// More PCs failed in one way than may, or one of the first batch in a new way; no further PC
    /// was begun.
    ErrorsSpent(ErrorsSpent),
    /// The journal failed, and nothing was done to any PC any more.
    JournalLost(JournalError),
}

impl RunEnd {
    /// Returns the exit code of a run that ended so with these results.
    pub fn exit_code(&self, results: &[HostResult]) -> i32 {
        match self {
            Self::Interrupted => exit_code::INTERRUPTED,
            Self::CredentialRefused { .. } | Self::AccountSpared { .. } | Self::ErrorsSpent(_) => {
                exit_code::SAFETY
            }
            Self::JournalLost(_) => exit_code::NOT_ALL_WELL,
            Self::Complete => {
                if results
                    .iter()
                    .all(|result| result.outcome.class().is_well())
                {
                    exit_code::ALL_WELL
                } else {
                    exit_code::NOT_ALL_WELL
                }
            }
        }
    }
}
