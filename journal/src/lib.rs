//! The run journal in SQLite.
//!
//! [`SqliteJournal`] appends the events of one run; an append returns once its event is safe on
//! disk. [`JournalReader`] reads any run, also while it is being written and after its process
//! was killed. Why it is built so stands in `docs/decisions/journal-sqlite.md`.

mod error;
mod kind;
mod reader;
mod schema;
mod sqlite;
mod writer;

pub use error::StorageError;
pub use reader::{JournalReader, RunSummary};
pub use schema::SCHEMA_VERSION;
pub use sqlite::SqliteJournal;
