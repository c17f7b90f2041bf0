//! Simulated PCs: their step channel, their commands, their SSH, the lab as a whole.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod channel;
mod commands;
mod common;
mod lab;
mod local_admin_access;
mod machine_password;
mod machine_password_age;
mod network_power_saving;
mod openssh;
mod restart;
mod schemas;
mod ssh;
mod time_sync;
mod transport;
mod updates;
