//! Which account and password each PC is logged on to with. Everything that is asked for is at
//! hand before the first PC is touched; what can be had again is fetched when it is needed.

mod file;
mod known;
mod names;
mod own_sources;
mod places;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use fleetmend_credentials::{Given, Wanted};
use fleetmend_engine::{CredentialError, CredentialSource};
use fleetmend_inventory::Unseal;
use fleetmend_model::{
    Credential, CredentialRef, Host, Refusals, RunMode, Secret, TransportChoice,
};

pub(crate) use file::CredentialsFile;
pub(crate) use reach::Reach;

use file::fetch_limit;
use known::{Account, Known};

use crate::args::{DomainArgs, LogonArgs, Setting};
use crate::changeable;
use crate::error::CliError;
use crate::password;

/// The credential of PCs whose inventory names none.
pub(crate) const DEFAULT: &str = "local-admin";
/// The credential that `--domain-user` gives.
pub(crate) const DOMAIN: &str = "domain";
/// The parameter of playbooks that it is for.
pub(crate) const DOMAIN_PARAMETER: &str = "domain_credential";

/// Every password of a run: where it is, or itself if it was asked for.
///
/// For one PC a password in its inventory outweighs the credential that it names, options and
/// variables outweigh `credentials.yaml`, and that a question to the operator.
#[derive(Debug)]
pub(crate) struct Passwords {
    default_user: Option<String>,
    /// What options, variables and the operator gave.
    by_name: BTreeMap<CredentialRef, Known>,
    domain: Option<Account>,
    /// The accounts of `--credential`, by parameter.
    given: BTreeMap<String, Account>,
    /// What `credentials.yaml` has for the playbook: parameter, credential, account in words.
    kept: BTreeMap<String, (CredentialRef, String)>,
    file: Option<Arc<CredentialsFile>>,
    unseal: Option<Arc<dyn Unseal>>,
}

impl Passwords {
    /// Reads or asks for every password that these PCs need, and looks whether those that are
    /// fetched later are there.
    ///
    /// # Errors
    /// A PC has no account, or a password is missing or its file unfit.
    pub(crate) async fn gather(
        logon: &LogonArgs,
        domain: &DomainArgs,
        mode: RunMode,
        hosts: &[Arc<Host>],
        file: Option<&Arc<CredentialsFile>>,
    ) -> Result<Self, CliError> {
        let mut passwords = Self {
            default_user: logon.user.clone(),
            by_name: BTreeMap::new(),
            domain: None,
            given: BTreeMap::new(),
            kept: BTreeMap::new(),
            file: file.cloned(),
            unseal: None,
        };
        passwords.check_users(logon, hosts)?;
        names::check(hosts, domain)?;
        let in_file = |name: &CredentialRef| file.is_some_and(|file| file.store().knows(name));
        // A file may be a pipe, which can be read once.
        let mut read: BTreeMap<PathBuf, Known> = BTreeMap::new();
        let names = needed(hosts);
        for name in &names {
            if let Some(path) = file_for(name, logon) {
                let known = match read.get(&path) {
                    Some(known) => known.clone(),
                    None => read
                        .entry(path.clone())
                        .or_insert(Known::read(&path)?)
                        .clone(),
                };
                passwords.by_name.insert(name.clone(), known);
            }
        }
        passwords.keep(domain, mode)?;
        passwords.look(mode, hosts).await?;
        for name in names {
            let known = passwords.by_name.contains_key(&name) || in_file(&name);
            if !known && must_have(&name, hosts) {
                let secret = ask(&name, logon, hosts)?;
                passwords.by_name.insert(name, Known::Kept(secret));
            }
        }
        passwords.given = given(domain, mode)?;
        passwords.domain = domain_credential(domain, mode)?;
        Ok(passwords)
    }

    /// Returns passwords that are known already, as the demo's are.
    pub(crate) fn known(user: &str, password: Secret, domain: Option<Credential>) -> Self {
        let name = CredentialRef(DEFAULT.to_owned());
        Self {
            default_user: Some(user.to_owned()),
            by_name: BTreeMap::from([(name, Known::Kept(password))]),
            domain: domain.map(|domain| Account {
                user: domain.user,
                password: Known::Kept(domain.password),
            }),
            given: BTreeMap::new(),
            kept: BTreeMap::new(),
            file: None,
            unseal: None,
        }
    }

    /// Lets passwords be opened that stand encrypted in the inventory.
    pub(crate) fn unsealed_by(mut self, unseal: Option<Arc<dyn Unseal>>) -> Self {
        self.unseal = unseal;
        self
    }

