//! What a program prints: `op read …`, `pass show …`, a script of the house.
//!
//! The program is run each time that somebody asks; nothing is kept. (Who asks for the same words
//! while it runs waits for the same answer: [`Store`](crate::Store) sees to that, so one
//! `op read` serves all PCs that begin together.) It has no standard input and a process group
//! of its own, so a program that asks its user on the terminal is stopped by the system and ends
//! at its deadline, and Ctrl-C reaches it through our cancel only.

mod child;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_directory::{Ended, Limit};
use fleetmend_model::Secret;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::ended;
use super::password_text::{self, Unfit};
use crate::{Found, Scope, Source, SourceError, Subject};
use child::{Child, Output};

/// Programs that run at once, over all PCs: a vault's server refuses a thousand at a time, and
/// this machine has other work.
const AT_ONCE: usize = 8;

/// The programs of a run: share one among all its sources.
#[derive(Clone, Debug)]
pub struct Commands {
    permits: Arc<Semaphore>,
    at_once: usize,
}

impl Default for Commands {
    fn default() -> Self {
        Self::at_once(AT_ONCE)
    }
}

impl Commands {
    /// Lets at most this many run at once.
    pub fn at_once(at_once: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(at_once)),
            at_once,
        }
    }

    /// Returns the source of a program with its arguments, which no shell reads. `timeout` is
    /// for one run of it, apart from the wait for its turn; it runs in `folder`, from which its
    /// own name is taken too if that is a path.
    pub fn source(
        &self,
        words: Vec<String>,
        timeout: Duration,
        folder: impl Into<PathBuf>,
    ) -> CommandSource {
        CommandSource {
            commands: self.clone(),
            words,
            timeout,
            folder: folder.into(),
        }
    }
}

/// What one program prints.
pub struct CommandSource {
    commands: Commands,
    words: Vec<String>,
    timeout: Duration,
    folder: PathBuf,
}

#[async_trait]
impl Source for CommandSource {
    fn describe(&self) -> String {
        format!("the command {}", self.words.first().map_or("", |word| word))
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    async fn fetch(&self, _: Subject<'_>, limit: &Limit) -> Result<Found, SourceError> {
        let turn = limit.bound(self.commands.permits.acquire()).await;
        let _turn = turn.map_err(|why| match why {
            Ended::Cancelled => ended(self, why),
            Ended::Deadline => self.failed(format!(
                "its turn did not come in time: {} programs run at once",
                self.commands.at_once
            )),
        })?;
        let mut child = self.start()?;
        let mut output = Output::default();
        let began = Instant::now();
        let bound = limit.at_most(self.timeout);
        let end = bound.bound(child.listen(&mut output)).await;
        let end = match end {
            Ok(end) => end.map_err(|error| self.failed(error.to_string())),
            Err(why) => Err(self.late(why, began)),
        };
        // Of whatever is left of it; it never outlives the question.
        let status = match end {
            Ok(Some(status)) => status,
            Ok(None) => {
                child.kill().await;
                return Err(self.unfit(Unfit::Long));
            }
            Err(error) => {
                child.kill().await;
                return Err(error);
            }
        };
        Ok(Found {
            user: None,
            password: self.password(status, &output)?,
            ssh: None,
        })
    }
}

impl CommandSource {
    fn start(&self) -> Result<Child, SourceError> {
        let Some((program, arguments)) = self.words.split_first() else {
            return Err(self.failed("it has no words".to_owned()));
        };
        let mut command = Command::new(whole(program, &self.folder));
        command
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // A trace (`set -x`), a dump of headers, a token that was refused: what stands there
            // may be a secret, and an error's text ends in the journal.
            .stderr(Stdio::null());
        Child::start(command).map_err(|error| {
            let next = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "the program must be in a folder of PATH, or named with its folder"
                }
                _ => "",
            };
            let why = format!("it does not start: {error}");
            SourceError::new(self.describe(), why, next)
        })
    }

    fn password(&self, status: ExitStatus, output: &Output) -> Result<Secret, SourceError> {
        if status.success() {
            return password_text::password(output.printed()).map_err(|why| self.unfit(why));
        }
        let end = match status.code() {
            Some(code) => format!("it failed with exit code {code}"),
            None => format!("it failed ({status})"),
        };
        let next =
            "run it by hand: what it says on standard error may hold a secret, and is not kept";
        Err(SourceError::new(self.describe(), end, next))
    }

    fn late(&self, why: Ended, began: Instant) -> SourceError {
        if why == Ended::Cancelled {
            return ended(self, why);
        }
        let why = match began.elapsed() >= self.timeout {
            true => format!("it did not end within {:?}", self.timeout),
            false => "it did not end in time".to_owned(),
        };
        let next = "it must not wait for anybody: it has no terminal and no standard input";
        SourceError::new(self.describe(), why, next)
    }

    fn unfit(&self, why: Unfit) -> SourceError {
        let next = "it must print the password and nothing else, as UTF-8";
        SourceError::new(self.describe(), format!("what it prints {why}"), next)
    }

    fn failed(&self, why: String) -> SourceError {
        SourceError::new(self.describe(), why, "")
    }
}

/// The arguments may be confidential: they are counted.
impl fmt::Debug for CommandSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandSource")
            .field("program", &self.words.first())
            .field("arguments", &self.words.len().saturating_sub(1))
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Returns a program's name as the system wants it: one with a folder is taken from ours on
/// every system, a bare one is looked for in PATH.
pub(crate) fn whole(program: &str, folder: &Path) -> PathBuf {
    let path = Path::new(program);
    match path.components().count() {
        0 | 1 => path.to_owned(),
        _ => folder.join(path),
    }
}
