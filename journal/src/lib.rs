//! The run journal in SQLite.
//!
//! [`SqliteJournal`] appends the events of one run; an append returns once its event is safe on
//! disk. [`JournalReader`] reads any run, also while it is being written and after its process
//! was killed; [`SqliteJournal::resume`] goes on with it. Why it is built so stands in
//! `docs/decisions/journal-sqlite.md` and `docs/decisions/resume.md`; of its audit trail
//! ([`JournalReader::verify`], [`note`]) in `docs/decisions/audit-trail.md`.

mod audit;
mod budget;
mod ends;
mod error;
mod kind;
mod lease;
mod reader;
mod schema;
mod sqlite;
mod sum;
mod writer;

pub use audit::{AuditEntry, Fault, Head, HeadClaim, HeadParseError, HeadSource, Verdict, note};
pub use budget::SqliteBudget;
pub use ends::End;
pub use error::StorageError;
pub use reader::{JournalReader, RunSummary};
pub use schema::SCHEMA_VERSION;
pub use sqlite::{Beginning, SqliteJournal};