    /// Returns the domain account, if one was given.
    pub(crate) fn domain_user(&self) -> Option<&str> {
        let kept = self.kept.get(DOMAIN_PARAMETER);
        let kept = kept.map(|(_, account)| account.as_str());
        self.domain
            .as_ref()
            .map(|domain| domain.user.as_str())
            .or(kept)
    }

    /// Returns the domain account with its password, if one was given.
    ///
    /// # Errors
    /// Its source has none.
    pub(crate) async fn domain(&self) -> Result<Option<Credential>, CliError> {
        if let Some(domain) = &self.domain {
            return domain.credential().map(Some);
        }
        match (self.kept.get(DOMAIN_PARAMETER), &self.file) {
            (Some((name, _)), Some(file)) => file.for_run(name).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Returns the other accounts for the playbook: parameter and user.
    pub(crate) fn given(&self) -> Vec<(&str, &str)> {
        let given = self.given.iter();
        let given = given.map(|(name, account)| (name.as_str(), account.user.as_str()));
        let kept = self
            .kept
            .iter()
            .filter(|(name, _)| *name != DOMAIN_PARAMETER);
        given
            .chain(kept.map(|(name, (_, account))| (name.as_str(), account.as_str())))
            .collect()
    }

    /// Tells whether `credentials.yaml` has another account or password for each PC.
    pub(crate) fn is_per_host(&self, name: &CredentialRef) -> bool {
        let entry = self
            .file
            .as_ref()
            .and_then(|file| file.store().settings().credential(name));
        entry.is_some_and(fleetmend_credentials::settings::Entry::is_per_host)
    }

    /// Returns each account with the number of PCs that it logs on to.
    pub(crate) fn accounts(&self, hosts: &[Arc<Host>]) -> BTreeMap<String, usize> {
        let mut accounts = BTreeMap::new();
        for host in hosts {
            if let Some(user) = self.account(host) {
                *accounts.entry(user).or_default() += 1;
            }
        }
        accounts
    }

    /// Tells whether the directory must be open to log on to these PCs, or for the playbook.
    pub(crate) fn need_directory(&self, hosts: &[Arc<Host>]) -> bool {
        let Some(file) = &self.file else {
            return false;
        };
        let kept = self.kept.values().map(|(name, _)| name.clone());
        let names = needed(hosts).into_iter();
        let names = names.filter(|name| !self.by_name.contains_key(name));
        names
            .chain(kept)
            .any(|name| file.store().needs_directory(&name))
    }

    /// Returns the accounts with which this PC may be logged on to, each with where its password
    /// is. A vault is looked into for the account of its entry.
    pub(crate) async fn logons(&self, host: &Host) -> Result<Vec<(Logon, String)>, String> {
        let name = name_of(host);
        let by_name = host.brings_password() || self.by_name.contains_key(&name);
        let file = self.file.as_ref().filter(|file| file.store().knows(&name));
        let outweighing = self.outweighing(host, &name);
        let (Some(file), None, false) = (file, &outweighing, by_name) else {
            let user = outweighing.or(self.named_account(host)?);
            return Ok(user.map(|user| (Logon::First, user)).into_iter().collect());
        };
        let limit = fetch_limit();
        let places = file.store().accounts(&name, Some(host), &limit).await;
        let places = places.map_err(|error| error.to_string())?.into_iter();
        let account = |user: Option<String>| user.or_else(|| self.default_user.clone());
        Ok(places
            .filter_map(|(place, user)| Some((Logon::Place(place), account(user)?)))
            .collect())
    }

    /// Returns what a PC would be logged on to with; none if it is not there.
    pub(crate) async fn logon(
        &self,
        host: &Host,
        logon: &Logon,
    ) -> Result<Option<Credential>, String> {
        let name = name_of(host);
        let (Logon::Place(place), Some(file)) = (logon, &self.file) else {
            return self.of(&name, host, None).await;
        };
        let limit = fetch_limit();
        let given = file.store().fetch_place(&name, Some(host), *place, &limit);
        let given = given.await.map_err(|error| error.to_string())?;
        let default = self.default_user.clone();
        given
            .map(|given| with_user(given, None, default))
            .transpose()
    }

    /// Returns the account where no place of the password names one.
    fn named_account(&self, host: &Host) -> Result<Option<String>, String> {
        let name = name_of(host);
        let file = self.file.as_ref().filter(|file| file.store().knows(&name));
        let named = file.map(|file| file.store().named_account(&name, Some(host)));
        let named = named.transpose().map_err(|error| error.to_string())?;
        Ok(named.flatten().or_else(|| self.default_user.clone()))
    }

    /// Returns the account of a PC in words, without asking any source.
    fn account(&self, host: &Host) -> Option<String> {
        let name = name_of(host);
        if let Some(user) = self.outweighing(host, &name) {
            return Some(user);
        }
        let file = self.file.as_ref().filter(|file| file.store().knows(&name));
        let kept = file.and_then(|file| file.store().account_in_words(&name, Some(host)).ok()?);
        kept.or_else(|| self.default_user.clone())
    }

    /// Returns the account that outweighs the one of `credentials.yaml`: the inventory's, or that
    /// of `--user`, which is for the credential that no inventory names.
    fn outweighing(&self, host: &Host, name: &CredentialRef) -> Option<String> {
        let by_option = || self.default_user.clone().filter(|_| name.0 == DEFAULT);
        host.user.clone().or_else(by_option)
    }

    /// Refuses PCs for which nothing names an account.
    fn check_users(&self, logon: &LogonArgs, hosts: &[Arc<Host>]) -> Result<(), CliError> {
        let nobody = hosts.iter().find(|host| {
            let name = name_of(host);
            let file = self.file.as_ref().filter(|file| file.store().knows(&name));
            // Of a variable that is missing the look tells more.
            let kept = file.is_some_and(|file| {
                let account = file.store().account_in_words(&name, Some(host));
                let fetched = !host.brings_password() && file_for(&name, logon).is_none();
                fetched || !matches!(account, Ok(None))
            });
            !kept && host.user.is_none() && self.default_user.is_none()
        });
        match nobody {
            None => Ok(()),
            Some(host) => Err(
                CliError::user(format!("no account is given for {}", host.name)).hint(
                    "name the PCs' local administrator: --user NAME, or `user` in the inventory",
                ),
            ),
        }
    }

    /// Notes what `credentials.yaml` has for the playbook.
    fn keep(&mut self, domain: &DomainArgs, mode: RunMode) -> Result<(), CliError> {
        let Some(file) = self.file.as_ref().filter(|_| mode != RunMode::Exec) else {
            return Ok(());
        };
        for Setting {
            name: parameter,
            value,
        } in &domain.kept
        {
            let name = CredentialRef(value.clone());
            let per_host = self.is_per_host(&name);
            if parameter == DOMAIN_PARAMETER && per_host {
                return Err(CliError::user(format!(
                    "{}: {parameter} is one account for all PCs, and {name} is another for each",
                    file.path().display()
                ))
                .hint("name a credential without templates and without LAPS for it"));
            }
            let account = match per_host {
                true => Some(format!("{name}, another on each PC")),
                false => file.store().account_in_words(&name, None).ok().flatten(),
            };
            let account = account.unwrap_or_else(|| name.to_string());
            self.kept.insert(parameter.clone(), (name, account));
        }
        Ok(())
    }

    /// Looks whether everything is there that `credentials.yaml` promises.
    async fn look(&self, mode: RunMode, hosts: &[Arc<Host>]) -> Result<(), CliError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let needs = self.needs(file, mode, hosts);
        let wanted: Vec<Wanted<'_>> = needs.iter().map(Needed::wanted).collect();
        let programs = file.store().programs(&wanted);
        // A bare name is found in PATH, which is the operator's.
        for program in programs.iter().filter(|path| path.components().count() > 1) {
            changeable::refuse(program, "it is run for passwords")?;
        }
        file.look(&wanted).await
    }

    /// Returns the programs that would be run for passwords.
    pub(crate) fn programs(&self, hosts: &[Arc<Host>]) -> BTreeSet<PathBuf> {
        let Some(file) = &self.file else {
            return BTreeSet::new();
        };
        let needs = self.needs(file, RunMode::Repair, hosts);
        let wanted: Vec<Wanted<'_>> = needs.iter().map(Needed::wanted).collect();
        file.store().programs(&wanted)
    }

    /// Returns what `credentials.yaml` must have for these PCs and for the playbook.
    fn needs(&self, file: &CredentialsFile, mode: RunMode, hosts: &[Arc<Host>]) -> Vec<Needed> {
        let store = file.store();
        let fetched = hosts.iter().filter(|host| !host.brings_password());
        let mut needs: Vec<Needed> = fetched
            .map(|host| Needed {
                name: name_of(host),
                host: Some(Arc::clone(host)),
                has_account: host.user.is_some() || self.default_user.is_some(),
            })
            .filter(|one| !self.by_name.contains_key(&one.name) && store.knows(&one.name))
            .collect();
        // A check gives no account to any playbook.
        let kept = self.kept.values().filter(|_| mode == RunMode::Repair);
        for (name, _) in kept {
            let per_host = self.is_per_host(name);
            let whom = hosts.iter().map(|host| Some(Arc::clone(host)));
            let whom: Vec<Option<Arc<Host>>> = if per_host { whom.collect() } else { vec![None] };
            needs.extend(whom.into_iter().map(|host| Needed {
                name: name.clone(),
                host,
                has_account: false,
            }));
        }
        needs
    }

    /// Returns the credential of this name for this PC; after it refused others, none of those.
    async fn of(
        &self,
        name: &CredentialRef,
        host: &Host,
        refusals: Option<&Refusals<'_>>,
    ) -> Result<Option<Credential>, String> {
        let once = |credential| refusals.is_none().then_some(credential);
        let is_logon = host.credential.as_ref() == Some(name);
        if !is_logon && let Some(account) = self.of_option(name) {
            return account
                .credential()
                .map(once)
                .map_err(|error| error.to_string());
        }
        let is_kept = self.kept.values().any(|(kept, _)| kept == name);
        if is_kept && name_of(host) != *name {
            return self.fetch(name, host, refusals, (None, None)).await;
        }
        let user = self.outweighing(host, name);
        let known = match self.by_name.get(name) {
            _ if host.password.is_some() => host.password.clone(),
            _ if host.sealed_password.is_some() => Some(self.unseal(host).await?),
            Some(known) => Some(known.secret().map_err(|error| error.to_string())?),
            None => None,
        };
        if let Some(password) = known {
            let user = user.or(self.named_account(host)?);
            let user = user.ok_or("no account is known")?;
            return Ok(once(Credential::new(user, password)));
        }
        if self
            .file
            .as_ref()
            .is_some_and(|file| file.store().knows(name))
        {
            let users = (user, self.default_user.clone());
            return self.fetch(name, host, refusals, users).await;
        }
        let user = user.or_else(|| self.default_user.clone());
        let user = user.ok_or("no account is known")?;
        match has_key(host) {
            true => Ok(once(Credential::new(user, Secret::new(String::new())))),
            false => Err("no password is known".to_owned()),
        }
    }

    /// Returns the account that an option gives for this name.
    fn of_option(&self, name: &CredentialRef) -> Option<&Account> {
        let domain = self.domain.as_ref().filter(|_| name.0 == DOMAIN);
        domain.or_else(|| self.given.get(&name.0))
    }

    /// Fetches a credential of the file; `users`: the account that outweighs its own, and that for
    /// one that names none.
    async fn fetch(
        &self,
        name: &CredentialRef,
        host: &Host,
        refusals: Option<&Refusals<'_>>,
        users: (Option<String>, Option<String>),
    ) -> Result<Option<Credential>, String> {
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let (outweighing, default) = &users;
        let account = |given: &Given| {
            let user = outweighing.as_ref().or(given.user.as_ref());
            user.or(default.as_ref()).cloned()
        };
        let limit = fetch_limit();
        let store = file.store();
        let given = match refusals {
            None => store.fetch(name, Some(host), &limit).await.map(Some),
            Some(refusals) => store.another(name, host, refusals, account, &limit).await,
        };
        let given = given.map_err(|error| error.to_string())?;
        given
            .map(|given| with_user(given, outweighing.clone(), default.clone()))
            .transpose()
    }

    /// Opens the password that stands encrypted in the inventory.
    async fn unseal(&self, host: &Host) -> Result<Secret, String> {
        let (Some(unseal), Some(sealed)) = (self.unseal.clone(), host.sealed_password.clone())
        else {
            return Err("its password in the inventory is encrypted".to_owned());
        };
        // It works for some milliseconds.
        let opened = tokio::task::spawn_blocking(move || unseal.unseal(&sealed.text)).await;
        opened
            .map_err(|error| error.to_string())?
            .map_err(|error| error.why)
    }
}

#[async_trait]
impl CredentialSource for Passwords {
    async fn credential(
        &self,
        name: &CredentialRef,
        host: &Host,
    ) -> Result<Credential, CredentialError> {
        let error = |detail| CredentialError {
            name: name.clone(),
            detail,
        };
        let found = self.of(name, host, None).await.map_err(error)?;
        found.ok_or_else(|| error("there is none".to_owned()))
    }

