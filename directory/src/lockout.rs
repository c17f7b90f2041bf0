//! When accounts are locked, and how near one is to it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ldap3::Scope;

use crate::account::split;
use crate::account_control::{DISABLED, LOCKOUT};
use crate::controller::{Controller, Session};
use crate::entry::Entry;
use crate::filter::escape;
use crate::operation::Question;
use crate::time::interval;
use crate::{DirectoryError, Limit, LogonRefusal};

/// When wrong passwords lock an account. Everything is none where our account may not read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockoutPolicy {
    /// After how many wrong passwords (`lockoutThreshold`); 0: never.
    pub threshold: Option<u32>,
    /// For how long (`lockoutDuration`); none also where only an administrator unlocks.
    pub duration: Option<Duration>,
    /// How long a wrong password counts (`lockOutObservationWindow`).
    pub window: Option<Duration>,
    /// The fine-grained policy that holds for the account (`msDS-ResultantPSO`).
    pub fine_grained: Option<String>,
}

/// An account before it is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Its distinguished name.
    pub dn: String,
    /// Its `sAMAccountName`.
    pub name: Option<String>,
    /// `badPwdCount` at this controller; it is not replicated.
    pub bad_password_count: Option<u32>,
    /// When the last of them was sent (`badPasswordTime`).
    pub last_bad_password: Option<Timestamp>,
    /// When it was locked (`lockoutTime`), if it was.
    pub locked_since: Option<Timestamp>,
    /// Whether it is locked now.
    pub locked: bool,
    /// Whether it is enabled.
    pub enabled: Option<bool>,
    /// When it expires (`accountExpires`).
    pub expires: Option<Timestamp>,
}

impl AccountState {
    /// Returns what any password would be told at this instant, if the account says so already.
    pub fn hopeless(&self, now: Timestamp) -> Option<LogonRefusal> {
        if self.locked {
            Some(LogonRefusal::LockedOut)
        } else if self.enabled == Some(false) {
            Some(LogonRefusal::Disabled)
        } else if self.expires.is_some_and(|expires| expires < now) {
            Some(LogonRefusal::AccountExpired)
        } else {
            None
        }
    }

    /// Returns how many wrong passwords count at this instant: none once the window has passed
    /// since the last.
    pub fn counting(&self, policy: &LockoutPolicy, now: Timestamp) -> u32 {
        let passed = self
            .last_bad_password
            .zip(policy.window)
            .is_some_and(|(last, window)| {
                let ago = now.duration_since(last);
                Duration::try_from(ago).is_ok_and(|ago| ago > window)
            });
        if passed {
            0
        } else {
            self.bad_password_count.unwrap_or(0)
        }
    }
}

const ACCOUNT: &[&str] = &[
    "sAMAccountName",
    "badPwdCount",
    "badPasswordTime",
    "lockoutTime",
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "msDS-ResultantPSO",
    "accountExpires",
];

/// Reads the account and the policy that holds for it.
pub(crate) async fn read(
    controller: &Arc<Controller>,
    session: &Session,
    user: &str,
    limit: &Limit,
) -> Result<(LockoutPolicy, Option<AccountState>), DirectoryError> {
    let (name, domain) = split(user);
    let name = escape(name);
    let mut any = format!("(sAMAccountName={name})");
    if let Some(domain) = domain.filter(|_| user.contains('@')) {
        any += &format!("(userPrincipalName={name}@{})", escape(domain));
    }
    let filter = if user.contains('=') {
        format!("(distinguishedName={})", escape(user))
    } else {
        format!("(&(objectClass=user)(|{any}))")
    };
    let question = Question {
        doing: "read an account's lockout",
        base: &session.domain,
        scope: Scope::Subtree,
        filter: &filter,
        attributes: ACCOUNT,
        controls: Vec::new(),
        size_limit: 2,
    };
    let answer = controller.search(&question, limit).await?;
    let entry = answer.entries.first();
    let fine = entry.and_then(|entry| entry.text("msDS-ResultantPSO"));
    let policy = match fine {
        Some(fine) => fine_grained(controller, fine, limit).await?,
        None => domain_wide(controller, session, limit).await?,
    };
    Ok((policy, entry.map(account)))
}

