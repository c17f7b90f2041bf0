//! One place where a secret is kept.

use std::fmt;

use async_trait::async_trait;
use fleetmend_directory::Limit;
use fleetmend_model::{Host, Secret, SshLogon};

/// For whom a secret is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// For one PC.
    Host(&'a Host),
    /// For the run itself, as the account in the directory is.
    Run,
}

/// Whether a source gives one secret or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The same for every PC: it can be looked at once before any PC is touched.
    Run,
    /// Each PC has its own.
    Host,
}

/// What a source gives.
#[derive(Clone, Debug)]
pub struct Found {
    /// The account, where the source knows it (LAPS, an entry of the vault).
    pub user: Option<String>,
    /// The password; empty where SSH needs none.
    pub password: Secret,
    /// How SSH logs on before the password.
    pub ssh: Option<SshLogon>,
}

/// A source gave nothing. Holds no secret, nor anything that a program printed which may hold one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to get a secret from {from}: {why}")]
pub struct SourceError {
    /// The source, in words: `the vault fleet.age, entry local-admin`.
    pub from: String,
    /// What happened, with its number.
    pub why: String,
    /// What to do next; empty where nothing can be said.
    pub next: String,
    /// The source was asked, and has no secret for this subject: another source may be asked
    /// instead. Else it could not be asked, or what it gave is unfit.
    pub absent: bool,
}

impl SourceError {
    /// Returns the error that a source could not be asked, or gave what is unfit.
    pub fn new(from: impl Into<String>, why: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            from: from.into(),
            why: why.into(),
            next: next.into(),
            absent: false,
        }
    }

    /// Returns the error that a source has nothing for this subject.
    pub fn absent(
        from: impl Into<String>,
        why: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            absent: true,
            ..Self::new(from, why, next)
        }
    }
}

/// One place where a secret is kept.
#[async_trait]
pub trait Source: Send + Sync + fmt::Debug {
    /// Returns the source in words, without any secret.
    fn describe(&self) -> String;

    /// Returns whether it gives one secret or many.
    fn scope(&self) -> Scope;

    /// Fetches the secret. May be asked often; keeps no copy unless it can be asked only once
    /// (a prompt).
    ///
    /// # Errors
    /// [`SourceError`]: nothing is done that needs it.
    async fn fetch(&self, subject: Subject<'_>, limit: &Limit) -> Result<Found, SourceError>;
}
