//! The thread that owns the connection and commits what came together at once.

use std::path::PathBuf;

use fleetmend_model::{Event, Record, RunId};
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot, watch};

use crate::audit::{self, Head, Known, Row, Scribe, Trail};
use crate::kind::kind;
use crate::lease::Lease;
use crate::{StorageError, sum};

/// How many events one transaction takes at most: it bounds how long the first one waits.
const BATCH: usize = 512;

/// What the thread is asked.
pub(crate) enum Request {
    /// Store this and answer.
    Append(Box<Event>, oneshot::Sender<Result<Record, String>>),
    /// End, and answer when the file is closed.
    Close(oneshot::Sender<()>),
}

/// Owns the connection.
pub(crate) struct Writer {
    path: PathBuf,
    connection: Connection,
    run: RunId,
    run_id: Option<i64>,
    seq: u64,
    at: Timestamp,
    lease: Lease,
    /// Stored with the first event.
    pub(crate) known: Known,
    /// What the events so far put on the audit trail; read from them when a run is gone on with.
    trail: Option<Trail>,
    /// The end of the audit trail, as of our own last entry.
    head: watch::Sender<Option<Head>>,
    ended: bool,
}

/// What a transaction leaves behind once it is committed.
struct Stored {
    run_id: i64,
    trail: Trail,
    head: Option<Head>,
}

struct Pending {
    record: Record,
    reply: oneshot::Sender<Result<Record, String>>,
}

impl Writer {
    pub(crate) fn new(path: PathBuf, connection: Connection, run: RunId, lease: Lease) -> Self {
        Self {
            path,
            connection,
            run,
            run_id: None,
            seq: 0,
            at: Timestamp::UNIX_EPOCH,
            lease,
            known: Known::default(),
            trail: None,
            head: watch::Sender::new(None),
            ended: false,
        }
    }

    /// Returns where the end of the audit trail can be seen, as of the last entry of this writer.
    pub(crate) fn head(&self) -> watch::Receiver<Option<Head>> {
        self.head.subscribe()
    }

    /// Returns the writer that goes on after the last event of a run, which perhaps `ended` before.
    pub(crate) fn after(self, run_id: i64, (seq, at): (u64, Timestamp), ended: bool) -> Self {
        Self {
            run_id: Some(run_id),
            seq,
            at,
            ended,
            ..self
        }
    }

    /// Serves until told to close or everyone has left.
    pub(crate) fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut close = None;
        while close.is_none() {
            let Some(request) = requests.blocking_recv() else {
                break;
            };
            let mut batch = Vec::new();
            let mut next = Some(request);
            while let Some(request) = next {
                match request {
                    Request::Append(event, reply) => {
                        let record = self.number(*event, batch.len());
                        batch.push(Pending { record, reply });
                    }
                    Request::Close(reply) => close = Some(reply),
                }
                next = if batch.len() < BATCH && close.is_none() {
                    requests.try_recv().ok()
                } else {
                    None
                };
            }
            self.commit(batch);
        }
        if self.head.borrow().is_some() {
            audit::keep(&self.path, &mut self.connection);
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the journal did not close in order");
        }
        // Of a run that never began nothing is left to go on with, either.
        if self.ended || self.run_id.is_none() {
            self.lease.end();
        } else {
            drop(self.lease);
        }
        if let Some(reply) = close {
            // Who asked may have left meanwhile.
            let _ = reply.send(());
        }
    }

    /// Gives an event its place and time. Time never runs backwards within a run, whatever the
    /// controller's clock does.
    fn number(&mut self, event: Event, ahead: usize) -> Record {
        let now = Timestamp::now();
        let whole = Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now);
        self.at = self.at.max(whole);
        let ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
        let seq = self.seq.saturating_add(ahead).saturating_add(1);
        Record {
            run: self.run,
            seq,
            at: self.at,
            event,
        }
    }

    /// Stores all or nothing; numbers of events that were not stored are given again.
    fn commit(&mut self, batch: Vec<Pending>) {
        if batch.is_empty() {
            return;
        }
        match self.store(&batch) {
            Ok(stored) => {
                self.run_id = Some(stored.run_id);
                self.trail = Some(stored.trail);
                if stored.head.is_some() {
                    self.head.send_replace(stored.head);
                }
                self.seq = batch.last().map_or(self.seq, |pending| pending.record.seq);
                let mut keep = false;
                for Pending { record, reply } in batch {
                    self.ended |= matches!(record.event, Event::RunEnded { .. });
                    keep |= matches!(
                        record.event,
                        Event::RunStarted { .. } | Event::Resumed { .. } | Event::RunEnded { .. }
                    );
                    // Who asked may have left meanwhile; the event is stored all the same.
                    let _ = reply.send(Ok(record));
                }
                if keep {
                    audit::keep(&self.path, &mut self.connection);
                }
            }
            Err(error) => {
                let story = StorageError::of(&self.path, error).story();
                tracing::error!(error = %story, events = batch.len(), "events were not stored");
                for pending in batch {
                    let _ = pending.reply.send(Err(story.clone()));
                }
            }
        }
    }

    fn store(&mut self, batch: &[Pending]) -> Result<Stored, rusqlite::Error> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let run_id = match self.run_id {
            Some(run_id) => run_id,
            None => {
                let at = batch
                    .first()
                    .map_or(0, |pending| pending.record.at.as_microsecond());
                let plan = self.known.plan.as_deref();
                let sum = plan.map(|plan| sum::of_plan(self.run, plan));
                transaction.execute(
                    "INSERT INTO runs (run, started_at, plan, plan_sum) VALUES (?1, ?2, ?3, ?4)",
                    params![self.run.to_string(), at, plan, sum],
                )?;
                transaction.last_insert_rowid()
            }
        };
        let begun = (self.run, run_id);
        let mut scribe = Scribe::new(&transaction, begun, self.trail.as_ref(), &self.known)?;
        for Pending { record, .. } in batch {
            insert(&transaction, run_id, record, &mut scribe)?;
        }
        let (head, trail) = scribe.done();
        transaction.commit()?;
        Ok(Stored {
            run_id,
            trail,
            head,
        })
    }
}

