//! What the machine is told beside the events of its PC.

use std::collections::BTreeMap;

use fleetmend_model::RunMode;
use fleetmend_playbooks::Situation;

/// How hard the operator has asked to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    #[default]
    No,
    /// Start nothing new; finish what must not be cut.
    Soft,
    /// Cut what runs.
    Cut,
}

/// What the machine is told beside the events of its PC.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Repair, check or exec.
    pub mode: RunMode,
    /// Whether the operator wants an end.
    pub stop: Stop,
    /// What the decision knows; the machine adds the rungs that were tried.
    pub situation: &'a Situation,
    /// Credential parameters whose credential was refused somewhere in this run, and the words
    /// for it: account, PC and number.
    pub refused: &'a BTreeMap<String, String>,
    /// Whether the time of the present phase is used up: no further step of it is begun.
    pub overdue: bool,
}
