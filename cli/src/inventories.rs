//! Reading inventories, with errors as the operator sees them.

mod ansible_vault;

use std::path::PathBuf;
use std::sync::Arc;

use fleetmend_inventory::{DirectoryListing, Inventory, InventoryErrors, Options, Vaults};

use crate::args::{InventoryArgs, VaultArgs};
use crate::credentials::CredentialsFile;
use crate::directory::Directory;
use crate::error::CliError;
use crate::printer::Printer;

/// More warnings than this are told as a number; `inventory check` shows all.
const WARNINGS: usize = 10;

/// What happens to encrypted values and files for which no password is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// They are shown as such.
    Shown,
    /// Those that a run needs are an error.
    Refused,
}

/// Reads inventories with the computers of the directories that they name, and opens what
/// ansible-vault encrypted.
///
/// # Errors
/// Everything that is wrong with them; or a directory cannot be asked, or a password is unfit.
pub(crate) async fn whole(
    args: &InventoryArgs,
    directory: &mut Directory<'_>,
    printer: &Printer,
) -> Result<Inventory, CliError> {
    let inventory = opened(args, Closed::Refused, directory.credentials()).await?;
    with_directories(inventory, args, directory, printer).await
}

/// The same for showing: what is encrypted may stay so.
///
/// # Errors
/// As [`whole`]. Directories are asked only if an account for them is given.
pub(crate) async fn shown(
    args: &InventoryArgs,
    directory: &mut Directory<'_>,
    printer: &Printer,
) -> Result<Inventory, CliError> {
    let inventory = opened(args, Closed::Shown, directory.credentials()).await?;
    if directory.has_account() {
        with_directories(inventory, args, directory, printer).await
    } else {
        Ok(inventory)
    }
}

async fn with_directories(
    inventory: Inventory,
    args: &InventoryArgs,
    directory: &mut Directory<'_>,
    printer: &Printer,
) -> Result<Inventory, CliError> {
    if inventory.sources.is_empty() {
        return Ok(inventory);
    }
    let listings = directory.list(&inventory.sources, printer).await?;
    read_with(args, &listings, inventory.vaults.clone())
}

/// Reads inventories; passwords of ansible-vault are read or asked for only if something is
/// encrypted. Options outweigh the file of credentials.
///
/// # Errors
/// Everything that is wrong with the inventories, or a password is unfit.
pub(crate) async fn opened(
    args: &InventoryArgs,
    closed: Closed,
    credentials: Option<&Arc<CredentialsFile>>,
) -> Result<Inventory, CliError> {
    let inventory = read_with(args, &[], Vaults::Leave)?;
    if inventory.vaulted.is_empty() {
        return Ok(inventory);
    }
    match (
        ansible_vault::opener(&args.vault, credentials).await?,
        closed,
    ) {
        (Some(opener), _) => read_with(args, &[], Vaults::Open(opener)),
        (None, Closed::Shown) => Ok(inventory),
        (None, Closed::Refused) => read_with(args, &[], Vaults::Refuse),
    }
}

/// Reads inventories for the passwords in them, when the PCs are known already.
///
/// # Errors
/// As [`whole`].
pub(crate) async fn again(
    files: &[PathBuf],
    vault: &VaultArgs,
    credentials: Option<&Arc<CredentialsFile>>,
) -> Result<Inventory, CliError> {
    let args = InventoryArgs {
        inventory: files.to_vec(),
        limit: Vec::new(),
        allow_plaintext_passwords: true,
        vault: vault.clone(),
    };
    opened(&args, Closed::Refused, credentials).await
}

fn read_with(
    args: &InventoryArgs,
    listings: &[DirectoryListing],
    vaults: Vaults,
) -> Result<Inventory, CliError> {
    let options = Options {
        vaults,
        ..options(args.allow_plaintext_passwords)
    };
    fleetmend_inventory::load_with(&args.inventory, listings, &options)
        .map_err(|errors| error(&errors))
}

/// Reads inventories, leaves the errors as they are, and closed what is encrypted.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn read(
    files: &[PathBuf],
    plaintext_passwords: bool,
) -> Result<Inventory, InventoryErrors> {
    let options = Options {
        vaults: Vaults::Leave,
        ..options(plaintext_passwords)
    };
    fleetmend_inventory::load(files, &options)
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
