//! Credentials by name: which source, which account, for which PC.

mod error;
mod look;
mod places;
mod programs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fleetmend_directory::Limit;
use fleetmend_model::{CredentialRef, Host, Judged, Refusals, Secret, SshKey, SshLogon};
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};

pub use error::StoreError;
pub use look::Wanted;

use crate::settings::{Alternative, Entry, Origin, Settings};
use crate::template::{Scope, TemplateError};
use crate::{Found, Source, SourceError, Subject};

/// Makes the source of a place. Apart from the store, so that a test can make its own.
#[async_trait]
pub trait Sources: Send + Sync {
    /// Returns the source of this place, which no longer holds templates. A vault is opened the
    /// first time, and its passphrase asked for once.
    ///
    /// # Errors
    /// [`SourceError`]: there can be no such source here.
    async fn source(&self, origin: &Origin<String>) -> Result<Arc<dyn Source>, SourceError>;
}

/// What a credential comes to for one PC, or for the run.
#[derive(Clone, Debug)]
pub struct Given {
    /// The account, where the file or the source names one.
    pub user: Option<String>,
    /// The password; empty where SSH needs none.
    pub password: Secret,
    /// How SSH logs on before the password.
    pub ssh: Option<SshLogon>,
}

/// The credentials of a file. Holds no secret, except what was asked for and cannot be asked
/// again.
pub struct Store {
    settings: Settings,
    sources: Arc<dyn Sources>,
    /// By what is asked.
    prompts: Mutex<BTreeMap<String, Arc<dyn Source>>>,
    /// Programs that run now: who wants the same secret meanwhile waits for the same one.
    running: Mutex<BTreeMap<Origin<String>, WeakShared<Running>>>,
}

type Running = BoxFuture<'static, Result<Found, SourceError>>;

/// One place where a credential may be, as it is for one PC.
#[derive(Clone, Debug)]
struct Choice {
    user: Option<String>,
    password: Option<Origin<String>>,
    key_file: Option<PathBuf>,
    passphrase: Option<Origin<String>>,
    agent: bool,
    has_ssh: bool,
}

