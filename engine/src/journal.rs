//! Where events are stored before the acts that they announce.

use async_trait::async_trait;
use fleetmend_model::{Event, Record};

/// The journal could not store an event. No further act may follow.
#[derive(Clone, Debug, thiserror::Error)]
#[error("failed to store an event in the journal: {detail}")]
pub struct JournalError {
    /// What the storage said.
    pub detail: String,
}

/// Appends events of one run. Implemented by the crate `journal`; cheap to clone behind `Arc`.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Stores the event and returns its record once it is safe on disk.
    ///
    /// # Errors
    /// [`JournalError`]: it is not stored, and what it announces must not happen.
    async fn append(&self, event: Event) -> Result<Record, JournalError>;
}