    async fn another(
        &self,
        name: &CredentialRef,
        host: &Host,
        refusals: &Refusals<'_>,
    ) -> Result<Option<Credential>, CredentialError> {
        let found = self.of(name, host, Some(refusals)).await;
        found.map_err(|detail| CredentialError {
            name: name.clone(),
            detail,
        })
    }
}

/// Where the password of a logon is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logon {
    /// Where it is looked for first.
    First,
    /// In this place of `credentials.yaml`.
    Place(usize),
}

/// A credential that `credentials.yaml` must have.
struct Needed {
    name: CredentialRef,
    /// For which PC; none: for the run.
    host: Option<Arc<Host>>,
    has_account: bool,
}

impl Needed {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.name,
            host: self.host.as_deref(),
            has_account: self.has_account,
        }
    }
}

fn with_user(
    given: Given,
    outweighing: Option<String>,
    default: Option<String>,
) -> Result<Credential, String> {
    let user = outweighing.or(given.user).or(default);
    Ok(Credential {
        user: user.ok_or("no account is known")?,
        password: given.password,
        ssh: given.ssh,
    })
}

/// The file that holds the password of a credential. A named one has its own or none: the
/// default password on its PCs would be a wrong one, and each try counts towards a lockout.
fn file_for(name: &CredentialRef, logon: &LogonArgs) -> Option<PathBuf> {
    let own = || password::file_of(&password::variable(name));
    match &logon.password_file {
        Some(file) if name.0 == DEFAULT => Some(file.clone()),
        _ => own(),
    }
}

