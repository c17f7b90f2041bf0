//! The wire over SSH: a channel is a process.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fleetmend_model::{Platform, TransportKind};
use futures::FutureExt as _;
use russh::client::{Handle, Msg};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Sig};
use tokio::time::{Instant, timeout};

use super::client::HostKeyCheck;
use super::shell::{self, LoginShell};
use crate::{CommandLine, Limits, Reached, Received, SessionError, Wire};

/// How long one receive waits before it returns empty-handed.
const POLL: Duration = Duration::from_secs(20);

/// How much one receive returns at most, so that its caller sees progress.
const BATCH: usize = 1 << 20;

/// How much is written at a time; output is drained in between.
const PIECE: usize = 32 * 1024;

/// How much output may pile up while we write to a process that does not read.
const PILE: usize = 64 << 20;

/// How long saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// A logged-on SSH connection.
pub struct SshWire {
    handle: Option<Handle<HostKeyCheck>>,
    reached: Reached,
    platform: Platform,
    shell: Option<LoginShell>,
    process: Option<Channel>,
}

/// A running process.
struct Channel {
    read: ChannelReadHalf,
    write: ChannelWriteHalf<Msg>,
    /// What came while we were writing, or not yet returned.
    pending: Received,
    /// The exit code, held back until the streams have ended: it may overtake output
    /// (RFC 4254, 6.10).
    exit_code: Option<i32>,
    eof: bool,
    closed: bool,
}

impl Channel {
    /// Takes in one message.
    fn take(&mut self, message: Option<ChannelMsg>) {
        match message {
            Some(ChannelMsg::Data { data }) => self.pending.stdout.extend_from_slice(&data),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                self.pending.stderr.extend_from_slice(&data);
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                // Windows exit codes are 32 bits; the sign is a matter of taste.
                self.exit_code = Some(exit_status.cast_signed());
            }
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                self.exit_code = Some(128 + signal_number(&signal_name));
            }
            Some(ChannelMsg::Eof) => self.eof = true,
            Some(ChannelMsg::Close) | None => self.closed = true,
            Some(_) => {}
        }
    }

    fn is_over(&self) -> bool {
        self.closed || (self.eof && self.exit_code.is_some())
    }

    fn has_output(&self) -> bool {
        !self.pending.stdout.is_empty() || !self.pending.stderr.is_empty()
    }

    fn is_full(&self) -> bool {
        self.pending.stdout.len() + self.pending.stderr.len() >= BATCH
    }
}

impl SshWire {
    pub(super) fn new(handle: Handle<HostKeyCheck>, address: String, platform: Platform) -> Self {
        let reached = Reached {
            transport: TransportKind::Ssh,
            address,
        };
        Self {
            handle: Some(handle),
            reached,
            platform,
            shell: None,
            process: None,
        }
    }

    /// Returns the line for the login shell.
    async fn line(
        &mut self,
        command: &CommandLine,
        limits: &Limits,
    ) -> Result<String, SessionError> {
        let (program, arguments) = match command {
            CommandLine::Posix(line) => return Ok(line.clone()),
            CommandLine::Windows { program, arguments } => (program, arguments),
        };
        let plain = format!("{program} {arguments}");
        if self.platform == Platform::Posix || shell::is_plain(plain.trim_end()) {
            return Ok(plain.trim_end().to_owned());
        }
        let shell = match self.shell {
            Some(shell) => shell,
            None => self.ask_for_shell(limits).await?,
        };
        if shell == LoginShell::Cmd && plain.contains(['\n', '\r']) {
            return Err(not_run(
                "cmd.exe is the login shell there, and no argument of it can hold a line break",
            ));
        }
        Ok(shell::wrap(shell, program, arguments))
    }

    /// Finds out which login shell the host has, by a harmless command. It is asked for only
    /// before a command by hand that needs quoting.
    async fn ask_for_shell(&mut self, limits: &Limits) -> Result<LoginShell, SessionError> {
        let not_run = |detail: &str| SessionError::NotRun {
            detail: detail.to_owned(),
        };
        self.open(shell::QUESTION, limits).await?;
        let mut answer = Vec::new();
        loop {
            let received = self.receive(limits).await.map_err(|error| match error {
                SessionError::Cancelled { .. } => SessionError::Cancelled { sent: false },
                other => not_run(&format!("which login shell the host has: {other}")),
            })?;
            answer.extend_from_slice(&received.stdout);
            if received.exit_code.is_some() || answer.len() > 4096 {
                break;
            }
        }
        let shell = shell::recognise(&answer).ok_or_else(|| {
            not_run("the login shell is neither cmd.exe nor PowerShell, so nothing can be quoted")
        })?;
        self.shell = Some(shell);
        Ok(shell)
    }

