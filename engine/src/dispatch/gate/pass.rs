//! Leave to use an account.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use fleetmend_model::HostName;
use fleetmend_transport::LogonMark;
use tokio::sync::OwnedSemaphorePermit;

use super::clerk::Clerk;
use super::entry::{Entry, Password};

/// Why nobody knows whether an account was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing came back of a logon after the password was sent.
    Lost,
    /// A rung that was handed it said nothing of it.
    Untold,
}

/// Leave to use an account, until dropped.
#[derive(Debug)]
pub(in super::super) struct Pass {
    entry: Arc<Entry>,
    password: Arc<Password>,
    /// Whether a rung was handed it.
    handed: bool,
    used: AtomicBool,
    proven: AtomicBool,
    refused: AtomicBool,
    /// The run itself cut the logon short.
    cut: AtomicBool,
    /// What became of the password in a logon.
    mark: LogonMark,
    /// Where that was, and how often the password had been accepted before.
    host: OnceLock<HostName>,
    accepted: AtomicU64,
    clerk: Clerk,
    /// Whether all runs of this machine gave leave, for a password that was not proven yet.
    leave: bool,
    turn: Option<OwnedSemaphorePermit>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Pass {
    pub(super) fn new(
        entry: Arc<Entry>,
        password: Arc<Password>,
        (turn, permit): (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
        handed: bool,
        (clerk, leave): (Clerk, bool),
    ) -> Self {
        let accepted = AtomicU64::new(password.accepted());
        Self {
            entry,
            password,
            handed,
            used: AtomicBool::new(false),
            proven: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            mark: LogonMark::new(),
            host: OnceLock::new(),
            accepted,
            clerk,
            leave,
            turn,
            permit,
        }
    }

    /// Notes that the account may have been shown to the domain.
    pub(in super::super) fn used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Notes that a logon at this PC begins; returns what it must mark. Whatever ends it, also the
    /// end of its future: without an answer to a password that was sent it is in doubt.
    pub(in super::super) fn logs_on(&self, host: &HostName) -> LogonMark {
        let _ = self.host.set(host.clone());
        let accepted = self.password.accepted();
        self.accepted.store(accepted, Ordering::SeqCst);
        self.mark.clone()
    }

    /// Notes that the logon was refused: then nothing is in doubt.
    pub(in super::super) fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// Notes that the run stopped amid the logon: that nothing came back then says nothing of a
    /// password that was accepted before.
    pub(in super::super) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Notes that the account works, and lets others in. A refusal stands.
    pub(in super::super) fn prove(&self) {
        if self.proven.swap(true, Ordering::Relaxed) {
            return;
        }
        let doubts = self.password.accept();
        self.entry.believe(doubts);
        if let Some(account) = self
            .entry
            .account
            .as_ref()
            .filter(|_| self.leave || doubts > 0)
        {
            self.clerk.accepted(account);
        }
        if self.turn.is_some() {
            self.password.prove();
        } else if self.permit.is_some() {
            self.password.ended();
        }
    }

    /// Tells whether it may have been refused, and nobody knows.
    pub(super) fn doubt(&self, proven: bool, used: bool) -> Option<Doubt> {
        let refused = self.refused.load(Ordering::Relaxed);
        let excused = self.cut.load(Ordering::Relaxed) && self.password.accepted() > 0;
        if self.mark.is_unanswered() && !proven && !refused && !excused {
            return Some(Doubt::Lost);
        }
        let told = proven || self.entry.why.get().is_some();
        (self.handed && self.turn.is_some() && used && !told).then_some(Doubt::Untold)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let proven = *self.proven.get_mut();
        let used = *self.used.get_mut() || self.mark.is_unanswered();
        if let Some(permit) = self.permit.take() {
            // It is known to work: one that said nothing was just not refused.
            if used && !proven {
                self.password.ended();
            }
            if used || proven {
                permit.forget();
            }
        }
        let doubt = self.doubt(proven, used);
        // One that left before the password was last accepted was good.
        let doubt = doubt.filter(|_| self.password.doubt(*self.accepted.get_mut()));
        // Before the turn is given on: the next one asks for leave anew.
        if let Some(account) = &self.entry.account {
            if doubt.is_some() {
                self.clerk.doubted(account, self.host.take());
            } else if self.leave && !proven {
                self.clerk.untold(account);
            }
        }
        match doubt {
            Some(Doubt::Lost) => self.entry.lost(),
            Some(Doubt::Untold) => self.entry.doubt(),
            None => {}
        }
    }
}
