//! The simulated domain as a directory, asked by clients that are not ours.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;
mod hostile;
mod logon;
mod openldap;
mod search;
mod write;
