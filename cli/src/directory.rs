//! The way to the directory: opened once in a command, with one account that is proven before
//! anything is touched.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_credentials::Wanted;
use fleetmend_directory::{
    ActiveDirectory, ComputerQuery, DirectoryError, Encryption, Filter, Limit, ListedComputer,
    Proof, Settings, Trust,
};
use fleetmend_engine::AccountName;
use fleetmend_inventory::{DirectoryListing, DirectorySource, ListedPc};
use fleetmend_model::{Credential, CredentialRef, Host, Secret};
use tokio_util::sync::CancellationToken;

use crate::args::DirectoryArgs;
use crate::budget::Budget;
use crate::credentials::{CredentialsFile, Passwords};
use crate::directory_error;
use crate::error::CliError;
use crate::password;
use crate::printer::Printer;
use crate::statement::DirectoryLine;

/// Finding a controller, TLS and the logon; several controllers may be off.
const CONNECT: Duration = Duration::from_secs(60);
/// One question to one controller or to all.
const ASK: Duration = Duration::from_secs(60);
/// A list of tens of thousands of computers over a slow line.
const LIST: Duration = Duration::from_secs(600);

/// The way to the directory. Nothing is opened before it is needed.
pub(crate) struct Directory<'a> {
    args: &'a DirectoryArgs,
    credentials: Option<Arc<CredentialsFile>>,
    folder: Option<&'a Path>,
    budget: Option<Budget>,
    open: Option<Open>,
}

/// A domain whose controller has accepted our account.
#[derive(Clone)]
pub(crate) struct Open {
    /// What asks and acts.
    pub(crate) directory: Arc<ActiveDirectory>,
    /// What the controller said of itself.
    pub(crate) proof: Proof,
    /// The domain's DNS name.
    pub(crate) domain: String,
    /// The account, as the operator named it.
    pub(crate) user: String,
    password: Secret,
}

impl<'a> Directory<'a> {
    /// Returns the way that the arguments describe.
    pub(crate) fn new(args: &'a DirectoryArgs) -> Self {
        Self {
            args,
            credentials: None,
            folder: None,
            budget: None,
            open: None,
        }
    }

    /// Returns the same with the credentials of a file, which may name its account and need it
    /// for LAPS.
    pub(crate) fn with(mut self, credentials: Option<&Arc<CredentialsFile>>) -> Self {
        self.credentials = credentials.cloned();
        self
    }

    /// Returns the same with what is spent kept in this folder.
    pub(crate) fn kept_in(mut self, folder: Option<&'a Path>) -> Self {
        self.folder = folder;
        self
    }

    /// Returns the same for the demo, which keeps nothing of what is spent.
    pub(crate) fn of_demo(mut self) -> Self {
        self.budget = Some(Budget::none());
        self
    }

    /// Returns the domain that was opened, if one was.
    pub(crate) fn opened(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// Returns what was spent on accounts.
    ///
    /// # Errors
    /// It cannot be kept.
    pub(crate) async fn budget(&mut self) -> Result<Budget, CliError> {
        let domain = self.domain();
        self.budget_in(domain.as_deref()).await
    }

    /// Returns what was spent on accounts; those that are named without a domain are this one's,
    /// too.
    async fn budget_in(&mut self, domain: Option<&str>) -> Result<Budget, CliError> {
        if let Some(budget) = &self.budget {
            return Ok(budget.clone());
        }
        let budget = Budget::open(self.folder, &self.args.try_again, domain).await?;
        Ok(self.budget.insert(budget).clone())
    }

    /// Returns the credentials of a file, if there is one.
    pub(crate) fn credentials(&self) -> Option<&Arc<CredentialsFile>> {
        self.credentials.as_ref()
    }

    /// Returns the domain that playbooks may use, if one was given.
    pub(crate) fn domain(&self) -> Option<String> {
        let domain = self.args.directory.as_deref()?;
        Some(domain.trim().trim_end_matches('.').to_lowercase())
    }

    /// Returns the domain that a command cannot do without.
    ///
    /// # Errors
    /// None was given.
    pub(crate) fn must_have(&self) -> Result<String, CliError> {
        let missing =
            || CliError::user("no directory is given").hint("name the domain: --directory DOMAIN");
        self.domain().ok_or_else(missing)
    }

    /// Tells whether an account was given.
    pub(crate) fn has_account(&self) -> bool {
        self.args.directory_user.is_some() || self.kept().is_some()
    }

    /// Returns the credential that the file names for it, if no option gives an account.
    fn kept(&self) -> Option<(&CredentialsFile, &CredentialRef)> {
        let file = self.credentials.as_deref()?;
        let name = file.store().settings().directory()?;
        self.args.directory_user.is_none().then_some((file, name))
    }

    /// Returns the credential of `credentials.yaml` whose account asks, if it is one of those.
    pub(crate) fn credential(&self) -> Option<&CredentialRef> {
        self.kept().map(|(_, name)| name)
    }

    /// Fails if arguments speak of a directory and nothing names one.
    ///
    /// # Errors
    /// As said.
    pub(crate) fn must_be_meant(&self, in_inventory: bool) -> Result<(), CliError> {
        match self.args.given() {
            Some(argument) if self.args.directory.is_none() && !in_inventory => Err(
                CliError::user(format!("{argument} is given, but no directory"))
                    .hint("name the domain: --directory DOMAIN"),
            ),
            _ => Ok(()),
        }
    }

    /// Returns the domain, opened; the account is bound once, and only the first time.
    ///
    /// # Errors
    /// The account is missing or refused, or no controller can be asked.
    pub(crate) async fn open(&mut self, domain: &str) -> Result<&Open, CliError> {
        if self.open.as_ref().is_none_or(|open| open.domain != domain) {
            self.open = Some(self.connect(domain).await?);
        }
        self.open
            .as_ref()
            .ok_or_else(|| CliError::internal("the directory was not kept"))
    }

    /// Returns the domain that playbooks may use, opened, if one was given.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub(crate) async fn for_playbooks(&mut self) -> Result<Option<Open>, CliError> {
        match self.domain() {
            None => Ok(None),
            Some(domain) => self.open(&domain).await.cloned().map(Some),
        }
    }

