//! A simulated Active Directory domain: controllers, computer accounts, user accounts.
//!
//! Plain state. Passwords of machines are ids, never text: two of them are only ever compared.
//! Passwords of users are text, because clients send them.

mod change;
mod computer;
mod index;
mod join;
mod password;
mod sid;
mod user;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use fleetmend_model::Secret;
use jiff::Timestamp;
use uuid::Uuid;

pub use computer::{AccountState, ComputerAccount, ComputerKind, LapsValues};
pub(crate) use join::{Blob, Taking};
pub use password::PasswordId;
pub use sid::Sid;
pub use user::{LogonBar, Rights, UserAccount};

use crate::win32;
use index::NameIndex;
use password::Passwords;

/// The identifier of every simulated domain, below `S-1-5-21`.
const DOMAIN_IDENTIFIER: [u32; 3] = [1_604_012_920, 2_881_117_003, 3_456_204_117];
/// Where computer accounts lie unless told otherwise.
const COMPUTERS_OU: &str = "端末";

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
    /// `ms-DS-MachineAccountQuota`: how many computers a user may join who was delegated nothing.
    pub machine_quota: usize,
    /// Owners of computer accounts, by the last part of the SID, that the policy lets others use
    /// again ("Allow computer account re-use during domain join").
    pub reuse_allowed: BTreeSet<u32>,
    /// Names, in lower case, that something else than a computer has.
    pub taken_names: BTreeSet<String>,
    /// Its own security identifier.
    pub sid: Sid,
    /// `highestCommittedUSN`.
    pub usn: u64,
    computers: BTreeMap<String, ComputerAccount>,
    users: BTreeMap<String, UserAccount>,
    /// Organizational units, each as its path, outermost first.
    units: BTreeSet<Vec<String>>,
    passwords: Passwords,
    index: NameIndex,
    next_rid: u32,
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
            machine_quota: 10,
            reuse_allowed: BTreeSet::new(),
            taken_names: BTreeSet::new(),
            sid: Sid::domain(DOMAIN_IDENTIFIER),
            usn: 12_500,
            computers: BTreeMap::new(),
            users: BTreeMap::new(),
            units: BTreeSet::from([vec![COMPUTERS_OU.to_owned()]]),
            passwords: Passwords::new(),
            index: NameIndex::default(),
            // Below are the accounts that Windows makes itself.
            next_rid: 1_103,
        }
    }

    /// Draws a password that nobody else has.
    pub fn draw_password(&mut self) -> PasswordId {
        self.passwords.draw()
    }

    /// Returns the password with this text: the same text is always the same password. The text
    /// is not kept.
    pub fn password_id(&mut self, text: &str) -> PasswordId {
        self.passwords.of(text)
    }

    /// Creates (or replaces) a computer account with a new password and returns that password.
    pub fn create_computer(&mut self, name: &str, now: Timestamp) -> PasswordId {
        let current = self.draw_password();
        let name = name.trim_end_matches('$').to_ascii_uppercase();
        let dns_host_name = format!("{}.{}", name.to_ascii_lowercase(), self.dns_name);
        let account = ComputerAccount {
            current,
            previous: None,
            state: AccountState::Enabled,
            password_set: now,
            previous_set: None,
            password_from: None,
            rid: self.draw_rid(),
            guid: Uuid::new_v4(),
            kind: ComputerKind::Member,
            ou: vec![COMPUTERS_OU.to_owned()],
            spns: vec![format!("HOST/{name}"), format!("HOST/{dns_host_name}")],
            dns_host_name: Some(dns_host_name),
            os: Some(("Windows 11 Pro".to_owned(), "10.0 (22631)".to_owned())),
            description: None,
            encryption_types: Some(0x1c),
            created: now,
            changed: now,
            usn: self.next_usn(),
            last_logon: Some(now),
            bad_passwords: 0,
            locked_at: None,
            creator: None,
            owner: None,
            laps: LapsValues::default(),
            resets: 0,
            name,
        };
        self.computers.insert(key(&account.name), account);
        self.index.forget();
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
            locked_at: None,
            bad_password_at: None,
            rights: Rights::default(),
            bar: None,
            name: name.to_owned(),
            rid: self.draw_rid(),
            guid: Uuid::new_v4(),
            password_set: Timestamp::now(),
        };
        self.users.insert(key(name), account);
    }

    /// Takes a computer account away for good; tells whether there was one.
    pub fn remove_computer(&mut self, name: &str) -> bool {
        self.index.forget();
        self.computers.remove(&key(name)).is_some()
    }

    /// Puts a computer account into an organizational unit (outermost first), which is made if
    /// it is not there.
    pub fn place_computer(&mut self, name: &str, unit: &[&str]) {
        let unit: Vec<String> = unit.iter().map(|&part| part.to_owned()).collect();
        for depth in 1..=unit.len() {
            self.units.extend(unit.get(..depth).map(<[String]>::to_vec));
        }
        if let Some(account) = self.computers.get_mut(&key(name)) {
            account.ou = unit;
        }
    }

    /// Returns every organizational unit as its path, outermost first.
    pub fn units(&self) -> impl Iterator<Item = &[String]> {
        self.units.iter().map(Vec::as_slice)
    }

    /// Returns the computers with this DNS or service name, by the names of their accounts.
    pub(crate) fn named(&mut self, name: &str) -> &[String] {
        self.index.keys(&name.to_lowercase(), &self.computers)
    }

    /// Returns every computer account, deleted ones too, sorted by name.
    pub fn computers(&self) -> impl Iterator<Item = &ComputerAccount> {
        self.computers.values()
    }

    /// Returns every user account, sorted by name.
    pub fn users(&self) -> impl Iterator<Item = &UserAccount> {
        self.users.values()
    }

    /// Returns a computer account.
    pub fn computer(&self, name: &str) -> Option<&ComputerAccount> {
        self.computers.get(&key(name))
    }

    /// Returns a computer account to change it by hand.
    pub fn computer_mut(&mut self, name: &str) -> Option<&mut ComputerAccount> {
        self.index.forget();
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
            Some(previous) if is_behind(controller, account) => previous,
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

    /// Returns `pwdLastSet` as this controller knows it.
    pub fn password_set_at(
        &self,
        controller: &DomainController,
        account: &ComputerAccount,
    ) -> Timestamp {
        match account.previous_set {
            Some(previous) if is_behind(controller, account) => previous,
            _ => account.password_set,
        }
    }

    /// Logs a user on: 0, 1326 (wrong password or no such user), 1331 (disabled), 1909 (locked)
    /// or the number of a [`LogonBar`]. A wrong password counts towards the lockout.
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
            let now = Timestamp::now();
            account.bad_password_at = Some(now);
            if threshold != 0 && account.bad_passwords >= threshold {
                account.locked = true;
                account.locked_at = Some(now);
            }
            return win32::LOGON_FAILURE;
        }
        if !account.enabled {
            return win32::ACCOUNT_DISABLED;
        }
        if let Some(bar) = account.bar {
            return bar.code();
        }
        account.bad_passwords = 0;
        win32::OK
    }

    /// Returns the number of the next change.
    fn next_usn(&mut self) -> u64 {
        self.usn += 1;
        self.usn
    }

    fn draw_rid(&mut self) -> u32 {
        self.next_rid += 1;
        self.next_rid
    }
}

