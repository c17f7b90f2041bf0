//! The step channel: one PowerShell (or `sh`) a connection, many steps, over any wire.

mod channel;
pub mod clixml;
mod collect;
mod dialect;
pub mod frame;
mod gone;
mod guard;
mod params;
pub mod quote;
pub mod reader;
mod start;
pub mod text;

pub use channel::StepChannel;
pub(crate) use quote::caret;
pub use start::{
    BOOTSTRAP, EXEC_READER, exec_command, is_bootstrap, is_exec_reader, refusal, start_command,
};
