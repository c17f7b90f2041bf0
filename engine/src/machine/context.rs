//! What the machine is told beside the events of its PC.

use std::collections::BTreeMap;

use fleetmend_model::RunMode;
use fleetmend_playbooks::Situation;

use crate::program::Program;

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

/// What the machine works off.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// The playbook for hosts of the PC's platform.
    Playbook(&'a Program),
    /// One command by hand.
    Exec,
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
    /// The words for it, if the directory refused the controller's own account in this run: it is
    /// not asked again.
    pub directory_refused: Option<&'a str>,
    /// Whether the time of the present phase is used up: no further step of it is begun.
    pub overdue: bool,
    /// Whether so much time has passed since the last diagnosis that it must not be acted upon.
    pub aged: bool,
}