/// Tells whether a controller does not know the account's present password yet.
fn is_behind(controller: &DomainController, account: &ComputerAccount) -> bool {
    controller.lagging && account.password_from.as_deref() != Some(controller.dns_name.as_str())
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
    fn a_text_is_one_password_and_a_lagging_controller_knows_what_it_was_told() {
        let mut domain = domain();
        let now = Timestamp::UNIX_EPOCH;
        domain.create_computer("PC-001", now);
        let stored = domain.password_id("とても長い");
        domain.controllers[0].lagging = true;
        let [first, second] = [0, 1].map(|n| domain.controllers[n].clone());
        let later = Timestamp::from_second(100).unwrap();
        let set = domain.set_computer_password_at("PC-001", "とても長い", &first.dns_name, later);
        assert_eq!(set, Some(stored));
        for dc in [&first, &second] {
            let answer = domain.authenticate_machine(dc, "PC-001", stored, None);
            assert_eq!(answer, win32::OK);
            let account = domain.computer("PC-001").unwrap();
            assert_eq!(domain.password_set_at(dc, account), later);
        }
        domain.set_computer_password("PC-001", "b", Timestamp::now());
        let account = domain.computer("PC-001").unwrap();
        assert_eq!(domain.password_set_at(&first, account), later);
        assert!(domain.remove_computer("pc-001$"));
        assert_eq!(domain.set_computer_password("PC-001", "c", now), None);
    }

    #[test]
    fn a_right_password_may_still_be_refused() {
        let mut domain = domain();
        domain.user_mut("repair").unwrap().bar = Some(LogonBar::MustChange);
        assert_eq!(
            domain.log_on("repair", "right"),
            win32::PASSWORD_MUST_CHANGE
        );
        assert_eq!(domain.log_on("repair", "wrong"), win32::LOGON_FAILURE);
        assert_eq!(domain.user("repair").unwrap().bad_passwords_total, 1);
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
