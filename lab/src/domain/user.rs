//! User accounts.

use fleetmend_model::Secret;
use jiff::Timestamp;
use uuid::Uuid;

use crate::win32;

/// What was delegated to a user account, everywhere in the domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Reset Password on computers.
    pub reset: bool,
    /// Write `userAccountControl` of computers.
    pub enable: bool,
    /// Write `lockoutTime` of computers.
    pub unlock: bool,
    /// See deleted objects and reanimate them.
    pub restore: bool,
    /// Create and delete computers, and so join any number of them.
    pub join: bool,
    /// Read what LAPS keeps.
    pub laps: bool,
    /// Is kept from seeing computers at all.
    pub blind: bool,
}

/// Why an account may not log on although its password is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogonBar {
    /// Not at this hour.
    Hours,
    /// Not from this workstation.
    Workstation,
    /// The password has expired.
    PasswordExpired,
    /// The password must be changed first.
    MustChange,
    /// The account has expired.
    AccountExpired,
}

impl LogonBar {
    /// Returns its Win32 number.
    pub fn code(self) -> u32 {
        match self {
            Self::Hours => win32::INVALID_LOGON_HOURS,
            Self::Workstation => win32::INVALID_WORKSTATION,
            Self::PasswordExpired => win32::PASSWORD_EXPIRED,
            Self::MustChange => win32::PASSWORD_MUST_CHANGE,
            Self::AccountExpired => win32::ACCOUNT_EXPIRED,
        }
    }
}

/// A user account. The domain makes them, see [`super::Domain::create_user`].
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
    /// `lockoutTime`.
    pub locked_at: Option<Timestamp>,
    /// `badPasswordTime`.
    pub bad_password_at: Option<Timestamp>,
    /// What else was delegated to it; [`UserAccount::may_reset_computers`] counts as well.
    pub rights: Rights,
    /// Why its right password does not let it in.
    pub bar: Option<LogonBar>,
    /// Its name, as it was created.
    pub name: String,
    /// The last part of its SID.
    pub rid: u32,
    /// `objectGUID`.
    pub guid: Uuid,
    /// `pwdLastSet`.
    pub password_set: Timestamp,
}

impl UserAccount {
    /// Returns everything that was delegated to it.
    pub fn rights(&self) -> Rights {
        Rights {
            reset: self.rights.reset || self.may_reset_computers,
            ..self.rights
        }
    }
}
