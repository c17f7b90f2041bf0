//! Simulated PCs and a simulated domain that speak real WinRM and SSH on loopback, with faults.

mod process;

pub use process::{LabCommand, Output, Pc, Process};
