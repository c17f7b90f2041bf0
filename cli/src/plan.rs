//! From arguments to a plan in which nothing can be wrong any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::{ExecJob, Job, Pace, Programs, RebootPolicy, RunLimits, RunPlan};
use fleetmend_inventory::{Inventory, Unseal};
use fleetmend_model::{
    CredentialRef, Host, HostName, RunMode, TlsVerification, TransportChoice, WinrmAuth,
    WinrmScheme,
};
use fleetmend_playbooks::{Language, ParameterKind, Playbook};
use serde_json::{Map, Value};

use crate::args::{DomainArgs, InventoryArgs, LogonArgs, RebootArgs, Setting};
use crate::credentials::{self, CredentialsFile};
use crate::directory::Directory;
use crate::error::CliError;
use crate::inventories;
use crate::operator;
use crate::playbooks::{Playbooks, meant_for};
use crate::printer::Printer;
use crate::restart_pace::restart_limits;
use crate::statement::pcs_named;

/// PCs to work on, and how many there were before `--limit`.
pub(crate) struct Pcs {
    /// Those that are left.
    pub(crate) hosts: Vec<Arc<Host>>,
    /// How many the inventory has.
    pub(crate) of: usize,
    /// Whether the inventory names a directory.
    pub(crate) from_directory: bool,
    /// PCs of the whole inventory on which a step for another PC may run: those that a parameter
    /// names.
    pub(crate) elsewhere: Vec<Arc<Host>>,
    /// What opens the passwords that stand encrypted in the inventory.
    pub(crate) unseal: Option<Arc<dyn Unseal>>,
}

impl Pcs {
    /// Reads the inventory, with the computers of the directories that it names, and takes the
    /// PCs that `--limit` leaves.
    ///
    /// # Errors
    /// The inventory or the limit is wrong, a directory cannot be asked, or no PC is left.
    pub(crate) async fn read(
        args: &InventoryArgs,
        logon: &LogonArgs,
        directory: &mut Directory<'_>,
        set: &[Setting],
        printer: &Printer,
    ) -> Result<Self, CliError> {
        let mut whole = inventories::whole(args, directory, printer).await?;
        if let Some(file) = directory.credentials() {
            file.assign(&mut whole)?;
            warn(file, &whole, printer);
        }
        let of = whole.hosts.len();
        let named: BTreeSet<&str> = set.iter().map(|setting| setting.value.as_str()).collect();
        let is_named = |host: &&Host| named.contains(host.name.0.as_str());
        let elsewhere = whole.hosts.iter().filter(is_named).cloned().collect();
        let inventory = inventories::limited(whole, &args.limit)?;
        inventories::warn(&inventory, printer);
        Self::of(inventory, of, elsewhere, logon)
    }

    fn of(
        inventory: Inventory,
        of: usize,
        elsewhere: Vec<Host>,
        logon: &LogonArgs,
    ) -> Result<Self, CliError> {
        if inventory.hosts.is_empty() {
            return Err(
                CliError::user("the inventory has no PC that could be reached")
                    .hint("see what was understood: fleetmend inventory list -i FILE"),
            );
        }
        refuse_open_passwords(&inventory)?;
        let from_directory = !inventory.sources.is_empty();
        let unseal = inventory.vaults.unseal();
        let accept = logon.accept_new_host_keys;
        let shared = |mut host: Host| {
            host.ssh.accept_new_host_keys |= accept;
            Arc::new(host)
        };
        Ok(Self {
            elsewhere: elsewhere.into_iter().map(shared).collect(),
            hosts: inventory.hosts.into_iter().map(shared).collect(),
            of,
            from_directory,
            unseal,
        })
    }
}

impl Pcs {
    /// Returns every PC that may be logged on to, each once.
    pub(crate) fn everyone(&self) -> Vec<Arc<Host>> {
        let known: BTreeSet<&HostName> = self.hosts.iter().map(|host| &host.name).collect();
        let others = self.elsewhere.iter();
        let others = others.filter(|host| !known.contains(&host.name));
        self.hosts.iter().chain(others).cloned().collect()
    }
}

/// Tells which groups of `credentials.yaml` the inventory lacks.
pub(crate) fn warn(file: &CredentialsFile, inventory: &Inventory, printer: &Printer) {
    for warning in file.warnings(inventory) {
        printer.warning(&warning);
    }
}

/// Refuses Basic where no certificate is verified: it hands the password to whoever answers.
fn refuse_open_passwords(inventory: &Inventory) -> Result<(), CliError> {
    let mut names: Vec<&HostName> = inventory
        .hosts
        .iter()
        .filter(|host| host.winrm.auth == WinrmAuth::Basic && is_unverified(host))
        .map(|host| &host.name)
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    names.sort();
    Err(CliError::user(format!(
        "Basic without a verified certificate gives the password to whoever answers, on {}",
        pcs_named(names)
    ))
    .hint("verify the certificate (`tls: sha256:…`, `tls: ca.pem`) or log on with NTLM"))
}

