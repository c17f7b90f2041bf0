//! `fleetmend vault rm`: an entry less.

use fleetmend_credentials::vault::EntryName;

use super::get::none;
use super::place::{UnlockArgs, failed};
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Remove an entry
#[derive(Debug, clap::Args)]
pub(super) struct RmArgs {
    /// Name of the entry
    name: EntryName,
    #[command(flatten)]
    unlock: UnlockArgs,
}

/// Removes an entry.
///
/// # Errors
/// There is no such entry, or the vault cannot be opened or written; it is as it was.
pub(super) fn cmd_rm(args: &RmArgs, printer: &Printer) -> Result<u8, CliError> {
    let (vault, unlock) = args.unlock.open(printer)?;
    let mut editor = vault.edit(&unlock).map_err(failed)?;
    if !editor.remove(&args.name) {
        return Err(none(&args.name, &vault));
    }
    editor.save().map_err(failed)?;
    printer.note(&format!(
        "removed {} from {}",
        args.name,
        vault.path().display()
    ));
    Ok(exit_code::OK)
}
