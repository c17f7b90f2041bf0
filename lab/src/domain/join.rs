//! How the directory takes computers in: who may join which, and blobs for offline joins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{AccountState, Domain, PasswordId, key};
use crate::win32;

/// What is inside a blob of an offline join.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Blob {
    /// The domain's DNS name.
    pub(crate) domain: String,
    /// The computer that it is for.
    pub(crate) computer: String,
    /// The machine password.
    pub(crate) password: String,
}

impl Blob {
    /// Reads the text of a blob.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.trim()).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// What an account is taken for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taking<'t> {
    /// The computer.
    pub(crate) computer: &'t str,
    /// The user who joins it, logged on already.
    pub(crate) user: &'t str,
    /// Whether an account is made if there is none (`NETSETUP_ACCT_CREATE`).
    pub(crate) create: bool,
    /// The distinguished name of the unit for a new account.
    pub(crate) unit: Option<&'t str>,
}

impl Domain {
    /// Gives a joining computer an account with a new password: the one of its name, else a new
    /// one.
    ///
    /// # Errors
    /// 5 (the user may not), 2224 (the name is taken by something else), 2697 (no account, and
    /// none is to be made), 2732 (the account may not be used again), 8557 (the user's quota is
    /// used up).
    pub(crate) fn take_computer(
        &mut self,
        taking: Taking<'_>,
        now: Timestamp,
    ) -> Result<PasswordId, u32> {
        let Some(user) = self.user(taking.user) else {
            return Err(win32::LOGON_FAILURE);
        };
        let (rid, rights) = (user.rid, user.rights());
        if self.taken_names.contains(&key(taking.computer)) {
            return Err(win32::USER_EXISTS);
        }
        let present = self.computer(taking.computer);
        if let Some(account) = present.filter(|account| account.state != AccountState::Deleted) {
            let by_administrator = account.creator.is_none() && account.owner.is_none();
            let trusted = account
                .owner
                .or(account.creator)
                .is_some_and(|owner| self.reuse_allowed.contains(&owner));
            if !by_administrator && account.creator != Some(rid) && !trusted {
                return Err(win32::ACCOUNT_REUSE_BLOCKED);
            }
            if !rights.reset && !rights.join && account.creator != Some(rid) {
                return Err(win32::ACCESS_DENIED);
            }
            self.change_computer(taking.computer, Some(true), false, now);
            return self
                .reset_computer(taking.computer, now)
                .ok_or(win32::COMPUTER_ACCOUNT_NOT_FOUND);
        }
        if !taking.create {
            return Err(win32::COMPUTER_ACCOUNT_NOT_FOUND);
        }
        let own = self.computers().filter(|own| own.creator == Some(rid));
        let joined = own.count();
        if !rights.join && joined >= self.machine_quota {
            return Err(win32::ACCOUNT_QUOTA_EXCEEDED);
        }
        let password = self.create_computer(taking.computer, now);
        if let Some(unit) = taking.unit {
            let unit = path(unit);
            let unit: Vec<&str> = unit.iter().map(String::as_str).collect();
            self.place_computer(taking.computer, &unit);
        }
        if let Some(account) = self.computer_mut(taking.computer) {
            account.creator = (!rights.join).then_some(rid);
        }
        Ok(password)
    }

    /// Makes a blob for an offline join, as `djoin /provision` does on any PC of the domain. With
    /// `reuse` an account that is there is taken, and has a new password from then on.
    ///
    /// # Errors
    /// What a wrong credential gives (it counts), 2224 (there is an account, and it is not to be
    /// used again), and those of a join.
    pub fn provision(
        &mut self,
        computer: &str,
        credential: (&str, &str),
        reuse: bool,
        unit: Option<&str>,
        now: Timestamp,
    ) -> Result<String, u32> {
        let (user, password) = credential;
        match self.log_on(user, password) {
            win32::OK => {}
            code => return Err(code),
        }
        let present = self.computer(computer);
        if !reuse && present.is_some_and(|account| account.state != AccountState::Deleted) {
            return Err(win32::USER_EXISTS);
        }
        let taking = Taking {
            computer,
            user,
            create: true,
            unit,
        };
        self.take_computer(taking, now)?;
        let mut rng = rand::rng();
        let password: String = (0..64)
            .map(|_| char::from(rng.sample(rand::distr::Alphanumeric)))
            .collect();
        self.set_computer_password(computer, &password, now)
            .ok_or(win32::COMPUTER_ACCOUNT_NOT_FOUND)?;
        let blob = Blob {
            domain: self.dns_name.clone(),
            computer: computer.trim_end_matches('$').to_ascii_uppercase(),
            password,
        };
        let blob = serde_json::to_vec(&blob).map_err(|_| win32::GEN_FAILURE)?;
        Ok(STANDARD.encode(blob))
    }
}

/// Returns the units of a distinguished name, outermost first.
fn path(name: &str) -> Vec<String> {
    let parts = name.split(',').map(str::trim);
    let units = parts.filter_map(|part| {
        let (kind, value) = part.split_once('=')?;
        kind.eq_ignore_ascii_case("ou").then(|| value.to_owned())
    });
    let mut path: Vec<String> = units.collect();
    path.reverse();
    path
}
