//! WinRM: our own client, small and exact.
//!
//! One TCP or TLS stream carries one HTTP/1 connection and one security context, never a pool
//! (see `docs/decisions/winrm-own-client.md`). The types from the outside in:
//! [`connect`] gives a [`WinrmWire`].

mod endpoint;
mod wire;

pub use endpoint::Endpoint;
pub use wire::{WinrmWire, connect};
