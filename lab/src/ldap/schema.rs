//! The attributes that the simulated directory knows, and how their values compare.

/// How the values of an attribute are written and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Without case.
    Text,
    /// As numbers, in decimal.
    Number,
    /// Byte by byte.
    Octets,
    /// A security identifier: binary, but compared with its text as well.
    Sid,
    /// A distinguished name.
    Name,
    /// `20261122170325.0Z`.
    Time,
}

/// Whether an attribute comes unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// With all others.
    Always,
    /// When it is named.
    WhenNamed,
}

/// An attribute: its name, its values, whether it comes unasked.
pub(super) type Attribute = (&'static str, Syntax, Given);

use Given::{Always, WhenNamed};
use Syntax::{Name, Number, Octets, Sid, Text, Time};

/// Everything that the directory knows; what is not here does not exist.
pub(super) const ATTRIBUTES: &[Attribute] = &[
    ("objectClass", Text, Always),
    ("cn", Text, Always),
    ("ou", Text, Always),
    ("dc", Text, Always),
    ("description", Text, Always),
    ("distinguishedName", Name, Always),
    ("instanceType", Number, Always),
    ("whenCreated", Time, Always),
    ("whenChanged", Time, Always),
    ("displayName", Text, Always),
    ("uSNCreated", Number, Always),
    ("uSNChanged", Number, Always),
    ("isDeleted", Text, Always),
    ("isRecycled", Text, Always),
    ("lastKnownParent", Name, Always),
    ("msDS-LastKnownRDN", Text, Always),
    ("name", Text, Always),
    ("objectGUID", Octets, Always),
    ("objectSid", Sid, Always),
    ("objectCategory", Name, Always),
    ("nTSecurityDescriptor", Octets, WhenNamed),
    ("userAccountControl", Number, Always),
    ("badPwdCount", Number, Always),
    ("badPasswordTime", Number, Always),
    ("pwdLastSet", Number, Always),
    ("lockoutTime", Number, Always),
    ("lastLogonTimestamp", Number, Always),
    ("accountExpires", Number, Always),
    ("primaryGroupID", Number, Always),
    ("sAMAccountName", Text, Always),
    ("sAMAccountType", Number, Always),
    ("userPrincipalName", Text, Always),
    ("memberOf", Name, Always),
    ("operatingSystem", Text, Always),
    ("operatingSystemVersion", Text, Always),
    ("dNSHostName", Text, Always),
    ("servicePrincipalName", Text, Always),
    ("mS-DS-CreatorSID", Sid, Always),
    ("msDS-SupportedEncryptionTypes", Number, Always),
    ("msDS-User-Account-Control-Computed", Number, WhenNamed),
    ("msDS-ResultantPSO", Name, WhenNamed),
    // It can be written and never read.
    ("unicodePwd", Octets, WhenNamed),
    ("ms-Mcs-AdmPwd", Text, Always),
    ("ms-Mcs-AdmPwdExpirationTime", Number, Always),
    ("msLAPS-Password", Text, Always),
    ("msLAPS-EncryptedPassword", Octets, Always),
    ("msLAPS-PasswordExpirationTime", Number, Always),
    ("lockoutThreshold", Number, Always),
    ("lockoutDuration", Number, Always),
    ("lockOutObservationWindow", Number, Always),
    ("minPwdLength", Number, Always),
    ("pwdProperties", Number, Always),
    ("ms-DS-MachineAccountQuota", Number, Always),
    ("msDS-EnabledFeature", Name, Always),
    ("lDAPDisplayName", Text, Always),
];

/// The attributes that LAPS adds to a schema.
pub(super) const LAPS: [&str; 5] = [
    "ms-Mcs-AdmPwd",
    "ms-Mcs-AdmPwdExpirationTime",
    "msLAPS-Password",
    "msLAPS-EncryptedPassword",
    "msLAPS-PasswordExpirationTime",
];

/// Returns the attribute of this name; without case.
pub(super) fn attribute(name: &str) -> Option<Attribute> {
    let known = ATTRIBUTES.iter();
    known
        .copied()
        .find(|(known, ..)| known.eq_ignore_ascii_case(name))
}
