//! What was spent on accounts whose lockout would hurt a whole domain, over all runs of a machine.

use std::time::Duration;

use async_trait::async_trait;
use fleetmend_model::HostName;
use jiff::Timestamp;

/// The budget could not be read or written. The account must then not be used.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to keep the budget of the account {account}: {detail}")]
pub struct BudgetError {
    /// Which account.
    pub account: String,
    /// What the storage said.
    pub detail: String,
}

/// A domain refused an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpentTry {
    /// When.
    pub at: Timestamp,
    /// While something was done for this PC; none: when the account was tried before any PC.
    pub host: Option<HostName>,
    /// The Win32 code; a refused logon over WinRM or SSH has none.
    pub code: Option<i64>,
    /// How long it counts against the account.
    pub counts_for: Duration,
}

/// Leave to use an account of which this run does not know yet that its password is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Nobody else on this machine tries it now, and no refusal counts against it.
    Granted,
    /// Another run tries it now: ask again.
    Busy,
    /// Too many refusals count against it still.
    Spent(Vec<SpentTry>),
}

/// Remembers what was spent on domain accounts. Implemented by the crate `journal`, in the file
/// that all runs of a machine share. `account` is compared without case.
#[async_trait]
pub trait AccountBudget: Send + Sync {
    /// Asks for leave to try an account whose password this run has not seen to work. Leave is held
    /// until [`AccountBudget::accepted`], [`AccountBudget::refused`] or
    /// [`AccountBudget::untold`], and ends with the process.
    ///
    /// # Errors
    /// [`BudgetError`]: the account must not be used.
    async fn leave(&self, account: &str) -> Result<Leave, BudgetError>;

    /// The account was accepted.
    ///
    /// # Errors
    /// [`BudgetError`].
    async fn accepted(&self, account: &str) -> Result<(), BudgetError>;

    /// The account was refused, once.
    ///
    /// # Errors
    /// [`BudgetError`].
    async fn refused(&self, account: &str, spent: SpentTry) -> Result<(), BudgetError>;

    /// Its use told nothing.
    ///
    /// # Errors
    /// [`BudgetError`].
    async fn untold(&self, account: &str) -> Result<(), BudgetError>;
}

/// Remembers nothing: for the demo and for tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBudget;

#[async_trait]
impl AccountBudget for NoBudget {
    async fn leave(&self, _: &str) -> Result<Leave, BudgetError> {
        Ok(Leave::Granted)
    }

    async fn accepted(&self, _: &str) -> Result<(), BudgetError> {
        Ok(())
    }

    async fn refused(&self, _: &str, _: SpentTry) -> Result<(), BudgetError> {
        Ok(())
    }

    async fn untold(&self, _: &str) -> Result<(), BudgetError> {
        Ok(())
    }
}
