//! The step channel: a session over any wire.

use std::time::Duration;

use async_trait::async_trait;
use fleetmend_model::Platform;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clixml::StderrReader;
use super::dialect::Dialect;
use super::frame::{Answer, Marker, RequestLine};
use super::gone::GoneWire;
use super::params::{merged_params, script_text};
use super::reader::AnswerReader;
use super::{collect, guard};
use crate::{
    CommandLine, ExecOutput, ExecRequest, Limits, Reached, ScriptFailure, Session, SessionError,
    StepReply, StepRequest, Wire,
};

/// How long the end of a process may take before the wire is given up.
const TERMINATE: Duration = Duration::from_secs(10);

/// How long a process that was asked to end has for it.
const STOP: Duration = Duration::from_secs(3);

/// Runs steps and commands over a [`Wire`].
///
/// The process starts with the first step and serves every further one. After a deadline, a
/// cancel, a lost answer or a command by hand the next step starts a new one.
pub struct StepChannel {
    wire: Box<dyn Wire>,
    dialect: Dialect,
    process: Option<Process>,
    /// A command by hand runs instead.
    by_hand: bool,
    /// Why the connection is of no more use.
    lost: Option<String>,
    /// A call is under way, or its future was dropped in the middle.
    busy: bool,
}

/// The running PowerShell or `sh`.
struct Process {
    marker: Marker,
    last_id: u64,
    stdout: AnswerReader,
    stderr: StderrReader,
}

impl Process {
    fn new() -> Self {
        Self {
            marker: Marker::random(),
            last_id: 0,
            stdout: AnswerReader::default(),
            stderr: StderrReader::default(),
        }
    }

    /// Returns what was printed beside the answers, for showing.
    fn diagnostics(&mut self, end: bool) -> Vec<String> {
        let mut lines = if end {
            self.stdout.finish()
        } else {
            self.stdout.take_stray()
        };
        lines.extend(self.stderr.take(end).iter().map(ToString::to_string));
        lines
    }
}

impl StepChannel {
    /// Returns a session over a wire that is logged on.
    pub fn new(wire: Box<dyn Wire>, platform: Platform) -> Self {
        Self {
            wire,
            dialect: Dialect::of(platform),
            process: None,
            by_hand: false,
            lost: None,
            busy: false,
        }
    }

    /// Starts the process if none runs. Whatever fails here, no step has run.
    async fn ensure_process(&mut self, limits: &Limits) -> Result<&mut Process, SessionError> {
        if self.process.is_none() {
            let command = self.dialect.start_command();
            let started = guard::bounded(limits, self.wire.start(&command, limits)).await;
            if let Err(error) = started {
                let not_run = match error {
                    SessionError::Cancelled { .. } => SessionError::Cancelled { sent: false },
                    SessionError::NotRun { detail } => return Err(SessionError::NotRun { detail }),
                    other => SessionError::NotRun {
                        detail: format!("PowerShell or sh: {other}"),
                    },
                };
                self.terminate().await;
                return Err(not_run);
            }
        }
        Ok(self.process.get_or_insert_with(Process::new))
    }

    async fn step(
        &mut self,
        request: &StepRequest,
        limits: &Limits,
    ) -> Result<StepReply, SessionError> {
        let params = merged_params(request)?;
        let process = self.ensure_process(limits).await?;
        process.last_id += 1;
        let (marker, id) = (process.marker.clone(), process.last_id);
        process.stdout.await_answer(&marker, id);
        let line = RequestLine {
            marker: &marker,
            id,
            script: script_text(request),
            params: &params,
        };
        guard::bounded(limits, self.wire.send_input(&line, limits)).await?;
        drop(params);
        self.await_answer(limits).await
    }

