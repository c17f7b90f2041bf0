//! A vault as a source of credentials.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fleetmend_directory::Limit;

use super::opened::Vault;
use crate::source::{Found, Scope, Source, SourceError, Subject};

/// Finds the name of the entry for a PC.
pub type EntryFor = Box<dyn Fn(Subject<'_>) -> Result<String, SourceError> + Send + Sync>;

/// Gives what a vault keeps under a name, decrypted when it is asked for and not before.
pub struct VaultSource {
    vault: Arc<Vault>,
    entry: EntryFor,
    describe: String,
    scope: Scope,
}

impl VaultSource {
    /// Returns a source over a vault that is open.
    ///
    /// `describe`: in words, as `the vault fleetmend.vault, entry local-admin`. `scope`: whether
    /// `entry` gives another name for each PC.
    pub fn new(vault: Arc<Vault>, entry: EntryFor, describe: String, scope: Scope) -> Self {
        Self {
            vault,
            entry,
            describe,
            scope,
        }
    }
}

impl fmt::Debug for VaultSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultSource")
            .field("describe", &self.describe)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for VaultSource {
    fn describe(&self) -> String {
        self.describe.clone()
    }

    fn scope(&self) -> Scope {
        self.scope
    }

    /// Takes microseconds, so it waits for nothing.
    async fn fetch(&self, subject: Subject<'_>, _: &Limit) -> Result<Found, SourceError> {
        let name = (self.entry)(subject)?;
        let path = self.vault.path().display();
        let found = self.vault.get(&name).map_err(|error| {
            SourceError::new(
                &self.describe,
                error.to_string(),
                "make the vault anew from a backup",
            )
        })?;
        let entry = found.ok_or_else(|| {
            let why = format!("{path} has no entry {name}");
            let next = format!("fleetmend vault set {name:?} --vault {path}");
            SourceError::absent(&self.describe, why, next)
        })?;
        Ok(Found {
            user: entry.user,
            password: entry.password,
            ssh: None,
        })
    }
}
