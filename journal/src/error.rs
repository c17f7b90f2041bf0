//! What storage can do to us.

use std::path::{Path, PathBuf};

use fleetmend_model::RunId;
use rusqlite::ErrorCode;

/// The journal file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The file or its folder is not there, or we may not open it.
    #[error("failed to open the journal {path}")]
    Open {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file or its folder may only be read.
    #[error("failed to write the journal {path}: it is read-only")]
    ReadOnly {
        /// Where.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("failed to write the journal {path}: the disk is full")]
    Full {
        /// Where.
        path: PathBuf,
    },
    /// Another process held the file for too long.
    #[error("failed to write the journal {path}: another process holds it")]
    Busy {
        /// Where.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("failed to read the journal {path}: it is damaged ({detail})")]
    Corrupt {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The file is something else.
    #[error("failed to read the journal {path}: it is no journal of fleetmend")]
    NotAJournal {
        /// Where.
        path: PathBuf,
    },
    /// There is nothing in it: who made it was cut before the first run stood in it.
    #[error("failed to read the journal {path}: it is empty, no run was begun with it")]
    Empty {
        /// Where.
        path: PathBuf,
    },
    /// A newer fleetmend wrote it.
    #[error(
        "failed to read the journal {path}: its schema {found} is newer than {known}, which this \
         fleetmend knows"
    )]
    NewerSchema {
        /// Where.
        path: PathBuf,
        /// The file's schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The journal has no such run.
    #[error("failed to find the run {run} in the journal {path}")]
    NoSuchRun {
        /// Where.
        path: PathBuf,
        /// Which.
        run: RunId,
    },
    /// Another process works on the run.
    #[error("failed to go on with the run {run}: {} works on it", .by.as_deref().unwrap_or("another process"))]
    Held {
        /// Which.
        run: RunId,
        /// Who, where it can be told: `process 4711 since …`.
        by: Option<String>,
    },
    /// Nothing was written to it since there are audit trails.
    #[error(
        "failed to find an audit trail in the journal {path}: its schema {schema} has none yet; it \
         begins with the next run"
    )]
    NoTrail {
        /// Where.
        path: PathBuf,
        /// The file's schema.
        schema: i64,
    },
    /// SQLite said something else.
    #[error("failed to use the journal {path}")]
    Sqlite {
        /// Where.
        path: PathBuf,
        /// What it said.
        #[source]
        source: rusqlite::Error,
    },
}

impl StorageError {
    /// Sorts an error of SQLite into its class.
    pub(crate) fn of(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Self::Open {
                path,
                source: Box::new(error),
            },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt {
                path,
                detail: error.to_string(),
            },
            Some(ErrorCode::NotADatabase) => Self::NotAJournal { path },
            _ => Self::Sqlite {
                path,
                source: error,
            },
        }
    }

    /// Returns the error with everything that lies beneath it, in one line.
    pub(crate) fn story(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    }
}
