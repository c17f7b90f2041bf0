//! What a run was begun with, kept in the journal so that it can go on: everything but secrets.

pub(crate) mod terms;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_inventory::Inventory;
use fleetmend_model::{Host, HostName, RunMode, TlsVerification};
use fleetmend_playbooks::ParameterKind;
use serde::{Deserialize, Serialize};

use crate::args::{
    CredentialsArgs, DirectoryArgs, DomainArgs, JobArgs, LogonArgs, PaceArgs, RebootArgs, Setting,
    TextLanguage,
};
use crate::credentials::CredentialsFile;
use crate::error::CliError;
use crate::plan::Pcs;
use crate::playbooks::Playbooks;

/// Counts up whenever events or this text are read in another way than before.
const FORMAT: u32 = 2;

/// Words in the name of a variable whose value is not kept.
const SECRET_WORDS: [&str; 6] = ["pass", "pwd", "secret", "token", "credential", "api_key"];

/// What a run was begun with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    pub(crate) mode: RunMode,
    /// Name of a shipped playbook, or the absolute path of a file.
    pub(crate) playbook: String,
    hosts: Vec<Host>,
    /// PCs on which a step for another may run.
    elsewhere: Vec<Host>,
    of: usize,
    from_directory: bool,
    /// PCs whose password stood in the inventory.
    own_passwords: Vec<HostName>,
    /// The file that says where secrets are kept; it is read again.
    #[serde(default)]
    credentials: Option<PathBuf>,
    /// SHA-256 of what it said.
    #[serde(default)]
    credentials_digest: Option<String>,
    /// For the trail only.
    #[serde(default)]
    used: terms::Used,
    logon: Logon,
    domain: Domain,
    reboot: Reboot,
    directory: Directory,
    /// Runs of an earlier fleetmend have none.
    #[serde(default)]
    pace: Pace,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Logon {
    user: Option<String>,
    password_file: Option<PathBuf>,
    connect_timeout_ms: u64,
    max_concurrency: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Domain {
    set: Vec<(String, String)>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    credentials: Vec<Account>,
    allow_credential_on_pcs: bool,
    japanese: bool,
}

/// An account for a parameter of the playbook.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    parameter: String,
    user: String,
    password_file: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reboot {
    max: u32,
    window: Option<String>,
    at_once: usize,
}

/// As on the command line.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pace {
    batches: Option<String>,
    max_errors: Option<String>,
    expect: Vec<String>,
    max_per_site: Option<usize>,
    max_per_dc: Option<usize>,
    ramp: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Directory {
    domain: Option<String>,
    servers: Vec<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    pins: Vec<String>,
    starttls: bool,
    /// For the trail only: it was for once.
    #[serde(default)]
    try_again: Vec<String>,
}

/// The number before the rest, which may not be readable.
#[derive(Serialize, Deserialize)]
struct Numbered {
    format: u32,
}

impl Recipe {
    /// Notes what a run is begun with.
    pub(crate) fn of(args: &JobArgs, mode: RunMode, playbooks: &Playbooks, pcs: &Pcs) -> Self {
        let is_file = playbooks.main.name != args.playbook;
        let everyone = pcs.everyone();
        let own = everyone.iter().filter(|host| host.brings_password());
        Self {
            mode,
            playbook: if is_file {
                absolute(Path::new(&args.playbook)).display().to_string()
            } else {
                args.playbook.clone()
            },
            own_passwords: own.map(|host| host.name.clone()).collect(),
            hosts: pcs.hosts.iter().map(|host| keepable(host)).collect(),
            elsewhere: pcs.elsewhere.iter().map(|host| keepable(host)).collect(),
            of: pcs.of,
            from_directory: pcs.from_directory,
            credentials: None,
            credentials_digest: None,
            used: terms::Used::default(),
            logon: Logon {
                user: args.logon.user.clone(),
                password_file: lasting(args.logon.password_file.as_deref()),
                connect_timeout_ms: u64::try_from(args.logon.connect_timeout.as_millis())
                    .unwrap_or(u64::MAX),
                max_concurrency: args.logon.max_concurrency,
            },
            domain: Domain::of(&args.domain, playbooks),
            reboot: Reboot::of(&args.reboot),
            directory: Directory::of(&args.directory),
            pace: Pace::of(&args.pace),
        }
    }

    /// Notes which file says where secrets are kept.
    pub(crate) fn with_credentials(mut self, file: Option<&CredentialsFile>) -> Self {
        self.credentials = file.map(|file| file.path().to_owned());
        self.credentials_digest = file.map(|file| file.digest().to_owned());
        self
    }

    /// Notes whose accounts are used.
    pub(crate) fn with_used(mut self, used: terms::Used) -> Self {
        self.used = used;
        self
    }

    /// Tells that the file says something else than when the run was begun, or is another one.
    /// Of runs of an earlier fleetmend it is not known.
    pub(crate) fn other_credentials(&self, file: &CredentialsFile) -> Option<String> {
        let then = self.credentials_digest.as_deref()?;
        let was = self.credentials.as_deref()?;
        let path = file.path();
        if then == file.digest() {
            return None;
        }
        let shown = path.display();
        Some(if path == was {
            format!("{shown} has changed since the run was begun; what it says now counts")
        } else {
            let was = was.display();
            format!("{shown} says something else than {was} when the run was begun; it counts now")
        })
    }

    /// Reads the file again that says where secrets are kept, or another that is named now.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong.
    pub(crate) fn credentials(
        &self,
        args: &CredentialsArgs,
    ) -> Result<Option<Arc<CredentialsFile>>, CliError> {
        let path = args.credentials.as_ref().or(self.credentials.as_ref());
        path.map(|path| CredentialsFile::open(path, false))
            .transpose()
    }

    /// Returns the text for the journal.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub(crate) fn text(&self) -> Result<String, CliError> {
        let mut text = serde_json::to_value(self)?;
        if let Some(fields) = text.as_object_mut() {
            fields.insert("format".to_owned(), FORMAT.into());
        }
        Ok(text.to_string())
    }

    /// Reads the text of a journal.
    ///
    /// # Errors
    /// Another fleetmend wrote it, in a form that this one does not know.
    pub(crate) fn read(text: &str) -> Result<Self, CliError> {
        let other = || {
            CliError::user(
                "another version of fleetmend began this run, and keeps its plan in another form",
            )
            .hint("go on with that version, or run again on the PCs that are left")
        };
        let mut value: serde_json::Value = serde_json::from_str(text).map_err(|_| other())?;
        let number: Numbered = serde_json::from_value(value.clone()).map_err(|_| other())?;
        if number.format != FORMAT {
            return Err(other());
        }
        if let Some(fields) = value.as_object_mut() {
            fields.remove("format");
        }
        serde_json::from_value(value).map_err(|error| other().because(error))
    }

    /// Returns the PCs, with the passwords that stood in this inventory.
    pub(crate) fn pcs(&self, known: Option<&Inventory>) -> Pcs {
        let mut hosts = self.hosts.clone();
        let mut elsewhere = self.elsewhere.clone();
        if let Some(known) = known {
            for host in hosts.iter_mut().chain(&mut elsewhere) {
                let mut same = known.hosts.iter().filter(|known| {
                    known.name == host.name
                        && known.address == host.address
                        && self.own_passwords.contains(&known.name)
                });
                if let Some(known) = same.next() {
                    host.password.clone_from(&known.password);
                    host.sealed_password.clone_from(&known.sealed_password);
                }
            }
        }
        Pcs {
            hosts: hosts.into_iter().map(Arc::new).collect(),
            elsewhere: elsewhere.into_iter().map(Arc::new).collect(),
            of: self.of,
            from_directory: self.from_directory,
            unseal: known.and_then(|known| known.vaults.unseal()),
        }
    }

    /// Fails if one of these PCs lacks the password that stood in its inventory.
    ///
    /// # Errors
    /// As said.
    pub(crate) fn must_have_passwords(&self, hosts: &[Arc<Host>]) -> Result<(), CliError> {
        let lacks =
            |host: &&Arc<Host>| !host.brings_password() && self.own_passwords.contains(&host.name);
        match hosts.iter().find(lacks) {
            None => Ok(()),
            Some(host) => Err(CliError::user(format!(
                "the password of {} stood in the inventory, and no password is kept",
                host.name
            ))
            .hint("name the inventory again: -i FILE")),
        }
    }

    /// Returns the arguments of the logon.
    pub(crate) fn logon(&self) -> LogonArgs {
        LogonArgs {
            user: self.logon.user.clone(),
            password_file: there(self.logon.password_file.as_deref()),
            connect_timeout: Duration::from_millis(self.logon.connect_timeout_ms),
            max_concurrency: self.logon.max_concurrency,
            ..LogonArgs::default()
        }
    }

    /// Returns the arguments for the playbook.
    pub(crate) fn domain(&self) -> DomainArgs {
        let set = self.domain.set.iter().cloned();
        let accounts = self.domain.credentials.iter();
        DomainArgs {
            set: set.map(|(name, value)| Setting { name, value }).collect(),
            domain_user: self.domain.user.clone(),
            domain_password_file: there(self.domain.password_file.as_deref()),
            kb: Vec::new(),
            kept: Vec::new(),
            credential: accounts.clone().map(Account::user).collect(),
            credential_password_file: accounts.filter_map(Account::file).collect(),
            allow_credential_on_pcs: self.domain.allow_credential_on_pcs,
            language: if self.domain.japanese {
                TextLanguage::Ja
            } else {
                TextLanguage::En
            },
        }
    }

    /// Returns the arguments for restarts.
    ///
    /// # Errors
    /// The hours cannot be read back, which no fleetmend has written.
    pub(crate) fn reboot(&self) -> Result<RebootArgs, CliError> {
        let Reboot {
            max,
            window,
            at_once,
        } = &self.reboot;
        let window = window.as_deref().map(str::parse).transpose();
        Ok(RebootArgs {
            max_reboots: *max,
            reboot_window: window.map_err(|error| {
                CliError::internal("failed to read the hours for restarts back").because(error)
            })?,
            max_rebooting: *at_once,
            ..RebootArgs::default()
        })
    }

    /// Returns the arguments of the pace.
    ///
    /// # Errors
    /// One cannot be read back, which no fleetmend has written.
    pub(crate) fn pace(&self) -> Result<PaceArgs, CliError> {
        let kept = &self.pace;
        Ok(PaceArgs {
            batches: again(kept.batches.as_deref())?,
            max_errors: again(kept.max_errors.as_deref())?,
            expect: kept
                .expect
                .iter()
                .filter_map(|kind| again(Some(kind)).transpose())
                .collect::<Result<_, _>>()?,
            max_per_site: kept.max_per_site,
            max_per_dc: kept.max_per_dc,
            ramp: again(kept.ramp.as_deref())?,
        })
    }

    /// Returns the arguments of the directory.
    ///
    /// # Errors
    /// A server's name cannot be read back, which no fleetmend has written.
    pub(crate) fn directory(&self) -> Result<DirectoryArgs, CliError> {
        let Directory { servers, .. } = &self.directory;
        let servers = servers.iter().map(|server| server.parse());
        Ok(DirectoryArgs {
            directory: self.directory.domain.clone(),
            directory_server: servers.collect::<Result<_, _>>().map_err(|error| {
                CliError::internal("failed to read a server back").because(error)
            })?,
            directory_user: self.directory.user.clone(),
            directory_password_file: there(self.directory.password_file.as_deref()),
            directory_ca: self.directory.ca.clone(),
            directory_pin: self.directory.pins.clone(),
            directory_starttls: self.directory.starttls,
            // That was for once.
            try_again: Vec::new(),
        })
    }
}

