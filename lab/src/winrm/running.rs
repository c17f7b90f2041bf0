//! One process in a shell: its input, its output and its end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::fault::Fault;
use super::reply::{PIECE, Piece};
use crate::process::{Output, Process};

/// How long a Receive waits for more after its first bytes, so that the last output and the
/// exit code come in one answer, as they do on Windows.
const GATHER: Duration = Duration::from_millis(2);

/// What a process ended by ctrl_c returns (STATUS_CONTROL_C_EXIT).
const CONTROL_C: i32 = -1_073_741_510;

/// A process that a client started. Dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Running {
    input: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    output: Mutex<OutputEnd>,
    kill: CancellationToken,
    ended: AtomicBool,
    code_if_killed: AtomicI32,
}

#[derive(Debug)]
struct OutputEnd {
    receiver: mpsc::Receiver<Output>,
    waiting: VecDeque<Piece>,
    cost: usize,
    exit: Option<i32>,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.bytes.len())
    }
}

impl Running {
    pub(crate) fn new(process: Process) -> Self {
        Self {
            input: Mutex::new(Some(process.stdin)),
            output: Mutex::new(OutputEnd {
                receiver: process.output,
                waiting: VecDeque::new(),
                cost: 0,
                exit: None,
            }),
            kill: process.kill,
            ended: AtomicBool::new(false),
            code_if_killed: AtomicI32::new(1),
        }
    }

    /// Makes a process that has written this to standard error and ended.
    pub(crate) fn ended(error: &str, code: i32) -> Self {
        let (stdin, _) = mpsc::channel(1);
        let (sender, output) = mpsc::channel(2);
        // Room for both is there.
        let _ = sender.try_send(Output::Stderr(error.as_bytes().to_vec()));
        let _ = sender.try_send(Output::Exit(code));
        Self::new(Process {
            stdin,
            output,
            kill: CancellationToken::new(),
        })
    }

    /// Tells whether the process has ended, as far as a Receive has seen.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Ends the process; `interrupt` decides its exit code.
    pub(crate) fn end(&self, interrupt: bool) {
        if interrupt {
            self.code_if_killed.store(CONTROL_C, Ordering::Relaxed);
        }
        self.kill.cancel();
    }

    /// Writes to standard input and closes it after the last bytes.
    ///
    /// # Errors
    /// [`Fault::PipeClosing`] if the process has ended or its input is closed.
    pub(crate) async fn write(
        &self,
        bytes: Vec<u8>,
        end: bool,
        deadline: Instant,
    ) -> Result<(), Fault> {
        let written = async {
            let mut input = self.input.lock().await;
            let sender = input.as_ref().ok_or(Fault::PipeClosing)?;
            if !bytes.is_empty() {
                sender.send(bytes).await.map_err(|_| Fault::PipeClosing)?;
            }
            if end {
                *input = None;
            }
            Ok(())
        };
        timeout_at(deadline, written)
            .await
            .unwrap_or(Err(Fault::TimedOut))
    }

    /// Waits for output or the end and takes what fits into `room` bytes of an answer. What
    /// was not yet taken when the caller goes away stays for the next one.
    ///
    /// # Errors
    /// [`Fault::TimedOut`] if nothing came until the deadline.
    pub(crate) async fn read(
        &self,
        room: usize,
        deadline: Instant,
    ) -> Result<(Vec<Piece>, Option<i32>), Fault> {
        let mut output = timeout_at(deadline, self.output.lock())
            .await
            .map_err(|_| Fault::TimedOut)?;
        if output.exit.is_none() && output.waiting.is_empty() {
            let next = timeout_at(deadline, output.receiver.recv());
            let next = next.await.map_err(|_| Fault::TimedOut)?;
            self.take(&mut output, next);
        }
        while output.exit.is_none() && output.cost < room {
            let Ok(next) = timeout(GATHER, output.receiver.recv()).await else {
                break;
            };
            self.take(&mut output, next);
        }
        let mut pieces = Vec::new();
        let mut left = room;
        while let Some(piece) = output.waiting.front() {
            let Some(rest) = left.checked_sub(piece.cost()) else {
                break;
            };
            left = rest;
            pieces.extend(output.waiting.pop_front());
        }
        output.cost = output.waiting.iter().map(Piece::cost).sum();
        let exit = output.exit.filter(|_| output.waiting.is_empty());
        Ok((pieces, exit))
    }

    fn take(&self, output: &mut OutputEnd, next: Option<Output>) {
        let (error, bytes) = match next {
            Some(Output::Stdout(bytes)) => (false, bytes),
            Some(Output::Stderr(bytes)) => (true, bytes),
            Some(Output::Exit(code)) => return self.ended_with(output, code),
            None => return self.ended_with(output, self.code_if_killed.load(Ordering::Relaxed)),
        };
        for chunk in bytes.chunks(PIECE) {
            let piece = Piece {
                error,
                bytes: chunk.to_vec(),
            };
            output.cost += piece.cost();
            output.waiting.push_back(piece);
        }
    }

    fn ended_with(&self, output: &mut OutputEnd, code: i32) {
        output.exit = Some(code);
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}
