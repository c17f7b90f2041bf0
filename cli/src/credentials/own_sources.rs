//! Which source stands for which place.

use std::path::Path;
use std::sync::Arc;

use fleetmend_credentials::settings::Origin;
use fleetmend_credentials::sources::{Commands, EnvSource, FileSource, PromptSource};
use fleetmend_credentials::{Source, SourceError};

/// Returns the source of a place that is neither a vault nor LAPS. Programs are run from
/// `folder`.
///
/// # Errors
/// There is no such source here.
pub(super) fn make(
    origin: &Origin<String>,
    commands: &Commands,
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
            Arc::new(commands.source(words.clone(), *timeout, folder))
        }
        Origin::Vault { .. } | Origin::Keyring { .. } | Origin::Laps { .. } => {
            let why = "this fleetmend was built without it";
            return Err(SourceError::new(format!("the {}", origin.kind()), why, ""));
        }
    })
}
