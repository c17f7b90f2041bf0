//! The end of the chain in a small file beside the journal, so that a cut tail shows.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::chain::{HEAD_MISSING, RUN_FOUND, TRAIL_BEGUN, append, last};
use super::entry::Draft;
use super::head::{Head, HeadClaim};

const FORMAT: &str = "fleetmend-audit-head/1";
/// The file has some 150 bytes.
const LARGEST: u64 = 4096;

#[derive(Serialize, Deserialize)]
struct Content {
    format: String,
    head: String,
    at: Timestamp,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// There is none.
    Nothing,
    /// It cannot be read, and why.
    Odd(String),
    /// This end.
    Claim(HeadClaim),
}

/// Returns where it lies.
pub(super) fn path(journal: &Path) -> PathBuf {
    let mut name = journal.file_name().unwrap_or_default().to_owned();
    name.push(".head");
    journal.with_file_name(name)
}

/// Reads the file.
pub(super) fn read(journal: &Path) -> Kept {
    let path = path(journal);
    let length = match fs::metadata(&path) {
        Ok(about) => about.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Kept::Nothing,
        Err(error) => return Kept::Odd(error.to_string()),
    };
    if length > LARGEST {
        return Kept::Odd(format!("it has {length} bytes"));
    }
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return Kept::Odd(error.to_string()),
    };
    let content: Content = match serde_json::from_str(&text) {
        Ok(content) => content,
        Err(error) => return Kept::Odd(error.to_string()),
    };
    if content.format != FORMAT {
        return Kept::Odd("its form is not known to this fleetmend".to_owned());
    }
    match content.head.parse() {
        Ok(claim) => Kept::Claim(claim),
        Err(error) => Kept::Odd(error.to_string()),
    }
}

/// Looks for the file before anything is written to the journal: that it is gone, or cannot be
/// read, where it must be is put on the trail; then it is written anew.
///
/// # Errors
/// The entry could not be stored: what comes after it would hide that the trail may have been cut.
pub(crate) fn look(journal: &Path, connection: &mut Connection) -> Result<(), rusqlite::Error> {
    if matches!(read(journal), Kept::Claim(_)) {
        return Ok(());
    }
    note_missing(journal, connection)?;
    // In this order: a file that names an entry which was never stored would say that it was cut.
    warn(try_keep(journal, connection));
    Ok(())
}

fn note_missing(journal: &Path, connection: &mut Connection) -> Result<(), rusqlite::Error> {
    if matches!(read(journal), Kept::Claim(_)) {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again, with nobody else writing it.
    let kept = read(journal);
    let body = match &kept {
        Kept::Claim(_) => return Ok(()),
        Kept::Nothing => json!({"file": "missing"}),
        Kept::Odd(why) => json!({"file": "odd", "why": why}),
    };
    // Before anything was done, a kill between the first commit and the file leaves none, too.
    let begun = "SELECT EXISTS (SELECT 1 FROM audit WHERE kind NOT IN (?1, ?2))";
    let goes_on: bool =
        transaction.query_row(begun, params![TRAIL_BEGUN, RUN_FOUND], |row| row.get(0))?;
    if !goes_on {
        return Ok(());
    }
    // One that cannot be read stays, for whoever looks at it; it is told of once.
    if matches!(kept, Kept::Odd(_)) && last_missing(&transaction)?.as_ref() == Some(&body) {
        return Ok(());
    }
    let draft = Draft {
        at: Timestamp::now().as_microsecond(),
        run: None,
        seq: None,
        host: None,
        kind: HEAD_MISSING,
        body: &body.to_string(),
        events: None,
    };
    append(&transaction, &last(&transaction)?, &draft)?;
    transaction.commit()?;
    tracing::warn!(
        "the file that keeps the end of the audit trail is gone or cannot be read; see: fleetmend \
         audit verify"
    );
    Ok(())
}

fn last_missing(connection: &Connection) -> Result<Option<Value>, rusqlite::Error> {
    let body: Option<String> = connection
        .query_row(
            "SELECT body FROM audit WHERE kind = ?1 ORDER BY number DESC LIMIT 1",
            [HEAD_MISSING],
            |row| row.get(0),
        )
        .optional()?;
    Ok(body.and_then(|body| serde_json::from_str(&body).ok()))
}

/// Writes the chain's end into the file. One that says something that the chain does not hold is
/// left as it is: it is what shows that the chain was cut.
///
/// One that was taken away while the journal was open is told of on the trail.
///
/// A failure changes nothing for the run: the chain is stored, only its end is not noted beside.
pub(crate) fn keep(journal: &Path, connection: &mut Connection) {
    warn(note_missing(journal, connection).map_err(Into::into));
    warn(try_keep(journal, connection));
}

fn warn(kept: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = kept {
        tracing::warn!(%error, "the end of the audit trail was not noted beside the journal");
    }
}

fn try_keep(
    journal: &Path,
    connection: &mut Connection,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Immediate: of two processes that end at once, the later end is written last.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match read(journal) {
        Kept::Nothing => {}
        Kept::Odd(why) => return Err(format!("the file there cannot be read: {why}").into()),
        Kept::Claim(claim) => {
            if !holds(&transaction, &claim)? {
                return Err(format!(
                    "the file there says {claim}, which the trail does not hold; see: fleetmend \
                     audit verify"
                )
                .into());
            }
        }
    }
    write(journal, &last(&transaction)?)?;
    transaction.rollback()?;
    Ok(())
}

fn holds(connection: &Connection, claim: &HeadClaim) -> Result<bool, rusqlite::Error> {
    let number = i64::try_from(claim.number()).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached("SELECT hash FROM audit WHERE number = ?1")?;
    let mut rows = statement.query(params![number])?;
    let Some(row) = rows.next()? else {
        return Ok(false);
    };
    let head = Head {
        number: claim.number(),
        hash: row.get(0)?,
    };
    Ok(claim.fits(&head))
}

/// All or nothing: a new file takes the place of the old one.
fn write(journal: &Path, head: &Head) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let path = path(journal);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let content = Content {
        format: FORMAT.to_owned(),
        head: head.to_string(),
        at: Timestamp::now(),
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all((serde_json::to_string(&content)? + "\n").as_bytes())?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, &path)?;
    #[cfg(unix)]
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}
