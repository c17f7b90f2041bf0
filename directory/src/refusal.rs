//! Why a domain controller refuses a logon.

use std::fmt;

/// Why a domain controller refused an account: LDAP result 49 carries a Win32 code, in hex after
/// `data` in its message (`AcceptSecurityContext error, data 52e, v4563`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogonRefusal {
    /// 525: there is no such account.
    NoSuchUser,
    /// 52e: the user name or the password is wrong. This one counts towards a lockout.
    WrongPassword,
    /// 52f: a restriction on the account.
    Restricted,
    /// 530: not at this hour.
    LogonHours,
    /// 531: not from this machine.
    Workstation,
    /// 532: the password has expired.
    PasswordExpired,
    /// 533: the account is disabled.
    Disabled,
    /// 701: the account has expired.
    AccountExpired,
    /// 773: the password must be changed first.
    MustChangePassword,
    /// 775: the account is locked out.
    LockedOut,
    /// Another code, or none: 0.
    Other(u32),
}

impl LogonRefusal {
    /// Every cause that has a name.
    pub const NAMED: [Self; 10] = [
        Self::NoSuchUser,
        Self::WrongPassword,
        Self::Restricted,
        Self::LogonHours,
        Self::Workstation,
        Self::PasswordExpired,
        Self::Disabled,
        Self::AccountExpired,
        Self::MustChangePassword,
        Self::LockedOut,
    ];

    /// Returns the Win32 code, which is also the sub-code; 1326 (logon failure) where the
    /// controller gave none.
    pub fn win32(self) -> u32 {
        match self {
            Self::NoSuchUser => 0x525,
            Self::WrongPassword => 0x52e,
            Self::Restricted => 0x52f,
            Self::LogonHours => 0x530,
            Self::Workstation => 0x531,
            Self::PasswordExpired => 0x532,
            Self::Disabled => 0x533,
            Self::AccountExpired => 0x701,
            Self::MustChangePassword => 0x773,
            Self::LockedOut => 0x775,
            Self::Other(0) => 0x52e,
            Self::Other(code) => code,
        }
    }

    /// Returns the cause for a Win32 code.
    pub fn from_win32(code: u32) -> Self {
        let named = Self::NAMED.into_iter().find(|cause| cause.win32() == code);
        named.unwrap_or(Self::Other(code))
    }

    /// Reads the cause from the diagnostic message of LDAP result 49.
    pub fn from_diagnostic(text: &str) -> Self {
        let code = text.match_indices("data ").find_map(|(at, word)| {
            let rest = text.get(at + word.len()..)?;
            let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
            u32::from_str_radix(digits, 16).ok()
        });
        Self::from_win32(code.unwrap_or(0))
    }
}

impl fmt::Display for LogonRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::NoSuchUser => "there is no such account",
            Self::WrongPassword => "the user name or the password is wrong",
            Self::Restricted => "a restriction on the account forbids it",
            Self::LogonHours => "the account may not log on at this hour",
            Self::Workstation => "the account may not log on from here",
            Self::PasswordExpired => "the password has expired",
            Self::Disabled => "the account is disabled",
            Self::AccountExpired => "the account has expired",
            Self::MustChangePassword => "the password must be changed first",
            Self::LockedOut => "the account is locked out",
            Self::Other(_) => "the logon is refused",
        };
        write!(f, "{words} ({})", self.win32())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_the_sub_codes_of_windows_and_samba() {
        let windows = "80090308: LdapErr: DSID-0C090569, comment: AcceptSecurityContext error, \
                       data 52e, v4f7c\0";
        let cases = [
            (windows, LogonRefusal::WrongPassword, 1326),
            ("error, data 525, v", LogonRefusal::NoSuchUser, 1317),
            ("error, data 530, v", LogonRefusal::LogonHours, 1328),
            ("error, data 531, v", LogonRefusal::Workstation, 1329),
            ("error, data 532, v", LogonRefusal::PasswordExpired, 1330),
            ("error, data 533, v", LogonRefusal::Disabled, 1331),
            ("error, data 701, v", LogonRefusal::AccountExpired, 1793),
            ("error, data 773, v", LogonRefusal::MustChangePassword, 1907),
            ("error, data 775, v", LogonRefusal::LockedOut, 1909),
            ("data 569", LogonRefusal::Other(0x569), 1385),
            ("no metadata here, data zz", LogonRefusal::Other(0), 1326),
            (
                "Simple Bind Failed: NT_STATUS",
                LogonRefusal::Other(0),
                1326,
            ),
            ("資格情報が無効です data 775", LogonRefusal::LockedOut, 1909),
            ("", LogonRefusal::Other(0), 1326),
        ];
        for (text, cause, win32) in cases {
            assert_eq!(LogonRefusal::from_diagnostic(text), cause, "{text}");
            assert_eq!(cause.win32(), win32, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_keeps_the_number(text in ".*", code in 1_u32..) {
            let _ = LogonRefusal::from_diagnostic(&text);
            let told = LogonRefusal::from_diagnostic(&format!("error, data {code:x}, v1db1"));
            prop_assert_eq!(told.win32(), code);
        }
    }
}
