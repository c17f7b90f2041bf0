//! The journal of one run, as the engine sees it.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use fleetmend_engine::{Journal, JournalError};
use fleetmend_model::{Event, Record, RunId};
use tokio::sync::{mpsc, oneshot};

use crate::StorageError;
use crate::schema;
use crate::writer::{Request, Writer};

/// Appends that wait for their turn: as many as the widest run has PCs probed and at work at
/// once, so that none waits for the channel itself.
const QUEUE: usize = 2048;

/// Appends the events of one run to a SQLite file that may hold other runs as well.
#[derive(Debug)]
pub struct SqliteJournal {
    run: RunId,
    path: PathBuf,
    requests: mpsc::Sender<Request>,
}

impl SqliteJournal {
    /// Opens or makes the file and begins a new run in it. Blocks for the time of a few disk
    /// writes. The folder must be there.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn create(path: &Path) -> Result<Self, StorageError> {
        let connection = schema::open_write(path)?;
        let run = RunId(uuid::Uuid::now_v7());
        let (requests, served) = mpsc::channel(QUEUE);
        let writer = Writer::new(path.to_owned(), connection, run);
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
