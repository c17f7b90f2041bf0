//! The waist between the lab's protocol servers and its simulated PCs.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A command that a client asks a simulated PC to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabCommand {
    /// The account that is logged on, without its domain.
    pub user: String,
    /// The whole command line: over WinRM program and arguments joined by blanks, over SSH the
    /// exec string.
    pub line: String,
    /// Whether a shell (cmd.exe) stands between.
    pub through_shell: bool,
    /// The code page that the client asked for, if any (`WINRS_CODEPAGE`).
    pub code_page: Option<u32>,
}

/// What a simulated process does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Bytes on standard output.
    Stdout(Vec<u8>),
    /// Bytes on standard error.
    Stderr(Vec<u8>),
    /// It ended; nothing follows.
    Exit(i32),
}

/// A running simulated process.
#[derive(Debug)]
pub struct Process {
    /// Its standard input; dropping the sender is the end of input.
    pub stdin: mpsc::Sender<Vec<u8>>,
    /// What it writes, at last `Exit`.
    pub output: mpsc::Receiver<Output>,
    /// Ends it.
    pub kill: CancellationToken,
}

/// A simulated PC as the protocol servers see it.
pub trait Pc: Send + Sync + 'static {
    /// Returns the PC's NetBIOS name (`PC-001`), which NTLM names in its challenge.
    fn computer_name(&self) -> String;

    /// Tells whether the PC belongs to a domain now, so that it names one in its challenge.
    fn is_member(&self) -> bool {
        true
    }

    /// Returns the password of a local account, by which the servers judge a logon; `None`:
    /// no such account, or it may not log on over the network.
    fn password_of(&self, user: &str) -> Option<String>;

    /// Notes the result of a logon, as an account lockout policy would.
    fn note_logon(&self, user: &str, accepted: bool);

    /// Whether this account is a full administrator over the network (else WinRM answers
    /// fault 5, as `LocalAccountTokenFilterPolicy` = 0 does).
    fn may_use_winrm(&self, user: &str) -> bool;

    /// Whether there is a program at this full path (without quotes). Asked when a client wants
    /// it started without cmd.exe; if there is none, WinRM answers fault 2147942402 and nothing
    /// is started.
    fn has_program(&self, path: &str) -> bool {
        let _ = path;
        true
    }

    /// Starts a process.
    fn spawn(&self, command: LabCommand) -> Process;
}
