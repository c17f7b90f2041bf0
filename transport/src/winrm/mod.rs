//! WinRM: our own client, small and exact.
//!
//! One TCP or TLS stream carries one HTTP/1 connection and one security context, never a pool;
//! `docs/decisions/winrm-own-client.md` says why. From the outside in: [`connect`] gives a
//! [`WinrmWire`] (`wire`), which keeps a shell (`shell`, `cleanup`) and sends operations
//! (`envelope`, `answer`, `fault`, `xml`) over a link (`link`) that has been logged on (`logon`,
//! `ntlm`, `multipart`) over one connection (`target`, `http`).

mod account;
mod answer;
mod cleanup;
mod endpoint;
mod envelope;
mod fault;
mod http;
mod identify;
mod link;
mod logon;
mod multipart;
mod ntlm;
mod program;
#[cfg(test)]
mod recordings;
mod shell;
mod target;
mod wire;
mod xml;

pub use cleanup::finish_cleanups;
pub use endpoint::Endpoint;
pub use identify::{Identity, identify};
pub use wire::{WinrmWire, connect};

/// Directives for `tracing_subscriber::EnvFilter` that must come last, whatever `-v` says: the
/// NTLM library logs message bytes in clear at DEBUG. (It is also called with logging switched
/// off; this is the second lock.) The others log what nobody wants to read.
pub const LOG_FILTER: &str = "sspi=off,hyper=warn,rustls=warn,tokio_rustls=warn";
