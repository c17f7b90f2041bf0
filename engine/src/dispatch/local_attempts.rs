//! How often each PC has refused its own accounts.
//!
//! A PC locks its own accounts as a domain does, and the one that is shared by all transports may
//! be the last way in. So a PC is shown one password of an account in a run; a second one only
//! where the credential's budget has it; one that it has accepted in this run as often as is
//! needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use fleetmend_model::{CredentialRef, HostName};

use fleetmend_transport::LogonMark;

use crate::account_budget::AccountName;

/// How many attempts may have ended in a run without an answer to the password, on one PC.
const CUT: u32 = 2;

/// What the PCs said of their own accounts, in this run and before it was cut.
#[derive(Debug, Default)]
pub(super) struct LocalAttempts(Mutex<BTreeMap<HostName, OfPc>>);

#[derive(Debug, Default)]
struct OfPc {
    accounts: BTreeMap<String, OfAccount>,
    /// How many different ones of each credential were refused.
    refused: BTreeMap<CredentialRef, u32>,
    /// Of these, those before the run was cut.
    forgotten: BTreeMap<CredentialRef, u32>,
    /// Passwords of domain accounts that it has accepted in this run.
    of_domain: BTreeSet<(AccountName, u64)>,
}

#[derive(Debug, Default)]
struct OfAccount {
    /// Passwords that the PC has accepted in this run.
    accepted: BTreeSet<u64>,
    /// Those that it refused.
    refused: BTreeSet<u64>,
    /// Refusals before the run was cut.
    before: u32,
    /// Attempts that ended before their answer, with the run or in it.
    cut: u32,
}

/// An attempt that is under way. However it ends, also with its future, one of which no answer came
/// back after the password was sent counts as one that was cut.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    attempts: &'a LocalAttempts,
    host: &'a HostName,
    own: (&'a str, u64),
    mark: LogonMark,
    refused: AtomicBool,
}

/// Why a PC is not shown a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// It has refused this account in this run.
    Refused,
    /// Attempts ended before their answer, twice.
    Cut,
}

/// What a run that was cut had come to on one PC with one of its accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// Refusals, by credential.
    pub(super) refused: BTreeMap<CredentialRef, u32>,
    /// Attempts that were cut before their answer.
    pub(super) cut: u32,
}

impl LocalAttempts {
    /// Takes over what came before a cut. That the PC accepted it is forgotten: the password has
    /// been given anew.
    pub(super) fn seed(&self, host: &HostName, account: &str, before: &Before) {
        self.on(host, |pc| {
            for (name, count) in &before.refused {
                *pc.refused.entry(name.clone()).or_default() += count;
                *pc.forgotten.entry(name.clone()).or_default() += count;
            }
            let of = pc.accounts.entry(own_name(account)).or_default();
            of.before += before.refused.values().sum::<u32>();
            of.cut += before.cut;
        });
    }

    /// Tells whether a password of the account may be shown to the PC; `another`: the
    /// credential's budget has it after one that was refused.
    pub(super) fn may(
        &self,
        host: &HostName,
        (account, print): (&str, u64),
        another: bool,
    ) -> Result<(), Barred> {
        self.on(host, |pc| {
            let Some(of) = pc.accounts.get(&own_name(account)) else {
                return Ok(());
            };
            if of.accepted.contains(&print) {
                Ok(())
            } else if of.refused.contains(&print) {
                Err(Barred::Refused)
            } else if of.cut >= CUT {
                Err(Barred::Cut)
            } else if !another && (of.before > 0 || !of.refused.is_empty()) {
                Err(Barred::Refused)
            } else {
                Ok(())
            }
        })
    }

    /// Begins an attempt.
    pub(super) fn begin<'a>(&'a self, host: &'a HostName, own: (&'a str, u64)) -> Attempt<'a> {
        Attempt {
            attempts: self,
            host,
            own,
            mark: LogonMark::new(),
            refused: AtomicBool::new(false),
        }
    }

    /// Notes that no answer came to a password, unless it is one that the PC has accepted.
    fn unanswered(&self, host: &HostName, (account, print): (&str, u64)) {
        self.on(host, |pc| {
            let of = pc.accounts.entry(own_name(account)).or_default();
            if !of.accepted.contains(&print) {
                of.cut += 1;
            }
        });
    }

    pub(super) fn accepted(&self, host: &HostName, (account, print): (&str, u64)) {
        self.on(host, |pc| {
            let of = pc.accounts.entry(own_name(account)).or_default();
            of.accepted.insert(print);
            // The PC counts from nothing again.
            of.cut = 0;
        });
    }

    /// Notes that the PC has accepted a domain's account.
    pub(super) fn domain_accepted(&self, host: &HostName, account: &AccountName, print: u64) {
        self.on(host, |pc| pc.of_domain.insert((account.clone(), print)));
    }

    /// Tells whether the PC has accepted this password of a domain's account in this run.
    pub(super) fn has_accepted(&self, host: &HostName, account: &AccountName, print: u64) -> bool {
        self.on(host, |pc| pc.of_domain.contains(&(account.clone(), print)))
    }

    /// Notes a refusal; one of a password that it has accepted before tells of the PC, not of the
    /// password.
    pub(super) fn refused(
        &self,
        host: &HostName,
        name: &CredentialRef,
        (account, print): (&str, u64),
    ) {
        self.on(host, |pc| {
            let of = pc.accounts.entry(own_name(account)).or_default();
            if !of.accepted.contains(&print) && of.refused.insert(print) {
                *pc.refused.entry(name.clone()).or_default() += 1;
            }
        });
    }

    /// Returns how many different ones of this credential the PC has refused.
    pub(super) fn count(&self, host: &HostName, name: &CredentialRef) -> u32 {
        self.on(host, |pc| pc.refused.get(name).copied().unwrap_or(0))
    }

    /// Returns how many of them were refused before the run was cut, so that their passwords are not
    /// known any more.
    pub(super) fn forgotten(&self, host: &HostName, name: &CredentialRef) -> u32 {
        self.on(host, |pc| pc.forgotten.get(name).copied().unwrap_or(0))
    }

    /// Tells whether the PC has refused this password of the account in this run.
    pub(super) fn has_refused(&self, host: &HostName, (account, print): (&str, u64)) -> bool {
        self.on(host, |pc| {
            let of = pc.accounts.get(&own_name(account));
            of.is_some_and(|of| of.refused.contains(&print))
        })
    }

    fn on<T>(&self, host: &HostName, what: impl FnOnce(&mut OfPc) -> T) -> T {
        let mut pcs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        what(pcs.entry(host.clone()).or_default())
    }
}