impl Domain {
    fn of(args: &DomainArgs, playbooks: &Playbooks) -> Self {
        let is_secret = |name: &str| {
            let mut parameters = playbooks.all().flat_map(|playbook| &playbook.parameters);
            parameters.any(|parameter| {
                parameter.name == name
                    && (parameter.secret || parameter.kind == ParameterKind::Credential)
            })
        };
        let set = args.set.iter().filter(|setting| !is_secret(&setting.name));
        Self {
            set: set
                .map(|setting| (setting.name.clone(), setting.value.clone()))
                .collect(),
            user: args.domain_user.clone(),
            password_file: lasting(args.domain_password_file.as_deref()),
            credentials: Account::all(args),
            allow_credential_on_pcs: args.allow_credential_on_pcs,
            japanese: args.language == TextLanguage::Ja,
        }
    }
}

impl Account {
    fn all(args: &DomainArgs) -> Vec<Self> {
        let files = &args.credential_password_file;
        let account = |account: &Setting| {
            let file = files.iter().rfind(|file| file.name == account.name);
            Self {
                parameter: account.name.clone(),
                user: account.value.clone(),
                password_file: lasting(file.map(|file| Path::new(&file.value))),
            }
        };
        args.credential.iter().map(account).collect()
    }

    fn user(&self) -> Setting {
        Setting {
            name: self.parameter.clone(),
            value: self.user.clone(),
        }
    }

