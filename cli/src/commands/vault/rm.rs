//! `fleetmend vault rm`: an entry less.

use fleetmend_credentials::vault::EntryName;
use serde_json::json;

use super::get::none;
use super::place::{UnlockArgs, failed};
use super::trail::TrailArgs;
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
    #[command(flatten)]
    trail: TrailArgs,
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
    let did = ("vault-rm", vault.path());
    args.trail.note(did, Some(&args.name), json!({}), printer);
    editor.save().map_err(failed)?;
    printer.note(&format!(
        "removed {} from {}",
        args.name,
        vault.path().display()
    ));
    Ok(exit_code::OK)
}
