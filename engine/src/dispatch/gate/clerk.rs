//! Speaks with the budget of this machine, one word after another.
//!
//! A place in the gate is given back where nothing can be awaited; so what the budget must hear
//! is queued, and who asks for leave stands in the same queue behind it.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::HostName;
use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::account_budget::{
    AccountBudget, AccountName, BudgetError, Leave, SpentTry, doubts_borne,
};

/// How often a run asks whether another has ended its try.
const AGAIN: Duration = Duration::from_millis(500);

/// Speaks with the budget.
#[derive(Clone)]
pub(super) struct Clerk {
    words: mpsc::UnboundedSender<Word>,
    patience: Duration,
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").finish_non_exhaustive()
    }
}

enum Word {
    Leave(AccountName, oneshot::Sender<Result<Leave, BudgetError>>),
    Accepted(AccountName),
    Refused(AccountName, SpentTry),
    Untold(AccountName),
    Borne(AccountName, oneshot::Sender<usize>),
    Settled(oneshot::Sender<()>),
}

impl Clerk {
    pub(super) fn start(budget: Arc<dyn AccountBudget>, patience: Duration) -> Self {
        // Unbounded: at most a word for each use of an account that is not proven, and those are
        // one at a time.
        let (words, heard) = mpsc::unbounded_channel();
        tokio::spawn(serve(budget, heard));
        Self { words, patience }
    }

    /// Waits for leave; says why there is none.
    pub(super) async fn leave(&self, account: &AccountName) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let (reply, answer) = oneshot::channel();
            self.say(Word::Leave(account.clone(), reply));
            match answer.await {
                Ok(Ok(Leave::Granted)) => return Ok(()),
                Ok(Ok(Leave::Spent(spared))) => return Err(spared.to_string()),
                Ok(Ok(Leave::Busy)) if began.elapsed() < self.patience => sleep(AGAIN).await,
                Ok(Ok(Leave::Busy)) => {
                    let minutes = self.patience.as_secs() / 60;
                    return Err(format!(
                        "another run on this machine has been trying it for {minutes} minutes"
                    ));
                }
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err("its budget cannot be kept".to_owned()),
            }
        }
    }

    pub(super) fn accepted(&self, account: &AccountName) {
        self.say(Word::Accepted(account.clone()));
    }

    pub(super) fn refused(&self, account: &AccountName, spent: SpentTry) {
        self.say(Word::Refused(account.clone(), spent));
    }

    pub(super) fn untold(&self, account: &AccountName) {
        self.say(Word::Untold(account.clone()));
    }

    /// Returns how many lost answers in a row the account bears, if that can be told.
    pub(super) async fn borne(&self, account: &AccountName) -> Option<usize> {
        let (reply, answer) = oneshot::channel();
        self.say(Word::Borne(account.clone(), reply));
        answer.await.ok()
    }

    /// It was on its way to its domain, and nobody knows whether it was refused.
    pub(super) fn doubted(&self, account: &AccountName, host: Option<HostName>) {
        let spent = SpentTry {
            at: Timestamp::now(),
            host,
            code: None,
            perhaps: true,
        };
        self.say(Word::Refused(account.clone(), spent));
    }

    /// Waits until everything that was said is kept.
    pub(super) async fn settled(&self) {
        let (reply, settled) = oneshot::channel();
        self.say(Word::Settled(reply));
        let _ = settled.await;
    }

    fn say(&self, word: Word) {
        // The other end is gone only with the runtime.
        let _ = self.words.send(word);
    }
}

async fn serve(budget: Arc<dyn AccountBudget>, mut words: mpsc::UnboundedReceiver<Word>) {
    while let Some(word) = words.recv().await {
        let (account, done) = match word {
            Word::Leave(account, reply) => {
                let leave = AssertUnwindSafe(budget.leave(&account))
                    .catch_unwind()
                    .await;
                let leave = leave.unwrap_or_else(|_| {
                    Err(BudgetError {
                        account: account.to_string(),
                        detail: "it panicked".to_owned(),
                    })
                });
                let granted = matches!(leave, Ok(Leave::Granted));
                if reply.send(leave).is_err() && granted {
                    // Who asked was cut meanwhile.
                    (account.clone(), budget.untold(&account).await)
                } else {
                    continue;
                }
            }
            Word::Accepted(account) => (account.clone(), budget.accepted(&account).await),
            Word::Refused(account, spent) => {
                (account.clone(), budget.refused(&account, spent).await)
            }
            Word::Untold(account) => (account.clone(), budget.untold(&account).await),
            Word::Borne(account, reply) => {
                let policy = AssertUnwindSafe(budget.policy(&account))
                    .catch_unwind()
                    .await;
                let policy = policy.unwrap_or_default();
                let _ = reply.send(doubts_borne(policy.as_ref(), Timestamp::now()));
                continue;
            }
            Word::Settled(reply) => {
                let _ = reply.send(());
                continue;
            }
        };
        if let Err(error) = done {
            tracing::error!(%account, %error, "what was spent on an account was not kept");
        }
    }
}
