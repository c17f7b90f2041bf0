//! `credentials.yaml`: found, read, and asked.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use directories::ProjectDirs;
use fleetmend_credentials::settings::{LackingGroup, NearGroup, TwoGroups};
use fleetmend_credentials::{Given, Settings, Store, StoreError, Wanted};
use fleetmend_directory::{ActiveDirectory, Limit};
use fleetmend_inventory::Inventory;
use fleetmend_model::{Credential, CredentialRef, Secret};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::places::Places;
use crate::args::{CredentialsArgs, DomainArgs, Setting};
use crate::changeable;
use crate::error::CliError;

/// The file's name in the config folder.
const NAME: &str = "credentials.yaml";
/// A file that is longer was named by mistake.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
/// Errors beyond these are told as a number.
const ERRORS: usize = 10;
/// So are groups.
const GROUPS: usize = 10;
/// The operator may look for a passphrase this long.
const PATIENCE: Duration = Duration::from_secs(600);
/// One secret with its wait for a turn; a program has a deadline of its own from then on. Less than
/// the engine's, which can say less.
const FETCH: Duration = Duration::from_secs(600);

/// The file of credentials that is in use.
#[derive(Debug)]
pub(crate) struct CredentialsFile {
    store: Store,
    places: Arc<Places>,
    path: PathBuf,
    digest: String,
    /// Nobody named it: it is in the config folder.
    found: bool,
}

impl CredentialsFile {
    /// Finds and reads the file: the one that was named, else the user's own if there is one.
    ///
    /// # Errors
    /// It cannot be read, others could change it, or something in it is wrong.
    pub(crate) fn find(args: &CredentialsArgs) -> Result<Option<Arc<Self>>, CliError> {
        if let Some(path) = &args.credentials {
            return Self::open(path, false).map(Some);
        }
        let folder = ProjectDirs::from("", "", "fleetmend");
        let path = folder.map(|folder| folder.config_dir().join(NAME));
        match path.filter(|path| path.exists()) {
            Some(path) => Self::open(&path, true).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`CredentialsFile::find`].
    pub(crate) fn open(path: &Path, found: bool) -> Result<Arc<Self>, CliError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text = text(&path)?;
        let digest = Sha256::digest(text.as_bytes());
        let settings = Settings::read(&text, &path).map_err(|errors| {
            let hints = errors.hints().into_iter();
            hints.fold(CliError::user(errors.to_string()), CliError::hint)
        })?;
        let places = Arc::new(Places::new(settings.folder(), settings.vaults().clone()));
        let store = Store::new(settings, Arc::clone(&places) as _);
        Ok(Arc::new(Self {
            store,
            places,
            path,
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            found,
        }))
    }

    /// Returns what the file says, and who asks its sources.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns SHA-256 of what it said when it was read. It holds no secret.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns the file as it is told before a run.
    pub(crate) fn told(&self) -> String {
        let path = self.path.display();
        match self.found {
            true => format!("{path} (found in your config folder)"),
            false => path.to_string(),
        }
    }

    /// Lets LAPS be asked.
    pub(crate) fn use_directory(&self, directory: Arc<ActiveDirectory>) {
        self.places.use_directory(directory);
    }

    /// Names to each PC without a credential of its own that of its nearest group.
    ///
    /// # Errors
    /// Of two groups that are equally near each names another.
    pub(crate) fn assign(&self, inventory: &mut Inventory) -> Result<(), CliError> {
        let settings = self.store.settings();
        if settings.groups().is_empty() {
            return Ok(());
        }
        let mut hosts = std::mem::take(&mut inventory.hosts);
        let unnamed = hosts.iter_mut().filter(|host| host.credential.is_none());
        for host in unnamed {
            let groups = host.groups.iter().filter_map(|name| {
                let rank = inventory.nearness(name)?;
                Some(NearGroup { name, rank })
            });
            let named = settings.of_groups(&host.name.0, groups);
            let named = named.map_err(|error| self.rivals(&error))?.cloned();
            host.credential = named;
        }
        inventory.hosts = hosts;
        Ok(())
    }

