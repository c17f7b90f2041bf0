//! The state machine of one PC: pure, without clock or IO.
//!
//! [`PcState::apply`] folds events into a state; [`next`] turns a state into the next
//! [`Action`]. Whoever drives the machine stores an event, applies it and acts; whoever replays
//! a journal applies the same events and comes to the same state.

mod action;
mod consult;
mod context;
mod decide;
mod ending;
mod evidence;
mod lock;
mod logon;
mod next;
mod preflight;
mod reboot;
mod refusal;
mod resumed;
mod rung;
mod state;

pub use action::{Action, Call, Ending};
pub use context::{Context, Stop, Work};
pub use ending::{blocked, cut_off, halted, other_platform, playbook_error};
pub use logon::{LOGON_REFUSED, kept_account};
pub use next::{MAX_CONNECTS, MAX_STARTS, lanes, next};
pub use preflight::Preflight;
pub use reboot::{
    DID_NOT_RESTART, NOT_BACK, NOT_ORDERED, OTHER_CONTROLLER, Ordered, RESTART_REFUSED,
    SOMEBODY_LOGGED_ON, is_new_boot,
};
use refusal::credential_not_asked;
pub use refusal::{credential_proven, credential_refusal};
pub use state::{Consulted, Diagnosis, Hazard, Link, PcState, RungState, Running};
