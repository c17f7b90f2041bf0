//! Stores events before the acts that they announce, and stops everything when that fails.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fleetmend_model::{Event, Record};
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::journal::{Journal, JournalError};

/// The journal failed, here or on another PC: nothing more may be done to any PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Halted;

/// Stores events and tells them on.
#[derive(Clone)]
pub(super) struct Recorder {
    journal: Arc<dyn Journal>,
    tell: mpsc::Sender<Record>,
    patience: Duration,
    halt: CancellationToken,
    soft: CancellationToken,
    failure: Arc<OnceLock<JournalError>>,
}

impl Recorder {
    pub(super) fn new(
        journal: Arc<dyn Journal>,
        tell: mpsc::Sender<Record>,
        patience: Duration,
        soft: CancellationToken,
    ) -> Self {
        let halt = CancellationToken::new();
        Self {
            journal,
            tell,
            patience,
            halt,
            soft,
            failure: Arc::default(),
        }
    }

    /// Stores the event. After it returned well, the act may follow.
    pub(super) async fn record(&self, event: Event) -> Result<Record, Halted> {
        if self.halted() {
            return Err(Halted);
        }
        let append = AssertUnwindSafe(self.journal.append(event)).catch_unwind();
        let stored = tokio::time::timeout(self.patience, append).await;
        let detail = match stored {
            Ok(Ok(Ok(record))) => {
                // The teller is gone only when the run is over; nobody misses the record then.
                let _ = self.tell.send(record.clone()).await;
                // Another PC may have found the journal broken in the meantime.
                return if self.halted() {
                    Err(Halted)
                } else {
                    Ok(record)
                };
            }
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => JournalError {
                detail: "it panicked".to_owned(),
            },
            Err(_) => JournalError {
                detail: format!("no answer within {:?}", self.patience),
            },
        };
        tracing::error!(error = %detail, "the journal failed; nothing more is done to any PC");
        let _ = self.failure.set(detail);
        // First the reason, then the end of all that may be cut: whoever wakes knows why.
        self.halt.cancel();
        self.soft.cancel();
        Err(Halted)
    }

    /// Returns the token that fires when the journal has failed.
    pub(super) fn halt(&self) -> &CancellationToken {
        &self.halt
    }

    pub(super) fn halted(&self) -> bool {
        self.halt.is_cancelled()
    }

    /// Returns what the journal said when it failed.
    pub(super) fn failure(&self) -> Option<JournalError> {
        self.failure.get().cloned()
    }
}