async fn domain_wide(
    controller: &Arc<Controller>,
    session: &Session,
    limit: &Limit,
) -> Result<LockoutPolicy, DirectoryError> {
    let names = [
        "lockoutThreshold",
        "lockoutDuration",
        "lockOutObservationWindow",
    ];
    let head = Question::of_object("read the lockout policy", &session.domain, &names);
    let answer = controller.search(&head, limit).await?;
    Ok(policy(answer.entries.first(), names, None))
}

/// Whoever is under a fine-grained policy is under no other, and by default only administrators
/// may read it: then nothing is known.
async fn fine_grained(
    controller: &Arc<Controller>,
    dn: &str,
    limit: &Limit,
) -> Result<LockoutPolicy, DirectoryError> {
    let names = [
        "msDS-LockoutThreshold",
        "msDS-LockoutDuration",
        "msDS-LockoutObservationWindow",
    ];
    let question = Question::of_object("read a fine-grained password policy", dn, &names);
    let entries = match controller.search(&question, limit).await {
        Ok(answer) => answer.entries,
        Err(error) if matches!(error.code(), Some(32 | 50)) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(policy(entries.first(), names, Some(dn.to_owned())))
}

fn policy(entry: Option<&Entry>, names: [&str; 3], fine: Option<String>) -> LockoutPolicy {
    let [threshold, duration, window] = names;
    let number = |name| entry.and_then(|entry| entry.number(name));
    LockoutPolicy {
        threshold: number(threshold).and_then(|number| u32::try_from(number).ok()),
        duration: number(duration).and_then(interval),
        window: number(window).and_then(interval),
        fine_grained: fine,
    }
}

pub(crate) fn account(entry: &Entry) -> AccountState {
    let computed = entry.flags("msDS-User-Account-Control-Computed");
    let locked_since = entry.filetime("lockoutTime");
    let control = entry.flags("userAccountControl");
    AccountState {
        dn: entry.dn.clone(),
        name: entry.text("sAMAccountName").map(str::to_owned),
        bad_password_count: entry
            .number("badPwdCount")
            .and_then(|number| u32::try_from(number).ok()),
        last_bad_password: entry.filetime("badPasswordTime"),
        locked_since,
        locked: computed.map_or(locked_since.is_some(), |flags| flags & LOCKOUT != 0),
        enabled: control.map(|control| control & DISABLED == 0),
        expires: entry.filetime("accountExpires"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::filetime;

    #[test]
    fn a_wrong_password_counts_as_long_as_the_window() {
        let entry = Entry::of(
            "CN=svc",
            &[
                ("badPwdCount", b"3"),
                ("badPasswordTime", b"134087562051234560"),
                ("accountExpires", b"9223372036854775807"),
            ],
        );
        let state = account(&entry);
        let bad = filetime(134_087_562_051_234_560).unwrap();
        let names = [
            "lockoutThreshold",
            "lockoutDuration",
            "lockOutObservationWindow",
        ];
        let head = Entry::of(
            "DC=corp",
            &[
                ("lockoutThreshold", b"5"),
                ("lockoutDuration", b"-9223372036854775808"),
                ("lockOutObservationWindow", b"-18000000000"),
            ],
        );
        let policy = policy(Some(&head), names, None);
        assert_eq!((policy.threshold, policy.duration), (Some(5), None));
        let after = |minutes| bad + jiff::SignedDuration::from_mins(minutes);
        assert_eq!(state.counting(&policy, after(29)), 3);
        assert_eq!(state.counting(&policy, after(31)), 0);
        assert_eq!(state.counting(&LockoutPolicy::default(), after(9999)), 3);
        assert_eq!(
            (state.locked, state.expires, state.enabled),
            (false, None, None)
        );
    }
}