/// The credentials by name of the PCs that bring no password of their own.
fn needed(hosts: &[Arc<Host>]) -> BTreeSet<CredentialRef> {
    hosts
        .iter()
        .filter(|host| !host.brings_password())
        .map(|host| name_of(host))
        .collect()
}

fn name_of(host: &Host) -> CredentialRef {
    host.credential
        .clone()
        .unwrap_or_else(|| CredentialRef(DEFAULT.to_owned()))
}

/// Whether a PC of this credential cannot be logged on to without a password.
fn must_have(name: &CredentialRef, hosts: &[Arc<Host>]) -> bool {
    hosts
        .iter()
        .any(|host| !host.brings_password() && name_of(host) == *name && !has_key(host))
}

fn has_key(host: &Host) -> bool {
    host.transport == TransportChoice::Ssh && (host.ssh.key_file.is_some() || host.ssh.use_agent)
}

fn ask(name: &CredentialRef, logon: &LogonArgs, hosts: &[Arc<Host>]) -> Result<Secret, CliError> {
    let of_name = hosts
        .iter()
        .filter(|host| !host.brings_password() && name_of(host) == *name);
    let users: BTreeSet<&str> = of_name
        .filter_map(|host| host.user.as_deref().or(logon.user.as_deref()))
        .collect();
    let users = users.into_iter().collect::<Vec<_>>().join(", ");
    let hint = if name.0 == DEFAULT {
        "name a file that holds it: --password-file FILE, or FLEETMEND_PASSWORD_FILE=FILE"
            .to_owned()
    } else {
        let variable = password::variable(name);
        format!("name a file that holds it: {variable}=FILE")
    };
    password::ask(&format!("the password of {users} ({name})"), &hint)
}

