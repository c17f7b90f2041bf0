//! Entries of commands beside runs.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::TransactionBehavior;
use serde_json::Value;

use super::chain::{append, last};
use super::entry::Draft;
use super::head::Head;
use super::head_file::keep;
use crate::{StorageError, schema};

/// Puts something on the trail that a command beside runs is about to do; returns once it is safe
/// on disk. Makes the journal if it is not there; the folder must be. `kind` is short and lasting
/// (`password-shown`); `body` must hold no secret. Blocks.
///
/// # Errors
/// See [`StorageError`]; what it announces must not happen then.
pub fn note(
    path: &Path,
    kind: &str,
    host: Option<&str>,
    body: &Value,
) -> Result<Head, StorageError> {
    let mut connection = schema::open_write(path)?;
    let wrap = |error| StorageError::of(path, error);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(wrap)?;
    let draft = Draft {
        at: Timestamp::now().as_microsecond(),
        run: None,
        seq: None,
        host,
        kind,
        body: &body.to_string(),
        events: None,
    };
    let previous = last(&transaction).map_err(wrap)?;
    let head = append(&transaction, &previous, &draft).map_err(wrap)?;
    transaction.commit().map_err(wrap)?;
    keep(path, &mut connection);
    Ok(head)
}
