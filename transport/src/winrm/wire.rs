//! The wire over WinRM: one shell, one process at a time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_model::{Credential, WinrmSettings};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::answer;
use super::cleanup;
use super::endpoint::Endpoint;
use super::envelope::{Operation, SEND_PIECE};
use super::fault::Fault;
use super::http::{HttpError, bounded};
use super::link::{ExchangeError, Link};
use super::logon;
use super::program::{Start, ways};
use super::shell::{self, OPERATION_TIMEOUT};
use super::target::Target;
use super::xml::Element;
use crate::{CommandLine, ConnectError, Input, Limits, Reached, Received, SessionError, Wire};

/// How long one poll for output waits on the PC.
const POLL: Duration = Duration::from_secs(20);
/// The shortest wait that is asked of a PC.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// We wait at least this much longer for a poll's answer than we asked the PC to: giving up on one
/// loses the output in it for good, and the connection.
const POLL_GRACE: Duration = Duration::from_secs(10);
/// Ending a process, a fresh logon included, takes no longer.
const TERMINATE_TIME: Duration = Duration::from_secs(12);
/// Polls that come back empty at once are spaced out from this on.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A logged-on WinRM connection with one shell.
///
/// Dropping it deletes the shell in a task of its own.
pub struct WinrmWire {
    target: Arc<Target>,
    reached: Reached,
    /// Gone while an exchange runs: whatever interrupts it, the connection is not used again.
    link: Option<Link>,
    shell: Option<String>,
    process: Option<Process>,
    /// A start whose answer was lost: something may run in the shell that we cannot name.
    adrift: bool,
    empty_polls: u32,
}

struct Process {
    id: String,
    started: Instant,
    /// An answer was lost, and output with it.
    lost: bool,
}

/// Connects, logs on (the password is used once; again only after the PC has accepted it) and
/// creates the shell, waiting out quota faults inside `limits`.
///
/// `tcp` is a connection that a prober already opened to the endpoint; without it the endpoint
/// is resolved and connected to.
///
/// # Errors
/// See [`ConnectError`]; nothing has been run on the PC. `Unreachable` is returned only while
/// the password has not been sent or after it was accepted, so falling back to another port
/// cannot spend it twice.
pub async fn connect(
    endpoint: &Endpoint,
    tcp: Option<TcpStream>,
    credential: &Credential,
    settings: &WinrmSettings,
    limits: &Limits,
) -> Result<WinrmWire, ConnectError> {
    let target = Arc::new(Target::prepare(endpoint, credential, settings).await?);
    let link = logon::connect(&target, tcp, limits).await?;
    let (shell, link) = shell::create(&target, link, limits).await?;
    let reached = Reached {
        transport: endpoint.kind(),
        address: target.address.clone(),
    };
    Ok(WinrmWire {
        target,
        reached,
        link,
        shell: Some(shell),
        process: None,
        adrift: false,
        empty_polls: 0,
    })
}

#[async_trait]
impl Wire for WinrmWire {
    fn reached(&self) -> &Reached {
        &self.reached
    }

    async fn start(&mut self, command: &CommandLine, limits: &Limits) -> Result<(), SessionError> {
        let Some(ways) = ways(command) else {
            return Err(not_run("a posix command line cannot be run over WinRM"));
        };
        if self.process.is_some() {
            return Err(not_run("a process still runs in the shell"));
        }
        still_time(limits, None)?;
        let mut refusal = None;
        for way in ways {
            match self.start_one(&way, limits).await? {
                None => return Ok(()),
                Some(fault) if fault.is_not_found() => refusal = Some(fault),
                Some(fault) => return Err(not_run(fault)),
            }
        }
        Err(refusal.map_or_else(|| not_run("no way to start it"), not_run))
    }

    async fn send(&mut self, bytes: &[u8], end: bool, limits: &Limits) -> Result<(), SessionError> {
        let (shell, command, started) = self.running()?;
        still_time(limits, None)?;
        let pieces: Vec<&[u8]> = match bytes {
            [] if end => vec![&[]],
            _ => bytes.chunks(SEND_PIECE).collect(),
        };
        let last = pieces.len().saturating_sub(1);
        for (index, piece) in pieces.into_iter().enumerate() {
            let operation = Operation::Send {
                shell: &shell,
                command: &command,
                bytes: piece,
                end: end && index == last,
            };
            match self.exchange(&operation, OPERATION_TIMEOUT, limits).await {
                Ok(Ok(_)) => {}
                // The process has ended, or has closed its input: what it said tells.
                Ok(Err(fault)) if fault.is_input_closed() => return Ok(()),
                Ok(Err(fault)) => return Err(self.lose(&fault)),
                Err(error) if index == 0 && error.nothing_left() => return Err(not_run(error)),
                Err(error) => return Err(self.gone(error, limits, started)),
            }
        }
        Ok(())
    }

