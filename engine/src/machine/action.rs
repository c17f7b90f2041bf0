//! What to do next with one PC.

use std::time::Duration;

use fleetmend_model::{Cause, HostEvent, HostName, HostResult, Outcome, StepRef};
use serde_json::{Map, Value};

/// The next thing to do with one PC.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Store `Connecting`, connect and log on, store how that went.
    Connect,
    /// Store `StepStarted`, run the step, store `StepEnded`.
    Run(Call),
    /// The PC was told to restart by this step, before the run was cut: wait until it is back,
    /// then store `StepEnded`. There is no session.
    Await(Call),
    /// Store this event; nothing is sent for it.
    Note(HostEvent),
    /// Store `Finished` with this.
    Finish(Ending),
    /// Nothing: the PC has its result.
    Done,
}

/// One step to run now.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which step.
    pub step: StepRef,
    /// The PC of the inventory on which it runs, if that is another one.
    pub on: Option<HostName>,
    /// Its parameters, secrets left out.
    pub params: Map<String, Value>,
    /// Wait so long first.
    pub pause: Duration,
    /// The first Ctrl-C must not cut it: it may change the PC, or it proves a change.
    pub shielded: bool,
}

/// The PC's result, but for its name and the time it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// How it ends.
    pub outcome: Outcome,
    /// What diagnose found first.
    pub cause: Option<Cause>,
    /// Why, in one sentence.
    pub reason: String,
    /// What the operator should do next.
    pub next: String,
    /// What the directory said of the PC's account once the repair was proven.
    pub evidence: Option<Value>,
}

impl Ending {
    /// Returns the PC's result.
    pub fn into_result(self, host: HostName, elapsed_ms: u64) -> HostResult {
        let Self {
            outcome,
            cause,
            reason,
            next,
            evidence,
        } = self;
        HostResult {
            host,
            outcome,
            cause,
            reason,
            next,
            evidence,
            elapsed_ms,
        }
    }
}
