//! Sums over what is stored, so that a damaged byte is told from one that was written.
//!
//! SQLite's own check sees a damaged tree, not a damaged text in it; and what a run has done to a
//! PC is read from these texts when it goes on.

use fleetmend_model::RunId;
use sha2::{Digest, Sha256};

/// Returns the sum of an event's text in its place.
pub(crate) fn of_event(run: RunId, seq: u64, at: i64, body: &str) -> i64 {
    short(&digest_of_event(run, seq, at, body))
}

/// Returns all of SHA-256 of which the sum is the beginning; the audit trail needs it whole.
pub(crate) fn digest_of_event(run: RunId, seq: u64, at: i64, body: &str) -> [u8; 32] {
    let place = format!("{run}/{seq}/{at}/");
    of(&[&place, body])
}

/// Returns the sum of a run's plan.
pub(crate) fn of_plan(run: RunId, plan: &str) -> i64 {
    short(&of(&[&run.to_string(), plan]))
}

fn of(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// The first eight bytes of SHA-256: enough against chance, which is all it is against.
pub(crate) fn short(hash: &[u8; 32]) -> i64 {
    hash.first_chunk::<8>()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
}
