//! Sessions on PCs over WinRM and SSH, and the PowerShell step channel that runs over both.
//!
//! `winrm/` and `ssh/` carry bytes ([`Wire`]); `powershell/` and `sh/` know how to run steps over
//! any wire ([`Session`]); `auto` picks the wire.

mod auto;
mod error;
mod logon_mark;
pub mod powershell;
mod session;
pub mod sh;
pub mod ssh;
mod tls;
pub mod winrm;
mod wire;

pub use auto::{AutoConnector, ConnectorOptions, probe};
pub use error::{ConnectError, DeniedWhy, SessionError, UnreachableWhy};
pub use logon_mark::LogonMark;
pub use session::{
    Connector, ExecOutput, ExecRequest, Limits, Reached, Script, ScriptFailure, Session, StepReply,
    StepRequest,
};
pub use wire::{CommandLine, Input, Received, Wire};
