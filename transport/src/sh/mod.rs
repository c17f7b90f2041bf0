//! The step channel of posix hosts.

mod answer;
mod start;

pub use answer::decode;
pub use start::{BOOTSTRAP, command_line, is_bootstrap, refusal, start_command};
