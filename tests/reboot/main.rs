//! The real binary restarts simulated PCs, by a playbook that is for that alone.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod bench;
mod ends;
mod fleet;
#[cfg(unix)]
mod kills;
mod transports;
