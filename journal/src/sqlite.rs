//! The journal of one run, as the engine sees it.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use fleetmend_engine::{Journal, JournalError};
use fleetmend_model::{Event, Record, RunId};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::audit::{Head, Known};
use crate::lease::Lease;
use crate::schema;
use crate::writer::{Request, Writer};
use crate::{JournalReader, StorageError};

/// Appends that wait for their turn: as many as the widest run has PCs probed and at work at
/// once, so that none waits for the channel itself.
const QUEUE: usize = 2048;

/// Appends the events of one run to a SQLite file that may hold other runs as well.
#[derive(Debug)]
pub struct SqliteJournal {
    run: RunId,
    path: PathBuf,
    requests: mpsc::Sender<Request>,
    head: watch::Receiver<Option<Head>>,
}

/// What a run is begun with. Neither may hold a secret.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// Kept for [`JournalReader::plan`], stored together with the run's first event.
    pub plan: Option<String>,
    /// Put on the audit trail with the run's beginning: parameters, and what widens what it may
    /// do.
    pub terms: Option<Value>,
}

impl SqliteJournal {
    /// Opens or makes the file and begins a new run in it. Blocks for the time of a few disk
    /// writes. The folder must be there.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn create(path: &Path) -> Result<Self, StorageError> {
        Self::begin(path, Beginning::default())
    }

    /// The same, and keeps what the run was begun with, for [`JournalReader::plan`]. It is stored
    /// together with the run's first event, and must hold no secret.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn create_with_plan(path: &Path, plan: String) -> Result<Self, StorageError> {
        let plan = Some(plan);
        Self::begin(path, Beginning { plan, terms: None })
    }

    /// Opens the file to go on with a run, and gives its records so far, in order. Everything is
    /// checked before: the file, the events' sums, that none is missing.
    ///
    /// # Errors
    /// [`StorageError::Held`]: another process works on the run. [`StorageError::NoSuchRun`],
    /// [`StorageError::Corrupt`], and see there.
    pub fn resume(path: &Path, run: RunId, take: impl FnMut(Record)) -> Result<Self, StorageError> {
        Self::resume_with(path, run, None, take)
    }

    /// The same, and puts on the audit trail who goes on with it: beside [`Event::Resumed`], and
    /// beside results that a stick brought back.
    ///
    /// # Errors
    /// As [`SqliteJournal::resume`].
    pub fn resume_with(
        path: &Path,
        run: RunId,
        terms: Option<Value>,
        mut take: impl FnMut(Record),
    ) -> Result<Self, StorageError> {
        // It must be there and hold the run; a lock for any other would stay for ever.
        let reader = JournalReader::open(path)?;
        reader.must_have(run)?;
        let lease = Lease::take(path, run)?;
        let connection = schema::open_write(path)?;
        reader.check()?;
        let mut last = None;
        let mut gap = None;
        let mut ended = false;
        reader.for_each(run, |record| {
            ended |= matches!(record.event, Event::RunEnded { .. });
            let due = last.map_or(1, |(seq, _)| seq + 1);
            if record.seq != due {
                gap.get_or_insert(due);
            }
            last = Some((record.seq, record.at));
            take(record);
        })?;
        let corrupt = |detail| StorageError::Corrupt {
            path: path.to_owned(),
            detail,
        };
        if let Some(seq) = gap {
            return Err(corrupt(format!("event {seq} of the run {run} is missing")));
        }
        let last = last.ok_or_else(|| corrupt(format!("the run {run} has no event")))?;
        let run_id = reader.must_have(run)?;
        let mut writer = Writer::new(path.to_owned(), connection, run, lease);
        writer.known = Known { plan: None, terms };
        Self::serve(path, run, writer.after(run_id, last, ended))
    }

    /// Opens or makes the file and begins a new run in it, as [`SqliteJournal::create`].
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn begin(path: &Path, beginning: Beginning) -> Result<Self, StorageError> {
        let connection = schema::open_write(path)?;
        let run = RunId(uuid::Uuid::now_v7());
        let lease = Lease::take(path, run)?;
        let mut writer = Writer::new(path.to_owned(), connection, run, lease);
        let Beginning { plan, terms } = beginning;
        writer.known = Known { plan, terms };
        Self::serve(path, run, writer)
    }

    fn serve(path: &Path, run: RunId, writer: Writer) -> Result<Self, StorageError> {
        let (requests, served) = mpsc::channel(QUEUE);
        let head = writer.head();
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.serve(served))
            .map_err(|error| StorageError::Open {
                path: path.to_owned(),
                source: Box::new(error),
            })?;
        Ok(Self {
            run,
            path: path.to_owned(),
            requests,
            head,
        })
    }

    /// Returns the id of the run that this journal stores.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the end of the audit trail, as of the last entry that this journal wrote.
    pub fn head(&self) -> Option<Head> {
        *self.head.borrow()
    }

    /// Waits until all is written and the file is closed; its write-ahead log is then folded in.
    /// Later appends fail. Not needed for safety: what was appended is on disk.
    pub async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.requests.send(Request::Close(reply)).await.is_ok() {
            // If the thread is gone, the file is closed as well.
            let _ = closed.await;
        }
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn append(&self, event: Event) -> Result<Record, JournalError> {
        let gone = || JournalError {
            detail: "it is closed".to_owned(),
        };
        let (reply, stored) = oneshot::channel();
        self.requests
            .send(Request::Append(Box::new(event), reply))
            .await
            .map_err(|_| gone())?;
        match stored.await {
            Ok(Ok(record)) => Ok(record),
            Ok(Err(detail)) => Err(JournalError { detail }),
            Err(_) => Err(gone()),
        }
    }
}
