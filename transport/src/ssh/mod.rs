//! SSH by russh: one connection a host, one channel for each process.

mod auth;
mod client;
mod connect;
mod key;
pub mod known_hosts;
mod shell;
#[cfg(test)]
mod unanswered;
mod wire;

pub use connect::{Endpoint, connect};
pub use wire::SshWire;

pub(crate) use key::is_passphrase;
