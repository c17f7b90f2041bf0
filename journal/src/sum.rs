//! Sums over what is stored, so that a damaged byte is told from one that was written.
//!
//! SQLite's own check sees a damaged tree, not a damaged text in it; and what a run has done to a
//! PC is read from these texts when it goes on.

use fleetmend_model::RunId;
use sha2::{Digest, Sha256};

/// Returns the sum of an event's text in its place.
pub(crate) fn of_event(run: RunId, seq: u64, at: i64, body: &str) -> i64 {
    let place = format!("{run}/{seq}/{at}/");
    of(&[&place, body])
}

/// Returns the sum of a run's plan.
pub(crate) fn of_plan(run: RunId, plan: &str) -> i64 {
    of(&[&run.to_string(), plan])
}

/// The first eight bytes of SHA-256: enough against chance, which is all it is against.
fn of(parts: &[&str]) -> i64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    hash.first_chunk::<8>()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
}
