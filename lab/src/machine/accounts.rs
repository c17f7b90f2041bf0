//! Local accounts, as somebody elevated manages them.

use fleetmend_model::Secret;

use super::{LocalAccount, Machine};
use crate::win32;

/// NERR_UserNotFound.
const USER_NOT_FOUND: u32 = 2221;
/// NERR_PasswordTooShort.
const PASSWORD_TOO_SHORT: u32 = 2245;

impl Machine {
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
}
