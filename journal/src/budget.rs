//! What was spent on domain accounts, shared by all runs and processes of this machine.
//!
//! Two tables in the journal's own file: tries that were not accepted, and tries that are under
//! way. A try is under way as long as the process lives that began it: each keeper holds a lease
//! of the operating system, which ends with it. Neither holds a password, nor anything made from
//! one. Why it is so stands in `docs/decisions/budgets.md`.

mod rows;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_engine::{
    AccountBudget, AccountName, AccountPolicy, BudgetError, Leave, SpentTry, judge,
};
use fleetmend_model::RunId;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use crate::lease::Lease;
use crate::{StorageError, schema};

/// The tables. `account` is as [`AccountName`] writes it. A try with `waived_at` counts no more:
/// the operator said so. Times are microseconds since 1970 in UTC, `window` is in seconds.
pub(crate) const TABLES: &str = "
    CREATE TABLE spent_tries (
        id        INTEGER PRIMARY KEY,
        account   TEXT NOT NULL,
        at        INTEGER NOT NULL,
        host      TEXT,
        code      INTEGER,
        perhaps   INTEGER NOT NULL,
        waived_at INTEGER,
        waived_by TEXT
    ) STRICT;
    CREATE INDEX spent_tries_by_account ON spent_tries (account, at);
    CREATE TABLE trials (
        account TEXT PRIMARY KEY,
        holder  TEXT NOT NULL,
        since   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE account_policies (
        account   TEXT PRIMARY KEY,
        threshold INTEGER,
        window    INTEGER,
        bad       INTEGER,
        read_at   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// Tries older than this are removed: no domain lets a wrong password count for longer than
/// 99 999 minutes, and hardly any for longer than a day.
const KEPT: Duration = Duration::from_secs(70 * 24 * 60 * 60);

/// The budget in the journal's file. The file is made, and opened, with the first word about an
/// account.
#[derive(Debug)]
pub struct SqliteBudget {
    keeper: Arc<Keeper>,
    consented: Vec<AccountName>,
    /// Those of the consented ones against which there was something.
    waived: Vec<AccountName>,
}

#[derive(Debug)]
struct Keeper {
    path: PathBuf,
    holder: RunId,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// Says that we live; taken with the first try.
    lease: Option<Lease>,
}

impl SqliteBudget {
    /// Returns the budget that is kept in this journal. Nothing is opened yet; the folder must be
    /// there.
    pub fn new(path: &Path) -> Self {
        Self {
            keeper: Arc::new(Keeper {
                path: path.to_owned(),
                holder: RunId(uuid::Uuid::now_v7()),
                open: Mutex::default(),
            }),
            consented: Vec::new(),
            waived: Vec::new(),
        }
    }

    /// Returns the same after the operator said of these accounts that they may be tried again:
    /// what was spent on them until now counts no more, and `by` stands beside it.
    ///
    /// # Errors
    /// It could not be stored; the accounts must then not be tried.
    pub async fn with_consent(
        mut self,
        accounts: Vec<AccountName>,
        by: String,
    ) -> Result<Self, BudgetError> {
        for account in &accounts {
            let by = by.clone();
            let waived = self
                .with(account, move |keeper, open, account| {
                    // Over a try that is left behind by a process that died, too.
                    let wrap = |error| StorageError::of(&keeper.path, error);
                    let buried = keeper.bury(&open.connection, account).map_err(wrap)?;
                    let at = Timestamp::now();
                    let waived = rows::waive(&open.connection, account, at, &by);
                    waived.map(|waived| waived || buried).map_err(wrap)
                })
                .await?;
            if waived {
                self.waived.push(account.clone());
            }
        }
        self.consented = accounts;
        Ok(self)
    }

    /// Tells whether there was anything against this account when the operator consented.
    pub fn has_waived(&self, account: &AccountName) -> bool {
        self.waived.contains(account)
    }

    /// Does something with the open file, where it may block.
    async fn with<T: Send + 'static>(
        &self,
        account: &AccountName,
        what: impl FnOnce(&Keeper, &mut Open, &AccountName) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, BudgetError> {
        let keeper = Arc::clone(&self.keeper);
        let of = account.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut open = keeper.open.lock().unwrap_or_else(PoisonError::into_inner);
            let open = match &mut *open {
                Some(open) => open,
                none => none.insert(Open {
                    connection: schema::open_write(&keeper.path)?,
                    lease: None,
                }),
            };
            what(&keeper, open, &of)
        });
        let error = |detail| BudgetError {
            account: account.to_string(),
            detail,
        };
        match done.await {
            Ok(done) => done.map_err(|failed| error(failed.story())),
            Err(_) => Err(error("its keeper panicked".to_owned())),
        }
    }
}

