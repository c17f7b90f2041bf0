//! Playbooks: YAML to checked plans, facts to decisions.

mod condition;
mod decision;
mod plan;
mod script;

pub use condition::{Condition, Expression};
pub use decision::{Decision, DecisionError, Situation, StopKind};
pub use plan::{
    CauseKind, CauseRule, Guard, Localized, Need, Parameter, ParameterKind, Playbook, Rung, Step,
    Verify,
};
pub use script::ScriptFile;
