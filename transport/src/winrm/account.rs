//! The forms in which an account may be written, and what NTLM makes of them.

use fleetmend_model::Secret;

/// An account as NTLM carries it: user and domain apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The user, or the whole user principal name.
    pub(crate) user: String,
    /// The computer or domain; `.` for the PC itself, empty when the PC is to decide.
    pub(crate) domain: String,
}

/// Why a credential cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AccountError {
    /// No user.
    #[error("the account has no user name")]
    NoUser,
    /// `a\b\c`.
    #[error("the account name has more than one backslash")]
    Backslashes,
    /// Windows refuses empty passwords over the network.
    #[error("the password is empty, which Windows refuses over the network")]
    EmptyPassword,
    /// The NTLM library takes such a password for a hash.
    #[error("a password that begins with $NTLM$: cannot be used over WinRM; use SSH or change it")]
    HashPrefix,
    /// A colon in the user of Basic would end it.
    #[error("an account name with a colon cannot be used with Basic")]
    Colon,
}

impl Account {
    /// Reads `name`, `.\name`, `PC\name`, `DOMAIN\name` or `user@domain`.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub(crate) fn parse(text: &str) -> Result<Self, AccountError> {
        let (domain, user) = text.split_once('\\').unwrap_or(("", text));
        if user.contains('\\') {
            return Err(AccountError::Backslashes);
        }
        if user.is_empty() {
            return Err(AccountError::NoUser);
        }
        Ok(Self {
            user: user.to_owned(),
            domain: domain.to_owned(),
        })
    }
}

/// Checks that a password can be used for NTLM.
///
/// # Errors
/// See [`AccountError`].
pub(crate) fn check_password(password: &Secret) -> Result<(), AccountError> {
    if password.is_empty() {
        return Err(AccountError::EmptyPassword);
    }
    if password.reveal().starts_with(sspi::NTLM_HASH_PREFIX) {
        return Err(AccountError::HashPrefix);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_every_form() {
        for (text, user, domain) in [
            ("admin", "admin", ""),
            (r".\admin", "admin", "."),
            (r"PC-01\管理者", "管理者", "PC-01"),
            ("svc@corp.example.jp", "svc@corp.example.jp", ""),
            (r"CORP\svc@x", "svc@x", "CORP"),
        ] {
            let account = Account::parse(text).unwrap();
            assert_eq!(
                (account.user.as_str(), account.domain.as_str()),
                (user, domain)
            );
        }
        assert_eq!(Account::parse(r"PC\"), Err(AccountError::NoUser));
        assert_eq!(Account::parse(""), Err(AccountError::NoUser));
        assert_eq!(Account::parse(r"a\b\c"), Err(AccountError::Backslashes));
    }

    #[test]
    fn refuses_passwords_that_would_be_misread() {
        let check = |text: &str| check_password(&Secret::new(text.to_owned()));
        assert_eq!(check(""), Err(AccountError::EmptyPassword));
        assert_eq!(
            check("$NTLM$:8119935c5f7fa5f57135620c8073aaca"),
            Err(AccountError::HashPrefix)
        );
        assert_eq!(check("$NTLM$ 日本"), Ok(()));
    }
}
