//! Events to summary, table, JSON and JSON Lines.
//!
//! Everything here is a pure reader of [`fleetmend_model::Record`]s: [`RunReport`] folds them,
//! [`format`] shows the fold. So a report can be made while a run goes on, at its end, or years
//! later from the journal alone, and is the same each time.

mod by_hand;
mod evidence;
mod exec;
mod fold;
pub mod format;
pub mod handoff;
mod hazard;
mod rotation;
mod run;
mod spent;
mod summary;
#[cfg(test)]
mod testing;
mod unfinished;

pub use exec::{ExecResult, Stream};
pub use fold::fold_names;
pub use run::{AccountClosed, HostReport, RunReport};
pub use summary::{ClassCount, DetailCount, Summary};
