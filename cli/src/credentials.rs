//! Which account and password each PC is logged on to with; everything is at hand before the
//! first PC is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use fleetmend_engine::{CredentialError, CredentialSource};
use fleetmend_model::{Credential, CredentialRef, Host, RunMode, Secret, TransportChoice};

use crate::args::{DomainArgs, LogonArgs, Setting};
use crate::error::CliError;
use crate::password;

/// The credential of PCs whose inventory names none.
pub(crate) const DEFAULT: &str = "local-admin";
/// The credential that `--domain-user` gives.
pub(crate) const DOMAIN: &str = "domain";
/// The parameter of playbooks that it is for.
pub(crate) const DOMAIN_PARAMETER: &str = "domain_credential";

/// The variable that names the password file of the directory account.
const DIRECTORY_VARIABLE: &str = "FLEETMEND_DIRECTORY_PASSWORD_FILE";

/// Every password of a run.
///
/// For one PC a password in its inventory outweighs the credential that it names, and that the
/// one of the command line.
#[derive(Debug)]
pub(crate) struct Passwords {
    default_user: Option<String>,
    by_name: BTreeMap<CredentialRef, Secret>,
    domain: Option<Credential>,
    /// The accounts of `--credential`, by parameter.
    given: BTreeMap<String, Credential>,
}

impl Passwords {
    /// Reads or asks for every password that these PCs need.
    ///
    /// # Errors
    /// A PC has no account, or a password is missing or its file unfit.
    pub(crate) fn gather(
        logon: &LogonArgs,
        domain: &DomainArgs,
        mode: RunMode,
        hosts: &[Arc<Host>],
    ) -> Result<Self, CliError> {
        check_users(logon, hosts)?;
        check_names(hosts)?;
        let mut by_name = BTreeMap::new();
        // A file may be a pipe, which can be read once.
        let mut read: BTreeMap<PathBuf, Secret> = BTreeMap::new();
        for name in needed(hosts) {
            let secret = match file_for(&name, logon) {
                Some(file) => match read.get(&file) {
                    Some(secret) => secret.clone(),
                    None => read
                        .entry(file.clone())
                        .or_insert(password::read(&file)?)
                        .clone(),
                },
                None if !must_have(&name, hosts) => continue,
                None => ask(&name, logon, hosts)?,
            };
            by_name.insert(name, secret);
        }
        let given = given(domain, mode)?;
        let domain = domain_credential(domain, mode)?;
        Ok(Self {
            default_user: logon.user.clone(),
            by_name,
            domain,
            given,
        })
    }

    /// Returns passwords that are known already, as the demo's are.
    pub(crate) fn known(user: &str, password: Secret, domain: Option<Credential>) -> Self {
        let by_name = BTreeMap::from([(CredentialRef(DEFAULT.to_owned()), password)]);
        Self {
            default_user: Some(user.to_owned()),
            by_name,
            domain,
            given: BTreeMap::new(),
        }
    }

    /// Returns the domain account, if one was given.
    pub(crate) fn domain_user(&self) -> Option<&str> {
        self.domain
            .as_ref()
            .map(|credential| credential.user.as_str())
    }

    /// Returns the domain account with its password, if one was given.
    pub(crate) fn domain(&self) -> Option<&Credential> {
        self.domain.as_ref()
    }

    /// Returns the accounts of `--credential`: parameter and user.
    pub(crate) fn given(&self) -> Vec<(&str, &str)> {
        let given = self.given.iter();
        given
            .map(|(name, credential)| (name.as_str(), credential.user.as_str()))
            .collect()
    }

    /// Returns each account with the number of PCs that it logs on to.
    pub(crate) fn accounts(&self, hosts: &[Arc<Host>]) -> BTreeMap<String, usize> {
        let mut accounts = BTreeMap::new();
        for host in hosts {
            if let Some(user) = host.user.as_ref().or(self.default_user.as_ref()) {
                *accounts.entry(user.clone()).or_default() += 1;
            }
        }
        accounts
    }

    fn of(&self, name: &CredentialRef, host: &Host) -> Result<Credential, String> {
        if name.0 == DOMAIN
            && host.credential.as_ref() != Some(name)
            && let Some(domain) = &self.domain
        {
            return Ok(domain.clone());
        }
        if let Some(given) = self.given.get(&name.0)
            && host.credential.as_ref() != Some(name)
        {
            return Ok(given.clone());
        }
        let user = host.user.clone().or_else(|| self.default_user.clone());
        let user = user.ok_or("no account is known")?;
        let password = host.password.as_ref().or_else(|| self.by_name.get(name));
        let password = match password {
            Some(password) => password.clone(),
            None if has_key(host) => Secret::new(String::new()),
            None => return Err("no password is known".to_owned()),
        };
        Ok(Credential {
            user,
            password,
            ssh: None,
        })
    }
}

#[async_trait]
impl CredentialSource for Passwords {
    async fn credential(
        &self,
        name: &CredentialRef,
        host: &Host,
    ) -> Result<Credential, CredentialError> {
        self.of(name, host).map_err(|detail| CredentialError {
            name: name.clone(),
            detail,
        })
    }
}

fn check_users(logon: &LogonArgs, hosts: &[Arc<Host>]) -> Result<(), CliError> {
    let nobody = hosts
        .iter()
        .find(|host| host.user.is_none() && logon.user.is_none());
    match nobody {
        None => Ok(()),
        Some(host) => Err(
            CliError::user(format!("no account is given for {}", host.name))
                .hint("name the PCs' local administrator: --user NAME, or `user` in the inventory"),
        ),
    }
}

