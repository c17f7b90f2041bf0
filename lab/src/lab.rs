//! A running lab: simulated PCs on loopback, their domain, and what a run over them must give.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{Credential, Outcome, Secret, TransportKind};
use fleetmend_transport::Script;
use jiff::Timestamp;
use rand::Rng as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ansible_vault;
use crate::answers::Answers;
use crate::domain::Domain;
use crate::doors::{Door, Service};
use crate::endpoints::{self, Endpoint, LabPorts, Place};
use crate::forest::{
    self, DIRECTORY_ACCOUNT, LAPS_ACCOUNT, REPAIR_ACCOUNT, laps_mixed, laps_readable,
};
use crate::inventory::{self, InventoryFiles};
use crate::ldap::{LdapOptions, LdapServer};
use crate::machine::Machine;
use crate::mix::{Mix, PcPlan};
use crate::pc::SimPc;
use crate::process::Pc;
use crate::registry::ScriptRegistry;
use crate::scenario::{self, LocalAdmin, Scenario};
use crate::shared::{Counts, Pace, Shared};
use crate::silent::Silent;
use crate::ssh::{SshOptions, SshServer};
use crate::tls::{LabAuthority, TlsError};
use crate::winrm::{Language, Winrm, WinrmOptions};

/// The DNS name of the lab's domain.
pub const DOMAIN: &str = "corp.example.jp";

const NETBIOS_DOMAIN: &str = "CORP";
const LOCAL_ADMIN: &str = "fleetadmin";

/// How long tasks may take to end when the lab does.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a lab shall be.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// How many PCs.
    pub pcs: usize,
    /// Which.
    pub mix: Mix,
    /// Draws the order of the PCs; unset: as the mix lists them.
    pub seed: Option<u64>,
    /// The address before the first PC's; unset: the first free block from 127.64.0.0 on.
    pub base: Option<Ipv4Addr>,
    /// The ports of a PC with an address of its own.
    pub ports: LabPorts,
    /// How much later everything that a PC sends arrives.
    pub latency: Duration,
    /// How long steps take.
    pub pace: Pace,
    /// The scripts that the lab knows, by content.
    pub scripts: Vec<Script>,
    /// Scripted answers for scripts that it does not.
    pub answers: Answers,
    /// The WinRM settings of every PC (domain, language and latency are set for each).
    pub winrm: WinrmOptions,
    /// The SSH settings (the latency is that of the lab).
    pub ssh: SshOptions,
    /// How the domain's controllers behave (the latency is that of the lab).
    pub ldap: LdapOptions,
    /// The local administrator's password; unset: drawn.
    pub local_password: Option<Secret>,
    /// Each PC's local administrator has a password of its own ([`LabPc::local`]), which LAPS
    /// keeps readable: for every fourth PC the legacy one, which names no account. The password
    /// above opens none.
    pub own_local_passwords: bool,
    /// The password of the domain account that may repair; unset: drawn.
    pub domain_password: Option<Secret>,
    /// The password of the account that may reset computers in the directory; unset: drawn.
    pub directory_password: Option<Secret>,
}

impl LabOptions {
    /// Returns a lab of this many PCs in the mix of the demo, where nothing takes time.
    pub fn new(pcs: usize, scripts: Vec<Script>) -> Self {
        Self {
            pcs,
            mix: Mix::Demo,
            seed: None,
            base: None,
            ports: LabPorts::default(),
            latency: Duration::ZERO,
            pace: Pace::NONE,
            scripts,
            answers: Answers::default(),
            winrm: WinrmOptions::default(),
            ssh: SshOptions::default(),
            local_password: None,
            own_local_passwords: false,
            domain_password: None,
            directory_password: None,
            ldap: LdapOptions::default(),
        }
    }
}

