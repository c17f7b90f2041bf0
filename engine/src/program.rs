//! What the engine runs on every PC: a playbook made ready, or one command by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{DirectoryAction, Facts, Phase, Place, Platform, StepRef};
use fleetmend_playbooks::{
    Decision, DecisionError, Language, Logon, SecretFrom, Situation, VerifyVerdict,
};
use fleetmend_transport::{ExecRequest, Script};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::own::OwnScripts;

/// The work of a run, shared by all its PCs.
#[derive(Clone, Debug)]
pub enum Job {
    /// Diagnose, repair, verify; or diagnose only. Each PC is given the program for its platform.
    Playbook(Arc<Programs>),
    /// One command by hand.
    Exec(Arc<ExecJob>),
}

/// One command by hand.
#[derive(Clone, Debug)]
pub struct ExecJob {
    /// What to run.
    pub request: ExecRequest,
    /// How the journal names it.
    pub subject: String,
    /// How long it may take on one PC.
    pub deadline: Duration,
}

impl ExecJob {
    /// Returns how events name the one step of an exec run.
    pub fn step() -> StepRef {
        StepRef {
            phase: Phase::Exec,
            rung: None,
            step: "command".to_owned(),
        }
    }
}

/// The playbooks of a run: the one that was named, and those for hosts of other platforms.
#[derive(Clone, Debug)]
pub struct Programs {
    main: Arc<Program>,
    also: Vec<Arc<Program>>,
}

impl Programs {
    /// Returns the programs of a run. Of two for one platform the first counts.
    pub fn new(main: Program, also: impl IntoIterator<Item = Program>) -> Self {
        Self {
            main: Arc::new(main),
            also: also.into_iter().map(Arc::new).collect(),
        }
    }

    /// Returns the program that was named.
    pub fn main(&self) -> &Arc<Program> {
        &self.main
    }

    /// Returns the program for hosts of this platform, if the run has one.
    pub fn on(&self, platform: Platform) -> Option<&Arc<Program>> {
        self.all().find(|program| program.platform == platform)
    }