    async fn await_answer(&mut self, limits: &Limits) -> Result<StepReply, SessionError> {
        let mut pace = guard::Pace::default();
        loop {
            let received = guard::bounded(limits, self.wire.receive(limits)).await?;
            let Some(process) = &mut self.process else {
                return Err(SessionError::Unknown {
                    detail: "there is no process".to_owned(),
                });
            };
            process.stderr.push(&received.stderr);
            let answer =
                process
                    .stdout
                    .push(&received.stdout)
                    .map_err(|_| SessionError::Unknown {
                        detail: "the answer is longer than 64 MiB".to_owned(),
                    })?;
            let ended = received.exit_code.is_some();
            if let Some(json) = answer {
                let mut diagnostics = process.diagnostics(ended);
                if ended {
                    self.process = None;
                }
                return Ok(reply(&self.dialect, &json, &mut diagnostics));
            }
            if let Some(exit_code) = received.exit_code {
                return Err(self.ended_early(exit_code));
            }
            pace.wait(&received, limits).await;
        }
    }

    /// The process ended before the answer came.
    fn ended_early(&mut self, exit_code: i32) -> SessionError {
        let Some(mut process) = self.process.take() else {
            return SessionError::Unknown {
                detail: format!("exit code {exit_code}"),
            };
        };
        let said = process.diagnostics(true).join("; ");
        let said = if said.is_empty() {
            said
        } else {
            format!(": {said}")
        };
        // Only before its first answer: later the same number could come from a script.
        if process.last_id == 1
            && let Some(why) = self.dialect.refusal(exit_code)
        {
            return SessionError::NotRun {
                detail: format!("{why}{said}"),
            };
        }
        SessionError::Unknown {
            detail: format!(
                "the process ended with exit code {exit_code} before it answered{said}"
            ),
        }
    }

    /// Ends the process, with limits of its own: it also runs after a deadline or a cancel.
    async fn terminate(&mut self) {
        let limits = Limits::within(TERMINATE, &CancellationToken::new());
        if let Some(line) = self.take_running() {
            ask_to_stop(self.wire.as_mut(), line).await;
        }
        if let Err(error) = guard::bounded(&limits, self.wire.terminate(&limits)).await {
            self.lost = Some(format!("the connection was given up: {error}"));
        }
    }

    /// Forgets what runs; returns what ends it from within, where the far end listens.
    fn take_running(&mut self) -> Option<&'static [u8]> {
        let by_hand = std::mem::take(&mut self.by_hand);
        let runs = self.process.take().is_some() || by_hand;
        runs.then(|| self.dialect.stop_line()).flatten()
    }

    /// Takes the wire away; the session is of no more use.
    fn take_wire(&mut self) -> Box<dyn Wire> {
        let reached = self.wire.reached().clone();
        std::mem::replace(&mut self.wire, Box::new(GoneWire { reached }))
    }

    async fn run_command(
        &mut self,
        command: &ExecRequest,
        limits: &Limits,
    ) -> Result<ExecOutput, SessionError> {
        let (line, input) = self.dialect.exec(command)?;
        if self.process.is_some() {
            self.terminate().await;
            self.usable()?;
        }
        self.by_hand = true;
        guard::bounded(limits, self.wire.start(&line, limits)).await?;
        // A posix command has no input, and listens for the line that ends it. Elsewhere input is
        // ended also where there is none: a program that waits for some would run until its
        // deadline. Over WinRM that costs one exchange.
        if self.dialect.stop_line().is_none() {
            let input = input.unwrap_or_default();
            guard::bounded(limits, self.wire.send(&input, true, limits)).await?;
        }
        let is_windows = matches!(line, CommandLine::Windows { .. });
        let output = collect::output(self.wire.as_mut(), is_windows, limits).await?;
        self.by_hand = false;
        Ok(output)
    }

    fn usable(&self) -> Result<(), SessionError> {
        match &self.lost {
            Some(detail) => Err(SessionError::NotRun {
                detail: detail.clone(),
            }),
            None => Ok(()),
        }
    }

    async fn begin(&mut self, limits: &Limits) -> Result<(), SessionError> {
        self.ready(limits)?;
        if self.busy {
            // What the dropped call left behind would read, or answer, what comes next.
            self.terminate().await;
            self.usable()?;
        }
        self.busy = true;
        Ok(())
    }

    fn ready(&self, limits: &Limits) -> Result<(), SessionError> {
        self.usable()?;
        if limits.cancel.is_cancelled() {
            return Err(SessionError::Cancelled { sent: false });
        }
        if Instant::now() >= limits.deadline {
            return Err(SessionError::NotRun {
                detail: "its deadline had passed".to_owned(),
            });
        }
        Ok(())
    }

    /// After an error the process may be in the middle of anything: end it.
    async fn settle<T>(
        &mut self,
        result: Result<T, SessionError>,
        is_command: bool,
    ) -> Result<T, SessionError> {
        // `is_command`: a process of its own runs, which this type does not know of.
        if let Err(error) = &result
            && (self.process.is_some() || (is_command && error.may_have_run()))
        {
            self.terminate().await;
        }
        self.busy = false;
        self.by_hand = false;
        result
    }
}

