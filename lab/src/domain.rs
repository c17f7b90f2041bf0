//! A simulated Active Directory domain: controllers, computer accounts, user accounts.
//!
//! Pure state. Passwords of machines are ids, never text: nobody types them, and two of them are
//! only ever compared. Passwords of users are text, because clients send them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use fleetmend_model::Secret;
use jiff::Timestamp;

use crate::win32;

/// Stands for one random machine password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PasswordId(pub u64);

/// A domain controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainController {
    /// Its DNS name.
    pub dns_name: String,
    /// Its address, for showing only: nothing listens there.
    pub address: Ipv4Addr,
    /// Whether it runs.
    pub up: bool,
    /// Whether replication towards it lags: it still knows the previous machine passwords only.
    pub lagging: bool,
}

/// Where a computer account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// In use.
    Enabled,
    /// `userAccountControl` has bit 2.
    Disabled,
    /// Gone (or in the recycle bin: a member sees no difference).
    Deleted,
}

/// A computer account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComputerAccount {
    /// The password in force.
    pub current: PasswordId,
    /// The one before, as lagging controllers still know it.
    pub previous: Option<PasswordId>,
    /// Enabled, disabled or deleted.
    pub state: AccountState,
    /// `pwdLastSet`.
    pub password_set: Timestamp,
}

/// A user account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAccount {
    /// Its password.
    pub password: Secret,
    /// Whether it may reset the passwords of computer accounts.
    pub may_reset_computers: bool,
    /// Whether it may log on.
    pub enabled: bool,
    /// `badPwdCount`: wrong passwords since the last right one.
    pub bad_passwords: u32,
    /// Every wrong password ever tried, never set back: what tests ask for.
    pub bad_passwords_total: u32,
    /// Set once `badPwdCount` reached the policy's threshold.
    pub locked: bool,
}

/// The domain.
#[derive(Clone, Debug)]
pub struct Domain {
    /// `corp.example.jp`.
    pub dns_name: String,
    /// `CORP`.
    pub netbios_name: String,
    /// Its controllers, in the order in which members find them.
    pub controllers: Vec<DomainController>,
    /// Wrong passwords after which a user account is locked; 0: never.
    pub lockout_threshold: u32,
    computers: BTreeMap<String, ComputerAccount>,
    users: BTreeMap<String, UserAccount>,
    next_password: u64,
}

impl Domain {
    /// Returns a domain with two controllers and no accounts.
    pub fn new(dns_name: &str, netbios_name: &str) -> Self {
        let controllers = (1..=2u8)
            .map(|n| DomainController {
                dns_name: format!("dc{n:02}.{dns_name}"),
                address: Ipv4Addr::new(10, 20, 0, 10 + n),
                up: true,
                lagging: false,
            })
            .collect();
        Self {
            dns_name: dns_name.to_owned(),
            netbios_name: netbios_name.to_owned(),
            controllers,
            lockout_threshold: 5,
            computers: BTreeMap::new(),
            users: BTreeMap::new(),
            next_password: 1,
        }
    }

    /// Draws a password that nobody else has.
    pub fn draw_password(&mut self) -> PasswordId {
        let id = PasswordId(self.next_password);
        self.next_password += 1;
        id
    }

    /// Creates (or replaces) a computer account with a new password and returns that password.
    pub fn create_computer(&mut self, name: &str, now: Timestamp) -> PasswordId {
        let current = self.draw_password();
        let account = ComputerAccount {
            current,
            previous: None,
            state: AccountState::Enabled,
            password_set: now,
        };
        self.computers.insert(key(name), account);
        current
    }

    /// Creates (or replaces) a user account.
    pub fn create_user(&mut self, name: &str, password: &str, may_reset_computers: bool) {
        let account = UserAccount {
            password: Secret::new(password.to_owned()),
            may_reset_computers,
            enabled: true,
            bad_passwords: 0,
            bad_passwords_total: 0,
            locked: false,
        };
        self.users.insert(key(name), account);
    }

    /// Returns a computer account.
    pub fn computer(&self, name: &str) -> Option<&ComputerAccount> {
        self.computers.get(&key(name))
    }

    /// Returns a computer account to change it by hand.
    pub fn computer_mut(&mut self, name: &str) -> Option<&mut ComputerAccount> {
        self.computers.get_mut(&key(name))
    }

    /// Returns a user account, by any form of its name.
    pub fn user(&self, name: &str) -> Option<&UserAccount> {
        self.users.get(&key(account_name(name)))
    }

    /// Returns a user account to change it by hand.
    pub fn user_mut(&mut self, name: &str) -> Option<&mut UserAccount> {
        self.users.get_mut(&key(account_name(name)))
    }

    /// Returns a controller by DNS name or first label; `\\` before it is ignored.
    pub fn controller(&self, name: &str) -> Option<&DomainController> {
        let name = name
            .trim_start_matches('\\')
            .trim_end_matches('.')
            .to_ascii_lowercase();
        self.controllers.iter().find(|dc| {
            let dns = dc.dns_name.to_ascii_lowercase();
            dns == name || dns.split('.').next() == Some(name.as_str())
        })
    }

