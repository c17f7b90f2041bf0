//! Reading runs back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleetmend_model::{Event, HostEvent, HostName, Outcome, Record, RunId, RunMode};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::lease::Lease;
use crate::{StorageError, schema, sum};

/// A run, in short.
#[derive(Clone, Debug, PartialEq)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// When its first event was stored.
    pub started_at: Timestamp,
    /// Repair, check or exec; `None` if the run never began.
    pub mode: Option<RunMode>,
    /// The playbook's name, or the command.
    pub subject: String,
    /// How many PCs it has.
    pub hosts: u64,
    /// When it ended; `None`: it runs, or its process was killed.
    pub ended_at: Option<Timestamp>,
    /// Its exit code.
    pub exit_code: Option<i32>,
}

/// Reads a journal, also while another process writes it.
#[derive(Debug)]
pub struct JournalReader {
    pub(crate) path: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) schema: i64,
    /// Whether runs have plans and events sums: since schema 2.
    summed: bool,
}

impl JournalReader {
    /// Opens a journal for reading only. All methods block; call them off the async threads.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let connection = schema::open_read(path)?;
        let schema = schema::version(path, &connection)?;
        Ok(Self {
            schema,
            summed: schema >= 2,
            path: path.to_owned(),
            connection,
        })
    }

    /// Returns every run, the newest first.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn runs(&self) -> Result<Vec<RunSummary>, StorageError> {
        self.summaries(
            "SELECT run, started_at, mode, subject, hosts, ended_at, exit_code \
                        FROM runs ORDER BY id DESC",
        )
    }

    /// Returns the run that began last, if there is any.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn latest_run(&self) -> Result<Option<RunSummary>, StorageError> {
        let runs = self.summaries(
            "SELECT run, started_at, mode, subject, hosts, ended_at, exit_code \
             FROM runs ORDER BY id DESC LIMIT 1",
        )?;
        Ok(runs.into_iter().next())
    }

    /// Returns all records of a run, in order.
    ///
    /// # Errors
    /// [`StorageError::NoSuchRun`], and see there.
    pub fn records(&self, run: RunId) -> Result<Vec<Record>, StorageError> {
        let mut records = Vec::new();
        self.for_each(run, |record| records.push(record))?;
        Ok(records)
    }

    /// Gives every record of a run, in order, without holding them all.
    ///
    /// # Errors
    /// [`StorageError::NoSuchRun`], and see there.
    pub fn for_each(&self, run: RunId, mut take: impl FnMut(Record)) -> Result<(), StorageError> {
        let run_id = self.must_have(run)?;
        let query = self.events("run_id = ?1");
        let mut statement = self.connection.prepare(&query).map_err(|e| self.wrap(e))?;
        let mut rows = statement.query(params![run_id]).map_err(|e| self.wrap(e))?;
        while let Some(row) = rows.next().map_err(|e| self.wrap(e))? {
            take(self.record(run, row)?);
        }
        Ok(())
    }

    /// Returns the records of one PC in a run, in order.
    ///
    /// # Errors
    /// [`StorageError::NoSuchRun`], and see there.
    pub fn host_records(&self, run: RunId, host: &HostName) -> Result<Vec<Record>, StorageError> {
        let run_id = self.must_have(run)?;
        let query = self.events("run_id = ?1 AND host = ?2");
        let mut statement = self.connection.prepare(&query).map_err(|e| self.wrap(e))?;
        let mut rows = statement
            .query(params![run_id, host.0])
            .map_err(|e| self.wrap(e))?;
        let mut records = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.wrap(e))? {
            records.push(self.record(run, row)?);
        }
        Ok(records)
    }

    /// Returns what the run was begun with, if that was kept.
    ///
    /// # Errors
    /// [`StorageError::NoSuchRun`], and see there.
    pub fn plan(&self, run: RunId) -> Result<Option<String>, StorageError> {
        let id = self.must_have(run)?;
        if !self.summed {
            return Ok(None);
        }
        let query = "SELECT plan, plan_sum FROM runs WHERE id = ?1";
        let both = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (plan, sum): (Option<String>, Option<i64>) = self
            .connection
            .query_row(query, params![id], both)
            .map_err(|e| self.wrap(e))?;
        match &plan {
            Some(text) if sum != Some(sum::of_plan(run, text)) => {
                Err(self.corrupt(format!("the plan of the run {run} is not what was stored")))
            }
            _ => Ok(plan),
        }
    }

    /// Returns when PCs were repaired, since some time, by runs of these playbooks: as each is
    /// written in [`RunSummary::subject`].
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn repairs(
        &self,
        subjects: &[&str],
        since: Timestamp,
    ) -> Result<BTreeMap<HostName, Vec<Timestamp>>, StorageError> {
        let query = "SELECT events.at, events.body, runs.subject FROM runs \
                     JOIN events ON events.run_id = runs.id \
                     WHERE events.kind = 'finished' AND events.at >= ?1 ORDER BY events.at";
        let mut statement = self.connection.prepare(query).map_err(|e| self.wrap(e))?;
        let since = params![since.as_microsecond()];
        let mut rows = statement.query(since).map_err(|e| self.wrap(e))?;
        let mut repairs: BTreeMap<HostName, Vec<Timestamp>> = BTreeMap::new();
        while let Some(row) = rows.next().map_err(|e| self.wrap(e))? {
            let subject: Option<String> = self.column(row, 2)?;
            if !subjects.contains(&subject.unwrap_or_default().as_str()) {
                continue;
            }
            let body: String = self.column(row, 1)?;
            let Ok(Event::Host { host, what }) = serde_json::from_str(&body) else {
                continue;
            };
            if let HostEvent::Finished { result } = what
                && let Outcome::Repaired { .. } = result.outcome
            {
                let at = self.time(self.column(row, 0)?)?;
                repairs.entry(host).or_default().push(at);
            }
        }
        Ok(repairs)
    }

    /// Tells whether a process works on the run now.
    pub fn is_held(&self, run: RunId) -> bool {
        Lease::is_held(&self.path, run)
    }

    /// Reads the whole file and tells whether it is sound. Takes a while on a big one.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] with the first thing found.
    pub fn check(&self) -> Result<(), StorageError> {
        let verdict: String = self
            .connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|e| self.wrap(e))?;
        if verdict == "ok" {
            Ok(())
        } else {
            Err(self.corrupt(verdict))
        }
    }

    fn summaries(&self, query: &str) -> Result<Vec<RunSummary>, StorageError> {
        let mut statement = self.connection.prepare(query).map_err(|e| self.wrap(e))?;
        let mut rows = statement.query([]).map_err(|e| self.wrap(e))?;
        let mut runs = Vec::new();
        while let Some(row) = rows.next().map_err(|e| self.wrap(e))? {
            runs.push(self.summary(row)?);
        }
        Ok(runs)
    }

    fn summary(&self, row: &Row<'_>) -> Result<RunSummary, StorageError> {
        let run: String = self.column(row, 0)?;
        let run = run
            .parse()
            .map_err(|_| self.corrupt(format!("the run id {run} is none")))?;
        let mode: Option<String> = self.column(row, 2)?;
        let mode = mode
            .map(|mode| serde_json::from_value(mode.into()))
            .transpose()
            .map_err(|error| self.corrupt(error.to_string()))?;
        let subject: Option<String> = self.column(row, 3)?;
        let hosts: i64 = self.column(row, 4)?;
        let ended_at: Option<i64> = self.column(row, 5)?;
        Ok(RunSummary {
            run: RunId(run),
            started_at: self.time(self.column(row, 1)?)?,
            mode,
            subject: subject.unwrap_or_default(),
            hosts: u64::try_from(hosts).unwrap_or_default(),
            ended_at: ended_at.map(|at| self.time(at)).transpose()?,
            exit_code: self.column(row, 6)?,
        })
    }

    fn record(&self, run: RunId, row: &Row<'_>) -> Result<Record, StorageError> {
        let seq: i64 = self.column(row, 0)?;
        let at: i64 = self.column(row, 1)?;
        let body: String = self.column(row, 2)?;
        let sum: Option<i64> = self.column(row, 3)?;
        let place = u64::try_from(seq).map_err(|_| self.corrupt(format!("event number {seq}")))?;
        if sum.is_some_and(|sum| sum != sum::of_event(run, place, at, &body)) {
            return Err(self.corrupt(format!("event {seq} is not what was stored")));
        }
        let event = serde_json::from_str(&body)
            .map_err(|error| self.corrupt(format!("event {seq} is not readable: {error}")))?;
        Ok(Record {
            run,
            seq: place,
            at: self.time(at)?,
            event,
        })
    }

    fn events(&self, of: &str) -> String {
        let sum = if self.summed { "sum" } else { "NULL" };
        format!("SELECT seq, at, body, {sum} FROM events WHERE {of} ORDER BY seq")
    }

    /// Returns the number by which the file knows the run.
    pub(crate) fn must_have(&self, run: RunId) -> Result<i64, StorageError> {
        self.connection
            .query_row(
                "SELECT id FROM runs WHERE run = ?1",
                params![run.to_string()],
                |row| row.get(0),
            )
            .optional()
            .map_err(|e| self.wrap(e))?
            .ok_or_else(|| StorageError::NoSuchRun {
                path: self.path.clone(),
                run,
            })
    }

    pub(crate) fn column<T: rusqlite::types::FromSql>(
        &self,
        row: &Row<'_>,
        index: usize,
    ) -> Result<T, StorageError> {
        row.get(index).map_err(|error| self.wrap(error))
    }

    pub(crate) fn time(&self, at: i64) -> Result<Timestamp, StorageError> {
        Timestamp::from_microsecond(at).map_err(|error| self.corrupt(error.to_string()))
    }

    pub(crate) fn wrap(&self, error: rusqlite::Error) -> StorageError {
        StorageError::of(&self.path, error)
    }

    pub(crate) fn corrupt(&self, detail: String) -> StorageError {
        StorageError::Corrupt {
            path: self.path.clone(),
            detail,
        }
    }
}
