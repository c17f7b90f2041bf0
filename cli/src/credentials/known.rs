//! What an option, a variable or the operator gave.

use std::path::{Path, PathBuf};

use fleetmend_model::{Credential, Secret};

use crate::error::CliError;
use crate::password;

/// A password, or the file that holds it.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// It can be had only once: typed, or out of a pipe.
    Kept(Secret),
    /// It was there when it was looked at, and is read again when it is needed.
    File(PathBuf),
}

/// An account with its password.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Its name.
    pub(super) user: String,
    /// Its password.
    pub(super) password: Known,
}

impl Known {
    /// Looks at the file that holds it. Of a pipe, which can be read only once, the password is
    /// kept.
    ///
    /// # Errors
    /// As [`password::read`].
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let secret = password::read(path)?;
        Ok(match path.is_file() {
            true => Self::File(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
            false => Self::Kept(secret),
        })
    }

    /// Returns the password.
    ///
    /// # Errors
    /// As [`password::read`].
    pub(super) fn secret(&self) -> Result<Secret, CliError> {
        match self {
            Self::Kept(secret) => Ok(secret.clone()),
            Self::File(path) => password::read(path),
        }
    }

    /// Returns where it comes from, in one word.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Kept(_) => "prompt",
            Self::File(_) => "file",
        }
    }
}

impl Account {
    /// Returns both.
    ///
    /// # Errors
    /// As [`password::read`].
    pub(super) fn credential(&self) -> Result<Credential, CliError> {
        Ok(Credential::new(self.user.clone(), self.password.secret()?))
    }
}