impl Keeper {
    /// Tells whether the process that began a try is gone.
    fn is_dead(&self, holder: &str) -> bool {
        let Ok(id) = holder.parse::<uuid::Uuid>() else {
            return true;
        };
        !Lease::is_held(&self.path, RunId(id))
    }

    /// Notes a try over which its process died, if there is one: nobody knows the answer.
    fn bury(&self, connection: &Connection, account: &AccountName) -> rusqlite::Result<bool> {
        let trial = rows::trial(connection, account)?;
        let Some((holder, since)) = trial.filter(|(holder, _)| self.is_dead(holder)) else {
            return Ok(false);
        };
        let spent = SpentTry {
            at: since,
            host: None,
            code: None,
            perhaps: true,
        };
        rows::spend(connection, account, &spent)?;
        rows::end_trial(connection, account)?;
        if let Ok(id) = holder.parse() {
            Lease::remove(&self.path, RunId(id));
        }
        Ok(true)
    }

    fn leave(&self, open: &mut Open, account: &AccountName) -> Result<Leave, StorageError> {
        let wrap = |error| StorageError::of(&self.path, error);
        if open.lease.is_none() {
            // Before the row that names it: else another would take us for dead.
            open.lease = Some(Lease::take(&self.path, self.holder)?);
        }
        let now = Timestamp::now();
        // Immediate: two processes must not both find the place free.
        let transaction = open
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(wrap)?;
        match rows::trial(&transaction, account).map_err(wrap)? {
            Some((holder, _)) if !self.is_dead(&holder) => return Ok(Leave::Busy),
            _ => self.bury(&transaction, account).map_err(wrap)?,
        };
        let tries = rows::tries(&transaction, account).map_err(wrap)?;
        let policy = rows::policy(&transaction, account).map_err(wrap)?;
        let leave = match judge(&tries, policy.as_ref(), now) {
            Err(spared) => Leave::Spent(*spared),
            Ok(()) => {
                let holder = self.holder.to_string();
                rows::begin_trial(&transaction, account, &holder, now).map_err(wrap)?;
                Leave::Granted
            }
        };
        transaction.commit().map_err(wrap)?;
        Ok(leave)
    }

    /// Ends the try that is under way, if it is ours, and does one thing more, all or nothing.
    fn end(
        &self,
        open: &mut Open,
        account: &AccountName,
        more: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StorageError> {
        let wrap = |error| StorageError::of(&self.path, error);
        let transaction = open
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(wrap)?;
        more(&transaction).map_err(wrap)?;
        let trial = rows::trial(&transaction, account).map_err(wrap)?;
        if trial.is_some_and(|(holder, _)| holder == self.holder.to_string()) {
            rows::end_trial(&transaction, account).map_err(wrap)?;
        }
        transaction.commit().map_err(wrap)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        // With the file open still: a try that is under way ends as one whose process died.
        if let Some(lease) = open.as_mut().and_then(|open| open.lease.take()) {
            lease.end();
        }
    }
}

#[async_trait]
impl AccountBudget for SqliteBudget {
    async fn leave(&self, account: &AccountName) -> Result<Leave, BudgetError> {
        self.with(account, Keeper::leave).await
    }

    async fn accepted(&self, account: &AccountName) -> Result<(), BudgetError> {
        self.with(account, |keeper, open, account| {
            keeper.end(open, account, |connection| {
                rows::forget(connection, account)
            })
        })
        .await
    }

    async fn refused(&self, account: &AccountName, spent: SpentTry) -> Result<(), BudgetError> {
        self.with(account, move |keeper, open, account| {
            keeper.end(open, account, |connection| {
                let old = spent.at.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
                rows::remove_before(connection, old)?;
                rows::spend(connection, account, &spent)
            })
        })
        .await
    }

    async fn untold(&self, account: &AccountName) -> Result<(), BudgetError> {
        self.with(account, |keeper, open, account| {
            keeper.end(open, account, |_| Ok(()))
        })
        .await
    }

    async fn learned(
        &self,
        account: &AccountName,
        policy: AccountPolicy,
    ) -> Result<(), BudgetError> {
        self.with(account, move |keeper, open, account| {
            rows::learn(&open.connection, account, &policy)
                .map_err(|error| StorageError::of(&keeper.path, error))
        })
        .await
    }

    async fn policy(&self, account: &AccountName) -> Option<AccountPolicy> {
        let read = self.with(account, |keeper, open, account| {
            rows::policy(&open.connection, account)
                .map_err(|error| StorageError::of(&keeper.path, error))
        });
        // Who may not know it bears as little as where the domain does not say.
        read.await.ok().flatten()
    }

    fn is_consented(&self, account: &AccountName) -> bool {
        self.consented.contains(account)
    }
}