    /// Fails if these PCs' passwords are in a directory, and none is known to be asked.
    ///
    /// # Errors
    /// As said.
    pub(crate) fn must_serve(
        &self,
        passwords: &Passwords,
        hosts: &[Arc<Host>],
    ) -> Result<(), CliError> {
        let served = self.open.is_some() || self.args.directory.is_some();
        if served || !passwords.need_directory(hosts) {
            return Ok(());
        }
        Err(
            CliError::user("LAPS is to be asked for passwords, and no directory is given")
                .hint("name the domain: --directory DOMAIN"),
        )
    }

    async fn connect(&mut self, domain: &str) -> Result<Open, CliError> {
        let settings = settings(domain, self.args)?;
        let account = match self.kept() {
            Some((file, name)) => kept_account(file, name, self.args).await?,
            None => account(domain, self.args)?,
        };
        let (user, password) = (account.user.clone(), account.password.clone());
        let directory = Arc::new(ActiveDirectory::new(settings, account));
        let name = AccountName::in_domain(&user, domain);
        let budget = self.budget_in(Some(domain)).await?;
        budget.leave(&name, &user).await?;
        let proof = directory.prove(&limit(CONNECT)).await;
        match &proof {
            Ok(_) => budget.accepted(&name).await?,
            Err(DirectoryError::CredentialRefused { refusal, .. }) => {
                budget.refused(&name, Some(refusal.win32())).await?;
            }
            Err(DirectoryError::LogonUnanswered { .. }) => budget.refused(&name, None).await?,
            Err(_) => budget.untold(&name).await?,
        }
        let proof = proof.map_err(|error| directory_error::proving(error, &user, self.args))?;
        if let Some(file) = &self.credentials {
            file.use_directory(Arc::clone(&directory));
        }
        Ok(Open {
            directory,
            proof,
            domain: domain.to_owned(),
            user,
            password,
        })
    }

    /// Lists the computers of every source.
    ///
    /// # Errors
    /// As [`Directory::open`]; a source's domain is another than that of `--directory`, or its
    /// unit is not there.
    pub(crate) async fn list(
        &mut self,
        sources: &[DirectorySource],
        printer: &Printer,
    ) -> Result<Vec<DirectoryListing>, CliError> {
        let mut domains: BTreeSet<&str> = sources.iter().map(|one| one.domain.as_str()).collect();
        let given = self.domain();
        domains.extend(given.as_deref());
        if domains.len() > 1 {
            let domains: Vec<&str> = domains.into_iter().collect();
            return Err(CliError::user(format!(
                "several domains are named: {}; one account is asked for, and it goes to one domain",
                domains.join(", ")
            ))
            .hint("write the others' computers to files: fleetmend inventory import"));
        }
        let mut listings = Vec::new();
        for source in sources {
            let open = self.open(&source.domain).await?;
            let listing = open.list(source).await?;
            printer.note(&format!(
                "{}: {} computers at {}",
                source.place,
                listing.computers.len(),
                open.proof.dc
            ));
            listings.push(listing);
        }
        Ok(listings)
    }
}

