//! Simulated PCs and a simulated domain that speak real WinRM and SSH on loopback, with faults.
//!
//! From the inside out: `domain` and `machine` are plain state; `secure_channel` is what Netlogon
//! makes of them, `membership` what joins and leaves do, in Win32 numbers; `scripts/` answers the
//! shipped scripts from that state, by the schemas beside them; `channel`, `exec_reader` and
//! `command/` are the processes that a client starts; `life` takes a PC down and up again, and
//! with it all that is in its memory; [`Pc`] is the waist; `winrm/`, `ntlm/` and `ssh/` serve it,
//! at the ports that `doors` keeps. [`Lab`] puts a fleet of them on loopback addresses and keeps
//! the table of how each PC must end; beside them stand the domain's controllers, which answer
//! through `ldap/`.
//!
//! A new shipped script needs a handler in `scripts/`; until it has one, or is taught through
//! [`Answers`], a PC answers it with [`UNKNOWN_SCRIPT`].

mod ansible_vault;
mod answers;
mod channel;
mod command;
pub mod domain;
mod doors;
mod endpoints;
mod exec_reader;
mod forest;
mod inventory;
mod lab;
pub mod ldap;
mod life;
pub mod machine;
pub mod membership;
mod mix;
mod noise;
pub mod ntlm;
mod pc;
mod process;
mod registry;
pub mod rotation;
mod scenario;
mod scripts;
pub mod secure_channel;
pub mod servicing;
mod shared;
mod silent;
pub mod ssh;
mod stdio;
pub mod time_service;
mod tls;
pub mod win32;
pub mod winrm;

pub use answers::{Answers, AnswersError, Taught, TaughtError};
pub use channel::UNKNOWN_SCRIPT;
pub use endpoints::LabPorts;
pub use inventory::InventoryFiles;
pub use lab::{DOMAIN, Lab, LabError, LabOptions, LabPc};
pub use mix::{Mix, PcPlan};
pub use pc::SimPc;
pub use process::{LabCommand, Output, Pc, Process};
pub use registry::{ScriptRegistry, digest};
pub use scenario::Scenario;
pub use shared::{AtOnce, Counts, Pace, RestartCounts, Shared};
pub use tls::{LabAuthority, ServerTls, TlsError};
