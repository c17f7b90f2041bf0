//! Leave to use an account.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use super::clerk::Clerk;
use super::entry::{Entry, Password};

/// Leave to use an account, until dropped.
#[derive(Debug)]
pub(in super::super) struct Pass {
    entry: Arc<Entry>,
    password: Arc<Password>,
    /// Whether a rung was handed it.
    handed: bool,
    used: AtomicBool,
    proven: AtomicBool,
    /// Who gave the leave of all runs of this machine, for a password that was not proven yet.
    leave: Option<Clerk>,
    turn: Option<OwnedSemaphorePermit>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pass {
    pub(super) fn new(
        entry: Arc<Entry>,
        password: Arc<Password>,
        (turn, permit): (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
        handed: bool,
        leave: Option<Clerk>,
    ) -> Self {
        Self {
            entry,
            password,
            handed,
            used: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            leave,
            turn,
            permit,
        }
    }

    /// Notes that the account may have been shown to the domain.
    pub(in super::super) fn used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Notes that the account works, and lets others in. A refusal stands.
    pub(in super::super) fn prove(&self) {
        if self.proven.swap(true, Ordering::Relaxed) {
            return;
        }
        if let (Some(clerk), Some(account)) = (&self.leave, &self.entry.account) {
            clerk.accepted(account);
        }
        if self.turn.is_some() {
            self.password.prove();
        } else if self.permit.is_some() {
            self.password.ended();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let proven = *self.proven.get_mut();
        let used = *self.used.get_mut();
        if let Some(permit) = self.permit.take() {
            // It is known to work: one that said nothing was just not refused.
            if used && !proven {
                self.password.ended();
            }
            if used || proven {
                permit.forget();
            }
        }
        let told = proven || self.entry.why.get().is_some();
        let doubted = self.handed && self.turn.is_some() && used && !told;
        if doubted {
            self.entry.doubt();
        }
        if let (Some(clerk), Some(account), false) = (&self.leave, &self.entry.account, proven) {
            // Before the turn is given on: the next one asks for leave anew.
            if doubted {
                clerk.doubted(account);
            } else {
                clerk.untold(account);
            }
        }
    }
}