/// The accounts of `--credential`, of which a check uses none.
fn given(args: &DomainArgs, mode: RunMode) -> Result<BTreeMap<String, Account>, CliError> {
    let files = &args.credential_password_file;
    let stray = files.iter().find(|file| {
        let mut accounts = args.credential.iter();
        !accounts.any(|account| account.name == file.name)
    });
    if let Some(Setting { name, .. }) = stray {
        return Err(CliError::user(format!(
            "--credential-password-file {name}: no account is given for {name}"
        ))
        .hint(format!("give it: --credential {name}=USER")));
    }
    let mut given = BTreeMap::new();
    for Setting { name, value: user } in &args.credential {
        let file = files.iter().rfind(|file| file.name == *name);
        let password = match file {
            Some(file) => Known::read(Path::new(&file.value))?,
            None if mode == RunMode::Check => Known::Kept(Secret::new(String::new())),
            None => Known::Kept(password::ask(
                &format!("the password of {user} ({name})"),
                &format!("name a file that holds it: --credential-password-file {name}=FILE"),
            )?),
        };
        let user = user.clone();
        given.insert(name.clone(), Account { user, password });
    }
    Ok(given)
}

/// The domain account. A check uses it on no PC and gets no password that nobody offered.
fn domain_credential(args: &DomainArgs, mode: RunMode) -> Result<Option<Account>, CliError> {
    let Some(user) = &args.domain_user else {
        return Ok(None);
    };
    let password = match &args.domain_password_file {
        Some(file) => Known::read(file)?,
        None if mode == RunMode::Check => Known::Kept(Secret::new(String::new())),
        None => Known::Kept(password::ask(
            &format!("the password of the domain account {user}"),
            "name a file that holds it: --domain-password-file FILE",
        )?),
    };
    Ok(Some(Account {
        user: user.clone(),
        password,
    }))
}