/// Refuses credentials whose variable is that of the directory account: its password must reach
/// no PC.
fn check_names(hosts: &[Arc<Host>]) -> Result<(), CliError> {
    let named = hosts.iter().find_map(|host| {
        let name = host.credential.as_ref()?;
        (password::variable(name) == DIRECTORY_VARIABLE).then_some((host, name))
    });
    match named {
        None => Ok(()),
        Some((host, name)) => Err(CliError::user(format!(
            "{}: the credential name {name} means the directory account, which logs on to no PC",
            host.name
        ))
        .hint("give the credential another name")),
    }
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
        .filter(|host| host.password.is_none())
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
        .any(|host| host.password.is_none() && name_of(host) == *name && !has_key(host))
}

fn has_key(host: &Host) -> bool {
    host.transport == TransportChoice::Ssh && (host.ssh.key_file.is_some() || host.ssh.use_agent)
}

fn ask(name: &CredentialRef, logon: &LogonArgs, hosts: &[Arc<Host>]) -> Result<Secret, CliError> {
    let of_name = hosts
        .iter()
        .filter(|host| host.password.is_none() && name_of(host) == *name);
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
fn given(args: &DomainArgs, mode: RunMode) -> Result<BTreeMap<String, Credential>, CliError> {
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
            Some(file) => password::read(Path::new(&file.value))?,
            None if mode == RunMode::Check => Secret::new(String::new()),
            None => password::ask(
                &format!("the password of {user} ({name})"),
                &format!("name a file that holds it: --credential-password-file {name}=FILE"),
            )?,
        };
        let user = user.clone();
        given.insert(
            name.clone(),
            Credential {
                user,
                password,
                ssh: None,
            },
        );
    }
    Ok(given)
}

/// The domain account. A check uses it on no PC and gets no password that nobody offered.
fn domain_credential(args: &DomainArgs, mode: RunMode) -> Result<Option<Credential>, CliError> {
    let Some(user) = &args.domain_user else {
        return Ok(None);
    };
    let password = match &args.domain_password_file {
        Some(file) => password::read(file)?,
        None if mode == RunMode::Check => Secret::new(String::new()),
        None => password::ask(
            &format!("the password of the domain account {user}"),
            "name a file that holds it: --domain-password-file FILE",
        )?,
    };
    Ok(Some(Credential {
        user: user.clone(),
        password,
        ssh: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, change: impl FnOnce(&mut Host)) -> Arc<Host> {
        let mut host = Host::new(name);
        change(&mut host);
        Arc::new(host)
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn passwords() -> Passwords {
        Passwords {
            default_user: Some("fleetadmin".into()),
            by_name: BTreeMap::from([
                (CredentialRef(DEFAULT.into()), secret("default")),
                (CredentialRef("kiosk".into()), secret("kiosk")),
            ]),
            domain: Some(Credential {
                user: "CORP\\joiner".into(),
                password: secret("domain"),
                ssh: None,
            }),
            given: BTreeMap::new(),
        }
    }

    #[test]
    fn the_inventory_outweighs_the_credential_and_that_the_command_line() {
        let passwords = passwords();
        let reveal = |host: &Host| {
            let credential = passwords.of(&name_of(host), host).unwrap();
            format!("{}/{}", credential.user, credential.password.reveal())
        };
        assert_eq!(reveal(&host("a", |_| {})), "fleetadmin/default");
        assert_eq!(
            reveal(&host("b", |host| {
                host.user = Some(".\\k".into());
                host.credential = Some(CredentialRef("kiosk".into()));
            })),
            ".\\k/kiosk"
        );
        assert_eq!(
            reveal(&host("c", |host| {
                host.credential = Some(CredentialRef("kiosk".into()));
                host.password = Some(secret("own"));
            })),
            "fleetadmin/own"
        );
    }

    #[test]
    fn the_domain_account_is_no_logon() {
        let passwords = passwords();
        let host = host("a", |host| host.password = Some(secret("own")));
        let domain = passwords.of(&CredentialRef(DOMAIN.into()), &host).unwrap();
        assert_eq!(
            (domain.user.as_str(), domain.password.reveal()),
            ("CORP\\joiner", "domain")
        );
    }

    #[test]
    fn an_unknown_credential_is_no_password_at_all() {
        let host = host("a", |host| {
            host.credential = Some(CredentialRef("other".into()))
        });
        assert!(passwords().of(&name_of(&host), &host).is_err());
    }

    #[test]
    fn keys_need_no_password() {
        let with_key = host("a", |host| {
            host.transport = TransportChoice::Ssh;
            host.ssh.use_agent = true;
            host.user = Some("root".into());
            host.credential = Some(CredentialRef("unset-anywhere".into()));
        });
        let hosts = [with_key];
        let passwords = Passwords::gather(
            &LogonArgs::default(),
            &DomainArgs::default(),
            RunMode::Repair,
            &hosts,
        )
        .unwrap();
        let credential = passwords.of(&name_of(&hosts[0]), &hosts[0]).unwrap();
        assert!(credential.password.is_empty());
    }

    #[test]
    fn a_pc_without_account_is_named() {
        let hosts = [host("pc-9", |_| {})];
        let error = Passwords::gather(
            &LogonArgs::default(),
            &DomainArgs::default(),
            RunMode::Repair,
            &hosts,
        );
        assert!(error.unwrap_err().to_string().contains("pc-9"));
    }
}
