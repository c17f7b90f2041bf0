//! Budgets in memory, for several runs of one world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use async_trait::async_trait;
use fleetmend_engine::{
    AccountBudget, AccountName, AccountPolicy, BudgetError, Leave, SpentTry, judge,
};
use jiff::Timestamp;

/// Keeps what a journal would keep.
#[derive(Default)]
pub struct MemoryBudget(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    tries: BTreeMap<AccountName, Vec<SpentTry>>,
    trials: BTreeSet<AccountName>,
}

impl MemoryBudget {
    pub fn tries(&self, user: &str) -> Vec<SpentTry> {
        let kept = self.0.lock().unwrap();
        let tries = kept.tries.get(&AccountName::of(user));
        tries.cloned().unwrap_or_default()
    }

    pub fn under_way(&self) -> usize {
        self.0.lock().unwrap().trials.len()
    }

    pub fn spend(&self, user: &str, spent: SpentTry) {
        let mut kept = self.0.lock().unwrap();
        let tries = kept.tries.entry(AccountName::of(user)).or_default();
        tries.push(spent);
    }
}

#[async_trait]
impl AccountBudget for MemoryBudget {
    async fn leave(&self, account: &AccountName) -> Result<Leave, BudgetError> {
        let mut kept = self.0.lock().unwrap();
        if kept.trials.contains(account) {
            return Ok(Leave::Busy);
        }
        let tries = kept.tries.get(account).cloned().unwrap_or_default();
        Ok(match judge(&tries, None, Timestamp::now()) {
            Err(spared) => Leave::Spent(*spared),
            Ok(()) => {
                kept.trials.insert(account.clone());
                Leave::Granted
            }
        })
    }

    async fn accepted(&self, account: &AccountName) -> Result<(), BudgetError> {
        let mut kept = self.0.lock().unwrap();
        kept.trials.remove(account);
        kept.tries.remove(account);
        Ok(())
    }

    async fn refused(&self, account: &AccountName, spent: SpentTry) -> Result<(), BudgetError> {
        let mut kept = self.0.lock().unwrap();
        kept.trials.remove(account);
        kept.tries.entry(account.clone()).or_default().push(spent);
        Ok(())
    }

    async fn untold(&self, account: &AccountName) -> Result<(), BudgetError> {
        self.0.lock().unwrap().trials.remove(account);
        Ok(())
    }

    async fn learned(&self, _: &AccountName, _: AccountPolicy) -> Result<(), BudgetError> {
        Ok(())
    }
}

/// Remembers nothing, and the operator will have every account tried again.
pub struct Consenting;

#[async_trait]
impl AccountBudget for Consenting {
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

    fn is_consented(&self, account: &AccountName) -> bool {
        account.as_str() == "local-admin"
    }
}
