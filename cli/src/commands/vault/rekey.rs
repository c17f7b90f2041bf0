//! `fleetmend vault rekey`: another passphrase, or other keys.

use std::path::PathBuf;

use fleetmend_credentials::vault::Recipient;

use super::fresh::{in_words, lock};
use super::init::keys;
use super::place::{UnlockArgs, failed};
use super::trail::{TrailArgs, told};
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Lock a vault by another passphrase, or to other keys
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RekeyArgs {
    /// Lock it to this age key's public half; may be given several times
    #[arg(long, value_name = "age1…", help_heading = "New lock")]
    #[arg(conflicts_with = "new_passphrase_file")]
    recipient: Vec<Recipient>,
    /// Lock it to the keys in FILE; makes a key and FILE if it is not there
    #[arg(long, value_name = "FILE", help_heading = "New lock")]
    #[arg(conflicts_with = "new_passphrase_file")]
    new_key_file: Option<PathBuf>,
    /// Lock it by the passphrase in FILE, which nobody else may read
    #[arg(long, value_name = "FILE", help_heading = "New lock")]
    new_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    unlock: UnlockArgs,
    #[command(flatten)]
    trail: TrailArgs,
}

const AFTER_HELP: &str = "\
Without a new lock, asks for a new passphrase twice. Only the keys that are named open the vault
afterwards. The old vault stays until the new one is complete. Copies of the old vault still open
as they did: if somebody may have one, change the passwords that are in it.";

/// Locks a vault anew.
///
/// # Errors
/// The vault cannot be opened or written; it is as it was.
pub(super) fn cmd_rekey(args: &RekeyArgs, printer: &Printer) -> Result<u8, CliError> {
    let (vault, unlock) = args.unlock.open(printer)?;
    let mut recipients = args.recipient.clone();
    if let Some(file) = &args.new_key_file {
        recipients.extend(keys(file, printer)?.recipients());
    }
    let lock = lock(recipients, args.new_passphrase_file.as_ref(), vault.path())?;
    let editor = vault.edit(&unlock).map_err(failed)?;
    let doing = ("vault-rekey", vault.path());
    args.trail.note(doing, None, told(&lock), printer);
    editor.relock(&lock).map_err(failed)?;
    printer.note(&format!(
        "{} is now {}",
        vault.path().display(),
        in_words(&lock)
    ));
    Ok(exit_code::OK)
}
