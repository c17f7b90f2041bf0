//! Which source stands for which place.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_credentials::settings::Origin;
use fleetmend_credentials::{Found, Scope, Source, SourceError, Subject};
use fleetmend_directory::Limit;
use fleetmend_model::Secret;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::password;

/// No password is longer, in bytes.
const MAX_BYTES: usize = 4_096;

/// Returns the source of a place that is neither a vault nor LAPS.
///
/// # Errors
/// There is no such source here.
pub(super) fn make(
    origin: &Origin<String>,
    folder: &std::path::Path,
) -> Result<Arc<dyn Source>, SourceError> {
    let place = match origin {
        Origin::File(path) => Place::File(path.into()),
        Origin::Env(name) => match password::file_of(name) {
            Some(path) => Place::File(path),
            None => {
                return Err(SourceError::absent(
                    format!("the environment variable {name}"),
                    "it is not set",
                    format!("name the file that holds the password: {name}=FILE"),
                ));
            }
        },
        Origin::Prompt { asks } => Place::Prompt(asks.clone(), OnceCell::new()),
        Origin::Command { words, timeout } => Place::Command {
            words: words.clone(),
            timeout: *timeout,
            folder: folder.to_owned(),
        },
        Origin::Vault { .. } | Origin::Keyring { .. } | Origin::Laps { .. } => {
            let why = "this fleetmend was built without it";
            return Err(SourceError::new(format!("the {}", origin.kind()), why, ""));
        }
    };
    Ok(Arc::new(place))
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Prompt(String, OnceCell<Secret>),
    Command {
        words: Vec<String>,
        timeout: Duration,
        folder: PathBuf,
    },
}

#[async_trait]
impl Source for Place {
    fn describe(&self) -> String {
        match self {
            Self::File(path) => format!("the file {}", path.display()),
            Self::Prompt(..) => "the terminal".to_owned(),
            Self::Command { words, .. } => {
                format!("the command {}", words.first().map_or("", String::as_str))
            }
        }
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    async fn fetch(&self, _: Subject<'_>, _: &Limit) -> Result<Found, SourceError> {
        let said = |error: CliError| {
            let (why, hints) = error.lines();
            let next = hints.first().cloned().unwrap_or_default();
            SourceError::new(self.describe(), why, next)
        };
        let password = match self {
            Self::File(path) => {
                let path = path.clone();
                let read = move || match path.symlink_metadata() {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                    _ => Some(password::read(&path)),
                };
                let read = tokio::task::spawn_blocking(read).await;
                let read = read.map_err(|error| self.failed(error.to_string()))?;
                let none = || SourceError::absent(self.describe(), "there is no such file", "");
                read.ok_or_else(none)?.map_err(said)?
            }
            Self::Prompt(asks, kept) => {
                let otherwise = "run fleetmend on a terminal, or name another source";
                let ask = || {
                    let asks = asks.clone();
                    tokio::task::spawn_blocking(move || password::ask(&asks, otherwise))
                };
                let asked = kept.get_or_try_init(|| async {
                    let asked = ask().await;
                    asked
                        .map_err(|error| self.failed(error.to_string()))?
                        .map_err(said)
                });
                asked.await?.clone()
            }
            Self::Command {
                words,
                timeout,
                folder,
            } => self.run(words, *timeout, folder).await?,
        };
        Ok(Found {
            user: None,
            password,
            ssh: None,
        })
    }
}

impl Place {
    fn failed(&self, why: impl Into<String>) -> SourceError {
        SourceError::new(self.describe(), why, "")
    }

    /// Runs the program and takes what it prints, without one line end at the end.
    async fn run(
        &self,
        words: &[String],
        timeout: Duration,
        folder: &std::path::Path,
    ) -> Result<Secret, SourceError> {
        let (program, arguments) = words.split_first().ok_or_else(|| self.failed("no words"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| self.failed(error.to_string()))?;
        // Room for all of it at once: a buffer that grows leaves copies behind.
        let mut printed = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        let output = child.stdout.take();
        let read = async {
            if let Some(output) = output {
                let mut output = output.take(MAX_BYTES as u64 + 1);
                output.read_to_end(&mut printed).await?;
            }
            child.wait().await
        };
        let ended = tokio::time::timeout(timeout, read).await;
        let status = ended
            .map_err(|_| self.failed(format!("it did not end within {timeout:?}")))?
            .map_err(|error| self.failed(error.to_string()))?;
        if !status.success() {
            return Err(self.failed(format!("it failed ({status})")));
        }
        let text = std::str::from_utf8(&printed).map_err(|_| self.failed("it printed no text"))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() || text.len() > MAX_BYTES || text.contains(['\n', '\r', '\0']) {
            return Err(self.failed("it printed nothing, or more than one line"));
        }
        Ok(Secret::new(text.to_owned()))
    }
}
