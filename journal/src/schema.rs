//! Tables, and how a file is known to be ours.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{StorageError, audit, budget};

/// The schema that this fleetmend writes. A file with a higher number is refused.
pub const SCHEMA_VERSION: i64 = 3;

/// `FLMD`: marks the file as ours (SQLite's `application_id`).
const APPLICATION_ID: i64 = 0x464C_4D44;

/// How long another process may hold the file: runs side by side share it, and a commit takes
/// milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// `at` is microseconds since 1970 in UTC; `body` is the event in JSON; `plan` is what the run was
/// begun with, in the words of whoever began it; a `sum` is of [`crate::sum`].
const TABLES: &str = "
    CREATE TABLE runs (
        id         INTEGER PRIMARY KEY,
        run        TEXT NOT NULL UNIQUE,
        started_at INTEGER NOT NULL,
        mode       TEXT,
        subject    TEXT,
        hosts      INTEGER NOT NULL DEFAULT 0,
        ended_at   INTEGER,
        exit_code  INTEGER,
        plan       TEXT,
        plan_sum   INTEGER
    ) STRICT;
    CREATE TABLE events (
        run_id INTEGER NOT NULL REFERENCES runs (id),
        seq    INTEGER NOT NULL,
        at     INTEGER NOT NULL,
        host   TEXT,
        kind   TEXT NOT NULL,
        body   TEXT NOT NULL,
        sum    INTEGER,
        PRIMARY KEY (run_id, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX events_by_host ON events (run_id, host, seq) WHERE host IS NOT NULL;
    CREATE INDEX events_by_kind ON events (run_id, kind);
";

/// Tables that came with schema 3, for new files and old ones alike.
const SINCE_3: [&str; 2] = [audit::TABLES, budget::TABLES];

/// From schema 1, whose runs have neither plan nor sums.
const FROM_1: &str = "
    ALTER TABLE runs ADD COLUMN plan TEXT;
    ALTER TABLE runs ADD COLUMN plan_sum INTEGER;
    ALTER TABLE events ADD COLUMN sum INTEGER;
";

/// Opens a file for writing; makes it if it is not there.
pub(crate) fn open_write(path: &Path) -> Result<Connection, StorageError> {
    create_private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| StorageError::of(path, error))?;
    connection
        .busy_timeout(BUSY)
        .map_err(|error| StorageError::of(path, error))?;
    refuse_foreign(path, &connection)?;
    configure(path, &connection)?;
    make_tables(path, &mut connection)?;
    audit::look(path, &mut connection).map_err(|error| StorageError::of(path, error))?;
    Ok(connection)
}

/// Opens a file for reading only.
pub(crate) fn open_read(path: &Path) -> Result<Connection, StorageError> {
    match read_only(path) {
        // Who wrote it was killed amid a change of its tables. SQLite takes such a half change back
        // before anything is read, and that is a write.
        Err(StorageError::ReadOnly { .. }) => {
            take_back(path)?;
            read_only(path)
        }
        opened => opened,
    }
}

fn take_back(path: &Path) -> Result<(), StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| StorageError::of(path, error))?;
    connection
        .busy_timeout(BUSY)
        .map_err(|error| StorageError::of(path, error))?;
    version(path, &connection).map(|_| ())
}

fn read_only(path: &Path) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| StorageError::of(path, error))?;
    connection
        .busy_timeout(BUSY)
        .map_err(|error| StorageError::of(path, error))?;
    refuse_foreign(path, &connection)?;
    if version(path, &connection)? == 0 {
        return Err(StorageError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(connection)
}

/// Makes the file readable by its owner only, before SQLite gives its companions (`-wal`,
/// `-shm`) the same rights: what commands by hand print stands in it.
fn create_private(path: &Path) -> Result<(), StorageError> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let opened = options.open(path);
    #[cfg(unix)]
    let opened = opened.and_then(|file| {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o077 == 0 {
            return Ok(file);
        }
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        Ok(file)
    });
    match opened {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {
            Err(StorageError::ReadOnly {
                path: path.to_owned(),
            })
        }
        Err(error) => Err(StorageError::Open {
            path: path.to_owned(),
            source: Box::new(error),
        }),
    }
}

