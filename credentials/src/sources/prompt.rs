//! A password that the operator types, without echo.

#[cfg(unix)]
mod terminal;

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fleetmend_directory::{Ended, Limit};
use fleetmend_model::Secret;
use tokio::sync::OnceCell;

use super::ended;
use crate::{Found, Scope, Source, SourceError, Subject};

/// Nobody typed a password.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Nobody is there to ask.
    #[error("{what} is missing and there is no terminal to ask")]
    NoTerminal {
        /// What was asked for.
        what: String,
    },
    /// The operator pressed Ctrl-C.
    #[error("{what} was not given: Ctrl-C")]
    Interrupted {
        /// What was asked for.
        what: String,
    },
    /// The terminal failed.
    #[error("failed to read {what}: {source}")]
    Unreadable {
        /// What was asked for.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The operator pressed Enter only.
    #[error("{what} is empty")]
    Empty {
        /// What was asked for.
        what: String,
    },
}

impl PromptError {
    /// Returns what to do about it; `otherwise` says what to do without a terminal.
    pub fn hint<'a>(&self, otherwise: &'a str) -> Option<&'a str> {
        match self {
            Self::NoTerminal { .. } => Some(otherwise),
            Self::Empty { .. } => Some("Windows refuses empty passwords over the network"),
            Self::Interrupted { .. } | Self::Unreadable { .. } => None,
        }
    }
}

/// One question at a time: two that wait on one terminal would share what is typed.
static TERMINAL: Mutex<()> = Mutex::new(());

/// Asks for a password on the terminal, without echo. Blocks until the operator has typed it.
///
/// # Errors
/// There is no terminal, or the input was empty or cut.
pub fn ask_password(what: &str) -> Result<Secret, PromptError> {
    let what = || what.to_owned();
    if !io::stdin().is_terminal() {
        return Err(PromptError::NoTerminal { what: what() });
    }
    let _turn = TERMINAL.lock().unwrap_or_else(PoisonError::into_inner);
    let typed = terminal::ask(&format!("{}: ", what()));
    let typed = typed.map_err(|source| match source.kind() {
        io::ErrorKind::Interrupted => PromptError::Interrupted { what: what() },
        _ => PromptError::Unreadable {
            what: what(),
            source,
        },
    })?;
    match typed.is_empty() {
        true => Err(PromptError::Empty { what: what() }),
        false => Ok(Secret::new(typed)),
    }
}

/// The console of Windows is set and reset by rpassword alone.
#[cfg(not(unix))]
mod terminal {
    pub(super) fn ask(question: &str) -> std::io::Result<String> {
        rpassword::prompt_password(question)
    }
}

type Asker = Arc<dyn Fn(&str) -> Result<Secret, PromptError> + Send + Sync>;

/// A password that the operator types once; it is kept, since nobody types it for each PC.
pub struct PromptSource {
    what: String,
    otherwise: String,
    asker: Asker,
    kept: OnceCell<Secret>,
}

impl PromptSource {
    /// Returns the source of a password that is asked for in these words (`the password of
    /// admin`); `otherwise` tells what to do where there is no terminal.
    pub fn new(what: impl Into<String>, otherwise: impl Into<String>) -> Self {
        Self::by(what, otherwise, ask_password)
    }

    /// Returns the same with another way of asking.
    pub fn by(
        what: impl Into<String>,
        otherwise: impl Into<String>,
        asker: impl Fn(&str) -> Result<Secret, PromptError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            what: what.into(),
            otherwise: otherwise.into(),
            asker: Arc::new(asker),
            kept: OnceCell::new(),
        }
    }

    async fn ask(&self) -> Result<Secret, SourceError> {
        let (asker, what) = (Arc::clone(&self.asker), self.what.clone());
        let asked = tokio::task::spawn_blocking(move || asker(&what)).await;
        let failed = |why: String, next: &str| SourceError::new(self.describe(), why, next);
        asked
            .map_err(|error| failed(error.to_string(), ""))?
            .map_err(|error| {
                let next = error.hint(&self.otherwise).unwrap_or_default();
                failed(error.to_string(), next)
            })
    }
}

#[async_trait]
impl Source for PromptSource {
    fn describe(&self) -> String {
        "the terminal".to_owned()
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    /// Has no deadline while the operator types: nothing has begun that could wait.
    async fn fetch(&self, _: Subject<'_>, limit: &Limit) -> Result<Found, SourceError> {
        let password = tokio::select! {
            biased;
            () = limit.cancelled() => return Err(ended(self, Ended::Cancelled)),
            password = self.kept.get_or_try_init(|| self.ask()) => password?,
        };
        Ok(Found {
            user: None,
            password: password.clone(),
            ssh: None,
        })
    }
}

impl fmt::Debug for PromptSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PromptSource")
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}