    async fn send_input(&mut self, input: &dyn Input, limits: &Limits) -> Result<(), SessionError> {
        if input.most() > SEND_PIECE {
            let bytes = input.bytes();
            return self.send(&bytes, false, limits).await;
        }
        let (shell, command, started) = self.running()?;
        still_time(limits, None)?;
        let operation = Operation::SendInput {
            shell: &shell,
            command: &command,
            input,
        };
        match self.exchange(&operation, OPERATION_TIMEOUT, limits).await {
            Ok(Ok(_)) => Ok(()),
            // As in `send`.
            Ok(Err(fault)) if fault.is_input_closed() => Ok(()),
            Ok(Err(fault)) => Err(self.lose(&fault)),
            Err(error) if error.nothing_left() => Err(not_run(error)),
            Err(error) => Err(self.gone(error, limits, started)),
        }
    }

    async fn receive(&mut self, limits: &Limits) -> Result<Received, SessionError> {
        let (shell, command, started) = self.running()?;
        still_time(limits, Some(started))?;
        let begun = Instant::now();
        let (timeout, patience) = poll(limits.deadline.saturating_duration_since(begun));
        let patient = Limits {
            deadline: begun + patience,
            cancel: limits.cancel.clone(),
            mark: limits.mark.clone(),
        };
        let operation = Operation::Receive {
            shell: &shell,
            command: &command,
        };
        match self.exchange(&operation, timeout, &patient).await {
            Ok(Ok(body)) => {
                let output = answer::output(&body, &command).map_err(|error| self.lose(&error))?;
                if output.done {
                    self.process = None;
                }
                let received = Received {
                    stdout: output.stdout,
                    stderr: output.stderr,
                    // [MS-WSMV] 2.2.4.11 lets a service leave the code out; -1 is what
                    // Windows itself gives a process that was ended from outside.
                    exit_code: output.done.then(|| output.exit_code.unwrap_or(-1)),
                };
                if received == Received::default() {
                    self.pace(begun, limits).await;
                } else {
                    self.empty_polls = 0;
                }
                Ok(received)
            }
            Ok(Err(fault)) if fault.is_timeout() => {
                if begun.elapsed() < timeout / 2 {
                    self.pace(begun, limits).await;
                } else {
                    self.empty_polls = 0;
                }
                Ok(Received::default())
            }
            Ok(Err(fault)) => Err(self.lose(&fault)),
            Err(error) => Err(self.gone(error, limits, started)),
        }
    }

    /// Takes at most [`TERMINATE_TIME`], also when `limits` are over: it is what one does then.
    /// A connection that was lost is replaced first.
    async fn terminate(&mut self, limits: &Limits) -> Result<(), SessionError> {
        let cancel = tokio_util::sync::CancellationToken::new();
        let mut own = Limits::within(TERMINATE_TIME, &cancel);
        if limits.deadline > Instant::now() + SHORTEST_POLL {
            own.deadline = own.deadline.min(limits.deadline);
        }
        if self.adrift {
            // It cannot be named, only deleted with its shell.
            self.retire();
            return Err(SessionError::Unknown {
                detail: "the process could not be named; its shell is being deleted".to_owned(),
            });
        }
        let (Some(shell), Some(process)) = (self.shell.clone(), self.process.take()) else {
            return Ok(());
        };
        let operation = Operation::Terminate {
            shell: &shell,
            command: &process.id,
        };
        match self.exchange(&operation, SHORTEST_POLL * 10, &own).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(fault)) if fault.is_gone() => Ok(()),
            Ok(Err(fault)) => {
                self.retire();
                Err(SessionError::Unknown {
                    detail: fault.to_string(),
                })
            }
            Err(error) => {
                self.retire();
                Err(SessionError::Unknown {
                    detail: error.to_string(),
                })
            }
        }
    }

    async fn close(mut self: Box<Self>) {
        if let Some(task) = self.retire() {
            let _ = task.await;
        }
    }
}

impl Drop for WinrmWire {
    fn drop(&mut self) {
        self.retire();
    }
}

impl WinrmWire {
    /// Carries out one operation, over a fresh connection where the last was closed in order.
    /// What certainly did not leave is sent once more; nothing else ever is.
    async fn exchange(
        &mut self,
        operation: &Operation<'_>,
        timeout: Duration,
        limits: &Limits,
    ) -> Result<Result<Element, Fault>, ExchangeError> {
        let mut first = true;
        loop {
            let link = match self.link.take() {
                Some(link) => link,
                None if self.target.accepted() => logon::connect(&self.target, None, limits)
                    .await
                    .map_err(|error| ExchangeError::NoLink(Box::new(error)))?,
                None => return Err(HttpError::NotSent.into()),
            };
            match link
                .exchange(&self.target, operation, timeout, limits)
                .await
            {
                Ok(exchanged) => {
                    self.link = exchanged.link;
                    return Ok(exchanged.reply);
                }
                Err(ExchangeError::Http(HttpError::NotSent)) if first => first = false,
                Err(error) => return Err(error),
            }
        }
    }

