//! The vault, against broken files, other writers, killed processes and the `age` program.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests"
)]

mod bench;
mod damage;
mod files;
mod killed;
mod late;
mod locks;
mod peers;
mod secrecy;
