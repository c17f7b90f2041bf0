//! Secrets that are new: asked for twice, since nobody sees what is typed.

use std::path::{Path, PathBuf};

use fleetmend_credentials::vault::{Lock, Recipient, Work};
use fleetmend_model::Secret;

use crate::error::CliError;
use crate::password;

/// A passphrase is guessed at on other people's machines, so it may not be short.
const SHORTEST: usize = 8;

/// Asks twice.
///
/// # Errors
/// Nobody can be asked, or the two differ.
pub(super) fn ask_twice(what: &str, otherwise: &str) -> Result<Secret, CliError> {
    let first = password::ask(what, otherwise)?;
    let second = password::ask(&format!("{what}, again"), otherwise)?;
    if first != second {
        return Err(CliError::user("the two differ").hint("nothing was changed"));
    }
    Ok(first)
}

/// Returns what will lock a vault: the keys that are named, else a passphrase.
///
/// # Errors
/// Nobody can be asked, or the passphrase is short.
pub(super) fn lock(
    recipients: Vec<Recipient>,
    passphrase_file: Option<&PathBuf>,
    vault: &Path,
) -> Result<Lock, CliError> {
    if !recipients.is_empty() {
        return Ok(Lock::Recipients(without_doubles(recipients)));
    }
    let what = format!("new passphrase of {}", vault.display());
    let passphrase = match passphrase_file {
        Some(file) => password::read(file)?,
        None => ask_twice(&what, "a file with it, or --recipient age1…")?,
    };
    if passphrase.reveal().chars().count() < SHORTEST {
        return Err(CliError::user(format!(
            "the passphrase has less than {SHORTEST} characters"
        ))
        .hint("several words that do not belong together are long and easy to remember"));
    }
    Ok(Lock::Passphrase(passphrase, Work::USUAL))
}

/// Tells in words what locks a vault.
pub(super) fn in_words(lock: &Lock) -> String {
    match lock {
        Lock::Passphrase(..) => "locked by its passphrase".to_owned(),
        Lock::Recipients(all) => {
            let all: Vec<_> = all.iter().map(ToString::to_string).collect();
            format!("locked to {}", all.join(", "))
        }
    }
}

fn without_doubles(recipients: Vec<Recipient>) -> Vec<Recipient> {
    let mut each: Vec<Recipient> = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        if !each.contains(&recipient) {
            each.push(recipient);
        }
    }
    each
}
