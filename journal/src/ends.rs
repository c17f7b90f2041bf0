//! How PCs ended in earlier runs, without the PCs.

use fleetmend_model::{Outcome, RunId};
use jiff::Timestamp;
use rusqlite::params;

use crate::{JournalReader, StorageError};

/// A way in which PCs ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How.
    pub outcome: Outcome,
    /// Whether a rung had run on them that no verify proved.
    pub tried: bool,
}

/// Each once. A run that a new kind of failure stopped tells nothing: nobody has agreed to what
/// came to light in it.
const ENDS: &str = "
    SELECT DISTINCT
        json_extract(events.body, '$.what.result.outcome'),
        EXISTS (
            SELECT 1 FROM events AS rungs
            WHERE rungs.run_id = events.run_id AND rungs.host = events.host
                AND rungs.kind = 'rung-ended' AND json_extract(rungs.body, '$.what.verified') = 0
        )
    FROM runs JOIN events ON events.run_id = runs.id
    WHERE events.kind = 'finished' AND events.at >= ?1 AND runs.subject = ?2 AND runs.run <> ?3
        AND NOT EXISTS (
            SELECT 1 FROM events AS stops
            WHERE stops.run_id = runs.id AND stops.kind = 'errors-spent'
                AND json_extract(stops.body, '$.new') IS NOT NULL
        )";

impl JournalReader {
    /// Returns the ways in which PCs ended since some time in runs of this subject, as it is
    /// written in [`RunSummary::subject`](crate::RunSummary::subject), but for one run and those
    /// that a new kind of failure stopped.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn ends(
        &self,
        subject: &str,
        since: Timestamp,
        but: Option<RunId>,
    ) -> Result<Vec<End>, StorageError> {
        let mut statement = self.connection.prepare(ENDS).map_err(|e| self.wrap(e))?;
        let but = but.map_or_else(String::new, |run| run.to_string());
        let given = params![since.as_microsecond(), subject, but];
        let mut rows = statement.query(given).map_err(|e| self.wrap(e))?;
        let mut ends = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.wrap(e))? {
            let outcome: Option<String> = self.column(row, 0)?;
            // One that a later fleetmend wrote says nothing to this one.
            let outcome = outcome.and_then(|text| serde_json::from_str(&text).ok());
            let tried = self.column(row, 1)?;
            ends.extend(outcome.map(|outcome| End { outcome, tried }));
        }
        Ok(ends)
    }
}
