//! Which source stands for which place.

use std::path::Path;
use std::sync::Arc;

use fleetmend_credentials::settings::Origin;
use fleetmend_credentials::sources::{Commands, EnvSource, FileSource, Keyring, PromptSource};
use fleetmend_credentials::{Source, SourceError};

/// What the sources of a run share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    commands: Commands,
    keyring: Keyring,
}

/// Returns the source of a place that is neither a vault nor LAPS. Programs are run from
/// `folder`.
///
/// # Errors
/// It is one of those two.
pub(super) fn make(
    origin: &Origin<String>,
    shared: &Shared,
    folder: &Path,
) -> Result<Arc<dyn Source>, SourceError> {
    Ok(match origin {
        Origin::File(path) => Arc::new(FileSource::new(path)),
        Origin::Env(variable) => Arc::new(EnvSource::new(variable)),
        Origin::Prompt { asks } => {
            let otherwise = "run fleetmend on a terminal, or name another source";
            Arc::new(PromptSource::new(asks, otherwise))
        }
        Origin::Command { words, timeout } => {
            Arc::new(shared.commands.source(words.clone(), *timeout, folder))
        }
        Origin::Keyring { service, account } => Arc::new(shared.keyring.source(service, account)),
        Origin::Vault { .. } | Origin::Laps { .. } => {
            let why = "this fleetmend was built without it";
            return Err(SourceError::new(format!("the {}", origin.kind()), why, ""));
        }
    })
}