/// Tells whether a PC may be spoken to over TLS without a look at its certificate.
pub(crate) fn is_unverified(host: &Host) -> bool {
    host.winrm.tls == TlsVerification::None
        && host.winrm.scheme != Some(WinrmScheme::Http)
        && host.transport != TransportChoice::Ssh
}

/// Plans a run of a playbook.
///
/// # Errors
/// A parameter is unknown or of a wrong type.
pub(crate) fn of_playbook(
    playbooks: &Playbooks,
    mode: RunMode,
    pcs: &Pcs,
    logon: &LogonArgs,
    domain: &DomainArgs,
    reboot: &RebootArgs,
) -> Result<RunPlan, CliError> {
    let programs = Programs::of(Arc::clone(&playbooks.main), playbooks.also.iter().cloned());
    let plan = RunPlan {
        params: parameters(playbooks, domain)?,
        credentials_on_pcs: domain.allow_credential_on_pcs,
        reboots: reboot.policy(),
        language: domain.language.into(),
        ..base(mode, Job::Playbook(Arc::new(programs)), pcs, logon)
    };
    plan.check().map_err(|(host, error)| {
        CliError::user(format!("the parameters do not fit for {host}"))
            .because(error)
            .hint(see(&playbooks.main))
    })?;
    Ok(plan)
}

/// The option that gives the account for a parameter of type credential.
pub(crate) fn option_for(parameter: &str) -> String {
    if parameter == credentials::DOMAIN_PARAMETER {
        "--domain-user USER".to_owned()
    } else {
        format!("--credential {parameter}=USER")
    }
}

fn see(playbook: &Playbook) -> String {
    format!(
        "see what it takes: fleetmend playbook show {}",
        playbook.name
    )
}

/// Plans a command by hand.
pub(crate) fn of_command(command: ExecJob, pcs: &Pcs, logon: &LogonArgs) -> RunPlan {
    base(RunMode::Exec, Job::Exec(Arc::new(command)), pcs, logon)
}

fn base(mode: RunMode, job: Job, pcs: &Pcs, logon: &LogonArgs) -> RunPlan {
    let defaults = RunLimits::default();
    let connect = logon.connect_timeout;
    RunPlan {
        mode,
        job,
        hosts: pcs.hosts.clone(),
        params: Map::new(),
        credentials_on_pcs: false,
        reboots: RebootPolicy::default(),
        elsewhere: Arc::new(
            pcs.elsewhere
                .iter()
                .map(|host| (host.name.clone(), Arc::clone(host)))
                .collect(),
        ),
        history: BTreeMap::default(),
        directory: None,
        offline_join: false,
        language: Language::default(),
        default_credential: CredentialRef(credentials::DEFAULT.to_owned()),
        pace: Pace::default(),
        operator: Some(operator::current()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: RunLimits {
            max_concurrency: logon.max_concurrency,
            connect,
            // A slow way to a PC is slow for the exchanges of a logon, too.
            logon: defaults
                .logon
                .max(connect.saturating_add(Duration::from_secs(30))),
            restart: restart_limits(),
            ..defaults
        },
    }
}

/// The parameters as set: texts that the playbooks read by type, and the names of the accounts
/// that are given.
fn parameters(playbooks: &Playbooks, domain: &DomainArgs) -> Result<Map<String, Value>, CliError> {
    let mut values = Map::new();
    let credentials: BTreeSet<&str> = playbooks
        .all()
        .flat_map(|playbook| &playbook.parameters)
        .filter(|parameter| parameter.kind == ParameterKind::Credential)
        .map(|parameter| parameter.name.as_str())
        .collect();
    for Setting { name, value } in &domain.set {
        if credentials.contains(name.as_str()) {
            return Err(CliError::user(format!(
                "{name} is a credential and cannot be set in words"
            ))
            .hint(format!("give the account instead: {}", option_for(name))));
        }
        values.insert(name.clone(), Value::from(value.as_str()));
    }
    for playbook in playbooks.all() {
        playbook
            .resolve_params(&meant_for(playbook, playbooks, &values), &BTreeMap::new())
            .map_err(|errors| {
                CliError::user("--set does not fit the playbook")
                    .because(errors)
                    .hint(see(playbook))
            })?;
    }
    for Setting { name, .. } in &domain.credential {
        if !credentials.contains(name.as_str()) {
            let known: Vec<&str> = credentials.iter().copied().collect();
            return Err(CliError::user(format!(
                "--credential {name}: the playbook has no credential of this name"
            ))
            .hint(match known.as_slice() {
                [] => "it takes none".to_owned(),
                known => format!("it takes {}", known.join(", ")),
            }));
        }
        values.insert(name.clone(), Value::from(name.as_str()));
    }
    let kept = domain.kept.iter();
    for Setting { name, value } in kept.filter(|kept| credentials.contains(kept.name.as_str())) {
        values.insert(name.clone(), Value::from(value.as_str()));
    }
    if domain.domain_user.is_some() && credentials.contains(credentials::DOMAIN_PARAMETER) {
        let name = credentials::DOMAIN_PARAMETER.to_owned();
        values.insert(name, Value::from(credentials::DOMAIN));
    }
    Ok(values)
}
