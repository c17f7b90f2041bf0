//! `fleetmend vault init`: a new vault.

use std::path::{Path, PathBuf};

use fleetmend_credentials::vault::{Keys, Recipient, Vault, VaultError};

use super::fresh::{in_words, lock};
use super::place::{PlaceArgs, config_folder, failed};
use super::trail::{TrailArgs, told};
use crate::data_dir::create_private;
use crate::error::CliError;
use crate::exit_code;
use crate::printer::Printer;

/// Make a vault without entries
#[derive(Debug, clap::Args)]
pub(super) struct InitArgs {
    /// Make this vault [default: the one of --vault]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Lock it to this age key's public half; may be given several times
    #[arg(long, value_name = "age1…", help_heading = "Lock")]
    #[arg(conflicts_with = "passphrase_file")]
    recipient: Vec<Recipient>,
    /// Lock it to the keys in FILE; makes a key and FILE if it is not there
    #[arg(long, value_name = "FILE", help_heading = "Lock")]
    #[arg(conflicts_with = "passphrase_file")]
    key_file: Option<PathBuf>,
    /// Lock it by the passphrase in FILE, which nobody else may read
    #[arg(long, value_name = "FILE", help_heading = "Lock")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    trail: TrailArgs,
}

/// Makes a vault.
///
/// # Errors
/// Something is there already, or the folder cannot be written.
pub(super) fn cmd_init(args: &InitArgs, printer: &Printer) -> Result<u8, CliError> {
    let path = match &args.file {
        Some(file) => file.clone(),
        None => args.place.path()?,
    };
    // Before anybody types a passphrase, and before a key is made.
    if path.symlink_metadata().is_ok() {
        return Err(failed(VaultError::Exists { path }));
    }
    if path.parent() == config_folder().ok().as_deref() {
        make_folder(&path)?;
    }
    let mut recipients = args.recipient.clone();
    if let Some(file) = &args.key_file {
        recipients.extend(keys(file, printer)?.recipients());
    }
    let lock = lock(recipients, args.passphrase_file.as_ref(), &path)?;
    let doing = ("vault-init", path.as_path());
    args.trail.note(doing, None, told(&lock), printer);
    Vault::create(&path, &lock).map_err(failed)?;
    printer.note(&format!("made {}, {}", path.display(), in_words(&lock)));
    Ok(exit_code::OK)
}

/// Reads the keys of a file, or makes one.
pub(super) fn keys(file: &Path, printer: &Printer) -> Result<Keys, CliError> {
    if file.exists() {
        return Keys::read(file).map_err(failed);
    }
    let keys = Keys::make(file).map_err(failed)?;
    let shown = file.display();
    printer.note(&format!(
        "made the key file {shown}; keep a copy elsewhere: without it nobody opens the vault"
    ));
    Ok(keys)
}

fn make_folder(path: &Path) -> Result<(), CliError> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    create_private(folder).map_err(|error| {
        CliError::config(format!("failed to create {}", folder.display())).because(error)
    })
}