impl Attempt<'_> {
    /// Returns what the logon must mark.
    pub(super) fn mark(&self) -> LogonMark {
        self.mark.clone()
    }

    /// Notes that the PC refused it: then nothing is in doubt.
    pub(super) fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.mark.is_unanswered() && !*self.refused.get_mut() {
            self.attempts.unanswered(self.host, self.own);
        }
    }
}

/// Returns the account's name on its PC, however it is written.
pub(super) fn own_name(user: &str) -> String {
    let user = user.trim().to_lowercase();
    let name = match user.split_once('\\') {
        Some((_, name)) => name,
        None => user.split_once('@').map_or(user.as_str(), |(name, _)| name),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pc() -> HostName {
        HostName("pc-1".into())
    }

    fn admin() -> CredentialRef {
        CredentialRef("local-admin".into())
    }

    #[test]
    fn one_attempt_however_the_account_is_written() {
        let attempts = LocalAttempts::default();
        assert_eq!(attempts.may(&pc(), ("admin", 1), false), Ok(()));
        attempts.refused(&pc(), &admin(), ("admin", 1));
        for user in ["admin", ".\\Admin", "PC-1\\admin", "ADMIN@pc-1"] {
            let barred = Err(Barred::Refused);
            assert_eq!(attempts.may(&pc(), (user, 1), true), barred, "{user}");
            assert_eq!(attempts.may(&pc(), (user, 2), false), barred, "{user}");
            assert_eq!(attempts.may(&pc(), (user, 2), true), Ok(()), "{user}");
        }
        assert_eq!(attempts.count(&pc(), &admin()), 1);
        let other = HostName("pc-2".into());
        assert_eq!(attempts.may(&other, ("admin", 1), false), Ok(()));
        assert_eq!(attempts.may(&pc(), ("rescue", 1), false), Ok(()));
    }

    #[test]
    fn what_was_accepted_costs_nothing_any_more() {
        let attempts = LocalAttempts::default();
        attempts.accepted(&pc(), ("admin", 1));
        for _ in 0..3 {
            // As PCs do while they start.
            attempts.refused(&pc(), &admin(), ("admin", 1));
            assert_eq!(attempts.may(&pc(), ("admin", 1), false), Ok(()));
        }
        assert_eq!(attempts.count(&pc(), &admin()), 0);
        attempts.refused(&pc(), &admin(), ("admin", 2));
        assert!(attempts.may(&pc(), ("admin", 2), false).is_err());
    }

    #[test]
    fn a_password_without_an_answer_counts_as_one_that_was_cut() {
        let attempts = LocalAttempts::default();
        let own = ("admin", 1);
        let pc = pc();
        // Not sent, or accepted, or refused: not in doubt.
        drop(attempts.begin(&pc, own));
        let attempt = attempts.begin(&pc, own);
        attempt.mark().leaves();
        attempt.refused();
        drop(attempt);
        for may in [Ok(()), Err(Barred::Cut)] {
            let attempt = attempts.begin(&pc, own);
            attempt.mark().leaves();
            drop(attempt);
            assert_eq!(attempts.may(&pc, own, false), may);
        }
        attempts.accepted(&pc, own);
        for _ in 0..3 {
            let attempt = attempts.begin(&pc, own);
            attempt.mark().leaves();
            drop(attempt);
            assert_eq!(attempts.may(&pc, own, false), Ok(()));
        }
    }

    #[test]
    fn an_attempt_that_was_cut_allows_one_more_and_two_allow_none() {
        for (cut, may) in [(1, Ok(())), (2, Err(Barred::Cut))] {
            let attempts = LocalAttempts::default();
            let before = Before {
                cut,
                ..Before::default()
            };
            attempts.seed(&pc(), "admin", &before);
            assert_eq!(attempts.may(&pc(), ("admin", 1), false), may);
            assert_eq!(attempts.may(&pc(), ("admin", 1), true), may);
        }
        let attempts = LocalAttempts::default();
        let refused = [(admin(), 1)].into();
        attempts.seed(&pc(), "admin", &Before { refused, cut: 0 });
        let barred = Err(Barred::Refused);
        assert_eq!(attempts.may(&pc(), ("admin", 1), false), barred);
        assert_eq!(attempts.count(&pc(), &admin()), 1);
    }
}
