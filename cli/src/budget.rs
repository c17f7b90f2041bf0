//! What was spent on domain accounts, kept beside the journal for every run of this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::{
    AccountBudget, AccountName, AccountPolicy, BudgetError, Leave, NoBudget, SpentTry,
};
use fleetmend_journal::SqliteBudget;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::data_dir::data_dir;
use crate::error::CliError;
use crate::operator;
use crate::trail::{self, Entry};
use crate::wire::JOURNAL;

/// How long another process may try an account for which this one waits before any PC.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked.
const AGAIN: Duration = Duration::from_millis(500);
/// Where the journal is, for commands that have no option for it.
const FOLDER: &str = "FLEETMEND_DATA_DIR";

/// Keeps what was spent on accounts that are tried from here.
#[derive(Clone)]
pub(crate) struct Budget(
    pub(crate) Arc<dyn AccountBudget>,
    /// The journal, on whose trail stands who tries them.
    Option<PathBuf>,
);

impl Budget {
    /// Returns one that keeps nothing: for the demo.
    pub(crate) fn none() -> Self {
        Self(Arc::new(NoBudget), None)
    }

    /// Returns the budget in this folder, or in the one of the journal. What was spent on the
    /// accounts `try_again` counts no more; a name without a domain is also that of the account in
    /// `domain`, where the directory's own may be given so.
    ///
    /// # Errors
    /// There is no such folder, or it could not be noted that they may be tried again.
    pub(crate) async fn open(
        given: Option<&Path>,
        try_again: &[String],
        domain: Option<&str>,
    ) -> Result<Self, CliError> {
        let variable = || std::env::var_os(FOLDER).map(PathBuf::from);
        let folder = given.map(Path::to_owned).or_else(variable);
        let path = data_dir(folder.as_deref())?.join(JOURNAL);
        let budget = SqliteBudget::new(&path);
        if try_again.is_empty() {
            return Ok(Self(Arc::new(budget), Some(path)));
        }
        let accounts = try_again.iter().flat_map(|user| meant(user, domain));
        let by = operator::current().account;
        let budget = budget.with_consent(accounts.collect(), by).await;
        let budget = budget.map_err(|error| failed(&error))?;
        for user in try_again {
            if !meant(user, domain)
                .iter()
                .any(|name| budget.has_waived(name))
            {
                tracing::warn!(
                    "nothing was kept against the account {user}, so --try-again waives nothing, \
                     but what PCs refused in a run that is resumed; is it named with its domain?"
                );
            }
        }
        Ok(Self(Arc::new(budget), Some(path)))
    }

    /// Waits for leave to try an account, before any PC is touched, and puts on the audit trail that
    /// it is tried from here.
    ///
    /// # Errors
    /// It is spared, another process tries it for too long, or the trail cannot be written.
    pub(crate) async fn leave(&self, account: &AccountName, user: &str) -> Result<(), CliError> {
        self.wait(account, user).await?;
        let Some(path) = &self.1 else { return Ok(()) };
        let entry = Entry {
            kind: "account-tried",
            host: None,
            body: json!({
                "account": user, "budget": account.as_str(),
                "try_again": self.0.is_consented(account),
            }),
        };
        let noted = trail::note_async(path.clone(), entry).await;
        if noted.is_err() {
            // It was not shown to anybody.
            self.untold(account).await?;
        }
        noted.map_err(|error| {
            let message = format!("the account {user} is not tried, and nothing was touched");
            let error = CliError::config(message).because(error);
            error.hint("name another folder: --data-dir DIR")
        })
    }

    async fn wait(&self, account: &AccountName, user: &str) -> Result<(), CliError> {
        let began = Instant::now();
        loop {
            match self
                .0
                .leave(account)
                .await
                .map_err(|error| failed(&error))?
            {
                Leave::Granted => return Ok(()),
                Leave::Busy if began.elapsed() < PATIENCE => sleep(AGAIN).await,
                Leave::Busy => {
                    return Err(CliError::budget(format!(
                        "another run on this machine tries the account {user}; nothing was touched"
                    ))
                    .hint("run again when it has ended: fleetmend runs"));
                }
                Leave::Spent(spared) => {
                    return Err(CliError::budget(format!(
                        "the account {user} is spared, and nothing was touched: {spared}"
                    ))
                    .hint(try_again(account.as_str())));
                }
            }
        }
    }

    /// Notes that the account was accepted.
    ///
    /// # Errors
    /// It could not be noted.
    pub(crate) async fn accepted(&self, account: &AccountName) -> Result<(), CliError> {
        let noted = self.0.accepted(account).await;
        noted.map_err(|error| failed(&error))
    }

    /// Notes that the account was refused, before any PC was touched; `None`: the answer is not
    /// known.
    ///
    /// # Errors
    /// It could not be noted.
    pub(crate) async fn refused(
        &self,
        account: &AccountName,
        code: Option<u32>,
    ) -> Result<(), CliError> {
        let spent = SpentTry {
            at: Timestamp::now(),
            host: None,
            code: code.map(i64::from),
            perhaps: code.is_none(),
        };
        let noted = self.0.refused(account, spent).await;
        noted.map_err(|error| failed(&error))
    }

    /// Notes that the account was not shown to its domain.
    ///
    /// # Errors
    /// It could not be noted.
    pub(crate) async fn untold(&self, account: &AccountName) -> Result<(), CliError> {
        let noted = self.0.untold(account).await;
        noted.map_err(|error| failed(&error))
    }

    /// Notes what the domain says of the account.
    ///
    /// # Errors
    /// It could not be noted.
    pub(crate) async fn learned(
        &self,
        account: &AccountName,
        policy: AccountPolicy,
    ) -> Result<(), CliError> {
        let noted = self.0.learned(account, policy).await;
        noted.map_err(|error| failed(&error))
    }
}

/// Returns what to do about an account that is spared; `account` as budgets name it.
pub(crate) fn try_again(account: &str) -> String {
    let account = account.replace('\'', r"'\''");
    format!(
        "check account and password, then wait until then, or have it tried once more: \
         --try-again '{account}' (docs/guide/budgets.md)"
    )
}

/// Returns the accounts that may be meant by a name.
fn meant(user: &str, domain: Option<&str>) -> Vec<AccountName> {
    let mut names = vec![AccountName::of(user)];
    names.extend(domain.map(|domain| AccountName::in_domain(user, domain)));
    names.dedup();
    names
}

fn failed(error: &BudgetError) -> CliError {
    CliError::config("what was spent on accounts cannot be kept, so none is tried")
        .because(error.clone())
        .hint("name another folder: --data-dir DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_hint_is_the_account_s_own() {
        let corp = Some("corp.example.jp");
        for (user, domain, account) in [
            ("svc-directory", corp, "svc-directory@corp"),
            ("svc-directory@corp", corp, "svc-directory@corp"),
            (r"OTHER\svc", corp, "svc@other"),
            ("joiner", corp, "joiner"),
            ("joiner", None, "joiner"),
        ] {
            let names = meant(user, domain);
            assert!(
                names.contains(&AccountName::of(account)),
                "{user}: {names:?}"
            );
        }
        let hint = try_again("o'brien@corp");
        assert!(hint.contains(r"--try-again 'o'\''brien@corp'"), "{hint}");
    }
}