    /// Opens a channel and starts a line on it.
    async fn open(&mut self, line: &str, limits: &Limits) -> Result<(), SessionError> {
        let Some(handle) = &self.handle else {
            return Err(not_run("the connection is closed"));
        };
        let opened = within(limits, handle.channel_open_session()).await;
        let channel = match opened {
            Waited::Done(Ok(channel)) => channel,
            Waited::Done(Err(error)) => return Err(not_run(&error.to_string())),
            Waited::Deadline => return Err(not_run("no channel was opened in time")),
            Waited::Cancelled => return Err(SessionError::Cancelled { sent: false }),
        };
        let (read, write) = channel.split();
        let mut process = Channel {
            read,
            write,
            pending: Received::default(),
            exit_code: None,
            eof: false,
            closed: false,
        };
        let started = within(limits, confirm(&mut process, line)).await;
        match started {
            Waited::Done(Ok(())) => {
                self.process = Some(process);
                Ok(())
            }
            Waited::Done(Err(error)) => Err(error),
            Waited::Deadline => {
                self.process = Some(process);
                Err(unknown("whether the process started was not said in time"))
            }
            Waited::Cancelled => {
                self.process = Some(process);
                Err(SessionError::Cancelled { sent: true })
            }
        }
    }

    fn process(&mut self) -> Result<&mut Channel, SessionError> {
        self.process
            .as_mut()
            .ok_or_else(|| not_run("no process runs"))
    }
}

/// Sends the line and waits for the host's word that it runs.
async fn confirm(process: &mut Channel, line: &str) -> Result<(), SessionError> {
    if let Err(error) = process.write.exec(true, line).await {
        return Err(not_run(&error.to_string()));
    }
    loop {
        match process.read.wait().await {
            Some(ChannelMsg::Success) => return Ok(()),
            Some(ChannelMsg::Failure) => return Err(not_run("the host refused to start it")),
            Some(ChannelMsg::Close) | None => {
                return Err(unknown("the connection was lost while the process started"));
            }
            other => process.take(other),
        }
    }
}

#[async_trait]
impl Wire for SshWire {
    fn reached(&self) -> &Reached {
        &self.reached
    }

    async fn start(&mut self, command: &CommandLine, limits: &Limits) -> Result<(), SessionError> {
        let line = self.line(command, limits).await?;
        self.open(&line, limits).await
    }

    async fn send(&mut self, bytes: &[u8], end: bool, limits: &Limits) -> Result<(), SessionError> {
        let process = self.process()?;
        let mut sent = false;
        for piece in bytes.chunks(PIECE) {
            // A process that has ended takes no more; what it said is yet to be received.
            if process.closed {
                break;
            }
            if process.pending.stdout.len() + process.pending.stderr.len() > PILE {
                return Err(unknown("the process prints without end and does not read"));
            }
            match within(limits, write_piece(process, piece)).await {
                Waited::Done(Ok(())) => sent = true,
                Waited::Done(Err(error)) if process.closed || sent => {
                    tracing::debug!(%error, "standard input was closed by the host");
                    break;
                }
                Waited::Done(Err(error)) => return Err(unknown(&error.to_string())),
                Waited::Deadline => return Err(deadline()),
                Waited::Cancelled => return Err(SessionError::Cancelled { sent: true }),
            }
        }
        if end && !process.closed {
            match within(limits, process.write.eof()).await {
                Waited::Done(Ok(())) => {}
                Waited::Done(Err(error)) => return Err(unknown(&error.to_string())),
                Waited::Deadline => return Err(deadline()),
                Waited::Cancelled => return Err(SessionError::Cancelled { sent: true }),
            }
        }
        Ok(())
    }

