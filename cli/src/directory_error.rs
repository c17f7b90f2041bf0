//! What the operator is told when the directory does not answer, and what to do about it.

use fleetmend_directory::{DirectoryError, LogonRefusal, NotProbed};

use crate::args::DirectoryArgs;
use crate::error::CliError;

/// Our own account was not accepted, or nobody could be asked. Nothing was touched.
pub(crate) fn proving(error: DirectoryError, user: &str, args: &DirectoryArgs) -> CliError {
    match &error {
        DirectoryError::CredentialRefused { .. } | DirectoryError::LogonUnanswered { .. } => {
            CliError::budget(format!(
                "the directory account {user} was tried once and is not tried again; nothing was touched"
            ))
            .hint(match &error {
                DirectoryError::CredentialRefused { refusal, .. } => what_to_do(*refusal),
                _ => "check account and password before the next run: another failure may lock it",
            })
            .because(error)
        }
        DirectoryError::NotTrusted { dc, why } => {
            let name = format!(
                "a certificate bears the controller's DNS name, and {dc} must be that name: \
                 --directory-server NAME"
            );
            let other_name = why.contains("NotValidForName");
            let error = failed(error, "reach the directory").hint(
                "compare the fingerprint at the domain controller, then name the CA that issued \
                 the certificate (--directory-ca FILE) or pin it (--directory-pin sha256:HEX)",
            );
            if other_name { error.hint(name) } else { error }
        }
        DirectoryError::NoController { .. } => failed(error, "reach the directory")
            .hint("name a domain controller: --directory-server HOST; the domain must be its DNS name"),
        DirectoryError::Unreachable { .. } => {
            let other = if args.directory_starttls {
                "is TCP port 389 open? LDAPS at port 636 needs no --directory-starttls"
            } else {
                "is TCP port 636 open? a controller has LDAPS only with a certificate; StartTLS at \
                 port 389 needs one, too: --directory-starttls"
            };
            failed(error, "reach the directory").hint(other)
        }
        _ => failed(error, "reach the directory"),
    }
}

/// Returns what to do about a refused account before the next run.
pub(crate) fn what_to_do(refusal: LogonRefusal) -> &'static str {
    match refusal {
        LogonRefusal::NoSuchUser => "check the account's name and its domain (DOMAIN\\user)",
        LogonRefusal::WrongPassword | LogonRefusal::Other(_) => {
            "check account and password before the next run: another failure may lock it"
        }
        LogonRefusal::Restricted => {
            "look at the account's restrictions in the directory; its password may not be empty"
        }
        LogonRefusal::LogonHours => {
            "run within the account's logon hours, or widen them in the directory"
        }
        LogonRefusal::Workstation => {
            "add this machine and the PCs to those from which the account may log on, or lift that \
             restriction"
        }
        LogonRefusal::PasswordExpired => "set a new password for the account, then run with it",
        LogonRefusal::Disabled => "enable the account in the directory, or name another",
        LogonRefusal::AccountExpired => {
            "put the account's end further off in the directory, or name another"
        }
        LogonRefusal::MustChangePassword => {
            "change the account's password once, or clear 'must change password at next logon'"
        }
        LogonRefusal::LockedOut => {
            "find out who tries wrong passwords with it, then unlock the account; waiting for the \
             end of its lockout does, too"
        }
        _ => "look at the account in the directory before the next run",
    }
}

/// A question was not answered.
pub(crate) fn asking(error: DirectoryError, doing: &str) -> CliError {
    match &error {
        DirectoryError::CredentialRefused { .. } | DirectoryError::LogonUnanswered { .. } => {
            CliError::budget(format!("failed to {doing}")).because(error)
        }
        DirectoryError::Ldap { code: 32, .. } => failed(error, doing)
            .hint("is the unit's name right? as OU=PCs,DC=corp,DC=example,DC=jp"),
        DirectoryError::Ldap { code: 50, .. } | DirectoryError::NotAllowedToSee { .. } => {
            failed(error, doing).hint("which rights the account needs: docs/guide/domain-rights.md")
        }
        _ => failed(error, doing),
    }
}

/// A domain account was not tried. Nothing was touched.
pub(crate) fn probing(error: NotProbed, user: &str) -> CliError {
    match error {
        NotProbed::Directory(error) => asking(error, &format!("try the domain account {user}")),
        NotProbed::Incomplete(_) => {
            CliError::user(format!("the domain account {user} cannot be tried")).because(error)
        }
        NotProbed::Hopeless { refusal, .. } => CliError::budget(format!(
            "the domain account {user} is spared; nothing was touched"
        ))
        .because(error)
        .hint(what_to_do(refusal)),
        NotProbed::NearLockout { .. } => CliError::budget(format!(
            "the domain account {user} is spared; nothing was touched"
        ))
        .because(error)
        .hint("look at the account in the directory before the next run"),
        _ => CliError::budget("nothing was touched".to_owned())
            .because(error)
            .hint("look at the account in the directory before the next run"),
    }
}

fn failed(error: DirectoryError, doing: &str) -> CliError {
    CliError::config(format!("failed to {doing}")).because(error)
}
