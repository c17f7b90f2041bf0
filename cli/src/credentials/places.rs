//! The sources of `credentials.yaml` on this machine.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use fleetmend_credentials::settings::{Origin, VaultPlace};
use fleetmend_credentials::sources::LapsSource;
use fleetmend_credentials::vault::{Keys, LockKind};
use fleetmend_credentials::{Scope, Source, SourceError, Sources, Unlock, Vault, VaultSource};
use fleetmend_directory::ActiveDirectory;
use tokio::sync::Mutex;

use super::own_sources;
use crate::changeable;

/// Makes the sources. Opens each vault once; holds no password.
pub(super) struct Places {
    folder: PathBuf,
    shared: own_sources::Shared,
    vaults: BTreeMap<String, VaultPlace>,
    open: Mutex<BTreeMap<String, Arc<Vault>>>,
    directory: OnceLock<Arc<ActiveDirectory>>,
}

impl Places {
    /// Returns the places of a file in this folder, from which programs are run.
    pub(super) fn new(folder: &Path, vaults: BTreeMap<String, VaultPlace>) -> Self {
        Self {
            folder: folder.to_owned(),
            shared: own_sources::Shared::default(),
            vaults,
            open: Mutex::default(),
            directory: OnceLock::new(),
        }
    }

    /// Lets LAPS be asked.
    pub(super) fn use_directory(&self, directory: Arc<ActiveDirectory>) {
        let _ = self.directory.set(directory);
    }

    /// Returns a vault, opened the first time; with a passphrase that is asked for then.
    async fn vault(&self, name: &str) -> Result<Arc<Vault>, SourceError> {
        let mut open = self.open.lock().await;
        if let Some(vault) = open.get(name) {
            return Ok(Arc::clone(vault));
        }
        let place = self.vaults.get(name).cloned();
        let place = place.ok_or_else(|| {
            let why = "the file names no such vault";
            SourceError::new(format!("the vault {name}"), why, "")
        })?;
        // Opening takes a second and blocks; so does who types.
        let opened = tokio::task::spawn_blocking(move || unlock(&place)).await;
        let opened = opened.map_err(|error| {
            SourceError::new(format!("the vault {name}"), error.to_string(), "")
        })??;
        let vault = Arc::new(opened);
        open.insert(name.to_owned(), Arc::clone(&vault));
        Ok(vault)
    }
}

#[async_trait]
impl Sources for Places {
    async fn source(&self, origin: &Origin<String>) -> Result<Arc<dyn Source>, SourceError> {
        Ok(match origin {
            Origin::Vault { vault, entry } => {
                let vault = self.vault(vault).await?;
                let words = format!("the vault {}, entry {entry}", vault.path().display());
                let entry = entry.clone();
                let name = Box::new(move |_: fleetmend_credentials::Subject<'_>| Ok(entry.clone()));
                Arc::new(VaultSource::new(vault, name, words, Scope::Run))
            }
            Origin::Laps { older, computer } => {
                let directory = self.directory.get().ok_or_else(|| {
                    SourceError::new(
                        "LAPS",
                        "no directory is open to ask",
                        "name the domain: --directory DOMAIN --directory-user USER",
                    )
                })?;
                let directory = Arc::clone(directory);
                Arc::new(LapsSource::new(directory, *older, computer.clone()))
            }
            other => own_sources::make(other, &self.shared, &self.folder)?,
        })
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("vaults", &self.vaults)
            .finish_non_exhaustive()
    }
}

fn unlock(place: &VaultPlace) -> Result<Vault, SourceError> {
    let words = format!("the vault {}", place.file.display());
    let failed = |why: String, next: &str| SourceError::new(words.clone(), why, next);
    if let Some(mode) = changeable::shared(&place.file) {
        tracing::warn!("{words} can be read by others (mode {mode:04o})");
    }
    if place.key_file.is_some() {
        // Its entries need no secret to be written, only its recipient.
        let open = changeable::refuse(&place.file, "it says which passwords are tried on PCs");
        open.map_err(|error| {
            let (why, hints) = error.lines();
            failed(why, hints.first().map_or("", String::as_str))
        })?;
    }
    let by = match &place.key_file {
        Some(key) => Unlock::Keys(Keys::read(key).map_err(|error| failed(error.to_string(), ""))?),
        None => {
            let kind = Vault::lock_of(&place.file);
            let kind = kind.map_err(|error| {
                failed(
                    error.to_string(),
                    "make one: fleetmend vault init --vault FILE",
                )
            })?;
            if kind != LockKind::Passphrase {
                return Err(failed(
                    "it opens with an age key, and none is named".to_owned(),
                    "name it beside the vault's `file`: `key_file: FILE`",
                ));
            }
            let asked = crate::password::ask(
                &format!("the passphrase of {words}"),
                "name a key instead (`key_file`), or run fleetmend on a terminal",
            );
            Unlock::Passphrase(asked.map_err(|error| {
                let (why, hints) = error.lines();
                failed(why, hints.first().map_or("", String::as_str))
            })?)
        }
    };
    Vault::open(&place.file, by).map_err(|error| failed(error.to_string(), ""))
}
