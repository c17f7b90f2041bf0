//! Simulated PCs and a simulated domain that speak real WinRM and SSH on loopback, with faults.

pub mod ntlm;
mod process;
mod tls;

pub use process::{LabCommand, Output, Pc, Process};
pub use tls::{LabAuthority, ServerTls, TlsError};
