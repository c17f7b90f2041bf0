//! What the gate knows of one account.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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
    /// Why an account was first not used any more in the run.
    first: Arc<OnceLock<Shut>>,
    /// How many doubts it bears.
    borne: AtomicUsize,
    /// Who tries a password that nobody has seen to work.
    pub(super) turn: Arc<Semaphore>,
    passwords: Mutex<BTreeMap<Option<u64>, Arc<Password>>>,
}

/// Whether the account may be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    closed: Option<Closed>,
    /// How often it may have been refused, and nobody knows, since its password was accepted last.
    doubts: usize,
    /// The same of uses before the run was cut.
    before: usize,
}

/// One password of an account.
#[derive(Debug)]
pub(super) struct Password {
    pub(super) stage: watch::Sender<Stage>,
    /// The places of those who follow the first.
    pub(super) permits: Arc<Semaphore>,
    said: Mutex<Said>,
}

/// What was said of a password.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// How often it was accepted.
    accepted: u64,
    /// How many uses since then told nothing.
    doubts: usize,
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

impl Gate {
    fn all(&self) -> usize {
        self.doubts + self.before
    }
}

impl Entry {
    pub(super) fn new(account: Option<AccountName>, first: Arc<OnceLock<Shut>>) -> Self {
        Self {
            account,
            shut: watch::Sender::new(Gate::default()),
            why: OnceLock::new(),
            first,
            borne: AtomicUsize::new(DOUBTS),
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
                said: Mutex::default(),
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
            None if stage == Stage::New && now.all() >= self.borne() => Err(Closed::Doubted),
            None => Ok(()),
        }
    }

    pub(super) fn close(&self, why: &Shut) {
        // Before it closes: who sees it closed must find out why.
        let _ = self.why.set(why.clone());
        // The run's first one stands.
        let _ = self.first.set(why.clone());
        self.shut.send_modify(|gate| {
            gate.closed.get_or_insert(match why {
                Shut::Refused(_) => Closed::Refused,
                Shut::Spared { .. } => Closed::Spared,
            });
        });
    }

    /// Notes how many doubts the account bears.
    pub(super) fn bears(&self, doubts: usize) {
        self.borne.store(doubts, Ordering::SeqCst);
    }

    /// A rung that was handed it ended without a word on the account.
    pub(super) fn doubt(&self) {
        self.shut.send_modify(|gate| gate.doubts += 1);
    }

    /// The same before the run was cut.
    pub(super) fn doubt_before(&self) {
        self.shut.send_modify(|gate| gate.before += 1);
    }

    /// Nothing came back of a logon after the password was sent. An account of a domain that bears
    /// no more of that is used no more, also one that was accepted before.
    pub(super) fn lost(&self) {
        self.doubt();
        let doubts = self.shut.borrow().all();
        let Some(account) = &self.account else {
            return;
        };
        if doubts >= self.borne() {
            let why = "nothing came back after the password was sent; whether it was refused, \
                       nobody knows";
            let (account, why) = (account.to_string(), why.to_owned());
            self.close(&Shut::Spared { account, why });
        }
    }

    fn borne(&self) -> usize {
        self.borne.load(Ordering::SeqCst)
    }

    /// Takes doubts back: the password of which they were has been accepted since. Of which one
    /// those before a cut were is not known.
    pub(super) fn believe(&self, doubts: usize) {
        self.shut.send_if_modified(|gate| {
            let changes = doubts > 0 || gate.before > 0;
            gate.doubts = gate.doubts.saturating_sub(doubts);
            gate.before = 0;
            changes
        });
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

    /// Returns how often it was accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.said().accepted
    }

    /// Notes that it was accepted; returns how many doubts there were of it.
    pub(super) fn accept(&self) -> usize {
        let mut said = self.said();
        said.accepted += 1;
        std::mem::take(&mut said.doubts)
    }

    /// Notes that a use told nothing; false if it was accepted since there were so many
    /// acceptances, for then it was good.
    pub(super) fn doubt(&self, accepted: u64) -> bool {
        let mut said = self.said();
        let counts = said.accepted == accepted;
        if counts {
            said.doubts += 1;
        }
        counts
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
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
