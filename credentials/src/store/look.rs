//! Looking, before any PC is touched, whether everything that is needed is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleetmend_directory::Limit;
use fleetmend_model::{CredentialRef, Host, HostName};

use super::{Choice, Store, StoreError};
use crate::SourceError;
use crate::settings::Origin;

/// A credential that will be needed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a CredentialRef,
    /// For which PC; none: for the run.
    pub host: Option<&'a Host>,
    /// Somebody else names the account, so that the credential needs not.
    pub has_account: bool,
}

/// What was seen of each place: whether it names an account, or why it has nothing.
#[derive(Default)]
struct Seen {
    origins: BTreeMap<Origin<String>, Result<bool, SourceError>>,
    keys: BTreeMap<PathBuf, Result<(), SourceError>>,
}

/// Errors of many PCs, those that are the same joined.
#[derive(Default)]
struct Errors(Vec<StoreError>);

/// When a place is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// At once: it asks nobody anything.
    Free,
    /// Then: a passphrase may be asked for.
    Vaults,
    /// Last.
    Prompts,
}

impl Store {
    /// Asks for everything that is asked once, and looks whether the rest is there: files, vault
    /// entries, keyrings, variables of PCs. Runs no program and does not ask LAPS. Keeps no
    /// secret but what was asked for.
    ///
    /// # Errors
    /// Everything that is missing.
    pub async fn look(&self, wanted: &[Wanted<'_>], limit: &Limit) -> Result<(), Vec<StoreError>> {
        let mut errors = Errors::default();
        let mut found: Vec<(Wanted<'_>, Vec<Choice>)> = Vec::new();
        for one in wanted {
            let choices = self
                .entry(one.name)
                .and_then(|entry| self.choices(one.name, entry, one.host));
            match choices {
                Ok(choices) => found.push((*one, choices)),
                Err(error) => errors.add(error),
            }
        }
        errors.none()?;
        // The operator types nothing that a missing file makes useless.
        let mut seen = Seen::default();
        for turn in [Turn::Free, Turn::Vaults, Turn::Prompts] {
            for (one, choices) in &found {
                for choice in choices {
                    self.look_at(one, choice, turn, (&mut seen, &mut errors), limit)
                        .await;
                }
            }
            errors.none()?;
            for (one, choices) in &found {
                judge(one, choices, &seen, &mut errors);
            }
            errors.none()?;
        }
        Ok(())
    }

    async fn look_at(
        &self,
        one: &Wanted<'_>,
        choice: &Choice,
        turn: Turn,
        (seen, errors): (&mut Seen, &mut Errors),
        limit: &Limit,
    ) {
        let mut told = |error: &SourceError| {
            if !error.absent {
                errors.add(StoreError::source(one.name, error.clone()));
            }
        };
        for origin in choice.password.iter().chain(&choice.passphrase) {
            let now = origin.is_looked_at_early() && Turn::of(origin) == turn;
            if !now || seen.origins.contains_key(origin) {
                continue;
            }
            let found = self.ask(origin, one.host, limit).await;
            let found = found.map(|found| found.user.is_some());
            found.as_ref().err().map(&mut told);
            seen.origins.insert(origin.clone(), found);
        }
        if let Some(path) = choice.key_file.as_ref().filter(|_| turn == Turn::Free)
            && !seen.keys.contains_key(path)
        {
            let found = readable(path).await;
            found.as_ref().err().map(&mut told);
            seen.keys.insert(path.clone(), found);
        }
    }
}

impl Turn {
    fn of(origin: &Origin<String>) -> Self {
        match origin {
            Origin::Vault { .. } => Self::Vaults,
            Origin::Prompt { .. } => Self::Prompts,
            _ => Self::Free,
        }
    }
}

/// Finds out whether a credential is known to come to nothing for a PC.
fn judge(one: &Wanted<'_>, choices: &[Choice], seen: &Seen, errors: &mut Errors) {
    let hosts: Vec<HostName> = one.host.iter().map(|host| host.name.clone()).collect();
    let name = one.name.clone();
    let mut tried: Vec<SourceError> = Vec::new();
    let mut nameless = false;
    for choice in choices {
        match seen.lacks(choice) {
            Some(error) => tried.push(error),
            None => nameless |= !seen.may_name_account(choice),
        }
    }
    if tried.len() == choices.len() {
        errors.add(StoreError::Nothing { name, hosts, tried });
    } else if nameless && !one.has_account {
        errors.add(StoreError::NoAccount { name, hosts });
    }
}

impl Seen {
    /// Returns why a choice comes to nothing, if it is known to.
    fn lacks(&self, choice: &Choice) -> Option<SourceError> {
        let origins = choice.password.iter().chain(&choice.passphrase);
        let mut seen = origins.filter_map(|origin| self.origins.get(origin));
        let lacking = seen.find_map(|seen| seen.as_ref().err().cloned());
        let key = choice.key_file.as_ref().and_then(|key| self.keys.get(key));
        lacking.or_else(|| key.and_then(|key| key.as_ref().err().cloned()))
    }

    fn may_name_account(&self, choice: &Choice) -> bool {
        let of_source = choice.password.as_ref().is_some_and(|origin| {
            let seen = self.origins.get(origin);
            origin.may_name_account() && seen.is_none_or(|seen| *seen == Ok(true))
        });
        choice.user.is_some() || of_source
    }
}

impl Errors {
    /// Adds an error; one that differs in its PCs only is joined.
    fn add(&mut self, error: StoreError) {
        for other in &mut self.0 {
            match (&mut *other, &error) {
                (
                    StoreError::Nothing { name, hosts, tried },
                    StoreError::Nothing {
                        name: same,
                        hosts: more,
                        tried: again,
                    },
                ) if name == same && tried == again => {
                    hosts.extend(more.iter().cloned());
                    return;
                }
                (
                    StoreError::NoAccount { name, hosts },
                    StoreError::NoAccount {
                        name: same,
                        hosts: more,
                    },
                ) if name == same => {
                    hosts.extend(more.iter().cloned());
                    return;
                }
                _ => {}
            }
            if *other == error {
                return;
            }
        }
        self.0.push(error);
    }

    fn none(&mut self) -> Result<(), Vec<StoreError>> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(std::mem::take(&mut self.0)),
        }
    }
}

async fn readable(path: &Path) -> Result<(), SourceError> {
    let Err(error) = tokio::fs::File::open(path).await else {
        return Ok(());
    };
    let from = format!("the SSH key {}", path.display());
    Err(match error.kind() {
        std::io::ErrorKind::NotFound => SourceError::absent(from, "there is no such file", ""),
        _ => SourceError::new(from, error.to_string(), ""),
    })
}
