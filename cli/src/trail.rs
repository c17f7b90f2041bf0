//! What commands beside runs put on the audit trail.

use std::path::{Path, PathBuf};

use fleetmend_journal::StorageError;
use serde_json::{Value, json};

use crate::data_dir::data_dir;
use crate::error::CliError;
use crate::operator;
use crate::wire::JOURNAL;

/// What a command is about to do, with the words that the trail has for it.
pub(crate) struct Entry {
    /// Short and lasting.
    pub(crate) kind: &'static str,
    /// The PC of which it is.
    pub(crate) host: Option<String>,
    /// More than who it is; no secret.
    pub(crate) body: Value,
}

/// Puts an entry on the trail of the journal in a folder, with who it is; returns once it is safe
/// on disk. Blocks.
///
/// # Errors
/// There is no folder, or the journal cannot be written.
pub(crate) fn note(folder: Option<&Path>, entry: &Entry) -> Result<(), CliError> {
    let path = data_dir(folder)?.join(JOURNAL);
    note_in(&path, entry).map_err(|error| {
        CliError::config("it cannot be noted on the audit trail")
            .because(error)
            .hint("name another folder: --data-dir DIR")
    })
}

/// The same in this journal, while others go on.
///
/// # Errors
/// The journal cannot be written.
pub(crate) async fn note_async(path: PathBuf, entry: Entry) -> Result<(), CliError> {
    let noted = tokio::task::spawn_blocking(move || note_in(&path, &entry)).await;
    let noted =
        noted.map_err(|error| CliError::internal("failed to write the trail").because(error))?;
    noted.map_err(|error| CliError::config("it cannot be noted on the audit trail").because(error))
}

fn note_in(path: &Path, entry: &Entry) -> Result<(), StorageError> {
    let mut body = entry.body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("operator".to_owned(), json!(operator::current()));
    }
    fleetmend_journal::note(path, entry.kind, entry.host.as_deref(), &body).map(|_| ())
}