    async fn receive(&mut self, limits: &Limits) -> Result<Received, SessionError> {
        let lost = self.handle.as_ref().is_none_or(Handle::is_closed);
        let process = self.process()?;
        let poll = Instant::now() + POLL;
        while !process.has_output() && !process.is_over() {
            let short = Limits {
                deadline: limits.deadline.min(poll),
                cancel: limits.cancel.clone(),
                mark: limits.mark.clone(),
            };
            match within(&short, process.read.wait()).await {
                Waited::Done(message) => process.take(message),
                Waited::Deadline if short.deadline < limits.deadline => break,
                Waited::Deadline => return Err(deadline()),
                Waited::Cancelled => return Err(SessionError::Cancelled { sent: true }),
            }
        }
        while !process.is_full() && !process.closed {
            match process.read.wait().now_or_never() {
                Some(message) => process.take(message),
                None => break,
            }
        }
        let mut received = std::mem::take(&mut process.pending);
        if process.is_over() {
            if process.exit_code.is_none() && received == Received::default() {
                self.process = None;
                return Err(unknown(if lost {
                    "the connection was lost"
                } else {
                    "the process ended without an exit code"
                }));
            }
            received.exit_code = process.exit_code;
            if received.exit_code.is_some() {
                self.process = None;
            }
        }
        Ok(received)
    }

    async fn terminate(&mut self, limits: &Limits) -> Result<(), SessionError> {
        if let Some(process) = self.process.take() {
            // OpenSSH delivers the signal to the whole process group since 7.9; older servers
            // end it when its streams close.
            let farewell = async {
                process.write.signal(Sig::KILL).await?;
                process.write.eof().await?;
                process.write.close().await
            };
            if let Waited::Done(Err(error)) = within(limits, farewell).await {
                return Err(unknown(&error.to_string()));
            }
        }
        if self.handle.as_ref().is_none_or(Handle::is_closed) {
            return Err(unknown("the connection was lost"));
        }
        Ok(())
    }

    async fn close(mut self: Box<Self>) {
        goodbye(self.handle.take(), self.process.take()).await;
    }
}

impl Drop for SshWire {
    fn drop(&mut self) {
        let (handle, process) = (self.handle.take(), self.process.take());
        if handle.is_none() && process.is_none() {
            return;
        }
        // Outside a runtime the connection closes by itself when its task is dropped.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(goodbye(handle, process));
        }
    }
}

async fn goodbye(handle: Option<Handle<HostKeyCheck>>, process: Option<Channel>) {
    let farewell = async {
        if let Some(process) = process {
            let _ = process.write.signal(Sig::KILL).await;
            let _ = process.write.close().await;
        }
        if let Some(handle) = handle {
            let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
        }
    };
    let _ = timeout(GOODBYE, farewell).await;
}

/// Writes one piece and takes in what comes meanwhile: a process that prints before it reads
/// on must not stop us, nor we it.
async fn write_piece(process: &mut Channel, piece: &[u8]) -> Result<(), russh::Error> {
    let Channel { read, write, .. } = process;
    let mut arrived = Vec::new();
    let mut gone = false;
    let result = {
        let writing = write.data_bytes(Bytes::copy_from_slice(piece));
        tokio::pin!(writing);
        loop {
            tokio::select! {
                biased;
                result = &mut writing => break result,
                message = read.wait(), if !gone => {
                    gone = matches!(message, Some(ChannelMsg::Close) | None);
                    arrived.push(message);
                    if gone {
                        break Err(russh::Error::Disconnect);
                    }
                }
            }
        }
    };
    for message in arrived {
        process.take(message);
    }
    result
}

enum Waited<T> {
    Done(T),
    Deadline,
    Cancelled,
}

async fn within<T>(limits: &Limits, work: impl Future<Output = T>) -> Waited<T> {
    tokio::select! {
        biased;
        () = limits.cancel.cancelled() => Waited::Cancelled,
        done = tokio::time::timeout_at(limits.deadline, work) => {
            done.map_or(Waited::Deadline, Waited::Done)
        }
    }
}

/// The numbers that every posix system gives these signals.
fn signal_number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        _ => 127,
    }
}

fn not_run(detail: &str) -> SessionError {
    SessionError::NotRun {
        detail: detail.to_owned(),
    }
}

fn unknown(detail: &str) -> SessionError {
    SessionError::Unknown {
        detail: detail.to_owned(),
    }
}

fn deadline() -> SessionError {
    SessionError::Deadline {
        limit: Duration::ZERO,
    }
}
