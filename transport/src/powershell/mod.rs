//! The step channel of Windows hosts: one PowerShell a connection, many steps.

pub mod frame;
mod start;

pub use start::{
    BOOTSTRAP, EXEC_READER, exec_command, is_bootstrap, is_exec_reader, refusal, start_command,
};
