//! Reading inventories, with errors as the operator sees them.

use std::path::PathBuf;

use fleetmend_inventory::{Inventory, InventoryErrors, Options};

use crate::args::InventoryArgs;
use crate::directory::Directory;
use crate::error::CliError;
use crate::printer::Printer;

/// More warnings than this are told as a number; `inventory check` shows all.
const WARNINGS: usize = 10;

/// Reads inventories.
///
/// # Errors
/// Everything that is wrong with them, each with its place.
pub(crate) fn load(files: &[PathBuf], plaintext_passwords: bool) -> Result<Inventory, CliError> {
    read(files, plaintext_passwords).map_err(|errors| error(&errors))
}

/// Reads inventories with the computers of the directories that they name.
///
/// # Errors
/// Everything that is wrong with them; or a directory cannot be asked.
pub(crate) async fn whole(
    args: &InventoryArgs,
    directory: &mut Directory<'_>,
    printer: &Printer,
) -> Result<Inventory, CliError> {
    let inventory = load(&args.inventory, args.allow_plaintext_passwords)?;
    if inventory.sources.is_empty() {
        return Ok(inventory);
    }
    let listings = directory.list(&inventory.sources, printer).await?;
    let options = options(args.allow_plaintext_passwords);
    fleetmend_inventory::load_with(&args.inventory, &listings, &options)
        .map_err(|errors| error(&errors))
}

/// Reads inventories, and leaves the errors as they are.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn read(
    files: &[PathBuf],
    plaintext_passwords: bool,
) -> Result<Inventory, InventoryErrors> {
    fleetmend_inventory::load(files, &options(plaintext_passwords))
}

fn options(plaintext_passwords: bool) -> Options {
    Options {
        allow_plaintext_passwords: plaintext_passwords,
        ..Options::default()
    }
}

/// Takes what the patterns leave.
///
/// # Errors
/// A pattern is wrong or matches nothing.
pub(crate) fn limited(inventory: Inventory, patterns: &[String]) -> Result<Inventory, CliError> {
    if patterns.is_empty() {
        return Ok(inventory);
    }
    inventory.limit(&patterns.join(",")).map_err(|errors| {
        error(&errors).hint("see names and groups: fleetmend inventory graph -i FILE")
    })
}

/// Shows the first warnings.
pub(crate) fn warn(inventory: &Inventory, printer: &Printer) {
    for warning in inventory.warnings.iter().take(WARNINGS) {
        printer.warning(&warning.to_string());
    }
    if let Some(more @ 1..) = inventory.warnings.len().checked_sub(WARNINGS) {
        printer.warning(&format!(
            "{more} more; see fleetmend inventory check -i FILE"
        ));
    }
}

fn error(errors: &InventoryErrors) -> CliError {
    let mut hints: Vec<String> = Vec::new();
    for hint in errors.iter().filter_map(|error| error.hint()) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    let error = CliError::user(errors.to_string());
    hints.into_iter().take(WARNINGS).fold(error, CliError::hint)
}
