//! The state machine of one PC and the dispatcher of many.
//!
//! [`machine`] decides and is pure; [`dispatch`] does; both speak in the events of
//! `fleetmend-model`, and whoever wants to know reads these.

mod account_budget;
pub mod connect_failure;
mod control;
mod credential_source;
pub mod dispatch;
pub mod exit_code;
mod journal;
pub mod machine;
mod own;
mod playbook;
mod prober;
mod program;

pub use account_budget::{
    AccountBudget, AccountName, AccountPolicy, BudgetError, Leave, NoBudget, OBSERVATION, Spared,
    SpentTry, counts_towards_lockout, judge,
};

pub use control::{ControlReceiver, ControlSender, control};
pub use credential_source::{CredentialError, CredentialSource};
pub use dispatch::{
    Allowance, BatchSize, Batches, ErrorBudgets, ErrorClass, Expected, NoBatches, NoErrorBudget,
    NoKind, NoRate, Rate, failure_kind,
};
pub use dispatch::{
    History, HourWindow, NoWindow, Pace, Past, Ports, RebootPolicy, RestartLimits, ResumeError,
    RunEnd, RunLimits, RunPlan, RunReport, domain_account, resume, run,
};
pub use journal::{Journal, JournalError};
pub use own::OwnScripts;
pub use prober::{NoProbe, Prober, TcpProber};
pub use program::{
    ExecJob, Job, Judge, Parameters, Program, Programs, RungPlan, StepPlan, StepRun, VerifyPlan,
};
