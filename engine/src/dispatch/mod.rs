//! Many PCs at once.
//!
//! Two kinds of actors: the dispatcher ([`run`]) faces the operator and owns the queue; one task
//! a PC drives that PC's state machine. They share no lock: permits, tokens and channels only.

mod account;
mod clock;
mod directory;
mod dispatcher;
mod elsewhere;
mod fresh_logon;
mod gate;
mod held;
mod history;
mod host_task;
mod hour_window;
mod lanes;
mod logon;
mod own_names;
mod pace;
mod past;
mod plan;
mod ramp;
mod reboot;
mod recorder;
mod report;
mod run;
mod scrub;
mod seed;
mod step;
mod tell;
mod wait;

pub use history::History;
pub use hour_window::{HourWindow, NoWindow};
pub use lanes::RestartLimits;
pub use pace::Pace;
pub use past::{Past, ResumeError};
pub use plan::{RebootPolicy, RunLimits, RunPlan};
pub use report::{RunEnd, RunReport};
pub use run::{Ports, resume, run};
