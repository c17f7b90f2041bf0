//! What every transport offers: a connector that yields sessions, a session that runs steps and
//! commands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_model::{Credential, Host, Secret, TransportKind};
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{ConnectError, LogonMark, SessionError};

/// Bounds one wait: an instant after which it gives up, and a token that ends it at once.
#[derive(Clone, Debug)]
pub struct Limits {
    /// When to give up.
    pub deadline: Instant,
    /// Cut now.
    pub cancel: CancellationToken,
    /// What becomes of the password in a logon under these limits.
    pub mark: LogonMark,
}

impl Limits {
    /// Returns limits that end `after` from now or when `cancel` fires.
    pub fn within(after: Duration, cancel: &CancellationToken) -> Self {
        Self {
            deadline: Instant::now() + after,
            cancel: cancel.clone(),
            mark: LogonMark::new(),
        }
    }

    /// Returns the same limits for a logon of which this mark is to tell.
    pub fn marking(mut self, mark: &LogonMark) -> Self {
        self.mark = mark.clone();
        self
    }
}

/// Opens sessions. One connector serves every host of a run.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Connects and logs on, at most once with this password. [`Limits::mark`] is set right before
    /// the password, or a proof of it, leaves, and again when the PC has accepted it.
    ///
    /// # Errors
    /// See [`ConnectError`]; nothing has been run on the PC.
    async fn connect(
        &self,
        host: &Host,
        credential: &Credential,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, ConnectError>;
}

/// How a session reached its PC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Over what.
    pub transport: TransportKind,
    /// `address:port`.
    pub address: String,
}

/// A script with the name under which the playbook and the lab know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// `trust-repair/diagnose.ps1`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// One step to run on the PC. Everything in it travels on standard input.
#[derive(Clone, Debug)]
pub struct StepRequest {
    /// What to run.
    pub script: Arc<Script>,
    /// Parameters that may be seen.
    pub params: Map<String, Value>,
    /// Parameters that may not; they are merged into the JSON object only on the wire.
    pub secrets: BTreeMap<String, Secret>,
    /// Credentials: each stands in the JSON object as `{"user": …, "password": …}`, put there
    /// only on the wire.
    pub credentials: BTreeMap<String, Credential>,
}

/// What a step answered.
#[derive(Clone, Debug)]
pub struct StepReply {
    /// Its JSON, or the orderly failure of the script.
    pub answer: Result<Value, ScriptFailure>,
    /// Warnings, verbose text, stray output: for showing, never for deciding.
    pub diagnostics: Vec<String>,
}

/// A script ended with an error that the step channel caught and reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptFailure {
    /// `FullyQualifiedErrorId`: the same in every language.
    pub error_id: String,
    /// HRESULT or Win32 code.
    pub code: Option<i64>,
    /// The PC's words, for showing only.
    pub message: String,
}

/// One command typed by hand.
#[derive(Clone, Debug)]
pub enum ExecRequest {
    /// Program and arguments, run without a shell where the transport can.
    Command(Vec<String>),
    /// PowerShell text, run through the step channel's process.
    PowerShell(String),
}

/// What a command printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// Raw bytes, in whatever code page the program used.
    pub stdout: Vec<u8>,
    /// Raw bytes; CLIXML already turned into text.
    pub stderr: Vec<u8>,
    /// The exit code.
    pub exit_code: i32,
}

/// A logged-on connection to one PC.
///
/// Dropping a session without [`Session::close`] still ends the remote process and deletes its
/// shell, in a task of its own with a deadline.
#[async_trait]
pub trait Session: Send {
    /// Returns how the PC was reached.
    fn reached(&self) -> &Reached;

    /// Runs one step in the session's PowerShell (or `sh`), starting that process first if this
    /// is the first step.
    ///
    /// # Errors
    /// See [`SessionError`]: it always tells whether the step may have run.
    async fn run_step(
        &mut self,
        step: &StepRequest,
        limits: &Limits,
    ) -> Result<StepReply, SessionError>;

    /// Runs one command by hand and collects what it prints.
    ///
    /// # Errors
    /// As [`Session::run_step`].
    async fn exec(
        &mut self,
        command: &ExecRequest,
        limits: &Limits,
    ) -> Result<ExecOutput, SessionError>;

    /// Ends the remote process, deletes the shell and closes the connection, within a few
    /// seconds whatever the PC does.
    async fn close(self: Box<Self>);
}
