//! The audit trail: who ran what, when, from where, against whom, with which credential.
//!
//! One chain over the whole journal file, all runs and processes: each entry's hash covers the
//! entry and the hash before it, and is stored in the transaction of the event that it tells of.
//! What that proves, and what it does not, stands in `docs/decisions/audit-trail.md`.

mod chain;
mod entry;
mod fault;
mod head;
mod head_file;
mod list;
mod note;
mod run_check;
mod scribe;
mod trail;
mod verify;

pub(crate) use chain::begin;
pub use entry::AuditEntry;
pub use fault::{Fault, HeadSource};
pub use head::{Head, HeadClaim, HeadParseError};
pub(crate) use head_file::{keep, look};
pub use note::note;
pub(crate) use scribe::{Known, Scribe};
pub(crate) use trail::{Row, Trail};
pub use verify::Verdict;

/// The trail's table. `events` is a hash over all rows of the run's events up to the entry's own;
/// `run` is text and no key, so that an entry outlives its run; an entry without a run is of a
/// command beside runs.
pub(crate) const TABLES: &str = "
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY,
        at     INTEGER NOT NULL,
        run    TEXT,
        seq    INTEGER,
        host   TEXT,
        kind   TEXT NOT NULL,
        body   TEXT NOT NULL,
        events BLOB,
        hash   BLOB NOT NULL
    ) STRICT;
    CREATE INDEX audit_by_run ON audit (run) WHERE run IS NOT NULL;
";
