//! Computer accounts.

use fleetmend_model::Secret;
use jiff::Timestamp;
use uuid::Uuid;

use super::PasswordId;

/// Where a computer account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// In use.
    Enabled,
    /// `userAccountControl` has bit 2.
    Disabled,
    /// In the recycle bin (a member sees no difference from an account that never was).
    Deleted,
}

/// What an account is for, with its bit in `userAccountControl` ([MS-ADTS] 2.2.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComputerKind {
    /// A member: `WORKSTATION_TRUST_ACCOUNT`.
    Member,
    /// A domain controller: `SERVER_TRUST_ACCOUNT` and `TRUSTED_FOR_DELEGATION`.
    Controller,
}

impl ComputerKind {
    /// Returns its bits.
    pub fn bits(self) -> u32 {
        match self {
            Self::Member => 0x1000,
            Self::Controller => 0x8_2000,
        }
    }
}

/// What LAPS keeps for a computer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LapsValues {
    /// `ms-Mcs-AdmPwd`, of legacy LAPS.
    pub legacy: Option<Secret>,
    /// `msLAPS-Password`, as JSON.
    pub clear: Option<Secret>,
    /// `msLAPS-EncryptedPassword`.
    pub encrypted: Option<Vec<u8>>,
    /// When it expires, whichever it is.
    pub expires: Option<Timestamp>,
}

/// A computer account. The domain makes them, see [`super::Domain::create_computer`].
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
    /// `pwdLastSet` of the password before.
    pub previous_set: Option<Timestamp>,
    /// The controller at which the password was set, if it was set at one and no other.
    pub password_from: Option<String>,
    /// Its name, as it was created: upper case, without `$`.
    pub name: String,
    /// The last part of its SID.
    pub rid: u32,
    /// `objectGUID`.
    pub guid: Uuid,
    /// What it is for.
    pub kind: ComputerKind,
    /// The organizational units that it lies in, outermost first.
    pub ou: Vec<String>,
    /// `dNSHostName`.
    pub dns_host_name: Option<String>,
    /// `servicePrincipalName`.
    pub spns: Vec<String>,
    /// `operatingSystem` and `operatingSystemVersion`.
    pub os: Option<(String, String)>,
    /// `description`.
    pub description: Option<String>,
    /// `msDS-SupportedEncryptionTypes`.
    pub encryption_types: Option<u32>,
    /// `whenCreated`.
    pub created: Timestamp,
    /// `whenChanged`.
    pub changed: Timestamp,
    /// `uSNChanged`.
    pub usn: u64,
    /// `lastLogonTimestamp`.
    pub last_logon: Option<Timestamp>,
    /// `badPwdCount`.
    pub bad_passwords: u32,
    /// `lockoutTime`, if it is locked.
    pub locked_at: Option<Timestamp>,
    /// The user who joined it, by the last part of the SID (`mS-DS-CreatorSID`), if that was no
    /// administrator.
    pub creator: Option<u32>,
    /// Who owns it, by the last part of the SID, if that is no administrator and not the creator.
    pub owner: Option<u32>,
    /// What LAPS keeps for it.
    pub laps: LapsValues,
    /// How often its password was set over LDAP: what tests ask for.
    pub resets: u32,
}

impl ComputerAccount {
    /// Returns `userAccountControl`; a deleted account keeps its own.
    pub fn control(&self) -> u32 {
        let disabled = if self.state == AccountState::Disabled {
            2
        } else {
            0
        };
        self.kind.bits() | disabled
    }

    /// Returns `sAMAccountName`.
    pub fn sam_account_name(&self) -> String {
        format!("{}$", self.name)
    }
}
