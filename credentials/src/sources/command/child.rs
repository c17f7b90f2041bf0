//! One program, with all that it starts, and what it says.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{self, Command};
use zeroize::Zeroizing;

use crate::sources::password_text::MAX_BYTES;

/// How long the pipe of a program that has ended may stay open: what it left running in the
/// background (`op` and `gpg` leave an agent) may hold it for ever.
const GRACE: Duration = Duration::from_millis(500);
/// How long the system may take to end what was killed.
const REAP: Duration = Duration::from_secs(5);

/// What a program printed, in memory that is wiped and never moves.
pub(super) struct Output {
    printed: Zeroizing<Vec<u8>>,
    count: usize,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            printed: Zeroizing::new(vec![0; MAX_BYTES + 1]),
            count: 0,
        }
    }
}

impl Output {
    /// Returns what was printed on standard output.
    pub(super) fn printed(&self) -> &[u8] {
        self.printed.get(..self.count).unwrap_or_default()
    }
}

/// A program that runs. Dropped, it is killed with all that it started.
pub(super) struct Child {
    child: process::Child,
    ended: bool,
}

impl Child {
    /// Starts a program in a process group of its own.
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        command.kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn()?;
        Ok(Self {
            child,
            ended: false,
        })
    }

    /// Hears the program out and returns how it ended; none if it printed more than any password
    /// has, and may still be printing.
    pub(super) async fn listen(&mut self, output: &mut Output) -> io::Result<Option<ExitStatus>> {
        let Output { printed, count } = output;
        let stdout = read_start(self.child.stdout.take(), printed, count);
        tokio::pin!(stdout);
        let (status, read) = tokio::select! {
            biased;
            read = &mut stdout => match read {
                Ok(()) => (self.child.wait().await?, None),
                Err(Stop::Full) => return Ok(None),
                Err(Stop::Failed(error)) => return Err(error),
            },
            status = self.child.wait() => {
                let status = status?;
                // What it printed itself is in the pipe by now.
                let read = tokio::time::timeout(GRACE, &mut stdout).await;
                (status, read.ok())
            }
        };
        self.ended = true;
        match read {
            None | Some(Ok(())) => Ok(Some(status)),
            Some(Err(Stop::Full)) => Ok(None),
            Some(Err(Stop::Failed(error))) => Err(error),
        }
    }

    /// Ends the program with all that it started, and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        if self.ended {
            return;
        }
        self.kill_group();
        let _ = self.child.start_kill();
        if let Ok(Ok(_)) = tokio::time::timeout(REAP, self.child.wait()).await {
            self.ended = true;
        }
    }

    /// The group has the number of its first process, which nobody else gets before that was
    /// waited for.
    #[cfg(unix)]
    fn kill_group(&self) {
        use rustix::process::{Pid, Signal, kill_process_group};

        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Windows: the program alone is ended.
    #[cfg(not(unix))]
    fn kill_group(&self) {}
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended {
            // The program itself is reaped by the runtime.
            self.kill_group();
        }
    }
}

/// Why reading ends before the end.
enum Stop {
    /// The buffer is full: nobody waits for the rest.
    Full,
    Failed(io::Error),
}

/// Reads to the end, or until the buffer is full.
async fn read_start(
    stream: Option<impl AsyncRead + Unpin>,
    buffer: &mut [u8],
    count: &mut usize,
) -> Result<(), Stop> {
    let Some(mut stream) = stream else {
        return Ok(());
    };
    while let Some(room) = buffer.get_mut(*count..).filter(|room| !room.is_empty()) {
        match stream.read(room).await.map_err(Stop::Failed)? {
            0 => return Ok(()),
            read => *count += read,
        }
    }
    Err(Stop::Full)
}
