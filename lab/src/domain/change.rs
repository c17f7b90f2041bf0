//! What changes computer accounts.

use jiff::Timestamp;

use super::{AccountState, Domain, PasswordId, key};

impl Domain {
    /// Gives a computer account a new password and returns it, or `None` if there is no
    /// account. Lagging controllers go on knowing the old one.
    pub fn reset_computer(&mut self, name: &str, now: Timestamp) -> Option<PasswordId> {
        let password = self.draw_password();
        self.store(name, password, None, now)
    }

    /// As [`Domain::reset_computer`], at one controller, which then knows it even if it lags.
    pub fn reset_computer_at(
        &mut self,
        name: &str,
        controller: &str,
        now: Timestamp,
    ) -> Option<PasswordId> {
        let password = self.draw_password();
        self.store(name, password, Some(controller), now)
    }

    /// Gives a computer account the password with this text, as [`Domain::reset_computer`] does.
    pub fn set_computer_password(
        &mut self,
        name: &str,
        text: &str,
        now: Timestamp,
    ) -> Option<PasswordId> {
        let password = self.password_id(text);
        self.store(name, password, None, now)
    }

    /// Gives a computer account the password with this text at one controller, which then knows
    /// it even if it lags.
    pub fn set_computer_password_at(
        &mut self,
        name: &str,
        text: &str,
        controller: &str,
        now: Timestamp,
    ) -> Option<PasswordId> {
        let password = self.password_id(text);
        self.store(name, password, Some(controller), now)
    }

    fn store(
        &mut self,
        name: &str,
        password: PasswordId,
        controller: Option<&str>,
        now: Timestamp,
    ) -> Option<PasswordId> {
        let usn = self.next_usn();
        let account = self.computers.get_mut(&key(name))?;
        if account.state == AccountState::Deleted {
            return None;
        }
        account.previous = Some(account.current);
        account.previous_set = Some(account.password_set);
        account.current = password;
        account.password_set = now;
        account.password_from = controller.map(str::to_owned);
        (account.changed, account.usn) = (now, usn);
        Some(password)
    }

    /// Brings a deleted computer account back, as it was; tells whether there was one.
    pub(crate) fn restore_computer(
        &mut self,
        name: &str,
        unit: Vec<String>,
        now: Timestamp,
    ) -> bool {
        let usn = self.next_usn();
        let account = self.computers.get_mut(&key(name));
        let Some(account) = account.filter(|account| account.state == AccountState::Deleted) else {
            return false;
        };
        account.state = AccountState::Enabled;
        account.ou = unit;
        (account.changed, account.usn) = (now, usn);
        true
    }

    /// Counts a password that was set over LDAP.
    pub(crate) fn count_reset(&mut self, name: &str) {
        if let Some(account) = self.computers.get_mut(&key(name)) {
            account.resets += 1;
        }
    }

    /// Enables or disables a computer account, or unlocks it.
    pub(crate) fn change_computer(
        &mut self,
        name: &str,
        enabled: Option<bool>,
        unlock: bool,
        now: Timestamp,
    ) {
        let usn = self.next_usn();
        let Some(account) = self.computers.get_mut(&key(name)) else {
            return;
        };
        match enabled {
            Some(true) => account.state = AccountState::Enabled,
            Some(false) => account.state = AccountState::Disabled,
            None => {}
        }
        if unlock {
            account.locked_at = None;
            account.bad_passwords = 0;
        }
        (account.changed, account.usn) = (now, usn);
    }
}
