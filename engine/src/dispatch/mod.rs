//! Many PCs at once.
//!
//! Two kinds of actors: the dispatcher ([`run`]) faces the operator and owns the queue; one task
//! a PC drives that PC's state machine. They share no lock: permits, tokens and channels only.

mod account;
mod attempt;
mod batches;
mod clock;
mod directory;
mod dispatcher;
mod elsewhere;
mod error_budget;
mod failure_kind;
mod first_probe;
mod fresh_logon;
mod gate;
mod held;
mod history;
mod host_task;
mod hour_window;
mod lanes;
mod local_attempts;
mod logon;
mod own_names;
mod pace;
mod past;
mod past_uses;
mod plan;
mod queue;
mod ramp;
mod rate;
mod reboot;
mod recorder;
mod report;
mod run;
mod scrub;
mod seed;
mod spending;
mod step;
mod stopped;
mod tell;
mod turns;
mod wait;

pub use account::domain_account;
pub use batches::{BatchSize, Batches, NoBatches};
pub use error_budget::{Allowance, ErrorBudgets, ErrorClass, NoErrorBudget};
pub use failure_kind::{Expected, NoKind, failure_kind};
pub use history::History;
pub use hour_window::{HourWindow, NoWindow};
pub use lanes::RestartLimits;
pub use pace::Pace;
pub use past::{Past, ResumeError};
pub use plan::{RebootPolicy, RunLimits, RunPlan};
pub use rate::{NoRate, Rate};
pub use report::{RunEnd, RunReport};
pub use run::{Ports, resume, run};
