//! Local accounts: who may log on, and how somebody elevated manages them.

use fleetmend_model::Secret;

use super::Machine;
use crate::win32;

/// NERR_UserNotFound.
const USER_NOT_FOUND: u32 = 2221;
/// NERR_PasswordTooShort.
const PASSWORD_TOO_SHORT: u32 = 2245;

/// A local account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAccount {
    /// Its password.
    pub password: Secret,
    /// Whether it may log on.
    pub enabled: bool,
    /// Whether it is in Administrators (S-1-5-32-544).
    pub administrator: bool,
    /// Wrong passwords since the last right one.
    pub bad_passwords: u32,
    /// Every wrong password ever tried, never set back: what tests ask for.
    pub bad_passwords_total: u32,
    /// Logons that were accepted.
    pub logons: u32,
    /// Set once the lockout threshold is reached.
    pub locked: bool,
    /// Whether its date of expiry has passed.
    pub expired: bool,
    /// Whether its password has expired or must be changed at the next logon.
    pub must_change: bool,
    /// Last part of its SID; 500 is the built-in Administrator.
    pub rid: u32,
}

impl LocalAccount {
    /// Returns an enabled account without bad passwords.
    pub fn new(password: &str, administrator: bool) -> Self {
        Self {
            password: Secret::new(password.to_owned()),
            enabled: true,
            administrator,
            bad_passwords: 0,
            bad_passwords_total: 0,
            logons: 0,
            locked: false,
            expired: false,
            must_change: false,
            rid: 1001,
        }
    }

    /// Tells whether nothing about the account itself keeps it out.
    pub fn may_log_on(&self) -> bool {
        self.enabled && !self.locked && !self.expired && !self.must_change
    }
}

impl Machine {
    /// Returns a local account; names are compared without case.
    pub fn account(&self, user: &str) -> Option<&LocalAccount> {
        self.accounts.get(&user.to_lowercase())
    }

    /// Returns the password by which a logon is judged; `None` when the account cannot log on.
    pub fn password_of(&self, user: &str) -> Option<&str> {
        let account = self.account(user)?;
        (account.may_log_on() && !self.denies_network(account)).then_some(account.password.reveal())
    }

    /// Tells whether the rights to log on keep an account out over the network.
    pub fn denies_network(&self, account: &LocalAccount) -> bool {
        let denied = |sid: &str| self.network_denied.contains(sid);
        denied("S-1-5-113") || (account.administrator && denied("S-1-5-114"))
    }

    /// Notes a logon, and locks the account when the wrong ones reach the threshold.
    pub fn note_logon(&mut self, user: &str, accepted: bool) {
        let threshold = self.lockout_threshold;
        let Some(account) = self.accounts.get_mut(&user.to_lowercase()) else {
            return;
        };
        if accepted {
            account.logons += 1;
            account.bad_passwords = 0;
            return;
        }
        account.bad_passwords += 1;
        account.bad_passwords_total += 1;
        if threshold != 0 && account.bad_passwords >= threshold {
            account.locked = true;
        }
    }

    /// Tells whether the account's token is a full administrator's over the network.
    pub fn is_elevated(&self, user: &str) -> bool {
        let built_in = user.eq_ignore_ascii_case("administrator");
        self.account(user)
            .is_some_and(|account| account.administrator)
            && (self.remote_admins || built_in)
    }

    /// Makes a local account. Returns 0, 2224 (there is one) or 2245 (the password is too short).
    pub fn create_account(&mut self, name: &str, password: &str, administrator: bool) -> u32 {
        if self.account(name).is_some() {
            return win32::USER_EXISTS;
        }
        if password.chars().count() < self.shortest_password {
            return PASSWORD_TOO_SHORT;
        }
        let highest = self.accounts.values().map(|account| account.rid).max();
        let mut account = LocalAccount::new(password, administrator);
        account.rid = highest.unwrap_or(1000).max(1000) + 1;
        self.accounts.insert(name.to_lowercase(), account);
        win32::OK
    }

    /// Enables a local account, takes its lock off and puts it into Administrators. Returns 0 or
    /// 2221 (there is none).
    pub fn make_usable(&mut self, name: &str) -> u32 {
        let Some(account) = self.accounts.get_mut(&name.to_lowercase()) else {
            return USER_NOT_FOUND;
        };
        account.enabled = true;
        account.locked = false;
        account.bad_passwords = 0;
        account.administrator = true;
        win32::OK
    }

    /// Sets a local password. Returns 0, 2221 or 2245.
    pub fn set_password(&mut self, name: &str, password: &str) -> u32 {
        let shortest = self.shortest_password;
        let Some(account) = self.accounts.get_mut(&name.to_lowercase()) else {
            return USER_NOT_FOUND;
        };
        if password.chars().count() < shortest {
            return PASSWORD_TOO_SHORT;
        }
        account.password = Secret::new(password.to_owned());
        account.must_change = false;
        win32::OK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_made_enabled_and_given_passwords() {
        let mut pc = Machine::new("PC-001");
        pc.shortest_password = 8;
        assert_eq!(pc.create_account("Rescue", "short", true), 2245);
        assert_eq!(pc.create_account("Rescue", "long enough", false), 0);
        assert_eq!(pc.create_account("rescue", "long enough", true), 2224);
        assert_eq!(pc.create_account("other", "long enough", true), 0);
        assert_ne!(
            pc.account("rescue").unwrap().rid,
            pc.account("other").unwrap().rid
        );
        pc.accounts.get_mut("rescue").unwrap().enabled = false;
        assert_eq!(pc.password_of("rescue"), None);
        assert_eq!(pc.make_usable("RESCUE"), 0);
        assert_eq!(pc.set_password("rescue", "another one"), 0);
        assert_eq!(pc.password_of("rescue"), Some("another one"));
        assert!(pc.is_elevated("rescue"));
        assert_eq!(pc.make_usable("nobody"), 2221);
    }

    #[test]
    fn locks_an_account_and_keeps_count() {
        let mut pc = Machine::new("pc-001");
        pc.lockout_threshold = 3;
        pc.accounts
            .insert("helpdesk".into(), LocalAccount::new("pw", true));
        for _ in 0..2 {
            pc.note_logon("HelpDesk", false);
        }
        assert_eq!(pc.password_of("helpdesk"), Some("pw"));
        pc.note_logon("helpdesk", false);
        assert_eq!(pc.password_of("helpdesk"), None);
        assert_eq!(pc.account("helpdesk").unwrap().bad_passwords_total, 3);
    }

    #[test]
    fn a_filtered_token_is_not_elevated_unless_built_in() {
        let mut pc = Machine::new("pc-001");
        pc.accounts
            .insert("helpdesk".into(), LocalAccount::new("pw", true));
        pc.accounts
            .insert("administrator".into(), LocalAccount::new("pw", true));
        assert!(pc.is_elevated("helpdesk"));
        pc.remote_admins = false;
        assert!(!pc.is_elevated("helpdesk"));
        assert!(pc.is_elevated("Administrator"));
    }
}
