//! A wrong password is spent once.
//!
//! Until an account has been seen to work, one PC at a time may use it, on this whole machine;
//! then five; then all. The first refusal closes it for the rest of the run, for whatever it was
//! to be used: to log on, in the hands of a rung, or in the directory.

mod clerk;
mod entry;
mod pass;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fleetmend_model::{CredentialRef, Secret};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use crate::account_budget::{AccountBudget, AccountName, SpentTry};
use clerk::Clerk;
use entry::{Entry, Password, Stage};
pub(super) use pass::Pass;
pub(super) use refusal::{Refusal, Shut};

/// How many PCs follow the first one together.
const TRIAL: usize = 5;
/// How many uses in turn may tell nothing of an account, where its domain does not say how many
/// wrong passwords lock it.
pub(super) const DOUBTS: usize = 3;

/// What is guarded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// An account of a domain, whatever it is used for; the budget of this machine holds for it.
    Account(AccountName),
    /// An account of PCs, in a credential that rungs hand to them.
    Credential(CredentialRef),
}

/// What an account is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role<'a> {
    /// To log on. One of which nothing came back has not reached the domain, unless its
    /// [`LogonMark`](fleetmend_transport::LogonMark) says that the password was on its way.
    Logon(&'a Secret),
    /// In the hands of a rung, which may have shown it to the domain whatever became of the
    /// answer.
    Handed(&'a Secret),
    /// In the directory, by the controller; whoever speaks there has the password.
    Directory,
}

/// Guards every account whose refusal may lock it for the whole domain.
#[derive(Debug)]
pub(super) struct CredentialGate {
    names: BTreeSet<CredentialRef>,
    entries: Mutex<BTreeMap<Key, Arc<Entry>>>,
    first: Arc<OnceLock<Shut>>,
    clerk: Clerk,
    /// Tells passwords apart without keeping them: of this process alone, and gone with it.
    prints: RandomState,
}

/// The account must not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It was refused in this run.
    Refused,
    /// It is spared, for what other runs spent.
    Spared,
    /// It was used on [`DOUBTS`] PCs, and none told whether it works.
    Doubted,
}

impl CredentialGate {
    /// Returns a gate for these credentials; accounts come as they are met. `patience` is how
    /// long another run may try an account for which this one waits.
    pub(super) fn new(
        names: BTreeSet<CredentialRef>,
        budget: Arc<dyn AccountBudget>,
        patience: Duration,
    ) -> Self {
        Self {
            names,
            entries: Mutex::default(),
            first: Arc::default(),
            clerk: Clerk::start(budget, patience),
            prints: RandomState::new(),
        }
    }

    /// Tells whether the credential is one of the run's own.
    pub(super) fn knows(&self, name: &CredentialRef) -> bool {
        self.names.contains(name)
    }

    /// Returns what tells this password from others in this process.
    pub(super) fn print(&self, secret: &Secret) -> u64 {
        self.prints.hash_one(secret.reveal())
    }

    /// Waits until this PC may use the account.
    pub(super) async fn enter(&self, key: &Key, role: Role<'_>) -> Result<Pass, Closed> {
        let entry = self.entry(key);
        let password = entry.password(match role {
            Role::Logon(secret) | Role::Handed(secret) => Some(self.print(secret)),
            Role::Directory => None,
        });
        let mut shut = entry.shut.subscribe();
        let mut stage = password.stage.subscribe();
        let mut permit: Option<OwnedSemaphorePermit> = None;
        let mut turn: Option<OwnedSemaphorePermit> = None;
        loop {
            let now = *stage.borrow_and_update();
            entry.is_closed(&mut shut, now)?;
            match now {
                Stage::Open => return Ok(self.pass(&entry, &password, (role, None, None), false)),
                Stage::Trial { .. } if permit.is_some() => {
                    return Ok(self.pass(&entry, &password, (role, None, permit), false));
                }
                Stage::New if turn.is_some() => {
                    return self.canary(&entry, &password, (role, turn)).await;
                }
                Stage::New => permit = None,
                Stage::Trial { .. } => turn = None,
            }
            tokio::select! {
                got = entry.turn.clone().acquire_owned(), if now == Stage::New => turn = got.ok(),
                got = password.permits.clone().acquire_owned(), if now != Stage::New => {
                    permit = got.ok();
                }
                // The entry holds both senders.
                _ = shut.changed() => {}
                _ = stage.changed() => {}
            }
        }
    }

    /// Asks for the leave of all runs of this machine, whose one try this is.
    async fn canary(
        &self,
        entry: &Arc<Entry>,
        password: &Arc<Password>,
        (role, turn): (Role<'_>, Option<OwnedSemaphorePermit>),
    ) -> Result<Pass, Closed> {
        let Some(account) = entry.account.clone() else {
            return Ok(self.pass(entry, password, (role, turn, None), false));
        };
        match self.clerk.leave(&account).await {
            Ok(()) => {
                if let Some(doubts) = self.clerk.borne(&account).await {
                    entry.bears(doubts);
                }
                // Also one that was refused while we waited, in a path that had leave before.
                let pass = self.pass(entry, password, (role, turn, None), true);
                let closed = entry.is_closed(&mut entry.shut.subscribe(), Stage::New);
                closed.map(|()| pass)
            }
            Err(why) => {
                let account = account.to_string();
                entry.close(&Shut::Spared { account, why });
                Err(Closed::Spared)
            }
        }
    }

    fn pass(
        &self,
        entry: &Arc<Entry>,
        password: &Arc<Password>,
        (role, turn, permit): (
            Role<'_>,
            Option<OwnedSemaphorePermit>,
            Option<OwnedSemaphorePermit>,
        ),
        leave: bool,
    ) -> Pass {
        let handed = matches!(role, Role::Handed(_));
        let clerk = (self.clerk.clone(), leave);
        Pass::new(
            entry.clone(),
            password.clone(),
            (turn, permit),
            handed,
            clerk,
        )
    }

    /// Closes the gate for this account, and tells the budget of this machine.
    pub(super) fn refuse(&self, key: &Key, refusal: &Refusal) {
        let entry = self.entry(key);
        if let Some(account) = &entry.account {
            let spent = SpentTry {
                at: Timestamp::now(),
                host: Some(refusal.host.clone()),
                code: refusal.code,
                perhaps: false,
            };
            self.clerk.refused(account, spent);
        }
        entry.close(&Shut::Refused(refusal.clone()));
    }

    /// Closes the gate for an account that was refused before a cut; the budget knows it.
    pub(super) fn refused_before(&self, key: &Key, refusal: &Refusal) {
        self.entry(key).close(&Shut::Refused(refusal.clone()));
    }

    /// Counts a use before a cut that told nothing.
    pub(super) fn doubted_before(&self, key: &Key) {
        self.entry(key).doubt_before();
    }

    /// Waits until the budget of this machine has heard everything.
    pub(super) async fn settled(&self) {
        self.clerk.settled().await;
    }

    /// Returns why this account is not used any more, if it is not.
    pub(super) fn why_shut(&self, key: &Key) -> Option<Shut> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key)?.why.get().cloned()
    }

    /// Returns why an account was first not used any more in the run, if one was not.
    pub(super) fn first(&self) -> Option<&Shut> {
        self.first.get()
    }

    fn entry(&self, key: &Key) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let account = match key {
            Key::Account(account) => Some(account.clone()),
            Key::Credential(_) => None,
        };
        let new = || Arc::new(Entry::new(account, self.first.clone()));
        entries.entry(key.clone()).or_insert_with(new).clone()
    }
}