    fn file(&self) -> Option<Setting> {
        let file = there(self.password_file.as_deref())?;
        Some(Setting {
            name: self.parameter.clone(),
            value: file.display().to_string(),
        })
    }
}

impl Reboot {
    fn of(args: &RebootArgs) -> Self {
        let policy = args.policy();
        Self {
            max: policy.max,
            window: policy.window.map(|window| window.to_string()),
            at_once: policy.at_once,
        }
    }
}

impl Pace {
    fn of(args: &PaceArgs) -> Self {
        Self {
            batches: args.batches.as_ref().map(ToString::to_string),
            max_errors: args.max_errors.as_ref().map(ToString::to_string),
            expect: args.expect.iter().map(ToString::to_string).collect(),
            max_per_site: args.max_per_site,
            max_per_dc: args.max_per_dc,
            ramp: args.ramp.as_ref().map(ToString::to_string),
        }
    }
}

impl Directory {
    fn of(args: &DirectoryArgs) -> Self {
        Self {
            domain: args.directory.clone(),
            servers: args
                .directory_server
                .iter()
                .map(ToString::to_string)
                .collect(),
            user: args.directory_user.clone(),
            password_file: lasting(args.directory_password_file.as_deref()),
            ca: args.directory_ca.as_deref().map(absolute),
            pins: args.directory_pin.clone(),
            starttls: args.directory_starttls,
            try_again: args.try_again.clone(),
        }
    }
}

