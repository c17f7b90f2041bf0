//! What differs between the step channel of Windows and that of posix hosts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmend_model::Platform;

use super::frame::{Answer, FrameError};
use super::{quote, start};
use crate::{CommandLine, ExecRequest, SessionError, sh};

/// The language at the far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    PowerShell,
    Sh,
}

impl Dialect {
    pub(super) fn of(platform: Platform) -> Self {
        match platform {
            Platform::Windows => Self::PowerShell,
            Platform::Posix => Self::Sh,
        }
    }

    pub(super) fn start_command(self) -> CommandLine {
        match self {
            Self::PowerShell => start::start_command(),
            Self::Sh => sh::start_command(),
        }
    }

    pub(super) fn refusal(self, exit_code: i32) -> Option<&'static str> {
        match self {
            Self::PowerShell => start::refusal(exit_code),
            Self::Sh => sh::refusal(exit_code),
        }
    }

    /// Returns what ends a process from within while it runs a step, where the far end listens.
    pub(super) fn stop_line(self) -> Option<&'static [u8]> {
        match self {
            Self::PowerShell => None,
            Self::Sh => Some(b"stop\n"),
        }
    }

    pub(super) fn decode(self, json: &[u8]) -> Result<Answer, FrameError> {
        match self {
            Self::PowerShell => Answer::decode(json),
            Self::Sh => sh::decode(json),
        }
    }

    /// Returns what to start for a command by hand, and its standard input if it takes one.
    pub(super) fn exec(
        self,
        command: &ExecRequest,
    ) -> Result<(CommandLine, Option<Vec<u8>>), SessionError> {
        let not_run = |detail: String| SessionError::NotRun { detail };
        match (self, command) {
            (Self::PowerShell, ExecRequest::Command(words)) => {
                let line =
                    quote::command_line(words).map_err(|error| not_run(error.to_string()))?;
                Ok((line, None))
            }
            (Self::PowerShell, ExecRequest::PowerShell(text)) => Ok((
                start::exec_command(),
                Some(STANDARD.encode(text).into_bytes()),
            )),
            (Self::Sh, ExecRequest::Command(words)) => sh::command_line(words)
                .map(|line| (line, None))
                .ok_or_else(|| not_run("the command is empty or holds a NUL".to_owned())),
            (Self::Sh, ExecRequest::PowerShell(_)) => Err(not_run(
                "the host is a posix host: it has no Windows PowerShell".to_owned(),
            )),
        }
    }
}
