//! Canary passwords of every source are found nowhere: not in outputs at `-vv`, the journal, what
//! is told of a run later, command lines, environments, temporary files, on the wire, on PCs, in
//! what a crash leaves, nor in memory once nobody needs them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]
#![cfg(target_os = "linux")]

mod canary;
mod crash;
mod errors;
mod everything;
mod ground;
mod memory;
mod watch;
mod wire;
