//! Against a real Active Directory domain, which tests/run starts; by hand see tests/samba.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod asking;
mod changing;
mod connecting;
mod credential;
mod domain;
mod proxy;
mod reading;