    /// Returns every program, the one that was named first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Program>> {
        std::iter::once(&self.main).chain(&self.also)
    }

    /// Returns the digest of a single program; of several the SHA-256 over their digests, one a
    /// line, in hex.
    pub fn digest(&self) -> String {
        if self.also.is_empty() {
            return self.main.digest.clone();
        }
        let mut hash = Sha256::new();
        for program in self.all() {
            hash.update(&program.digest);
            hash.update("\n");
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Returns what the operator set without what is meant for another of the programs. What
    /// none of them knows stays, and is refused by any.
    pub(crate) fn settings(
        &self,
        program: &Program,
        set: &Map<String, Value>,
    ) -> Map<String, Value> {
        let known = |name: &str| self.all().any(|program| program.judge.knows(name));
        set.iter()
            .filter(|(name, _)| program.judge.knows(name) || !known(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

impl From<Program> for Programs {
    fn from(main: Program) -> Self {
        Self::new(main, [])
    }
}

/// A playbook made ready: its steps as requests share them, and its judge.
#[derive(Clone)]
pub struct Program {
    /// The playbook's name.
    pub name: String,
    /// SHA-256 over the playbook and its scripts, in hex.
    pub digest: String,
    /// The hosts that it is for.
    pub platform: Platform,
    /// How facts are gathered.
    pub diagnose: StepPlan,
    /// What the directory is asked after it.
    pub consult: Option<StepPlan>,
    /// The ladder's rungs by id; the judge knows their order.
    pub rungs: BTreeMap<String, RungPlan>,
    /// How a repair is proven.
    pub verify: VerifyPlan,
    /// What the engine itself runs.
    pub own: Arc<OwnScripts>,
    /// Who decides.
    pub judge: Arc<dyn Judge>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// One rung as the engine runs it.
#[derive(Clone, Debug)]
pub struct RungPlan {
    /// What is looked at before it is begun, in order.
    pub preflight: Vec<StepPlan>,
    /// Its steps, in order.
    pub steps: Vec<StepPlan>,
    /// Whether it cannot do without the directory.
    pub needs_directory: bool,
    /// Whether it may be begun once more in the same run when it was cut: the end of a step is
    /// not known, or the step never ran, after one that may have changed something.
    pub again_if_cut: bool,
}

impl RungPlan {
    /// Returns the credential parameters that any of its steps is given, its preflight's among
    /// them.
    pub fn credentials(&self) -> impl Iterator<Item = &str> {
        self.all().flat_map(StepPlan::credentials)
    }

    /// Tells whether it restarts the PC.
    pub fn reboots(&self) -> bool {
        let reboot = |step: &StepPlan| matches!(step.run, StepRun::Reboot);
        self.steps.iter().any(reboot)
    }

    /// Returns every step of it, its preflight first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &StepPlan> {
        self.preflight.iter().chain(&self.steps)
    }
}

/// One step as the engine runs it.
#[derive(Clone, Debug)]
pub struct StepPlan {
    /// Its name in the playbook.
    pub name: String,
    /// What runs.
    pub run: StepRun,
    /// JSON name → where the secret comes from.
    pub secrets: Vec<(String, SecretFrom)>,
    /// The name under which later steps of the rung may be given the secret that it makes.
    pub makes: Option<String>,
    /// How long it may take.
    pub deadline: Duration,
    /// Whether it may change the PC.
    pub changes: bool,
}

/// What a step runs.
#[derive(Clone, Debug)]
pub enum StepRun {
    /// A script on the PC; one copy for all PCs.
    Script(Arc<Script>),
    /// An action of the controller in the directory.
    Action(DirectoryAction),
    /// A restart of the PC.
    Reboot,
    /// A fresh logon at the PC.
    Logon(Logon),
    /// A script on another PC of the inventory, which the judge names.
    Elsewhere(Arc<Script>),
}

impl StepPlan {
    /// Returns the credential parameters that it is given.
    pub fn credentials(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().filter_map(|(_, from)| match from {
            SecretFrom::Credential(parameter) => Some(parameter.as_str()),
            SecretFrom::Made(_) => None,
        })
    }

    /// Returns where it runs.
    pub fn place(&self) -> Place {
        match self.run {
            StepRun::Script(_) | StepRun::Reboot => Place::Pc,
            StepRun::Action(_) | StepRun::Logon(_) | StepRun::Elsewhere(_) => Place::Controller,
        }
    }
}

/// How a repair is proven.
#[derive(Clone, Debug)]
pub struct VerifyPlan {
    /// The step that gathers the evidence.
    pub step: StepPlan,
    /// What the directory is asked after it.
    pub consult: Option<StepPlan>,
    /// How often it is asked at most; at least once.
    pub attempts: u32,
    /// How long to wait between.
    pub pause: Duration,
}

/// The values of a playbook's parameters for one PC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    /// Every parameter, secrets left out; a credential stands as its name.
    pub values: Map<String, Value>,
    /// The credential parameters that are set.
    pub credentials: BTreeSet<String>,
}

/// The questions that the engine asks a playbook. Pure: no clock, no socket.
pub trait Judge: Send + Sync {
    /// Gives every parameter its value: the operator's, else the PC's variable, else the default.
    ///
    /// # Errors
    /// [`DecisionError`] when one is not known or of another type.
    fn parameters(
        &self,
        set: &Map<String, Value>,
        vars: &BTreeMap<String, Value>,
    ) -> Result<Parameters, DecisionError>;

    /// Decides what to do next with a PC. The directory's answer stands in the facts as
    /// `directory`; without one the key is missing.
    ///
    /// # Errors
    /// [`DecisionError`] when facts and playbook disagree.
    fn decide(&self, facts: &Facts, situation: &Situation) -> Result<Decision, DecisionError>;

    /// Tells whether the playbook has a parameter of this name.
    fn knows(&self, parameter: &str) -> bool;

    /// Tells whether the `when` of a step, or of a question to the directory, holds. `evidence` is
    /// what verify just answered, for the question that goes with it.
    ///
    /// # Errors
    /// [`DecisionError`] when it names what is not there.
    fn wanted(
        &self,
        step: &StepRef,
        facts: &Facts,
        evidence: Option<&Value>,
        situation: &Situation,
    ) -> Result<bool, DecisionError>;

    /// Returns the parameters of a step, secrets left out, after holding them against the schema
    /// of its script or action. `evidence` as for [`Judge::wanted`].
    ///
    /// # Errors
    /// [`DecisionError`] when an expression names what is not there, or the schema forbids it.
    fn params(
        &self,
        step: &StepRef,
        facts: &Facts,
        evidence: Option<&Value>,
        situation: &Situation,
    ) -> Result<Map<String, Value>, DecisionError>;

    /// Returns the lanes of a PC, as its site and its domain controller: of the PCs of one lane
    /// only so many may be restarting at once. PCs without any share one.
    ///
    /// # Errors
    /// [`DecisionError`] when an expression names what is not there.
    fn lanes(&self, facts: &Facts, situation: &Situation) -> Result<Vec<String>, DecisionError>;

    /// Returns the name of the PC on which a step runs that runs on another one.
    ///
    /// # Errors
    /// [`DecisionError`] when its expression names what is not there, or is no text.
    fn elsewhere(
        &self,
        step: &StepRef,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<String, DecisionError>;

    /// Returns what must be known if a run is cut inside this rung.
    fn caution(&self, rung: &str, language: Language) -> Option<String>;

    /// Holds an answer against the schema of the step's script or action.
    ///
    /// # Errors
    /// [`DecisionError`] with the place in the answer that does not fit.
    fn accept(&self, step: &StepRef, answer: &Value) -> Result<(), DecisionError>;

    /// Judges the evidence that verify answered, the directory's answer in it as `directory`.
    ///
    /// # Errors
    /// [`DecisionError`] when evidence and playbook disagree.
    fn verdict(
        &self,
        evidence: &Value,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<VerifyVerdict, DecisionError>;
}