    /// Tries one way of starting; returns the refusal if certainly no process was started.
    async fn start_one(
        &mut self,
        way: &Start,
        limits: &Limits,
    ) -> Result<Option<Fault>, SessionError> {
        let shell = match &self.shell {
            Some(shell) if !self.adrift => shell.clone(),
            _ => return Err(not_run("the shell is lost")),
        };
        let operation = Operation::Command {
            shell: &shell,
            program: &way.program,
            arguments: &way.arguments,
            skip_cmd: way.skip_cmd,
        };
        let started = Instant::now();
        // Set before the exchange: its future may be dropped in the middle.
        self.adrift = true;
        let result = self.exchange(&operation, OPERATION_TIMEOUT, limits).await;
        let body = match result {
            Ok(Ok(body)) => body,
            Ok(Err(fault)) if fault.means_not_started() => {
                self.adrift = false;
                return Ok(Some(fault));
            }
            Ok(Err(fault)) => {
                return Err(SessionError::Unknown {
                    detail: fault.to_string(),
                });
            }
            Err(error) if error.nothing_left() => {
                self.adrift = false;
                return Err(not_run(error));
            }
            Err(error) => return Err(session_error(error, limits, started)),
        };
        let id = answer::command_id(&body).map_err(|error| SessionError::Unknown {
            detail: error.to_string(),
        })?;
        self.adrift = false;
        self.empty_polls = 0;
        self.process = Some(Process {
            id,
            started,
            lost: false,
        });
        Ok(None)
    }

    /// Returns the ids of shell and process and when it was started.
    fn running(&self) -> Result<(String, String, Instant), SessionError> {
        match (&self.shell, &self.process) {
            (Some(_), Some(process)) if process.lost => Err(SessionError::Unknown {
                detail: "an earlier answer was lost, and output with it".to_owned(),
            }),
            (Some(shell), Some(process)) => {
                Ok((shell.clone(), process.id.clone(), process.started))
            }
            _ => Err(not_run("no process runs")),
        }
    }

    /// Notes that an answer is useless; nothing more is read from the process.
    fn lose(&mut self, why: &dyn std::fmt::Display) -> SessionError {
        if let Some(process) = &mut self.process {
            process.lost = true;
        }
        SessionError::Unknown {
            detail: why.to_string(),
        }
    }

    fn gone(&mut self, error: ExchangeError, limits: &Limits, started: Instant) -> SessionError {
        let _ = self.lose(&error);
        session_error(error, limits, started)
    }

    /// Spaces out polls that come back empty at once.
    async fn pace(&mut self, begun: Instant, limits: &Limits) {
        let pause = FIRST_PAUSE * 2_u32.pow(self.empty_polls.min(4));
        self.empty_polls += 1;
        let rest = pause.saturating_sub(begun.elapsed());
        // Deadline and cancel are told by the next call.
        let _ = bounded(sleep(rest), pause, limits).await;
    }

    /// Hands the shell over for deletion.
    fn retire(&mut self) -> Option<tokio::task::JoinHandle<()>> {
        self.process = None;
        let shell = self.shell.take()?;
        cleanup::delete_shell(Arc::clone(&self.target), self.link.take(), shell)
    }
}

/// Returns how long the next poll waits on the PC, and how long we wait for its answer, where
/// `left` is the time to the caller's deadline.
///
/// Only close to the deadline does the second go beyond it, by less than what guards a step.
fn poll(left: Duration) -> (Duration, Duration) {
    let timeout = left.saturating_sub(POLL_GRACE).clamp(SHORTEST_POLL, POLL);
    (timeout, left.max(timeout + POLL_GRACE))
}

fn not_run(why: impl std::fmt::Display) -> SessionError {
    SessionError::NotRun {
        detail: why.to_string(),
    }
}

/// Looks at the limits before anything is sent; `started` is when the process was.
fn still_time(limits: &Limits, started: Option<Instant>) -> Result<(), SessionError> {
    if limits.cancel.is_cancelled() {
        return Err(SessionError::Cancelled {
            sent: started.is_some(),
        });
    }
    if limits.deadline > Instant::now() {
        return Ok(());
    }
    Err(match started {
        Some(started) => deadline(limits, started),
        None => not_run("no time was left for it"),
    })
}

fn deadline(limits: &Limits, started: Instant) -> SessionError {
    SessionError::Deadline {
        limit: limits.deadline.saturating_duration_since(started),
    }
}

/// Turns a failed exchange into what it means for the step.
fn session_error(error: ExchangeError, limits: &Limits, started: Instant) -> SessionError {
    match error {
        ExchangeError::Http(HttpError::Cancelled) => SessionError::Cancelled { sent: true },
        ExchangeError::Http(HttpError::Deadline) => deadline(limits, started),
        error => SessionError::Unknown {
            detail: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_poll_is_waited_for_longer_than_it_was_asked_to_take() {
        // What the engine and the step channel allow a wire beyond the deadline.
        let guard = Duration::from_secs(15);
        for tenths in 0..1000 {
            let left = Duration::from_millis(tenths * 100);
            let (timeout, patience) = poll(left);
            assert!((SHORTEST_POLL..=POLL).contains(&timeout), "{left:?}");
            assert!(patience >= timeout + Duration::from_secs(10), "{left:?}");
            assert!(patience < left + guard, "{left:?}");
        }
        assert_eq!(poll(Duration::from_secs(180)).0, POLL);
    }
}
