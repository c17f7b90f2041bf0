//! Which vault, and what opens it.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use fleetmend_credentials::vault::{Keys, LockKind, Unlock, Vault, VaultError};

use crate::changeable;
use crate::error::CliError;
use crate::password;
use crate::printer::Printer;

/// The vault that needs no name, in the user's config folder.
const FILE: &str = "fleetmend.vault";

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Vault")]
pub(super) struct PlaceArgs {
    /// Use this vault; without it, fleetmend.vault in your config folder
    #[arg(long, value_name = "FILE", env = "FLEETMEND_VAULT")]
    pub(super) vault: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Vault")]
pub(super) struct UnlockArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Open a vault that is locked to keys with those in FILE
    #[arg(long, value_name = "FILE", env = "FLEETMEND_VAULT_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Read the passphrase from FILE, which nobody else may read
    #[arg(long, value_name = "FILE", env = "FLEETMEND_VAULT_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PlaceArgs {
    /// Returns the vault's file.
    ///
    /// # Errors
    /// None is named, and there is no home folder.
    pub(super) fn path(&self) -> Result<PathBuf, CliError> {
        match &self.vault {
            Some(file) => Ok(file.clone()),
            None => Ok(config_folder()?.join(FILE)),
        }
    }
}

impl UnlockArgs {
    /// Opens the vault; asks for what is missing.
    ///
    /// # Errors
    /// It cannot be opened, or nobody can be asked.
    pub(super) fn open(&self, printer: &Printer) -> Result<(Vault, Unlock), CliError> {
        let path = self.place.path()?;
        let unlock = self.unlock(&path)?;
        if let Some(mode) = changeable::shared(&path) {
            let shown = path.display();
            printer.warning(&format!(
                "{shown} can be read by others (mode {mode:04o}): they can guess at its passphrase; \
                 chmod 600 {shown}"
            ));
        }
        let vault = Vault::open(&path, unlock.clone()).map_err(failed)?;
        Ok((vault, unlock))
    }

    fn unlock(&self, path: &Path) -> Result<Unlock, CliError> {
        let shown = path.display();
        Ok(match Vault::lock_of(path).map_err(failed)? {
            LockKind::Keys => match &self.key_file {
                Some(file) => Unlock::Keys(Keys::read(file).map_err(failed)?),
                None => {
                    return Err(CliError::config(format!("{shown} is locked to age keys"))
                        .hint("name the file with your key: --key-file FILE"));
                }
            },
            LockKind::Passphrase => Unlock::Passphrase(match &self.passphrase_file {
                Some(file) => password::read(file)?,
                None => password::ask(&format!("passphrase of {shown}"), "--passphrase-file FILE")?,
            }),
        })
    }
}

/// Returns the user's config folder for fleetmend.
///
/// # Errors
/// There is no home folder.
pub(super) fn config_folder() -> Result<PathBuf, CliError> {
    let folders = ProjectDirs::from("", "", "fleetmend").ok_or_else(|| {
        CliError::config("failed to find your config folder").hint("name a vault: --vault FILE")
    })?;
    Ok(folders.config_dir().to_owned())
}

/// The error for whoever reads it, with what to do about it.
pub(super) fn failed(error: VaultError) -> CliError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        source = cause.source();
    }
    let hint = match &error {
        VaultError::Missing { path } => format!(
            "make it: fleetmend vault init {0}; or name another: --vault FILE",
            path.display()
        ),
        VaultError::Exists { .. } => "name another file; nothing was changed".to_owned(),
        VaultError::Damaged { .. } | VaultError::NotAge { .. } => {
            "take it from a backup; nothing was changed".to_owned()
        }
        VaultError::Armored { .. } => "age -d FILE | age -p -o VAULT".to_owned(),
        VaultError::Recipients { .. } | VaultError::NoRecipient { .. } => {
            "say who may open it: fleetmend vault rekey --recipient age1… [--recipient age1… …]"
                .to_owned()
        }
        VaultError::Busy { .. } => "wait for it, and try again; nothing was changed".to_owned(),
        VaultError::TooLong { .. } => {
            "the vault is as it was; remove entries, or shorten notes".to_owned()
        }
        VaultError::NotConfirmed { .. } => {
            "the new vault is in place: look at the disk, and keep what opened the old one"
                .to_owned()
        }
        VaultError::Write { .. } | VaultError::WriteLock { .. } => {
            "the vault is as it was".to_owned()
        }
        _ => return CliError::config(text),
    };
    CliError::config(text).hint(hint)
}
