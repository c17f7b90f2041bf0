//! Simulated PCs and a simulated domain that speak real WinRM and SSH on loopback, with faults.

mod answers;
mod channel;
mod command;
pub mod domain;
mod exec_reader;
pub mod machine;
mod noise;
pub mod ntlm;
mod pc;
mod process;
mod registry;
mod scripts;
pub mod secure_channel;
mod shared;
pub mod ssh;
mod stdio;
mod tls;
pub mod win32;
pub mod winrm;

pub use answers::{Answers, AnswersError, Taught, TaughtError};
pub use channel::UNKNOWN_SCRIPT;
pub use pc::SimPc;
pub use process::{LabCommand, Output, Pc, Process};
pub use registry::{ScriptRegistry, digest};
pub use shared::{Counts, Pace, Shared};
pub use tls::{LabAuthority, ServerTls, TlsError};