/// Reads a value of the pace back.
fn again<T>(text: Option<&str>) -> Result<Option<T>, CliError>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let value = text.map(str::parse).transpose();
    value.map_err(|error| CliError::internal("failed to read the pace back").because(error))
}

/// Returns the PC without what may be a secret, and with paths that hold from any folder.
fn keepable(host: &Host) -> Host {
    let mut host = host.clone();
    host.password = None;
    host.vars.retain(|name, _| {
        let name = name.to_lowercase();
        !SECRET_WORDS.iter().any(|word| name.contains(word))
    });
    let whole = |path: &mut Option<PathBuf>| {
        if let Some(path) = path {
            *path = absolute(path);
        }
    };
    whole(&mut host.ssh.key_file);
    whole(&mut host.ssh.known_hosts);
    if let TlsVerification::CaFile(path) = &mut host.winrm.tls {
        *path = absolute(path);
    }
    host
}

/// A password file that can be read again; a pipe cannot.
fn lasting(path: Option<&Path>) -> Option<PathBuf> {
    path.filter(|path| path.is_file()).map(absolute)
}

/// The same file if it is still there; else the password is asked for.
fn there(path: Option<&Path>) -> Option<PathBuf> {
    path.filter(|path| path.is_file()).map(Path::to_owned)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use fleetmend_model::Secret;
    use serde_json::json;

    use super::*;

    fn recipe() -> Recipe {
        let playbooks = Playbooks::load("trust-repair").unwrap();
        let mut host = Host::new("pc-007");
        host.password = Some(Secret::new("秘密のpw".to_owned()));
        host.ssh.key_file = Some("keys/id".into());
        host.vars = [
            ("site".to_owned(), json!("大阪")),
            ("Api_Token".to_owned(), json!("canary-token")),
            ("vnc_Password".to_owned(), json!("canary-vnc")),
        ]
        .into();
        let pcs = Pcs {
            hosts: vec![Arc::new(host), Arc::new(Host::new("pc-008"))],
            elsewhere: Vec::new(),
            of: 9,
            from_directory: false,
            unseal: None,
        };
        let setting = Setting {
            name: "rotate_afterwards".into(),
            value: "false".into(),
        };
        let args = <crate::args::Cli as clap::Parser>::parse_from([
            "fleetmend",
            "run",
            "trust-repair",
            "-i",
            "x.yaml",
            "--user",
            "管理者",
            "--directory",
            "corp.example.jp",
            "--directory-server",
            "[::1]:636",
        ]);
        let crate::args::Command::Run(run) = args.command else {
            unreachable!()
        };
        let mut job = run.job;
        job.domain.set = vec![setting];
        Recipe::of(&job, RunMode::Repair, &playbooks, &pcs)
    }

    #[test]
    fn everything_but_secrets_comes_back() {
        let text = recipe().text().unwrap();
        for secret in ["秘密のpw", "canary"] {
            assert!(!text.contains(secret), "{text}");
        }
        let back = Recipe::read(&text).unwrap();
        assert_eq!(back.text().unwrap(), text);
        let pcs = back.pcs(None);
        assert_eq!((pcs.hosts.len(), pcs.of), (2, 9));
        assert_eq!(pcs.hosts[0].vars["site"], "大阪");
        let key = pcs.hosts[0].ssh.key_file.clone().unwrap();
        assert!(key.is_absolute() && key.ends_with("keys/id"));
        assert_eq!(back.logon().user.as_deref(), Some("管理者"));
        assert_eq!(back.domain().set[0].value, "false");
        let directory = back.directory().unwrap();
        assert_eq!(directory.directory_server[0].host, "::1");
        let error = back.must_have_passwords(&pcs.hosts).unwrap_err();
        assert!(error.to_string().contains("pc-007"), "{error}");
        back.must_have_passwords(&pcs.hosts[1..]).unwrap();
    }

    #[test]
    fn the_file_of_credentials_is_read_again_and_nothing_of_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials.yaml");
        let text = "version: 1\ncredentials: {laps: {user: kanaria, laps: {}}}\n";
        std::fs::write(&path, text).unwrap();
        let file = CredentialsFile::open(&path, false).unwrap();
        let kept = recipe().with_credentials(Some(&file)).text().unwrap();
        assert!(kept.contains("credentials.yaml") && !kept.contains("kanaria"));
        let back = Recipe::read(&kept).unwrap();
        let args = CredentialsArgs::default();
        let again = back.credentials(&args).unwrap().unwrap();
        assert_eq!(again.path(), path);
        std::fs::remove_file(&path).unwrap();
        assert!(back.credentials(&args).is_err(), "what it named is missed");
    }

    #[test]
    fn passwords_of_an_inventory_come_from_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pcs.yaml");
        let text =
            "all:\n  hosts:\n    pc-007: {password: 新しいpw}\n    pc-008: {password: other}\n";
        std::fs::write(&file, text).unwrap();
        let recipe = recipe();
        let options = fleetmend_inventory::Options {
            allow_plaintext_passwords: true,
            ..fleetmend_inventory::Options::default()
        };
        let known = fleetmend_inventory::load(&[file], &options).unwrap();
        let pcs = recipe.pcs(Some(&known));
        let password = |index: usize| {
            let password = pcs.hosts[index].password.as_ref();
            password.map(|password| password.reveal().to_owned())
        };
        assert_eq!(password(0).as_deref(), Some("新しいpw"));
        assert_eq!(
            password(1),
            None,
            "the run asked for that of pc-008 elsewhere"
        );
        recipe.must_have_passwords(&pcs.hosts).unwrap();
    }

    #[test]
    fn the_text_of_another_version_is_refused() {
        let text = recipe().text().unwrap();
        let newer = text.replace("\"format\":2", "\"format\":3");
        for wrong in [newer.as_str(), "{}", "", "{\"format\":2}"] {
            let error = Recipe::read(wrong).unwrap_err();
            assert!(error.to_string().contains("another version"), "{error}");
        }
    }
}