/// Tells a process that listens while a step runs to end, and waits a little until it has.
async fn ask_to_stop(wire: &mut dyn Wire, line: &[u8]) {
    let limits = Limits::within(STOP, &CancellationToken::new());
    if guard::bounded(&limits, wire.send(line, true, &limits))
        .await
        .is_err()
    {
        return;
    }
    while let Ok(received) = guard::bounded(&limits, wire.receive(&limits)).await {
        if received.exit_code.is_some() {
            return;
        }
    }
}

impl Drop for StepChannel {
    fn drop(&mut self) {
        // A wire ends its process by itself when it is dropped; one that listens is told first.
        if let (Some(line), Ok(runtime)) =
            (self.take_running(), tokio::runtime::Handle::try_current())
        {
            let mut wire = self.take_wire();
            runtime.spawn(async move {
                ask_to_stop(wire.as_mut(), line).await;
                wire.close().await;
            });
        }
    }
}

/// Names the limit in a deadline error by what the caller had given.
fn with_limit(error: SessionError, began: Instant, limits: &Limits) -> SessionError {
    match error {
        SessionError::Deadline { .. } => {
            let exact = limits.deadline.saturating_duration_since(began);
            // A little of it was gone when the call began; people gave "2s".
            let tens = (exact.as_millis() + 5) / 10;
            SessionError::Deadline {
                limit: Duration::from_millis(u64::try_from(tens).unwrap_or(u64::MAX / 10) * 10),
            }
        }
        other => other,
    }
}

#[async_trait]
impl Session for StepChannel {
    fn reached(&self) -> &Reached {
        self.wire.reached()
    }

    async fn run_step(
        &mut self,
        step: &StepRequest,
        limits: &Limits,
    ) -> Result<StepReply, SessionError> {
        self.begin(limits).await?;
        let began = Instant::now();
        let result = self.step(step, limits).await;
        self.settle(result, false)
            .await
            .map_err(|error| with_limit(error, began, limits))
    }

    async fn exec(
        &mut self,
        command: &ExecRequest,
        limits: &Limits,
    ) -> Result<ExecOutput, SessionError> {
        self.begin(limits).await?;
        let began = Instant::now();
        let result = self.run_command(command, limits).await;
        self.settle(result, true)
            .await
            .map_err(|error| with_limit(error, began, limits))
    }

    async fn close(mut self: Box<Self>) {
        let stop_line = self.take_running();
        let mut wire = self.take_wire();
        if let Some(line) = stop_line {
            ask_to_stop(wire.as_mut(), line).await;
        }
        wire.close().await;
    }
}

fn reply(dialect: &Dialect, json: &[u8], diagnostics: &mut Vec<String>) -> StepReply {
    // The line is complete, so the step has ended; what it says may still be no JSON (5.1 writes
    // NaN as it is).
    let answer = dialect.decode(json).unwrap_or_else(|error| Answer {
        outcome: Err(ScriptFailure {
            error_id: "AnswerNotJson".to_owned(),
            code: None,
            message: std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
        }),
        diag: Vec::new(),
    });
    let mut all = answer.diag;
    all.append(diagnostics);
    StepReply {
        answer: answer.outcome,
        diagnostics: all,
    }
}
