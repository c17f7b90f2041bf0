//! Playbooks: YAML to checked plans, facts to decisions.

mod condition;
mod decision;
mod plan;
mod scope;
mod script;

pub use condition::{Condition, Expression, ExpressionError};
pub use decision::{
    Decision, DecisionError, Situation, StopKind, VerifyVerdict, refused_credential,
};
pub use plan::{
    CauseKind, CauseRule, Guard, Language, Localized, Need, Parameter, ParameterKind, Playbook,
    Rung, Step, Term, Verify,
};
pub use script::{SchemaError, SchemaMismatch, SchemaSide, ScriptFile};
