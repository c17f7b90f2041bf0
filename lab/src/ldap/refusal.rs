//! The answers by which a controller says no, worded as Active Directory words them.

use rasn_ldap::ResultCode;

use crate::win32;

/// The build that stands behind every diagnostic message, in hex: Windows Server 2022.
const BUILD: &str = "v4f7c";

/// A result other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ResultCode,
    pub(super) matched: String,
    pub(super) text: String,
}

impl Refusal {
    fn new(code: ResultCode, text: impl Into<String>) -> Self {
        Self {
            code,
            matched: String::new(),
            text: text.into(),
        }
    }

    fn ldap(code: ResultCode, win32: &str, dsid: &str, comment: &str) -> Self {
        Self::new(
            code,
            // Controllers do send the NUL.
            format!("{win32}: LdapErr: DSID-{dsid}, comment: {comment}, data 0, {BUILD}\0"),
        )
    }

    /// The message is none that the server understands.
    pub(super) fn protocol(comment: &str) -> Self {
        Self::ldap(ResultCode::ProtocolError, "00000057", "0C0C0086", comment)
    }

    /// The account may not log on, with the Win32 number as sub-code.
    pub(super) fn logon(code: u32) -> Self {
        // 775 and its kin are the numbers in hex, 1909 and so on.
        Self::new(
            ResultCode::InvalidCredentials,
            format!(
                "80090308: LdapErr: DSID-0C090569, comment: AcceptSecurityContext error, data \
                 {code:x}, {BUILD}\0"
            ),
        )
    }

    /// Nobody logged on in clear text.
    pub(super) fn needs_tls() -> Self {
        Self::ldap(
            ResultCode::StrongerAuthRequired,
            "00002028",
            "0C090273",
            "The server requires binds to turn on integrity checking if SSL\\TLS are not already \
             active on the connection",
        )
    }

    /// The way to log on is not known.
    pub(super) fn unknown_mechanism() -> Self {
        let comment = "The authentication method is not supported";
        Self::ldap(
            ResultCode::AuthMethodNotSupported,
            "00002027",
            "0C0905F6",
            comment,
        )
    }

    /// Nobody is logged on.
    pub(super) fn needs_logon() -> Self {
        Self::ldap(
            ResultCode::OperationsError,
            "000004DC",
            "0C090A5C",
            "In order to perform this operation a successful bind must be completed on the \
             connection.",
        )
    }

    /// TLS was asked for twice, or in the midst of something.
    pub(super) fn tls_already() -> Self {
        let comment = "TLS or SSL already in effect";
        Self::ldap(ResultCode::OperationsError, "00000000", "0C090E17", comment)
    }

    /// There is no object of that name, as far as the account sees.
    pub(super) fn no_object(matched: String) -> Self {
        Self {
            code: ResultCode::NoSuchObject,
            text: format!(
                "0000208D: NameErr: DSID-0310028D, problem 2001 (NO_OBJECT), data 0, best match \
                 of:\n\t'{matched}'\n\0"
            ),
            matched,
        }
    }

    /// The text is no name.
    pub(super) fn bad_name(name: &str) -> Self {
        Self::new(
            ResultCode::InvalidDnSyntax,
            format!(
                "0000208F: NameErr: DSID-03100225, problem 2006 (BAD_NAME), data 8350, best \
                 match of:\n\t'{name}'\n\0"
            ),
        )
    }

    /// The account may not do that.
    pub(super) fn no_right() -> Self {
        Self::new(
            ResultCode::InsufficientAccessRights,
            "00000005: SecErr: DSID-031A11CD, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0\n\0",
        )
    }

    /// The value is not one that this attribute can be set to.
    pub(super) fn unwilling(win32: u32) -> Self {
        Self::new(
            ResultCode::UnwillingToPerform,
            format!(
                "{win32:08X}: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0\n\0"
            ),
        )
    }

    /// There is no such attribute.
    pub(super) fn no_attribute(name: &str) -> Self {
        Self::new(
            ResultCode::NoSuchAttribute,
            format!(
                "00000057: LdapErr: DSID-0C090FC3, comment: Error in attribute conversion \
                 operation: {name}, data 0, {BUILD}\0"
            ),
        )
    }

    /// A control is not known, or its value is not one of its own.
    pub(super) fn control() -> Self {
        Self::new(
            ResultCode::UnavailableCriticalExtension,
            "00002040: SvcErr: DSID-03140576, problem 5010 (UNAVAIL_EXTENSION), data 0\n\0",
        )
    }

    /// The server has no time.
    pub(super) fn busy() -> Self {
        let comment = "The server is busy";
        Self::ldap(ResultCode::Busy, "000020E1", "0C0909C3", comment)
    }

    /// The server does not do that at all.
    pub(super) fn unsupported() -> Self {
        Self::unwilling(win32::NOT_SUPPORTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_logon_has_the_number_in_hex() {
        for (code, hex) in [
            (win32::LOGON_FAILURE, "data 52e,"),
            (win32::ACCOUNT_DISABLED, "data 533,"),
            (win32::ACCOUNT_LOCKED_OUT, "data 775,"),
            (win32::PASSWORD_EXPIRED, "data 532,"),
            (win32::PASSWORD_MUST_CHANGE, "data 773,"),
            (win32::ACCOUNT_EXPIRED, "data 701,"),
            (win32::INVALID_LOGON_HOURS, "data 530,"),
            (win32::INVALID_WORKSTATION, "data 531,"),
        ] {
            let text = Refusal::logon(code).text;
            assert!(text.contains(hex), "{text}");
        }
    }
}
