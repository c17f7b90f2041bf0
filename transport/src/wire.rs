//! The narrow waist below the step channel: one remote process with standard streams.

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::{Limits, Reached, SessionError};

/// What to start on the PC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// A Windows program and its arguments, already quoted for Windows; run without cmd.exe
    /// where the transport can (`WINRS_SKIP_CMD_SHELL`, an option of Command in [MS-WSMV]).
    Windows {
        /// The program.
        program: String,
        /// Its arguments, in one string.
        arguments: String,
    },
    /// A line for the login shell of a posix host.
    Posix(String),
}

/// What one receive brought. Empty streams with no exit code mean: nothing yet, ask again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes of standard output.
    pub stdout: Vec<u8>,
    /// Bytes of standard error.
    pub stderr: Vec<u8>,
    /// The exit code, once the process has ended and everything was delivered.
    pub exit_code: Option<i32>,
}

/// Input that can be made again at any time, so that a transport that has turned it into messages
/// of its own need not hold it while it waits for their answer.
pub trait Input: std::fmt::Debug + Send + Sync {
    /// Returns how many bytes it has at most.
    fn most(&self) -> usize;

    /// Makes the bytes; the same each time.
    fn bytes(&self) -> Zeroizing<Vec<u8>>;
}

/// A logged-on connection that can run one process at a time.
///
/// A transport carries; it knows nothing of PowerShell, steps or JSON. All transports pass the
/// suite in `transport/tests/`.
#[async_trait]
pub trait Wire: Send {
    /// Returns how the PC was reached.
    fn reached(&self) -> &Reached;

    /// Starts a process with its three standard streams redirected.
    ///
    /// # Errors
    /// [`SessionError::NotRun`] only if it certainly did not start.
    async fn start(&mut self, command: &CommandLine, limits: &Limits) -> Result<(), SessionError>;

    /// Writes to the process's standard input; `end` closes it after these bytes.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] once a byte left.
    async fn send(&mut self, bytes: &[u8], end: bool, limits: &Limits) -> Result<(), SessionError>;

    /// As [`Wire::send`] without an end, for input that can be made again.
    ///
    /// # Errors
    /// As [`Wire::send`].
    async fn send_input(&mut self, input: &dyn Input, limits: &Limits) -> Result<(), SessionError> {
        let bytes = input.bytes();
        self.send(&bytes, false, limits).await
    }

    /// Waits for output or the end, or returns empty-handed after a while.
    ///
    /// # Errors
    /// [`SessionError::Unknown`] when the connection is lost.
    async fn receive(&mut self, limits: &Limits) -> Result<Received, SessionError>;

    /// Ends the process if it runs. Another may then be started, unless the connection is lost.
    async fn terminate(&mut self, limits: &Limits) -> Result<(), SessionError>;

    /// Frees everything on the PC (deletes the shell) and closes the connection.
    async fn close(self: Box<Self>);
}
