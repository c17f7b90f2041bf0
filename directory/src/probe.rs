//! A credential tried exactly once.

use std::cmp::Reverse;
use std::sync::Arc;

use fleetmend_model::Credential;
use futures::StreamExt;
use jiff::Timestamp;

use crate::account::{bind_name, complete};
use crate::connection::Logon;
use crate::controller::Controller;
use crate::limit::Ended;
use crate::{
    AccountState, ActiveDirectory, DirectoryError, Limit, LockoutPolicy, LogonRefusal, lockout,
};

/// How many controllers are asked at once.
const AT_ONCE: usize = 16;
/// How many wrong passwords must be left over before a trial.
const LEFT_OVER: u32 = 2;

/// What came of trying a credential.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where it was tried.
    pub dc: String,
    /// Why it is refused; none: it is accepted.
    pub refusal: Option<LogonRefusal>,
    /// When accounts are locked, as far as our account may read it.
    pub policy: LockoutPolicy,
    /// The account before the trial, as the controller has it that has the worst of it; none if
    /// our account does not see it.
    pub account: Option<AccountState>,
    /// Controllers that did not say how the account stands there.
    pub silent: Vec<String>,
}

/// How an account stands before anybody tries it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// When accounts are locked, as far as our account may read it.
    pub policy: LockoutPolicy,
    /// The account, as the controller has it that has the worst of it; none if our account does
    /// not see it.
    pub account: Option<AccountState>,
    /// Controllers that did not say how the account stands there.
    pub silent: Vec<String>,
}

