//! Reading the trail.

use fleetmend_model::{HostName, RunId};
use jiff::Timestamp;
use rusqlite::Row;
use serde_json::Value;

use super::chain::last;
use super::entry::AuditEntry;
use super::head::Head;
use crate::{JournalReader, StorageError};

impl JournalReader {
    /// Tells whether the journal has an audit trail: since schema 3.
    #[must_use]
    pub fn has_trail(&self) -> bool {
        self.schema >= 3
    }

    /// Returns the end of the trail.
    ///
    /// # Errors
    /// [`StorageError::NoTrail`], and see there.
    pub fn head(&self) -> Result<Head, StorageError> {
        self.must_have_trail()?;
        last(&self.connection).map_err(|error| self.wrap(error))
    }

    /// Gives every entry since some time, in order. Nothing is verified.
    ///
    /// # Errors
    /// [`StorageError::NoTrail`], and see there.
    pub fn for_each_entry(
        &self,
        run: Option<RunId>,
        since: Option<Timestamp>,
        mut take: impl FnMut(AuditEntry),
    ) -> Result<(), StorageError> {
        self.must_have_trail()?;
        let query = "SELECT number, at, run, seq, host, kind, body, hash FROM audit \
                     WHERE at >= ?1 AND (?2 IS NULL OR run = ?2) ORDER BY number";
        let mut statement = self.connection.prepare(query).map_err(|e| self.wrap(e))?;
        let since = since.map_or(i64::MIN, Timestamp::as_microsecond);
        let run = run.map(|run| run.to_string());
        let mut rows = statement
            .query(rusqlite::params![since, run])
            .map_err(|e| self.wrap(e))?;
        while let Some(row) = rows.next().map_err(|e| self.wrap(e))? {
            take(self.entry(row)?);
        }
        Ok(())
    }

    fn entry(&self, row: &Row<'_>) -> Result<AuditEntry, StorageError> {
        let number: i64 = self.column(row, 0)?;
        let odd = |what: &str| self.corrupt(format!("{what} of audit entry {number} is none"));
        let place = u64::try_from(number).map_err(|_| odd("the number"))?;
        let run: Option<String> = self.column(row, 2)?;
        let run = run
            .map(|run| run.parse().map(RunId))
            .transpose()
            .map_err(|_| odd("the run"))?;
        let seq: Option<i64> = self.column(row, 3)?;
        let host: Option<String> = self.column(row, 4)?;
        let body: String = self.column(row, 6)?;
        let what: Value = serde_json::from_str(&body).map_err(|_| odd("the body"))?;
        Ok(AuditEntry {
            number: place,
            at: self.time(self.column(row, 1)?)?,
            run,
            seq: seq.and_then(|seq| u64::try_from(seq).ok()),
            host: host.map(HostName),
            kind: self.column(row, 5)?,
            what,
            head: Head {
                number: place,
                hash: self.column(row, 7)?,
            },
        })
    }

    pub(crate) fn must_have_trail(&self) -> Result<(), StorageError> {
        if self.has_trail() {
            return Ok(());
        }
        Err(StorageError::NoTrail {
            path: self.path.clone(),
            schema: self.schema,
        })
    }
}
