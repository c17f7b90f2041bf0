//! An environment variable that names the file of a password. The password itself in the
//! environment would be seen by every program that we start, and by `ps`.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use fleetmend_directory::Limit;

use super::ended;
use super::file::{PasswordFileFault, read_plain};
use crate::{Found, Scope, Source, SourceError, Subject};

type Lookup = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// The file that an environment variable names. What the variable holds is never told: it may be
/// the password, put there by mistake.
pub struct EnvSource {
    variable: String,
    lookup: Lookup,
}

impl EnvSource {
    /// Returns the source of a variable of this process.
    pub fn new(variable: impl Into<String>) -> Self {
        Self::of(variable, |name| std::env::var_os(name))
    }

    /// Returns the source of a variable in another environment.
    pub fn of(
        variable: impl Into<String>,
        lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        Self {
            variable: variable.into(),
            lookup: Box::new(lookup),
        }
    }

    fn next(&self) -> String {
        format!(
            "it must hold the name of the file that holds the password: {}=FILE",
            self.variable
        )
    }

    fn unfit(&self, fault: &PasswordFileFault) -> SourceError {
        let (why, next) = match fault {
            // The number tells what happened; the system's words never hold the name either.
            PasswordFileFault::Unreadable(error) => {
                let number = number(error);
                (format!("it names no file that can be read{number}"), None)
            }
            fault => (format!("the file that it names {fault}"), fault.hint()),
        };
        let next = next.map_or_else(|| self.next(), str::to_owned);
        SourceError::new(self.describe(), why, next)
    }
}

fn number(error: &io::Error) -> String {
    let number = error.raw_os_error();
    number.map_or(String::new(), |number| format!(" (os error {number})"))
}

#[async_trait]
impl Source for EnvSource {
    fn describe(&self) -> String {
        format!("the environment variable {}", self.variable)
    }

    fn scope(&self) -> Scope {
        Scope::Run
    }

    async fn fetch(&self, _: Subject<'_>, limit: &Limit) -> Result<Found, SourceError> {
        let value = (self.lookup)(&self.variable).filter(|value| !value.is_empty());
        let Some(path) = value.map(PathBuf::from) else {
            return Err(SourceError::absent(
                self.describe(),
                "it is not set",
                self.next(),
            ));
        };
        let read = tokio::task::spawn_blocking(move || read_plain(&path));
        let read = limit.bound(read).await;
        let read = read.map_err(|why| ended(self, why))?;
        // A panic's text could hold the path.
        let failed = |_| SourceError::new(self.describe(), "reading it came to an end", "");
        let password = read.map_err(failed)?.map_err(|fault| self.unfit(&fault))?;
        Ok(Found {
            user: None,
            password,
            ssh: None,
        })
    }
}

impl fmt::Debug for EnvSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvSource")
            .field("variable", &self.variable)
            .finish_non_exhaustive()
    }
}
