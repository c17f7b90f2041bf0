//! The suite that every transport passes, and what only SSH can show.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "tests"
)]

mod lab;
#[cfg(unix)]
mod local;
#[cfg(unix)]
mod openssh;
#[cfg(unix)]
mod sshd;
mod suite;
