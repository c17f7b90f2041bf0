//! From arguments to a plan in which nothing can be wrong any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::{ExecJob, Job, Programs, RunLimits, RunPlan};
use fleetmend_inventory::Inventory;
use fleetmend_model::{
    CredentialRef, Host, HostName, RunMode, TlsVerification, TransportChoice, WinrmAuth,
    WinrmScheme,
};
use fleetmend_playbooks::{Language, ParameterKind, Playbook, PlaybookErrors};
use serde_json::{Map, Value};

use crate::args::{DomainArgs, InventoryArgs, LogonArgs, Setting};
use crate::credentials;
use crate::error::CliError;
use crate::inventories;
use crate::printer::Printer;
use crate::statement::pcs_named;

/// PCs to work on, and how many there were before `--limit`.
pub(crate) struct Pcs {
    /// Those that are left.
    pub(crate) hosts: Vec<Arc<Host>>,
    /// How many the inventory has.
    pub(crate) of: usize,
}

impl Pcs {
    /// Reads the inventory and takes the PCs that `--limit` leaves.
    ///
    /// # Errors
    /// The inventory or the limit is wrong, or no PC is left.
    pub(crate) fn read(
        args: &InventoryArgs,
        logon: &LogonArgs,
        printer: &Printer,
    ) -> Result<Self, CliError> {
        let whole = inventories::load(&args.inventory, args.allow_plaintext_passwords)?;
        let of = whole.hosts.len();
        let inventory = inventories::limited(whole, &args.limit)?;
        inventories::warn(&inventory, printer);
        Self::of(inventory, of, logon)
    }

    fn of(inventory: Inventory, of: usize, logon: &LogonArgs) -> Result<Self, CliError> {
        if inventory.hosts.is_empty() {
            return Err(
                CliError::user("the inventory has no PC that could be reached")
                    .hint("see what was understood: fleetmend inventory list -i FILE"),
            );
        }
        refuse_open_passwords(&inventory)?;
        let accept = logon.accept_new_host_keys;
        let hosts = inventory.hosts.into_iter().map(|mut host| {
            host.ssh.accept_new_host_keys |= accept;
            Arc::new(host)
        });
        Ok(Self {
            hosts: hosts.collect(),
            of,
        })
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

/// Loads a playbook.
///
/// # Errors
/// It is not there or wrong.
pub(crate) fn playbook(name_or_path: &str) -> Result<Arc<Playbook>, CliError> {
    Playbook::load(name_or_path).map(Arc::new).map_err(|error| {
        let not_shipped = matches!(error, PlaybookErrors::NotShipped { .. });
        let error = CliError::user(error.to_string()).because(error);
        if not_shipped {
            error.hint("list those that are shipped: fleetmend playbook list")
        } else {
            error
        }
    })
}

/// Plans a run of a playbook.
///
/// # Errors
/// A parameter is unknown or of a wrong type.
pub(crate) fn of_playbook(
    playbook: &Arc<Playbook>,
    mode: RunMode,
    pcs: &Pcs,
    logon: &LogonArgs,
    domain: &DomainArgs,
) -> Result<RunPlan, CliError> {
    let job = Job::Playbook(Arc::new(Programs::of(Arc::clone(playbook), [])));
    let plan = RunPlan {
        params: parameters(playbook, domain)?,
        credentials_on_pcs: domain.allow_credential_on_pcs,
        language: domain.language.into(),
        ..base(mode, job, pcs, logon)
    };
    plan.check().map_err(|(host, error)| {
        CliError::user(format!("the parameters do not fit for {host}"))
            .because(error)
            .hint(format!(
                "see what it takes: fleetmend playbook show {}",
                playbook.name
            ))
    })?;
    Ok(plan)
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
        may_reboot: false,
        directory: None,
        offline_join: false,
        language: Language::default(),
        default_credential: CredentialRef(credentials::DEFAULT.to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: RunLimits {
            max_concurrency: logon.max_concurrency,
            connect,
            // A slow way to a PC is slow for the exchanges of a logon, too.
            logon: defaults
                .logon
                .max(connect.saturating_add(Duration::from_secs(30))),
            ..defaults
        },
    }
}

/// The parameters as set: texts that the playbook reads by type, and the domain account for
/// every credential that nobody set.
fn parameters(playbook: &Playbook, domain: &DomainArgs) -> Result<Map<String, Value>, CliError> {
    let mut values = Map::new();
    let is_credential = |name: &str| {
        let mut all = playbook.parameters.iter();
        all.any(|parameter| parameter.name == name && parameter.kind == ParameterKind::Credential)
    };
    for Setting { name, value } in &domain.set {
        if is_credential(name) {
            return Err(CliError::user(format!(
                "{name} is a credential and cannot be set in words"
            ))
            .hint("give the account with --domain-user USER and --domain-password-file FILE"));
        }
        values.insert(name.clone(), Value::from(value.as_str()));
    }
    playbook
        .resolve_params(&values, &BTreeMap::new())
        .map_err(|errors| {
            CliError::user("--set does not fit the playbook")
                .because(errors)
                .hint(format!(
                    "see what it takes: fleetmend playbook show {}",
                    playbook.name
                ))
        })?;
    let credentials = playbook
        .parameters
        .iter()
        .filter(|parameter| parameter.kind == ParameterKind::Credential);
    if domain.domain_user.is_some() {
        let name = Value::from(credentials::DOMAIN);
        values.extend(credentials.map(|parameter| (parameter.name.clone(), name.clone())));
    }
    Ok(values)
}
