//! What the gate knows of one account.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::{Closed, DOUBTS, Shut, TRIAL};
use crate::account_budget::AccountName;

/// One account. Each of its passwords is proven for itself: that one works says nothing of
/// another that somebody mistyped. Those that are not proven take turns.
#[derive(Debug)]
pub(super) struct Entry {
    /// Under what the budget of this machine keeps it; none for an account of PCs.
    pub(super) account: Option<AccountName>,
    pub(super) shut: watch::Sender<Gate>,
    pub(super) why: OnceLock<Shut>,
    /// Who tries a password that nobody has seen to work.
    pub(super) turn: Arc<Semaphore>,
    passwords: Mutex<BTreeMap<Option<u64>, Arc<Password>>>,
}

/// Whether the account may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    closed: Option<Closed>,
    /// How many rungs that were handed it told nothing.
    doubts: usize,
}

/// One password of an account.
#[derive(Debug)]
pub(super) struct Password {
    pub(super) stage: watch::Sender<Stage>,
    /// The places of those who follow the first.
    pub(super) permits: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Never seen to work.
    New,
    /// It worked once; so many of the five have ended since.
    Trial {
        ends: usize,
    },
    Open,
}

impl Entry {
    pub(super) fn new(account: Option<AccountName>) -> Self {
        Self {
            account,
            shut: watch::Sender::new(Gate::default()),
            why: OnceLock::new(),
            turn: Arc::new(Semaphore::new(1)),
            passwords: Mutex::default(),
        }
    }

    pub(super) fn password(&self, print: Option<u64>) -> Arc<Password> {
        let passwords = self.passwords.lock();
        let mut passwords = passwords.unwrap_or_else(PoisonError::into_inner);
        let password = passwords.entry(print).or_insert_with(|| {
            Arc::new(Password {
                stage: watch::Sender::new(Stage::New),
                permits: Arc::new(Semaphore::new(0)),
            })
        });
        password.clone()
    }

    /// Tells whether a password at this stage must not be used.
    pub(super) fn is_closed(
        &self,
        shut: &mut watch::Receiver<Gate>,
        stage: Stage,
    ) -> Result<(), Closed> {
        let now = shut.borrow_and_update();
        match &now.closed {
            Some(closed) => Err(closed.clone()),
            None if stage == Stage::New && now.doubts >= DOUBTS => Err(Closed::Doubted),
            None => Ok(()),
        }
    }

    pub(super) fn close(&self, why: &Shut) {
        // Before it closes: who sees it closed must find out why.
        let _ = self.why.set(why.clone());
        self.shut.send_modify(|gate| {
            gate.closed.get_or_insert(match why {
                Shut::Refused(_) => Closed::Refused,
                Shut::Spared { .. } => Closed::Spared,
            });
        });
    }

    /// A rung that was handed it ended without a word on the account.
    pub(super) fn doubt(&self) {
        self.shut.send_modify(|gate| gate.doubts += 1);
    }
}

impl Password {
    /// One more of the five has ended, and its permit with it.
    pub(super) fn ended(&self) {
        self.stage.send_modify(|stage| {
            if let Stage::Trial { ends } = *stage {
                *stage = if ends + 1 >= TRIAL {
                    Stage::Open
                } else {
                    Stage::Trial { ends: ends + 1 }
                };
            }
        });
    }

    /// It works.
    pub(super) fn prove(&self) {
        self.stage.send_modify(|stage| {
            if *stage == Stage::New {
                *stage = Stage::Trial { ends: 0 };
                self.permits.add_permits(TRIAL);
            }
        });
    }
}