impl Open {
    /// Lists the computers of a source.
    ///
    /// # Errors
    /// Its filter is wrong, its unit is not there, or no controller answered.
    pub(crate) async fn list(
        &self,
        source: &DirectorySource,
    ) -> Result<DirectoryListing, CliError> {
        let filter = source
            .filter
            .as_deref()
            .map(str::parse::<Filter>)
            .transpose();
        let filter = filter.map_err(|error| {
            CliError::user(format!("{}: not an LDAP filter", source.place)).because(error)
        })?;
        let query = ComputerQuery {
            ou: source.ou.clone(),
            filter,
        };
        let computers = self.directory.computers(&query, &limit(LIST)).await;
        let computers =
            computers.map_err(|error| directory_error::asking(error, "list computers"))?;
        Ok(DirectoryListing {
            source: source.clone(),
            computers: computers.into_iter().map(listed).collect(),
        })
    }

    /// Returns what is said of it before anything is touched.
    pub(crate) fn line(&self, offline_join: bool) -> DirectoryLine {
        DirectoryLine {
            domain: self.domain.clone(),
            dc: self.proof.dc.clone(),
            controllers: self.proof.controllers.len(),
            user: self.user.clone(),
            offline_join,
        }
    }

    /// Returns the account with its domain.
    pub(crate) fn account(&self) -> String {
        if self.user.contains(['\\', '@', '=']) {
            self.user.clone()
        } else {
            format!("{}@{}", self.user, self.domain)
        }
    }

    /// Tells whether this is the very account and password that was accepted.
    pub(crate) fn is_proven(&self, credential: &Credential) -> bool {
        self.user.eq_ignore_ascii_case(&credential.user) && self.password == credential.password
    }
}

/// Returns the limit of one question.
pub(crate) fn ask() -> Limit {
    limit(ASK)
}

fn limit(duration: Duration) -> Limit {
    // Until the run begins Ctrl-C ends the process.
    Limit::within(duration, &CancellationToken::new())
}

fn settings(domain: &str, args: &DirectoryArgs) -> Result<Settings, CliError> {
    let mut settings = Settings::new(domain);
    settings.servers.clone_from(&args.directory_server);
    if args.directory_starttls {
        settings.encryption = Encryption::StartTls;
    }
    if !args.directory_pin.is_empty() {
        settings.trust = Trust::pinned(&args.directory_pin)
            .map_err(|error| CliError::user("--directory-pin is no fingerprint").because(error))?;
    } else if let Some(file) = &args.directory_ca {
        settings.trust = Trust::CaFile(file.clone());
    }
    Ok(settings)
}

/// Returns the account that the file names, with the password of an option if there is one.
async fn kept_account(
    file: &CredentialsFile,
    name: &CredentialRef,
    args: &DirectoryArgs,
) -> Result<Credential, CliError> {
    file.look(&[Wanted {
        name,
        host: None,
        has_account: false,
    }])
    .await?;
    let mut account = file.for_run(name).await?;
    if let Some(file) = &args.directory_password_file {
        account.password = password::read(file)?;
    }
    Ok(account)
}

fn account(domain: &str, args: &DirectoryArgs) -> Result<Credential, CliError> {
    let Some(user) = &args.directory_user else {
        return Err(
            CliError::user(format!("no account is given to ask the directory {domain}"))
                .hint("name one: --directory-user USER, or `directory` in credentials.yaml; which rights it needs: docs/guide/domain-rights.md"),
        );
    };
    let password = match &args.directory_password_file {
        Some(file) => password::read(file)?,
        None => password::ask(
            &format!("the password of the directory account {user}"),
            "name a file that holds it: --directory-password-file FILE",
        )?,
    };
    Ok(Credential {
        user: user.clone(),
        password,
        ssh: None,
    })
}

fn listed(computer: ListedComputer) -> ListedPc {
    let words = [computer.operating_system, computer.operating_system_version];
    let words: Vec<String> = words.into_iter().flatten().collect();
    ListedPc {
        name: computer.name,
        dns_name: computer.dns_name,
        ou: computer.ou,
        operating_system: (!words.is_empty()).then(|| words.join(" ")),
        last_logon: computer
            .last_logon
            .map(|time| time.strftime("%Y-%m-%d").to_string()),
        enabled: computer.enabled,
        description: computer.description,
    }
}