/// Why a credential was not tried. No logon was sent, unless `Unanswered` says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotProbed {
    /// Too few wrong passwords are left before the account is locked.
    #[error(
        "{user} has {bad} wrong passwords against it at {dc} and is locked at {threshold}; it is \
         not tried"
    )]
    NearLockout {
        /// The account.
        user: String,
        /// Where it was read.
        dc: String,
        /// Wrong passwords that count.
        bad: u32,
        /// Wrong passwords that lock it.
        threshold: u32,
    },
    /// Whether a wrong password would lock it cannot be read, and there are some already.
    #[error(
        "{user} has {bad} wrong passwords against it at {dc}, and the policy that locks it cannot \
         be read; it is not tried"
    )]
    PolicyUnreadable {
        /// The account.
        user: String,
        /// Where it was read.
        dc: String,
        /// Wrong passwords that count.
        bad: u32,
    },
    /// The directory says already that it would be refused.
    #[error("{user} is not tried at {dc}: {refusal}")]
    Hopeless {
        /// The account.
        user: String,
        /// Where it was read.
        dc: String,
        /// What it would be told.
        refusal: LogonRefusal,
    },
    /// It has no user name or no password: LDAP would take it as anonymous.
    #[error("a credential without {0} cannot be tried")]
    Incomplete(&'static str),
    /// The logon was sent and not answered with yes or no; it may have counted.
    #[error("{dc} did not answer the logon of {user}, which is not tried again: {why}")]
    Unanswered {
        /// The account.
        user: String,
        /// Where it was tried.
        dc: String,
        /// What happened.
        why: String,
    },
    /// The directory could not be asked.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// A trial whose logon was sent.
#[derive(Clone, Debug)]
pub(crate) struct Probed {
    credential: Credential,
    outcome: Result<Probe, NotProbed>,
}

impl ActiveDirectory {
    /// Reads with our own account how another stands, at every controller that answers. Nothing
    /// is tried.
    ///
    /// # Errors
    /// No controller can be asked.
    pub async fn standing(&self, user: &str, limit: &Limit) -> Result<Standing, DirectoryError> {
        let controller = self.any(false, limit).await?;
        let session = controller.session(limit).await?;
        let (policy, own) = lockout::read(&controller, &session, user, limit).await?;
        let (mut readings, silent) = self.elsewhere(&controller, user, limit).await?;
        readings.extend(own.map(|account| (session.dc.clone(), account)));
        let worst = worst(readings, &policy, Timestamp::now());
        Ok(Standing {
            account: worst.map(|(_, account)| account),
            policy,
            silent,
        })
    }

    /// Tries a credential by one bind on a connection of its own, after reading with our own
    /// account whether a wrong password would bring it near its lockout. Every controller that
    /// answers is asked, for each counts for itself; the one that holds the role of PDC emulator
    /// hears of wrong passwords sent to the others, and locks. The same credential is tried once
    /// in the life of this object: asked again, the first outcome is told.
    ///
    /// # Errors
    /// See [`NotProbed`]. A refused credential is no error.
    pub async fn probe(&self, credential: &Credential, limit: &Limit) -> Result<Probe, NotProbed> {
        if let Err(DirectoryError::CredentialIncomplete(what)) = complete(credential) {
            return Err(NotProbed::Incomplete(what));
        }
        // Held to the end: two callers with one credential make one trial.
        let mut probed = match limit.bound(self.probed.lock()).await {
            Ok(probed) => probed,
            Err(ended) => {
                let dc = self.access.settings.domain.clone();
                let doing = "try a credential while another is tried";
                return Err(match ended {
                    Ended::Deadline => DirectoryError::Deadline { dc, doing },
                    Ended::Cancelled => DirectoryError::Cancelled { dc, doing },
                }
                .into());
            }
        };
        let same = |other: &Credential| {
            other.user.eq_ignore_ascii_case(&credential.user)
                && other.password == credential.password
        };
        if let Some(probed) = probed.iter().find(|probed| same(&probed.credential)) {
            return probed.outcome.clone();
        }
        let controller = self.any(false, limit).await?;
        let session = controller.session(limit).await?;
        let user = &credential.user;
        let (policy, own) = lockout::read(&controller, &session, user, limit).await?;
        let (mut readings, silent) = self.elsewhere(&controller, user, limit).await?;
        readings.extend(own.map(|account| (session.dc.clone(), account)));
        let worst = worst(readings, &policy, Timestamp::now());
        if let Some((at, account)) = &worst {
            allowed(user, at, &policy, account, Timestamp::now())?;
        }
        let account = worst.map(|(_, account)| account);
        let (connection, _) = controller.connect(limit).await?;
        let name = bind_name(user, &self.access.settings.domain);
        let dc = session.dc.clone();
        // A caller that goes away under the bind leaves this behind: it is not sent again.
        probed.push(Probed {
            credential: credential.clone(),
            outcome: Err(NotProbed::Unanswered {
                user: user.clone(),
                dc: dc.clone(),
                why: "the trial was broken off".to_owned(),
            }),
        });
        let refusal = match connection.logon(&name, credential, limit).await {
            Logon::Accepted => Ok(None),
            Logon::Refused(refusal) => Ok(Some(refusal)),
            Logon::Answered { code, text } => Err(format!("LDAP {code}: {text}")),
            Logon::Unanswered(why) => Err(why),
        };
        let outcome = match refusal {
            Ok(refusal) => Ok(Probe {
                dc,
                refusal,
                policy,
                account,
                silent,
            }),
            Err(why) => Err(NotProbed::Unanswered {
                user: user.clone(),
                dc,
                why,
            }),
        };
        if let Some(last) = probed.last_mut() {
            last.outcome.clone_from(&outcome);
        }
        outcome
    }

    /// Reads the account at every other controller. Returns also those that did not tell.
    async fn elsewhere(
        &self,
        but: &Arc<Controller>,
        user: &str,
        limit: &Limit,
    ) -> Result<(Vec<(String, AccountState)>, Vec<String>), DirectoryError> {
        let mut asking = Vec::new();
        for controller in self.controllers(limit).await? {
            if !Arc::ptr_eq(controller, but) {
                asking.push(read_at(controller, user, limit));
            }
        }
        let mut asked = futures::stream::iter(asking).buffered(AT_ONCE);
        let (mut readings, mut silent) = (Vec::new(), Vec::new());
        while let Some((dc, told)) = asked.next().await {
            match told {
                Ok(account) => readings.extend(account.map(|account| (dc, account))),
                Err(error) if error.elsewhere() => silent.push(dc),
                Err(error) => return Err(error),
            }
        }
        Ok((readings, silent))
    }
}

async fn read_at(
    controller: &Arc<Controller>,
    user: &str,
    limit: &Limit,
) -> (String, Result<Option<AccountState>, DirectoryError>) {
    let read = async {
        let session = controller.session(limit).await?;
        let (_, account) = lockout::read(controller, &session, user, limit).await?;
        Ok(account)
    };
    let told = read.await;
    (controller.name().await, told)
}

/// Returns the reading that speaks most against a trial: a lock, else most wrong passwords.
fn worst(
    readings: Vec<(String, AccountState)>,
    policy: &LockoutPolicy,
    now: Timestamp,
) -> Option<(String, AccountState)> {
    readings.into_iter().min_by_key(|(_, account)| {
        let disabled = account.enabled == Some(false);
        Reverse((account.locked, disabled, account.counting(policy, now)))
    })
}

/// Refuses a trial that is hopeless or might lock the account.
fn allowed(
    user: &str,
    dc: &str,
    policy: &LockoutPolicy,
    account: &AccountState,
    now: Timestamp,
) -> Result<(), NotProbed> {
    let (user, dc) = (user.to_owned(), dc.to_owned());
    if let Some(refusal) = account.hopeless(now) {
        return Err(NotProbed::Hopeless { user, dc, refusal });
    }
    let bad = account.counting(policy, now);
    match policy.threshold {
        Some(0) => Ok(()),
        Some(threshold) if bad + LEFT_OVER >= threshold => Err(NotProbed::NearLockout {
            user,
            dc,
            bad,
            threshold,
        }),
        None if bad > 0 => Err(NotProbed::PolicyUnreadable { user, dc, bad }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(bad: u32) -> AccountState {
        AccountState {
            dn: "CN=svc".to_owned(),
            name: None,
            bad_password_count: Some(bad),
            last_bad_password: None,
            locked_since: None,
            locked: false,
            enabled: Some(true),
            expires: None,
        }
    }

    fn verdict(threshold: Option<u32>, account: &AccountState) -> Result<(), NotProbed> {
        let policy = LockoutPolicy {
            threshold,
            ..LockoutPolicy::default()
        };
        allowed("svc", "dc1", &policy, account, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn keeps_two_wrong_passwords_in_reserve() {
        assert_eq!(verdict(Some(0), &account(99)), Ok(()));
        assert_eq!(verdict(Some(5), &account(2)), Ok(()));
        assert!(matches!(
            verdict(Some(5), &account(3)),
            Err(NotProbed::NearLockout {
                bad: 3,
                threshold: 5,
                ..
            })
        ));
        assert!(
            verdict(Some(2), &account(0)).is_err(),
            "one mistake would leave one"
        );
        assert_eq!(verdict(None, &account(0)), Ok(()));
        assert!(matches!(
            verdict(None, &account(1)),
            Err(NotProbed::PolicyUnreadable { bad: 1, .. })
        ));
    }

    #[test]
    fn the_controller_that_has_the_worst_of_it_counts() {
        let policy = LockoutPolicy::default();
        let worst = |readings: &[(&str, AccountState)]| {
            let readings = readings
                .iter()
                .map(|(dc, account)| ((*dc).to_owned(), account.clone()));
            let now = Timestamp::UNIX_EPOCH;
            super::worst(readings.collect(), &policy, now).map(|(dc, _)| dc)
        };
        let unknown = AccountState {
            bad_password_count: None,
            ..account(0)
        };
        let mut locked = account(0);
        locked.locked = true;
        assert_eq!(worst(&[]), None);
        let mut readings = vec![("dc1", account(0)), ("pdc", account(4)), ("dc3", unknown)];
        assert_eq!(worst(&readings).unwrap(), "pdc");
        readings.push(("dc4", locked));
        assert_eq!(worst(&readings).unwrap(), "dc4");
        assert_eq!(worst(&readings[..1]).unwrap(), "dc1");
    }

    #[test]
    fn spends_nothing_on_the_hopeless() {
        let told = |account: &AccountState| match verdict(Some(0), account) {
            Err(NotProbed::Hopeless { refusal, .. }) => Some(refusal),
            _ => None,
        };
        let mut locked = account(0);
        locked.locked = true;
        assert_eq!(told(&locked), Some(LogonRefusal::LockedOut));
        let mut disabled = account(0);
        disabled.enabled = Some(false);
        assert_eq!(told(&disabled), Some(LogonRefusal::Disabled));
        let mut expired = account(0);
        expired.expires = Some(Timestamp::MIN);
        assert_eq!(told(&expired), Some(LogonRefusal::AccountExpired));
    }
}
