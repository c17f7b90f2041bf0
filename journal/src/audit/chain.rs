//! The chain in its table.

use fleetmend_model::RunId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::entry::Draft;
use super::head::Head;
use super::trail::{Trail, fold};

/// Stores an entry behind the last, and returns the new end. Call it in a transaction that nobody
/// else can write beside (`Immediate`).
pub(crate) fn append(
    connection: &Connection,
    previous: &Head,
    draft: &Draft<'_>,
) -> Result<Head, rusqlite::Error> {
    let head = draft.after(previous);
    let number = i64::try_from(head.number)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached(
            "INSERT INTO audit (number, at, run, seq, host, kind, body, events, hash) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            number,
            draft.at,
            draft.run,
            draft.seq,
            draft.host,
            draft.kind,
            draft.body,
            draft.events,
            head.hash
        ])?;
    Ok(head)
}

/// Returns the end of the chain.
pub(crate) fn last(connection: &Connection) -> Result<Head, rusqlite::Error> {
    let head = connection
        .prepare_cached("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| {
            let number: i64 = row.get(0)?;
            Ok(Head {
                number: u64::try_from(number).unwrap_or_default(),
                hash: row.get(1)?,
            })
        })
        .optional()?;
    Ok(head.unwrap_or(Head::NONE))
}

/// Begins the chain of a journal that had none: its first entry says so, and one for each run that
/// is there already says what its events are at this time. Who ran them is not known.
pub(crate) fn begin(connection: &Connection, schema_before: i64) -> Result<(), rusqlite::Error> {
    let mut statement = connection.prepare("SELECT id, run FROM runs ORDER BY id")?;
    let runs: Vec<(i64, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let at = Timestamp::now().as_microsecond();
    let body = json!({
        "journal": uuid::Uuid::new_v4(),
        "version": env!("CARGO_PKG_VERSION"),
        "schema_before": schema_before,
        "runs_before": runs.len(),
    });
    let first = Draft {
        at,
        run: None,
        seq: None,
        host: None,
        kind: TRAIL_BEGUN,
        body: &body.to_string(),
        events: None,
    };
    let mut head = append(connection, &Head::NONE, &first)?;
    for (id, run) in runs {
        // An id that is none cannot be gone on with; what is stored under it counts all the same.
        let run_id = RunId(run.parse().unwrap_or_default());
        let mut trail = Trail::new(run_id);
        let seq = fold(connection, id, &mut trail)?;
        let body = json!({"events": seq}).to_string();
        let found = Draft {
            run: Some(&run),
            seq: Some(seq),
            kind: RUN_FOUND,
            body: &body,
            events: Some(&trail.events()),
            ..first
        };
        head = append(connection, &head, &found)?;
    }
    Ok(())
}

/// The first entry of a chain.
pub(super) const TRAIL_BEGUN: &str = "trail-begun";
/// A run that was there before the chain.
pub(super) const RUN_FOUND: &str = "run-found";
/// The file beside the journal that keeps the end was gone, or could not be read, though the chain
/// had gone on since its beginning: its tail may have been cut.
pub(super) const HEAD_MISSING: &str = "head-missing";
