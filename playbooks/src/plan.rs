//! A checked playbook: what the engine runs and the decision reads.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{DirectoryAction, Platform};
use serde_json::Value;

use crate::{Condition, Expression, ScriptFile};

/// A language in which reasons are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Japanese, where the playbook has it.
    Ja,
}

/// A text in both languages of the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Localized {
    /// English.
    pub en: String,
    /// Japanese; empty where the author gave none.
    pub ja: String,
}

impl Localized {
    /// Returns the text in this language, in English where the author gave no other.
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::Ja if !self.ja.is_empty() => &self.ja,
            Language::Ja | Language::En => &self.en,
        }
    }
}

/// One problem and its cure, checked: every name resolves, every expression compiles, every
/// script is there.
#[derive(Debug)]
pub struct Playbook {
    /// `trust-repair`.
    pub name: String,
    /// What it mends.
    pub summary: Localized,
    /// What kind of host it is for.
    pub platform: Platform,
    /// Playbooks that hosts of other platforms are given when this one is run.
    pub also: Vec<String>,
    /// What the operator may set.
    pub parameters: Vec<Parameter>,
    /// How facts are gathered.
    pub diagnose: Step,
    /// What the directory is asked after it; the answer stands as `facts.directory`.
    pub consult: Option<Consult>,
    /// Names for expressions over the facts, in order; conditions and texts may use them.
    pub terms: Vec<Term>,
    /// How facts become a cause: the first rule whose condition holds.
    pub causes: Vec<CauseRule>,
    /// Ways to repair, cheapest first.
    pub ladder: Vec<Rung>,
    /// The step that proves a repair; runs after every rung.
    pub verify: Verify,
    /// Texts over the facts, as site and domain controller of the PC: of the PCs that have one in
    /// common only so many may be restarting at once.
    pub stagger_reboots_by: Vec<Expression>,
    /// SHA-256 over the YAML and all scripts, in hex.
    pub digest: String,
}

/// A name for an expression over facts and parameters.
#[derive(Debug)]
pub struct Term {
    /// The name under which later expressions see the value.
    pub name: String,
    /// What it stands for; may use the terms before it.
    pub value: Expression,
}

impl Playbook {
    /// Returns every script that the playbook runs on PCs, the same one perhaps more than once.
    pub fn scripts(&self) -> impl Iterator<Item = &Arc<ScriptFile>> {
        let rungs = self.ladder.iter().flat_map(|rung| &rung.steps);
        std::iter::once(&self.diagnose)
            .chain(rungs)
            .chain(std::iter::once(&self.verify.step))
            .chain(self.ladder.iter().flat_map(Rung::preflight_steps))
            .filter(|step| step.runs_script())
            .map(|step| &step.script)
    }
}

/// The type of a parameter's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// The name of a credential; its user and password reach a step only as secrets.
    Credential,
}

impl ParameterKind {
    /// Returns the word for it in a playbook.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Credential => "credential",
        }
    }

    /// Tells whether a value is of this type; a credential stands as its name.
    pub fn admits(self, value: &Value) -> bool {
        match self {
            Self::String | Self::Credential => value.is_string(),
            Self::Integer => value.is_i64(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

/// Something the operator may set with `--set name=value` or in the inventory's variables.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: ParameterKind,
    /// Whether its value must never be seen.
    pub secret: bool,
    /// Its value if nobody sets it; `None`: unset, null in expressions.
    pub default: Option<Value>,
    /// What it means.
    pub summary: Localized,
}

/// What a cause means for the PC when no rung is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CauseKind {
    /// Nothing is wrong: the PC ends healthy and is not touched.
    Healthy,
    /// A fault the ladder may mend.
    Fault,
    /// Not for this playbook: the PC ends `skipped(id)`.
    Skip,
    /// Our account is not enough: the PC ends `access-denied(id)`.
    AccessDenied,
    /// Only a person can go on: the PC ends `needs-hands(id)`.
    NeedsHands,
}

impl CauseKind {
    /// Returns the word for it in a playbook.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Fault => "fault",
            Self::Skip => "skip",
            Self::AccessDenied => "access-denied",
            Self::NeedsHands => "needs-hands",
        }
    }
}

/// One rule: facts → cause.
#[derive(Debug)]
pub struct CauseRule {
    /// The cause's id.
    pub id: String,
    /// Healthy, fault, …
    pub kind: CauseKind,
    /// When it applies.
    pub when: Condition,
    /// The number shown with the cause.
    pub code: Option<Expression>,
    /// What it is, in one sentence; an expression template over facts may stand in it.
    pub reason: Localized,
    /// What the operator should do next if it stays so.
    pub next: Localized,
}

/// What a rung cannot do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A parameter of kind credential must be set, and the operator must allow it to reach PCs.
    CredentialOnPc(String),
    /// A parameter must be set.
    Parameter(String),
    /// A parameter of kind credential must be set; it reaches another PC of the inventory, which
    /// a step of the rung names, and not the PC under repair.
    Credential(String),
    /// The controller must reach the directory over LDAPS.
    Directory,
    /// The controller must be able to make offline join blobs.
    OfflineJoin,
}

/// A condition that must hold before a rung may touch the PC.
#[derive(Debug)]
pub struct Guard {
    /// Its name, as in `blocked(name)`.
    pub name: String,
    /// What must hold.
    pub require: Condition,
    /// Why the rung is forbidden when it does not.
    pub reason: Localized,
    /// What the operator should do.
    pub next: Localized,
}