    /// Tells whether `name` is this domain, by its DNS or NetBIOS name.
    pub fn is_named(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case(&self.dns_name) || name.eq_ignore_ascii_case(&self.netbios_name)
    }

    /// Returns what a controller answers to a member that authenticates with these passwords:
    /// 0, 5 (no password fits) or 1787 (no account, or a disabled one).
    pub fn authenticate_machine(
        &self,
        controller: &DomainController,
        name: &str,
        current: PasswordId,
        previous: Option<PasswordId>,
    ) -> u32 {
        let Some(account) = self.computer(name) else {
            return win32::NO_TRUST_SAM_ACCOUNT;
        };
        if account.state != AccountState::Enabled {
            return win32::NO_TRUST_SAM_ACCOUNT;
        }
        let known = match account.previous {
            Some(previous) if controller.lagging => previous,
            _ => account.current,
        };
        // Netlogon tries the new password first, then the old one ("new password is bad, try
        // old one" in its log).
        if current == known || previous == Some(known) {
            win32::OK
        } else {
            win32::ACCESS_DENIED
        }
    }

    /// Logs a user on: 0, 1326 (wrong password or no such user), 1331 (disabled) or 1909
    /// (locked). A wrong password counts towards the lockout.
    pub fn log_on(&mut self, user: &str, password: &str) -> u32 {
        let threshold = self.lockout_threshold;
        let Some(account) = self.user_mut(user) else {
            return win32::LOGON_FAILURE;
        };
        if account.locked {
            return win32::ACCOUNT_LOCKED_OUT;
        }
        if account.password.reveal() != password {
            account.bad_passwords += 1;
            account.bad_passwords_total += 1;
            account.locked = threshold != 0 && account.bad_passwords >= threshold;
            return win32::LOGON_FAILURE;
        }
        if !account.enabled {
            return win32::ACCOUNT_DISABLED;
        }
        account.bad_passwords = 0;
        win32::OK
    }

    /// Gives a computer account a new password and returns it, or `None` if there is no
    /// account. Lagging controllers go on knowing the old one.
    pub fn reset_computer(&mut self, name: &str, now: Timestamp) -> Option<PasswordId> {
        let password = self.draw_password();
        let account = self.computers.get_mut(&key(name))?;
        if account.state == AccountState::Deleted {
            return None;
        }
        account.previous = Some(account.current);
        account.current = password;
        account.password_set = now;
        Some(password)
    }
}

/// Returns the bare account of `name`, `DOMAIN\name` and `name@domain`.
pub fn account_name(user: &str) -> &str {
    let user = user.rsplit_once('\\').map_or(user, |(_, name)| name);
    user.split_once('@').map_or(user, |(name, _)| name)
}

fn key(name: &str) -> String {
    name.trim_end_matches('$').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Domain {
        let mut domain = Domain::new("corp.example.jp", "CORP");
        domain.create_user("repair", "right", true);
        domain
    }

    #[test]
    fn locks_a_user_at_the_threshold_and_not_before() {
        let mut domain = domain();
        for _ in 0..4 {
            assert_eq!(domain.log_on(r"CORP\repair", "wrong"), win32::LOGON_FAILURE);
        }
        assert_eq!(domain.log_on("repair@corp.example.jp", "right"), win32::OK);
        for _ in 0..5 {
            domain.log_on("repair", "wrong");
        }
        assert_eq!(domain.log_on("repair", "right"), win32::ACCOUNT_LOCKED_OUT);
        assert_eq!(domain.user("REPAIR").unwrap().bad_passwords_total, 9);
    }

    #[test]
    fn a_member_is_known_by_either_of_its_passwords() {
        let mut domain = domain();
        let now = Timestamp::UNIX_EPOCH;
        let old = domain.create_computer("PC-001", now);
        let new = domain.reset_computer("pc-001$", now).unwrap();
        let dc = domain.controllers[0].clone();
        assert_eq!(
            domain.authenticate_machine(&dc, "PC-001", old, None),
            win32::ACCESS_DENIED
        );
        assert_eq!(
            domain.authenticate_machine(&dc, "PC-001", old, Some(new)),
            win32::OK
        );
        let lagging = DomainController {
            lagging: true,
            ..dc
        };
        assert_eq!(
            domain.authenticate_machine(&lagging, "PC-001", new, None),
            win32::ACCESS_DENIED
        );
        assert_eq!(
            domain.authenticate_machine(&lagging, "PC-001", old, None),
            win32::OK
        );
    }

    #[test]
    fn a_disabled_or_missing_account_is_1787() {
        let mut domain = domain();
        let secret = domain.create_computer("PC-001", Timestamp::UNIX_EPOCH);
        let dc = domain.controllers[0].clone();
        domain.computer_mut("PC-001").unwrap().state = AccountState::Disabled;
        let answer = |domain: &Domain, name| domain.authenticate_machine(&dc, name, secret, None);
        assert_eq!(answer(&domain, "PC-001"), win32::NO_TRUST_SAM_ACCOUNT);
        assert_eq!(answer(&domain, "PC-002"), win32::NO_TRUST_SAM_ACCOUNT);
    }
}
