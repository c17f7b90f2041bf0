//! Which host each account's new password was given to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleetmend_model::HostName;

use super::failure::failed;
use crate::ActionError;

/// Which host each account's new password was given to.
///
/// What a host says its name is decides whose password is written, so two that claim one account
/// are two entries for one computer, or one of them lies. Either way the second must not be given
/// a password: it would break what the first one has just been given.
#[derive(Debug, Default)]
pub(crate) struct Given(Mutex<HashMap<String, HostName>>);

/// What an account is known by here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account<'a> {
    /// Its SID; none while it does not exist.
    pub(super) sid: Option<&'a str>,
    /// Its `sAMAccountName`, with its `$`.
    pub(super) name: &'a str,
}

impl Account<'_> {
    fn keys(self) -> impl Iterator<Item = String> {
        let sid = self.sid.map(str::to_owned);
        sid.into_iter().chain([self.name.to_lowercase()])
    }
}

impl Given {
    /// Notes that the account is about to be written for the host. Returns whether it is the
    /// first time.
    ///
    /// # Errors
    /// `ComputerOfAnotherHost`.
    pub(super) fn claim(&self, account: Account<'_>, host: &HostName) -> Result<bool, ActionError> {
        let mut given = self.lock();
        let other = account
            .keys()
            .find_map(|key| given.get(&key).filter(|of| *of != host).cloned());
        if let Some(other) = other {
            let Account { sid, name } = account;
            return Err(failed(
                "ComputerOfAnotherHost",
                format!(
                    "{name} ({}) is not written for {host}: in this run its new password was given \
                     to {other}; two entries of the inventory are one computer, or one of them \
                     bears a name that is not its own",
                    sid.unwrap_or("no SID yet"),
                ),
            ));
        }
        let mut first = false;
        for key in account.keys() {
            if let Entry::Vacant(free) = given.entry(key) {
                free.insert(host.clone());
                first = true;
            }
        }
        Ok(first)
    }

    /// Forgets a claim after which certainly nothing was written.
    pub(super) fn release(&self, account: Account<'_>) {
        let mut given = self.lock();
        for key in account.keys() {
            given.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HostName>> {
        // Nothing is half done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(told: Result<bool, ActionError>) -> (String, String) {
        match told {
            Err(ActionError::Failed {
                error_id, message, ..
            }) => (error_id, message),
            told => panic!("{told:?}"),
        }
    }

    #[test]
    fn one_account_is_one_hosts() {
        let given = Given::default();
        let (one, two) = (HostName("受付-1".into()), HostName("10.0.0.9".into()));
        let account = Account {
            sid: Some("S-1-5-21-1"),
            name: "PC1$",
        };
        assert_eq!(given.claim(account, &one), Ok(true));
        assert_eq!(given.claim(account, &one), Ok(false));
        let (error_id, message) = id(given.claim(account, &two));
        assert_eq!(error_id, "ComputerOfAnotherHost");
        assert!(message.contains("受付-1") && message.contains("10.0.0.9"));
        // One that got its SID only by the write.
        let fresh = Account {
            sid: None,
            name: "NEW$",
        };
        assert_eq!(given.claim(fresh, &one), Ok(true));
        let made = Account {
            sid: Some("S-1-5-21-2"),
            name: "new$",
        };
        assert!(given.claim(made, &two).is_err());
        let renamed = Account {
            sid: Some("S-1-5-21-1"),
            name: "PC7$",
        };
        assert!(given.claim(renamed, &two).is_err());

        given.release(account);
        assert_eq!(given.claim(account, &two), Ok(true));
    }
}