/// One way to repair.
#[derive(Debug)]
pub struct Rung {
    /// Its id.
    pub id: String,
    /// What it does.
    pub summary: Localized,
    /// The causes it is for.
    pub causes: Vec<String>,
    /// A further condition over facts and parameters; when false the rung does not fit.
    pub when: Option<Condition>,
    /// What it needs.
    pub needs: Vec<Need>,
    /// What must hold first.
    pub guards: Vec<Guard>,
    /// What it runs, in order.
    pub steps: Vec<Step>,
    /// What is looked at before it is begun, and must hold then.
    pub preflight: Option<Preflight>,
    /// About how long it takes.
    pub cost: Duration,
    /// What must be known if the run is cut inside it; journaled before its first step.
    pub caution: Option<Localized>,
    /// Whether it may be begun once more in the same run when it was cut: the end of a step was
    /// lost after one that may have changed something.
    pub again_if_cut: bool,
}

impl Rung {
    /// Returns how often it restarts the PC, if none of its steps is left out.
    pub fn reboots(&self) -> u32 {
        let reboot = |step: &&Step| matches!(step.kind, StepKind::Reboot);
        u32::try_from(self.steps.iter().filter(reboot).count()).unwrap_or(u32::MAX)
    }

    /// Returns the steps of its preflight.
    pub fn preflight_steps(&self) -> impl Iterator<Item = &Step> {
        self.preflight.iter().flat_map(|preflight| &preflight.steps)
    }
}

/// What is looked at before a rung is begun, because it is too dear to be asked of every PC.
#[derive(Debug)]
pub struct Preflight {
    /// Steps that change nothing. Their answers stand as `preflight.STEP`.
    pub steps: Vec<Step>,
    /// What must hold of them.
    pub guards: Vec<Guard>,
}

/// A question to the directory that goes with a step on the PC.
#[derive(Debug)]
pub struct Consult {
    /// The action, always one that changes nothing. Its name is `directory`.
    pub step: Step,
    /// When to ask, over the facts (or `verify`) just gathered; unset: always.
    pub when: Option<Condition>,
}

/// A secret that a step is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFrom {
    /// A parameter of type credential: `{"user": …, "password": …}`.
    Credential(String),
    /// What an earlier step of the rung made, under the name in its `makes`: a text.
    Made(String),
}

/// What a step is.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// The script runs on the PC.
    Script,
    /// The controller acts in the directory.
    Action(DirectoryAction),
    /// The PC restarts. The step ends once it is back, with a new boot and ready for a logon.
    Reboot,
    /// A fresh logon at the PC, beside the session that there is: proves the account.
    Logon(Logon),
    /// The script runs on another PC of the inventory; the expression gives its name there.
    Elsewhere(Expression),
}

/// A fresh logon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logon {
    /// The parameter of type credential that holds the account; unset, the one in use.
    pub credential: Option<String>,
    /// Whether that account is the one to log on with from here on, also after a restart.
    pub keep: bool,
}

/// One script run on the PC, or one thing that the controller does.
#[derive(Debug)]
pub struct Step {
    /// Its name, unique in its list.
    pub name: String,
    /// What runs. For what is no script, its schemas without text: `directory/ACTION` for an
    /// action, `engine/reboot` and `engine/logon`.
    pub script: Arc<ScriptFile>,
    /// What it is.
    pub kind: StepKind,
    /// A condition over facts, parameters and answers; when false the step is left out.
    pub when: Option<Condition>,
    /// The name under which later steps of the rung may be given the secret that it makes.
    pub makes: Option<String>,
    /// The JSON object it gets: each value an expression over `params`, `facts`, `host` and
    /// `answers`.
    pub with: Vec<(String, Expression)>,
    /// Secret parameters it gets: JSON name → where it comes from.
    pub secrets: Vec<(String, SecretFrom)>,
    /// How long it may take.
    pub deadline: Duration,
    /// Whether it may change the PC. Diagnose and verify never do.
    pub changes: bool,
}

impl Step {
    /// Returns the action that the controller takes in the directory, if it is one.
    pub fn action(&self) -> Option<DirectoryAction> {
        match self.kind {
            StepKind::Action(action) => Some(action),
            _ => None,
        }
    }

    /// Tells whether its script runs, on the PC or on another.
    pub fn runs_script(&self) -> bool {
        matches!(self.kind, StepKind::Script | StepKind::Elsewhere(_))
    }
}

/// How a repair is proven.
#[derive(Debug)]
pub struct Verify {
    /// The step that gathers the evidence.
    pub step: Step,
    /// What the directory is asked after it; the answer stands as `verify.directory`.
    pub consult: Option<Consult>,
    /// What must hold, all of it, of `verify` (its answer), with `facts` (diagnose's) beside it.
    pub require: Vec<Guard>,
    /// A condition under which only a reboot is missing: the PC ends `reboot-pending`.
    pub reboot_pending: Option<Condition>,
    /// A condition under which asking again may help; unset: always.
    pub ask_again: Option<Condition>,
    /// How often to ask before giving up: a secure channel takes a moment.
    pub attempts: u32,
    /// How long to wait between.
    pub pause: Duration,
}