/// Why a lab does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Its addresses cannot be had.
    #[error("failed to open the lab's loopback addresses")]
    Addresses(#[source] io::Error),
    /// Its certificates cannot be made.
    #[error("failed to make the lab's certificates")]
    Tls(#[from] TlsError),
    /// Its host key cannot be made.
    #[error("failed to make the lab's SSH host key")]
    HostKey(#[from] russh::keys::Error),
}

/// One PC of a running lab, and how a run over it must end.
#[derive(Clone, Debug)]
pub struct LabPc {
    /// Its inventory name: `pc-001.corp.example.jp`.
    pub name: String,
    /// Where it listens (or would).
    pub address: SocketAddr,
    /// What it offers there.
    pub transport: TransportKind,
    /// What is wrong with it.
    pub scenario: Scenario,
    /// Whether its Windows is Japanese.
    pub japanese: bool,
    /// Its local administrator, as LAPS and the inventory know it.
    pub local: Credential,
    /// How a repair run of trust-repair ends, with the lab's domain credential given.
    pub expected: Outcome,
    /// The PC itself.
    pub sim: SimPc,
    /// Its WinRM, where it offers that.
    pub winrm: Option<Arc<Winrm>>,
    /// Everything that is served there while it is up.
    pub ports: Vec<(TransportKind, SocketAddr)>,
}

/// A running lab. Dropping it ends it, [`Lab::shutdown`] also waits for that.
#[derive(Debug)]
pub struct Lab {
    pcs: Vec<LabPc>,
    shared: Arc<Shared>,
    ssh: Arc<SshServer>,
    authority: LabAuthority,
    local: Credential,
    domain: Credential,
    directory: Credential,
    laps: Credential,
    controllers: Vec<LdapServer>,
    cancel: CancellationToken,
    tasks: TaskTracker,
    _silent: Vec<Silent>,
    /// Keeps other labs from the addresses.
    _claim: Option<TcpListener>,
}

impl Lab {
    /// Starts a lab; its PCs listen when this returns.
    ///
    /// # Errors
    /// See [`LabError`].
    pub async fn start(options: LabOptions) -> Result<Self, LabError> {
        let plan = options.mix.plan(options.pcs, options.seed);
        let block = endpoints::open(&plan, options.base, options.ports)
            .await
            .map_err(LabError::Addresses)?;
        let cancel = CancellationToken::new();
        let tasks = TaskTracker::new();
        let ssh = SshOptions {
            latency: options.latency,
            ..options.ssh.clone()
        };
        let ssh = Arc::new(SshServer::new(ssh, cancel.clone(), tasks.clone())?);
        let authority = LabAuthority::new()?;
        let local = credential(format!(r".\{LOCAL_ADMIN}"), options.local_password.as_ref());
        let of_domain = |name: &str| format!(r"{NETBIOS_DOMAIN}\{name}");
        let domain = credential(of_domain(REPAIR_ACCOUNT), options.domain_password.as_ref());
        let directory = of_domain(DIRECTORY_ACCOUNT);
        let directory = credential(directory, options.directory_password.as_ref());
        let laps = credential(of_domain(LAPS_ACCOUNT), None);
        let now = Timestamp::now();
        let mut forest = Domain::new(DOMAIN, NETBIOS_DOMAIN);
        forest::furnish(&mut forest, [&domain, &directory, &laps], now);
        let own = options.own_local_passwords;
        let locals = locals(plan.len(), &local, own);
        let machines = machines(&plan, &locals, &mut forest);
        let kept = if own { laps_readable } else { laps_mixed };
        forest::settle(&mut forest, &plan, &machines, (&locals, kept), now);
        let scripts = ScriptRegistry::new(&options.scripts);
        let shared = Shared::new(forest, scripts, options.answers.clone(), options.pace)
            .under(cancel.clone(), tasks.clone());
        let mut lab = Self {
            pcs: Vec::with_capacity(plan.len()),
            shared: Arc::new(shared),
            ssh,
            authority,
            local,
            domain,
            directory,
            laps,
            controllers: Vec::new(),
            cancel,
            tasks,
            _silent: Vec::new(),
            _claim: block.claim,
        };
        let pcs = plan.iter().zip(machines).zip(locals);
        for (((pc, machine), local), endpoint) in pcs.zip(block.endpoints) {
            lab.add(pc, machine, local, endpoint, &options)?;
        }
        lab.start_controllers(&options).await?;
        Ok(lab)
    }

    async fn start_controllers(&mut self, options: &LabOptions) -> Result<(), LabError> {
        let names = self.shared.domain().controllers.clone();
        for controller in names {
            let name = controller.dns_name;
            let address = Ipv4Addr::LOCALHOST.to_string();
            let server = LdapServer::start(
                &name,
                Arc::clone(&self.shared),
                self.authority.server(&[name.clone(), address])?,
                LdapOptions {
                    latency: options.latency,
                    ..options.ldap.clone()
                },
                (self.cancel.clone(), self.tasks.clone()),
            );
            self.controllers
                .push(server.await.map_err(LabError::Addresses)?);
        }
        Ok(())
    }

    /// Returns the PCs, with the end that each must come to.
    pub fn pcs(&self) -> &[LabPc] {
        &self.pcs
    }

    /// Returns a PC by its inventory name.
    pub fn pc(&self, name: &str) -> Option<&LabPc> {
        self.pcs.iter().find(|pc| pc.name == name)
    }

    /// Returns what all PCs share: the domain, the counts.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Returns what happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Returns the SSH server: its host key and connections.
    pub fn ssh(&self) -> &SshServer {
        &self.ssh
    }

    /// Returns the local administrator of every PC, as `.\name`.
    pub fn local_credential(&self) -> &Credential {
        &self.local
    }

    /// Returns the domain account that may reset computer accounts, as `DOMAIN\name`.
    pub fn domain_credential(&self) -> &Credential {
        &self.domain
    }

    /// Returns the account that was delegated Reset Password on computers and nothing more.
    pub fn directory_credential(&self) -> &Credential {
        &self.directory
    }

    /// Returns the account that may read what LAPS keeps and nothing more.
    pub fn laps_credential(&self) -> &Credential {
        &self.laps
    }

    /// Returns the domain's controllers, as a directory.
    pub fn controllers(&self) -> &[LdapServer] {
        &self.controllers
    }

    /// Returns the certificate of the lab's authority, which clients of HTTPS and LDAPS must
    /// trust.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// Returns the text of a known-hosts file with every PC that offers SSH.
    pub fn known_hosts(&self) -> String {
        inventory::known_hosts(&self.pcs, self.ssh.host_key())
    }

    /// Returns an inventory of the lab, shaped as Ansible's; no password stands in it.
    pub fn inventory_yaml(&self, files: &InventoryFiles) -> String {
        inventory::yaml(&self.pcs, &self.local.user, files)
    }

    /// Returns the inventory with each PC's local password in it, encrypted as `ansible-vault
    /// encrypt_string --vault-id LABEL@…` would; without a label as without `--vault-id`.
    pub fn vaulted_inventory_yaml(
        &self,
        files: &InventoryFiles,
        password: &Secret,
        label: Option<&str>,
    ) -> String {
        let sealed = |pc: &LabPc| ansible_vault::seal(pc.local.password.reveal(), password, label);
        inventory::yaml_with(&self.pcs, &self.local.user, files, &|pc| Some(sealed(pc)))
    }

    /// Ends everything and waits until every task is gone, a few seconds at most. Returns how
    /// many tasks would not end.
    pub async fn shutdown(self) -> usize {
        self.cancel.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(FAREWELL, self.tasks.wait()).await;
        self.tasks.len()
    }

    fn add(
        &mut self,
        plan: &PcPlan,
        machine: Machine,
        local: Credential,
        endpoint: Endpoint,
        options: &LabOptions,
    ) -> Result<(), LabError> {
        let name = format!("{}.{DOMAIN}", machine.name.to_ascii_lowercase());
        let sim = SimPc::new(machine, Arc::clone(&self.shared));
        let mut served = None;
        let mut ports = Vec::new();
        let mut doors = Vec::new();
        match endpoint.place {
            Place::Closed => {}
            Place::Silent(silent) => self._silent.push(silent),
            Place::Open(listener) => doors.push((plan.transport, listener)),
        }
        doors.extend(endpoint.others);
        for (transport, listener) in doors {
            let service = if transport == TransportKind::Ssh {
                Service::Ssh(Arc::clone(&self.ssh))
            } else {
                let winrm = served.get_or_insert_with(|| {
                    let pc: Arc<dyn Pc> = Arc::new(sim.clone());
                    Winrm::new(pc, winrm_options(plan, options))
                });
                let names = [name.clone(), endpoint.address.ip().to_string()];
                let tls = (transport == TransportKind::WinrmHttps)
                    .then(|| self.authority.server(&names))
                    .transpose()?;
                Service::Winrm(Arc::clone(winrm), tls)
            };
            let door = Door {
                pc: sim.clone(),
                transport,
                address: listener.local_addr().map_err(LabError::Addresses)?,
                service,
                cancel: self.cancel.clone(),
            };
            ports.push((transport, door.address));
            self.tasks.spawn(door.keep(listener));
        }
        self.pcs.push(LabPc {
            name,
            address: endpoint.address,
            transport: plan.transport,
            scenario: plan.scenario,
            japanese: plan.japanese,
            local,
            expected: plan.scenario.expected(plan.transport),
            sim,
            winrm: served,
            ports,
        });
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn winrm_options(plan: &PcPlan, options: &LabOptions) -> WinrmOptions {
    let mut winrm = options.winrm.clone();
    winrm.domain = Some((NETBIOS_DOMAIN.to_owned(), DOMAIN.to_owned()));
    if plan.japanese {
        winrm.language = Language::Japanese;
    }
    winrm.faults.latency = options.latency;
    winrm
}

/// Builds every machine. The lagging controller, if any, is there for all of them.
fn machines(plan: &[PcPlan], locals: &[Credential], domain: &mut Domain) -> Vec<Machine> {
    let now = Timestamp::now();
    let width = plan.len().to_string().len().max(3);
    let build = |(index, (pc, local)): (usize, (&PcPlan, &Credential))| {
        let admin = LocalAdmin {
            user: crate::domain::account_name(&local.user),
            password: local.password.reveal(),
        };
        let number = index + 1;
        let name = match pc.scenario {
            Scenario::DomainController => format!("DC-{number:0width$}"),
            _ => format!("PC-{number:0width$}"),
        };
        let mut machine = scenario::build(&name, pc.scenario, &admin, domain, now);
        if pc.japanese {
            machine.lcid = 1041;
        }
        machine.noisy = pc.noisy;
        machine.slowness = pc.slowness;
        machine
    };
    plan.iter().zip(locals).enumerate().map(build).collect()
}

/// Returns the local administrator of each PC.
fn locals(pcs: usize, local: &Credential, own: bool) -> Vec<Credential> {
    let one = |_| match own {
        true => credential(local.user.clone(), None),
        false => local.clone(),
    };
    (0..pcs).map(one).collect()
}

fn credential(user: String, password: Option<&Secret>) -> Credential {
    let password = password.cloned().unwrap_or_else(draw_password);
    Credential {
        user,
        password,
        ssh: None,
    }
}

/// Draws a password that fulfils the policy of Windows (three kinds of characters).
fn draw_password() -> Secret {
    let mut rng = rand::rng();
    let drawn: String = (0..20)
        .map(|_| char::from(rng.sample(rand::distr::Alphanumeric)))
        .collect();
    Secret::new(format!("{drawn}-9Aa"))
}
