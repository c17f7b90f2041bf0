//! Playbooks: YAML to checked plans, facts to decisions.
//!
//! [`Playbook::load`] reads and checks one; [`Playbook::decide`] and [`Playbook::verified`] are
//! pure. How to write a playbook stands in `docs/playbooks/writing.md`.

mod actions;
mod builtin;
mod condition;
mod consult;
mod decision;
mod error;
pub mod handoff;
mod library;
mod need;
mod params;
mod plan;
mod read;
mod scope;
mod script;
mod source;

pub use actions::action_file;
pub use builtin::Builtin;
pub use condition::{Condition, Expression, ExpressionError};
pub use decision::{
    Decision, DecisionError, PreflightEnd, RebootWindow, Situation, StopKind, VerifyVerdict,
    refused_credential,
};
pub use error::{PlaybookError, PlaybookErrors, Problem};
pub use library::{ExportError, export, library, library_scripts};
pub use params::{ParamError, ParamErrors};
pub use plan::{
    CauseKind, CauseRule, Consult, Guard, Language, Localized, Logon, Need, Parameter,
    ParameterKind, Playbook, Preflight, Rung, SecretFrom, Step, StepKind, Term, Verify,
};
pub use script::{SchemaError, SchemaMismatch, SchemaSide, ScriptFile};
