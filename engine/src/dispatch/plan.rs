//! What a run is to do, and its limits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{CredentialRef, Host, HostName, Operator, RunMode};
use fleetmend_playbooks::{DecisionError, Language, RebootWindow, Situation};
use serde_json::{Map, Value};

use super::history::History;
use super::hour_window::HourWindow;
use super::lanes::RestartLimits;
use super::own_names::own_names;
use super::pace::Pace;
use crate::program::{Job, Parameters, Program};

/// What a run is to do. Nothing in it can be wrong any more.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// Repair or check; ignored for exec.
    pub mode: RunMode,
    /// Playbook or command.
    pub job: Job,
    /// The PCs, in the order in which they are begun.
    pub hosts: Vec<Arc<Host>>,
    /// What the operator set; a PC's variables and the playbook's defaults stand behind it.
    pub params: Map<String, Value>,
    /// Whether domain credentials may be handed to PCs, on rungs that cannot do without.
    pub credentials_on_pcs: bool,
    /// Whether, when and how many PCs may be restarted.
    pub reboots: RebootPolicy,
    /// Every PC of the inventory, also those that the run is not for: a step may run on one.
    pub elsewhere: Arc<BTreeMap<HostName, Arc<Host>>>,
    /// What earlier runs did for PCs; none is no repair.
    pub history: BTreeMap<HostName, History>,
    /// Whether the controller reaches the directory, and as whom: the name is for words only.
    /// Counts only with [`Ports::directory`](super::Ports::directory).
    pub directory: Option<String>,
    /// Whether the controller can make offline join blobs; it needs the directory for them.
    pub offline_join: bool,
    /// The language of reasons and advice, where the playbook has both.
    pub language: Language,
    /// The credential of PCs whose inventory names none.
    pub default_credential: CredentialRef,
    /// In which batches, how fast, and after how many failures it stops.
    pub pace: Pace,
    /// Who runs it.
    pub operator: Option<Operator>,
    /// Version of fleetmend, for the journal.
    pub version: String,
    /// How much at once and how long.
    pub limits: RunLimits,
}

/// Whether, when and how many PCs may be restarted.
#[derive(Clone, Debug)]
pub struct RebootPolicy {
    /// How often one PC may be restarted in the run; 0: never.
    pub max: u32,
    /// The hours in which it may be, by the controller's clock; unset, any.
    pub window: Option<HourWindow>,
    /// How many PCs of one site, or of one domain controller, may be amid a rung that restarts
    /// them at once.
    pub at_once: usize,
}

impl Default for RebootPolicy {
    fn default() -> Self {
        Self {
            max: 0,
            window: None,
            at_once: 10,
        }
    }
}

/// How much at once and how long.
#[derive(Clone, Debug)]
pub struct RunLimits {
    /// PCs that are logged on to at once.
    pub max_concurrency: usize,
    /// PCs that are probed or wait for a worker's slot at once.
    pub probe_concurrency: usize,
    /// PCs beyond these whose probe was not answered within half a second, and goes on.
    pub slow_probes: usize,
    /// How many PCs are begun at once; the bound doubles every [`RunLimits::ramp_interval`].
    pub ramp_start: usize,
    /// How often the ramp grows.
    pub ramp_interval: Duration,
    /// How long a TCP connection may take.
    pub connect: Duration,
    /// How long connecting, logging on and getting a shell may take together; a PC that has no
    /// room for a shell is waited for inside it.
    pub logon: Duration,
    /// How long a credential may take to come, with its wait for a turn at the source. Sources
    /// have deadlines of their own, and tell more: this is for one that hangs.
    pub credential: Duration,
    /// How long each phase (diagnose; the steps of one rung; its verify) may take on one PC.
    /// It begins no step after that; a step that runs keeps its own deadline.
    pub phase: Duration,
    /// How long the journal may take to store one event.
    pub journal: Duration,
    /// How long things around a restart take.
    pub restart: RestartLimits,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            max_concurrency: 256,
            probe_concurrency: 1024,
            // With three ports each no more sockets than macOS gives a process.
            slow_probes: 2048,
            // A thousand PCs are begun within 150 ms: less than most links take for one exchange.
            ramp_start: 128,
            ramp_interval: Duration::from_millis(50),
            connect: Duration::from_secs(10),
            logon: Duration::from_secs(60),
            credential: Duration::from_secs(11 * 60),
            phase: Duration::from_secs(15 * 60),
            journal: Duration::from_secs(30),
            restart: RestartLimits::default(),
        }
    }
}

impl RunPlan {
    /// Returns the mode that events and the machine see.
    pub(crate) fn mode(&self) -> RunMode {
        match self.job {
            Job::Exec(_) => RunMode::Exec,
            Job::Playbook(_) => self.mode,
        }
    }

    /// Returns the program for the PC's platform, if the run has one.
    pub(crate) fn program(&self, host: &Host) -> Option<&Arc<Program>> {
        match &self.job {
            Job::Playbook(programs) => programs.on(host.platform),
            Job::Exec(_) => None,
        }
    }

    /// Checks what depends on the PC's variables, for every PC, before anything is touched.
    ///
    /// # Errors
    /// The first PC whose parameters cannot be used, and why.
    pub fn check(&self) -> Result<(), (HostName, DecisionError)> {
        for host in &self.hosts {
            self.situation(host)
                .map_err(|error| (host.name.clone(), error))?;
        }
        Ok(())
    }

    /// Returns the hours for restarts as they are now, by the controller's clock.
    pub(crate) fn reboot_window(&self) -> Option<RebootWindow> {
        let window = self.reboots.window?;
        Some(RebootWindow {
            text: window.to_string(),
            open_for: window.open_for(jiff::Zoned::now().time()),
        })
    }

    /// Returns what the decision knows of one PC beside its facts.
    ///
    /// # Errors
    /// Its variables do not fit the playbook's parameters.
    pub fn situation(&self, host: &Host) -> Result<Situation, DecisionError> {
        let (Job::Playbook(programs), Some(program)) = (&self.job, self.program(host)) else {
            return Ok(Situation::default());
        };
        let set = programs.settings(program, &self.params);
        let Parameters {
            values,
            credentials,
        } = program.judge.parameters(&set, &host.vars)?;
        let about = [
            ("name", Value::from(host.name.0.as_str())),
            ("address", Value::from(host.address.as_str())),
            ("names", Value::from(own_names(host))),
            ("groups", Value::from(host.groups.clone())),
            (
                "history",
                self.history
                    .get(&host.name)
                    .copied()
                    .unwrap_or_default()
                    .to_value(),
            ),
            (
                "vars",
                Value::Object(host.vars.clone().into_iter().collect()),
            ),
        ];
        Ok(Situation {
            reboot_window: self.reboot_window(),
            params: values,
            host: about
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            credentials_for_pcs: if self.credentials_on_pcs {
                credentials.clone()
            } else {
                BTreeSet::new()
            },
            credentials,
            max_reboots: self.reboots.max,
            directory: self.directory.is_some(),
            offline_join: self.directory.is_some() && self.offline_join,
            language: self.language,
            ..Situation::default()
        })
    }
}
