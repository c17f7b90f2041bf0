//! What was spent on accounts whose lockout would hurt a whole domain, over all runs of a machine.
//! The rules, and why they are so, stand in `docs/decisions/budgets.md`.

mod account_name;
mod judge;

use std::time::Duration;

use async_trait::async_trait;
use fleetmend_model::HostName;
use jiff::Timestamp;

pub use account_name::AccountName;
pub(crate) use judge::doubts_borne;
pub use judge::{Spared, counts_towards_lockout, judge};

/// How long a wrong password counts where the domain does not say: the default of Windows
/// domains for `lockOutObservationWindow`.
pub const OBSERVATION: Duration = Duration::from_secs(30 * 60);

/// The budget could not be read or written. The account must then not be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to keep the budget of the account {account}: {detail}")]
pub struct BudgetError {
    /// Which account.
    pub account: String,
    /// What the storage said.
    pub detail: String,
}

/// A try of an account that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentTry {
    /// When.
    pub at: Timestamp,
    /// While something was done for this PC; none: when the account was tried before any PC.
    pub host: Option<HostName>,
    /// The Win32 code; a refused logon over WinRM or SSH has none.
    pub code: Option<i64>,
    /// Whether nobody knows if it was refused: the answer was lost, or the process that tried it
    /// died over it.
    pub perhaps: bool,
}

/// What a domain says of an account, read before it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountPolicy {
    /// Wrong passwords that lock it; 0: none ever do. None: not known.
    pub threshold: Option<u32>,
    /// How long one counts; none: not known.
    pub window: Option<Duration>,
    /// Wrong passwords against it, at the controller that counts most; none: not known.
    pub bad: Option<u32>,
    /// When it was read.
    pub read: Timestamp,
}

/// Leave to use an account of which this run does not know yet that its password is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nobody else on this machine tries it now, and it may bear another refusal.
    Granted,
    /// Another run tries it now: ask again.
    Busy,
    /// It must not be tried now.
    Spent(Spared),
}

/// Remembers what was spent on domain accounts. Implemented by the crate `journal`, in the file
/// that all runs of a machine share.
#[async_trait]
pub trait AccountBudget: Send + Sync {
    /// Asks for leave to try an account whose password this run has not seen to work. Leave is held
    /// until [`AccountBudget::accepted`], [`AccountBudget::refused`] or
    /// [`AccountBudget::untold`], and ends with the process; a try over which the process died
    /// counts as one of which nobody knows.
    ///
    /// # Errors
    /// [`BudgetError`]: the account must not be used.
    async fn leave(&self, account: &AccountName) -> Result<Leave, BudgetError>;

    /// The account was accepted: what was spent before is forgotten, as a domain forgets it.
    ///
    /// # Errors
    /// [`BudgetError`].
    async fn accepted(&self, account: &AccountName) -> Result<(), BudgetError>;

    /// The account was refused, once, or perhaps was.
    ///
    /// # Errors
    /// [`BudgetError`].
    async fn refused(&self, account: &AccountName, spent: SpentTry) -> Result<(), BudgetError>;

    /// The account was certainly not shown to its domain.
    ///
    /// # Errors
    /// [`BudgetError`].
    async fn untold(&self, account: &AccountName) -> Result<(), BudgetError>;

    /// The domain has said how the account stands.
    ///
    /// # Errors
    /// [`BudgetError`].
    async fn learned(
        &self,
        account: &AccountName,
        policy: AccountPolicy,
    ) -> Result<(), BudgetError>;

    /// Returns what the domain has said of the account, where that is kept and not too old.
    async fn policy(&self, _account: &AccountName) -> Option<AccountPolicy> {
        None
    }

    /// Tells whether the operator has said that this account may be tried again all the same, in
    /// the words of the command line; also for an account of PCs.
    fn is_consented(&self, _account: &AccountName) -> bool {
        false
    }
}

/// Remembers nothing: for the demo and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBudget;

#[async_trait]
impl AccountBudget for NoBudget {
    async fn leave(&self, _: &AccountName) -> Result<Leave, BudgetError> {
        Ok(Leave::Granted)
    }

    async fn accepted(&self, _: &AccountName) -> Result<(), BudgetError> {
        Ok(())
    }

    async fn refused(&self, _: &AccountName, _: SpentTry) -> Result<(), BudgetError> {
        Ok(())
    }

    async fn untold(&self, _: &AccountName) -> Result<(), BudgetError> {
        Ok(())
    }

    async fn learned(&self, _: &AccountName, _: AccountPolicy) -> Result<(), BudgetError> {
        Ok(())
    }
}