/// Refuses files that are not ours before anything is written to them. An empty file is taken.
fn refuse_foreign(path: &Path, connection: &Connection) -> Result<(), StorageError> {
    let tables = number(path, connection, "SELECT count(*) FROM sqlite_schema")?;
    let application = number(path, connection, "PRAGMA application_id")?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(StorageError::NotAJournal {
            path: path.to_owned(),
        });
    }
    let found = version(path, connection)?;
    if found > SCHEMA_VERSION {
        let path = path.to_owned();
        return Err(StorageError::NewerSchema {
            path,
            found,
            known: SCHEMA_VERSION,
        });
    }
    Ok(())
}

/// Write-ahead log, and every commit flushed to the disk itself: an intent that is said to be
/// stored must survive a power cut.
fn configure(path: &Path, connection: &Connection) -> Result<(), StorageError> {
    let wrap = |error| StorageError::of(path, error);
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(wrap)?;
    if !mode.eq_ignore_ascii_case("wal") {
        // A share without locking, for example: WAL would not be safe there.
        let source = format!("the file system cannot keep a write-ahead log (mode {mode})").into();
        return Err(StorageError::Open {
            path: path.to_owned(),
            source,
        });
    }
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON;
             PRAGMA foreign_keys = ON;",
        )
        .map_err(wrap)
}

fn make_tables(path: &Path, connection: &mut Connection) -> Result<(), StorageError> {
    let wrap = |error| StorageError::of(path, error);
    // Immediate: two processes that begin at once must not both make the tables.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(wrap)?;
    let found = version(path, &transaction)?;
    if found < SCHEMA_VERSION {
        change(&transaction, found).map_err(wrap)?;
    }
    transaction.commit().map_err(wrap)
}

fn change(connection: &Connection, found: i64) -> Result<(), rusqlite::Error> {
    match found {
        0 => connection.execute_batch(TABLES)?,
        1 => connection.execute_batch(FROM_1)?,
        _ => {}
    }
    for tables in SINCE_3 {
        connection.execute_batch(tables)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    audit::begin(connection, found)
}

/// Returns the schema of a file.
pub(crate) fn version(path: &Path, connection: &Connection) -> Result<i64, StorageError> {
    number(path, connection, "PRAGMA user_version")
}

fn number(path: &Path, connection: &Connection, query: &str) -> Result<i64, StorageError> {
    connection
        .query_row(query, [], |row| row.get(0))
        .map_err(|error| StorageError::of(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when its writer is killed while the tables are made: the change is half written, and
    /// what it was is in a file beside.
    #[test]
    fn a_change_that_was_cut_is_taken_back_before_anything_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.sqlite");
        drop(open_write(&whole).unwrap());
        let writer = Connection::open(&whole).unwrap();
        let mode: String = writer
            .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "delete");
        writer
            .execute_batch(
                "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN;
                 CREATE TABLE half (text TEXT);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                 INSERT INTO half SELECT hex(randomblob(500)) FROM n;",
            )
            .unwrap();
        let cut = folder.path().join("cut.sqlite");
        std::fs::copy(&whole, &cut).unwrap();
        let beside = |path: &Path| std::path::PathBuf::from(format!("{}-journal", path.display()));
        std::fs::copy(beside(&whole), beside(&cut)).unwrap();
        assert!(matches!(
            read_only(&cut),
            Err(StorageError::ReadOnly { .. })
        ));

        let reader = open_read(&cut).unwrap();
        let half = "SELECT count(*) FROM sqlite_schema WHERE name = 'half'";
        assert_eq!(number(&cut, &reader, half).unwrap(), 0);
    }
}