impl Store {
    /// Returns the store of a file; nothing is opened yet.
    pub fn new(settings: Settings, sources: Arc<dyn Sources>) -> Self {
        Self {
            settings,
            sources,
            prompts: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// Returns what the file says.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells whether the file has this credential.
    pub fn knows(&self, name: &CredentialRef) -> bool {
        self.settings.credential(name).is_some()
    }

    /// Returns the kinds of the sources in order: `LAPS, else vault`.
    pub fn kinds(&self, name: &CredentialRef) -> String {
        let mut kinds: Vec<&str> = Vec::new();
        for one in self
            .settings
            .credential(name)
            .iter()
            .flat_map(|entry| &entry.from)
        {
            let kind = match (&one.password, &one.ssh) {
                (Some(origin), _) => origin.kind(),
                (None, Some(ssh)) if ssh.key_file.is_none() => "SSH agent",
                (None, _) => "SSH key",
            };
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds.join(", else ")
    }

    /// Tells whether the directory must be open to have it.
    pub fn needs_directory(&self, name: &CredentialRef) -> bool {
        let mut from = self
            .settings
            .credential(name)
            .into_iter()
            .flat_map(|entry| &entry.from);
        from.any(|one| matches!(one.password, Some(Origin::Laps { .. })))
    }

    /// Returns the accounts in words, without asking any source, for people to read; none where
    /// neither the file names one nor a source could.
    ///
    /// # Errors
    /// There is no such credential, or its account has a variable that is not set.
    pub fn account_in_words(
        &self,
        name: &CredentialRef,
        host: Option<&Host>,
    ) -> Result<Option<String>, StoreError> {
        let entry = self.entry(name)?;
        let scope = host.map(Scope::of);
        let mut accounts: Vec<String> = Vec::new();
        for one in &entry.from {
            let account = match (&one.user, &one.password) {
                (Some(user), _) => Some(
                    user.render(scope.as_ref())
                        .map_err(|why| StoreError::template(name, host, why))?,
                ),
                (None, Some(Origin::Laps { .. })) => Some("the account that LAPS names".to_owned()),
                (None, Some(Origin::Vault { entry, .. })) => {
                    Some(format!("the account of the vault's entry {entry}"))
                }
                (None, _) => None,
            };
            accounts.extend(account.filter(|account| !accounts.contains(account)));
        }
        Ok((!accounts.is_empty()).then(|| accounts.join(", else ")))
    }

    /// Fetches a credential: the first that is there.
    ///
    /// # Errors
    /// A source could not be asked, or none of them has a secret.
    pub async fn fetch(
        &self,
        name: &CredentialRef,
        host: Option<&Host>,
        limit: &Limit,
    ) -> Result<Given, StoreError> {
        let mut tried: Vec<SourceError> = Vec::new();
        for choice in self.choices(name, self.entry(name)?, host)? {
            match self.get(&choice, host, limit).await {
                Ok(given) => return Ok(given),
                Err(error) if error.absent => tried.push(error),
                Err(error) => return Err(StoreError::source(name, error)),
            }
        }
        let hosts = host.map(|host| host.name.clone());
        Err(StoreError::Nothing {
            name: name.clone(),
            hosts: hosts.into_iter().collect(),
            tried,
        })
    }

    /// Fetches the first that this PC has not refused yet, after it refused others; nothing if the
    /// budget allows no other, or there is none. `account` returns the account under which what a
    /// place gives would be used.
    ///
    /// # Errors
    /// A source could not be asked.
    pub async fn another(
        &self,
        name: &CredentialRef,
        host: &Host,
        refusals: &Refusals<'_>,
        account: impl Fn(&Given) -> Option<String>,
        limit: &Limit,
    ) -> Result<Option<Given>, StoreError> {
        let entry = self.entry(name)?;
        if refusals.count >= entry.attempts {
            return Ok(None);
        }
        // Of what was refused before the run was cut only the number is known: as many are passed
        // over from the beginning.
        let mut forgotten = refusals.forgotten;
        let mut passed: Vec<Judged> = Vec::new();
        for choice in self.choices(name, entry, Some(host))? {
            let given = match self.get(&choice, Some(host), limit).await {
                Ok(given) => given,
                Err(error) if error.absent => continue,
                Err(error) => return Err(StoreError::source(name, error)),
            };
            let user = account(&given).unwrap_or_default();
            let judged = (refusals.judge)(&user, &given.password);
            // A key is another one in each place, whatever password stands beside it.
            let is_new = given.ssh.is_some() || !passed.contains(&judged);
            if judged.refused || !is_new {
                continue;
            }
            if forgotten == 0 {
                return Ok(Some(given));
            }
            forgotten -= 1;
            passed.push(judged);
        }
        Ok(None)
    }

    /// Fetches the passwords of ansible-vault, each with its label.
    ///
    /// # Errors
    /// One is not to be had.
    pub async fn ansible_vault(&self, limit: &Limit) -> Result<Vec<(String, Secret)>, StoreError> {
        let mut found = Vec::new();
        for (label, origin) in self.settings.ansible_vault() {
            let name = CredentialRef(format!("ansible_vault/{label}"));
            let origin = origin.render(None, self.settings.folder());
            let origin = origin.map_err(|why| StoreError::template(&name, None, why))?;
            let secret = self.ask(&origin, None, limit).await;
            let secret = secret.map_err(|why| StoreError::source(&name, why))?;
            found.push((label.clone(), secret.password));
        }
        Ok(found)
    }

    fn entry(&self, name: &CredentialRef) -> Result<&Entry, StoreError> {
        let entry = self.settings.credential(name);
        entry.ok_or_else(|| StoreError::Unknown { name: name.clone() })
    }

    /// Returns the places in order, as they are for this PC.
    fn choices(
        &self,
        name: &CredentialRef,
        entry: &Entry,
        host: Option<&Host>,
    ) -> Result<Vec<Choice>, StoreError> {
        let scope = host.map(Scope::of);
        let choices = entry.from.iter();
        choices
            .map(|one| self.choice(one, scope.as_ref()))
            .collect::<Result<_, _>>()
            .map_err(|why| StoreError::template(name, host, why))
    }

    fn choice(&self, one: &Alternative, scope: Option<&Scope>) -> Result<Choice, TemplateError> {
        let folder = self.settings.folder();
        let render = |origin: &Option<Origin<_>>| {
            let origin = origin.as_ref();
            origin
                .map(|origin| origin.render(scope, folder))
                .transpose()
        };
        let user = one.user.as_ref().map(|user| user.render(scope));
        let mut choice = Choice {
            user: user.transpose()?,
            password: render(&one.password)?,
            key_file: None,
            passphrase: None,
            agent: false,
            has_ssh: one.ssh.is_some(),
        };
        if let Some(ssh) = &one.ssh {
            let key = ssh.key_file.as_ref().map(|key| key.render(scope));
            let key = key.transpose()?;
            choice.key_file = key.map(|key| crate::settings::whole_path(&key, folder));
            choice.passphrase = render(&ssh.passphrase)?;
            choice.agent = ssh.agent;
        }
        Ok(choice)
    }

    async fn get(
        &self,
        choice: &Choice,
        host: Option<&Host>,
        limit: &Limit,
    ) -> Result<Given, SourceError> {
        let mut given = Given {
            user: choice.user.clone(),
            password: Secret::new(String::new()),
            ssh: None,
        };
        if let Some(origin) = &choice.password {
            let found = self.ask(origin, host, limit).await?;
            given.user = given.user.or(found.user);
            given.password = found.password;
            given.ssh = found.ssh;
        }
        if choice.has_ssh {
            let passphrase = match &choice.passphrase {
                Some(origin) => Some(self.ask(origin, host, limit).await?.password),
                None => None,
            };
            given.ssh = Some(SshLogon {
                key: choice.key_file.clone().map(SshKey::File),
                passphrase,
                use_agent: choice.agent,
            });
        }
        Ok(given)
    }

    /// Asks one place. The same program is not run twice at once.
    async fn ask(
        &self,
        origin: &Origin<String>,
        host: Option<&Host>,
        limit: &Limit,
    ) -> Result<Found, SourceError> {
        let subject = host.map_or(Subject::Run, Subject::Host);
        match origin {
            Origin::Command { .. } => self.run(origin, limit).await?.await,
            Origin::Prompt { asks } => {
                let kept = lock(&self.prompts).get(asks).cloned();
                let source = match kept {
                    Some(source) => source,
                    None => {
                        let source = self.sources.source(origin).await?;
                        let mut prompts = lock(&self.prompts);
                        prompts.entry(asks.clone()).or_insert(source).clone()
                    }
                };
                source.fetch(subject, limit).await
            }
            _ => {
                let source = self.sources.source(origin).await?;
                source.fetch(subject, limit).await
            }
        }
    }

    async fn run(
        &self,
        origin: &Origin<String>,
        limit: &Limit,
    ) -> Result<Shared<Running>, SourceError> {
        let source = self.sources.source(origin).await?;
        let mut running = lock(&self.running);
        if let Some(one) = running.get(origin).and_then(WeakShared::upgrade) {
            return Ok(one);
        }
        let limit = limit.clone();
        let one = async move { source.fetch(Subject::Run, &limit).await };
        let one = one.boxed().shared();
        if let Some(weak) = one.downgrade() {
            running.insert(origin.clone(), weak);
        }
        Ok(one)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("file", &self.settings.file())
            .finish_non_exhaustive()
    }
}

/// What a panic elsewhere left behind is as whole as before: one insert changes it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