    /// Returns what an operator must know of groups of the file that the inventory lacks: their PCs
    /// are logged on to with another credential. An inventory that was limited still has its groups.
    pub(crate) fn warnings(&self, inventory: &Inventory) -> Vec<String> {
        let settings = self.store.settings();
        let views = inventory.groups();
        let lacking = settings.lacking_groups(views.iter().map(|group| group.name));
        let path = self.path.display();
        let (meant, others): (Vec<_>, Vec<_>) =
            lacking.iter().partition(|group| group.near.is_some());
        let mut warnings: Vec<String> = meant
            .iter()
            .map(|group| {
                let near = group.near.as_deref().unwrap_or_default();
                let LackingGroup {
                    name,
                    at,
                    credential,
                    ..
                } = group;
                format!(
                    "{path}:{at}: the inventory has no group `{name}`, did you mean `{near}`? No PC \
                     is logged on to with {credential} for it"
                )
            })
            .collect();
        // A file that serves several inventories has many of these: one line.
        if let Some(first) = others.first() {
            let names: Vec<String> = others
                .iter()
                .map(|group| format!("`{}`", group.name))
                .collect();
            let shown = names.iter().take(GROUPS).cloned().collect::<Vec<_>>();
            let more = match names.len().checked_sub(GROUPS) {
                Some(more @ 1..) => format!(" and {more} more"),
                _ => String::new(),
            };
            warnings.push(format!(
                "{path}:{}: the inventory has no group {}{more}",
                first.at,
                shown.join(", ")
            ));
        }
        if !lacking.is_empty() && lacking.len() == settings.groups().len() {
            warnings.push(format!(
                "{path}: the inventory has none of the groups that are named there; no PC gets its \
                 credential from its group"
            ));
        }
        warnings
    }

    fn rivals(&self, error: &TwoGroups) -> CliError {
        CliError::user(format!("{}: {error}", self.path.display())).hint(
            "name one for the PC itself (`credential` in the inventory), or give one group a higher \
             ansible_group_priority",
        )
    }

    /// Returns the arguments with the file's credentials for the parameters that no option
    /// gives.
    pub(crate) fn fill(&self, mut domain: DomainArgs) -> DomainArgs {
        let given = |name: &str| {
            let by_user = name == super::DOMAIN_PARAMETER && domain.domain_user.is_some();
            by_user || domain.credential.iter().any(|one| one.name == name)
        };
        let kept = self.store.settings().playbook().iter();
        let kept = kept.filter(|(name, _)| !given(name));
        domain.kept = kept
            .map(|(name, credential)| Setting {
                name: name.clone(),
                value: credential.0.clone(),
            })
            .collect();
        domain
    }

    /// Asks for what is asked once, and looks whether the rest is there.
    ///
    /// # Errors
    /// Everything that is missing.
    pub(crate) async fn look(&self, wanted: &[Wanted<'_>]) -> Result<(), CliError> {
        let limit = Limit::within(PATIENCE, &CancellationToken::new());
        let looked = self.store.look(wanted, &limit).await;
        looked.map_err(|errors| self.missing(&errors))
    }

    /// Fetches a credential that is one for the whole run.
    ///
    /// # Errors
    /// It is not to be had, or names no account.
    pub(crate) async fn for_run(&self, name: &CredentialRef) -> Result<Credential, CliError> {
        let given = self.store.fetch(name, None, &fetch_limit()).await;
        let Given {
            user,
            password,
            ssh,
        } = given.map_err(|error| self.missing(&[error]))?;
        let given = user.map(|user| Credential {
            user,
            password,
            ssh,
        });
        let nameless = || StoreError::NoAccount {
            name: name.clone(),
            hosts: Vec::new(),
        };
        given.ok_or_else(|| self.missing(&[nameless()]))
    }

    /// Fetches the passwords of ansible-vault, each with its label; asks for those that are asked.
    ///
    /// # Errors
    /// One is not to be had.
    pub(crate) async fn ansible_vault(&self) -> Result<Vec<(String, Secret)>, CliError> {
        let limit = Limit::within(PATIENCE, &CancellationToken::new());
        let found = self.store.ansible_vault(&limit).await;
        found.map_err(|error| self.missing(&[error]))
    }

    fn missing(&self, errors: &[StoreError]) -> CliError {
        let mut lines: Vec<String> = errors
            .iter()
            .take(ERRORS)
            .map(ToString::to_string)
            .collect();
        if let Some(more @ 1..) = errors.len().checked_sub(ERRORS) {
            lines.push(format!("{more} more"));
        }
        let mut error = CliError::config(format!("{}: {}", self.path.display(), lines.join("\n")));
        let mut hints: Vec<String> = Vec::new();
        for hint in errors.iter().filter_map(StoreError::hint) {
            if hints.len() < ERRORS && !hints.contains(&hint) {
                hints.push(hint.clone());
                error = error.hint(hint);
            }
        }
        error
    }
}

/// Returns the limit for one secret.
pub(super) fn fetch_limit() -> Limit {
    // The engine drops the question when it is cancelled.
    Limit::within(FETCH, &CancellationToken::new())
}

fn text(path: &Path) -> Result<String, CliError> {
    let shown = path.display();
    let failed = |error| CliError::config(format!("failed to read {shown}")).because(error);
    let file = File::open(path).map_err(failed)?;
    changeable::refuse(path, "it says which programs run here")?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(CliError::config(format!("{shown} is too long")));
    }
    String::from_utf8(bytes).map_err(|_| CliError::config(format!("{shown} is not UTF-8 text")))
}
