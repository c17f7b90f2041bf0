//! Why an account is not used any more in a run.

use fleetmend_model::{HostName, Place};

/// Why an account is not used any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Shut {
    /// It was refused in this run.
    Refused(Refusal),
    /// It was not even tried.
    Spared {
        /// Which.
        account: String,
        /// Why.
        why: String,
    },
}

/// Where an account was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Refusal {
    pub(in super::super) account: String,
    pub(in super::super) host: HostName,
    /// On the PC, or in the directory while something was done for the PC.
    pub(in super::super) place: Place,
    /// The Win32 code; a refused logon has none.
    pub(in super::super) code: Option<i64>,
}

impl Shut {
    /// Returns what is said of it on the PCs where the account was not used any more.
    pub(in super::super) fn story_elsewhere(&self) -> String {
        format!("{}; it was not used here", self.story())
    }

    /// Returns account, PC and number in words.
    pub(in super::super) fn story(&self) -> String {
        match self {
            Self::Refused(refusal) => refusal.story(),
            Self::Spared { account, why } => format!("the account {account} is spared: {why}"),
        }
    }
}

impl Refusal {
    fn story(&self) -> String {
        let Self {
            account,
            host,
            place,
            code,
        } = self;
        let code = code.map_or_else(String::new, |code| format!(" (Win32 {code})"));
        let place = match place {
            Place::Pc => format!("on {host}"),
            Place::Controller => format!("by the directory, first asked for {host}"),
        };
        format!("the account {account} was refused {place}{code}")
    }
}