fn insert(
    connection: &Connection,
    run_id: i64,
    record: &Record,
    scribe: &mut Scribe<'_>,
) -> Result<(), rusqlite::Error> {
    let to_sql = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let body = serde_json::to_string(&record.event).map_err(to_sql)?;
    let host = match &record.event {
        Event::Host { host, .. } => Some(host.0.as_str()),
        _ => None,
    };
    let at = record.at.as_microsecond();
    let seq = i64::try_from(record.seq)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let digest = sum::digest_of_event(record.run, record.seq, at, &body);
    let row = Row {
        seq,
        at,
        host,
        kind: kind(&record.event),
        digest,
        sum: Some(sum::short(&digest)),
    };
    connection
        .prepare_cached(
            "INSERT INTO events (run_id, seq, at, host, kind, body, sum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            run_id, row.seq, row.at, row.host, row.kind, body, row.sum
        ])?;
    scribe.take(&row, &record.event)?;
    match &record.event {
        Event::RunStarted {
            mode,
            subject,
            hosts,
            ..
        } => {
            let mode = serde_json::to_value(mode).map_err(to_sql)?;
            let hosts = i64::try_from(hosts.len()).unwrap_or(i64::MAX);
            connection.execute(
                "UPDATE runs SET mode = ?2, subject = ?3, hosts = ?4 WHERE id = ?1",
                params![run_id, mode.as_str(), subject, hosts],
            )?;
        }
        Event::RunEnded { exit_code } => {
            connection.execute(
                "UPDATE runs SET ended_at = ?2, exit_code = ?3 WHERE id = ?1",
                params![run_id, at, exit_code],
            )?;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fleetmend_model::{HostEvent, HostName};

    use super::*;
    use crate::{JournalReader, schema};

    fn event(text: String) -> Event {
        let what = HostEvent::ConnectFailed {
            why: "refused".into(),
            reason: text,
        };
        Event::Host {
            host: HostName("pc-1".into()),
            what,
        }
    }

    #[test]
    fn a_full_disk_stores_nothing_of_the_batch_and_numbers_stay_gapless() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let connection = schema::open_write(&path).unwrap();
        let pages: i64 = connection
            .query_row("PRAGMA page_count", [], |row| row.get(0))
            .unwrap();
        connection
            .pragma_update(None, "max_page_count", pages + 4)
            .unwrap();
        let run = RunId(uuid::Uuid::now_v7());
        let lease = Lease::take(&path, run).unwrap();
        let mut writer = Writer::new(path.clone(), connection, run, lease);
        let append = |writer: &mut Writer, texts: Vec<String>| {
            let mut replies = Vec::new();
            let mut batch = Vec::new();
            for text in texts {
                let (reply, answer) = oneshot::channel();
                let record = writer.number(event(text), batch.len());
                batch.push(Pending { record, reply });
                replies.push(answer);
            }
            writer.commit(batch);
            replies
                .into_iter()
                .map(|mut reply| reply.try_recv().unwrap())
                .collect::<Vec<Result<Record, String>>>()
        };
        assert_eq!(
            append(&mut writer, vec!["one".into()])[0]
                .as_ref()
                .unwrap()
                .seq,
            1
        );
        let answers = append(&mut writer, vec!["two".into(), "x".repeat(1_000_000)]);
        for answer in answers {
            assert!(answer.unwrap_err().contains("the disk is full"));
        }
        assert_eq!(
            append(&mut writer, vec!["again".into()])[0]
                .as_ref()
                .unwrap()
                .seq,
            2
        );
        drop(writer);
        let records = JournalReader::open(&path).unwrap().records(run).unwrap();
        assert_eq!(
            records.iter().map(|record| record.seq).collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(records[1].event, event("again".into()));
    }
}
