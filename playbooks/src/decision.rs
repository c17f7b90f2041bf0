//! Facts → cause → next rung or a refusal. Pure: no clock, no socket.

use std::collections::BTreeSet;

use fleetmend_model::{Cause, Facts};
use serde_json::{Map, Value};

/// What the decision knows beside the facts.
#[derive(Clone, Debug, Default)]
pub struct Situation {
    /// Values of the parameters, secrets left out; a set credential stands as its name.
    pub params: Map<String, Value>,
    /// `name`, `address`, `vars` … of the host.
    pub host: Map<String, Value>,
    /// Rungs that ran already on this PC in this run, whatever came of them.
    pub tried: BTreeSet<String>,
    /// Credential parameters that are set *and* may reach PCs.
    pub credentials_for_pcs: BTreeSet<String>,
    /// Credential parameters that are set at all.
    pub credentials: BTreeSet<String>,
    /// Whether PCs may be rebooted.
    pub may_reboot: bool,
    /// Whether the controller reaches the directory.
    pub directory: bool,
}

/// What to do next with a PC.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Nothing is wrong.
    Healthy,
    /// Run this rung.
    Try {
        /// What is wrong.
        cause: Cause,
        /// The rung's id.
        rung: String,
    },
    /// A rung fits and would be next, but something forbids it and no other rung fits.
    Blocked {
        /// What is wrong.
        cause: Cause,
        /// The guard's name, or `needs-credential`, `needs-parameter`, `needs-reboot`, ….
        guard: String,
        /// Why.
        reason: String,
        /// What to do.
        next: String,
    },
    /// The PC ends here with this cause.
    Stop {
        /// What is wrong.
        cause: Cause,
        /// How it ends: `not-repaired`, `skipped`, `access-denied` or `needs-hands`.
        end: StopKind,
        /// Why.
        reason: String,
        /// What to do.
        next: String,
    },
}

/// How a PC ends when nothing more is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is documented at the outcome of the same name")]
pub enum StopKind {
    NotRepaired,
    Skipped,
    AccessDenied,
    NeedsHands,
}

/// The facts and the situation disagree with the playbook: a name is undefined, a type is wrong.
#[derive(Debug, thiserror::Error)]
#[error("failed to decide at {place}: {detail}")]
pub struct DecisionError {
    /// `causes/password-mismatch/when`, with file, line and column.
    pub place: String,
    /// What the expression engine said.
    pub detail: String,
}

impl crate::Playbook {
    /// Decides what to do next with a PC whose diagnose step answered `facts`.
    ///
    /// # Errors
    /// [`DecisionError`] when a condition names what the facts do not hold.
    pub fn decide(&self, facts: &Facts, situation: &Situation) -> Result<Decision, DecisionError> {
        let _ = (facts, situation);
        Err(DecisionError { place: "playbook".into(), detail: "not written yet".into() })
    }
}
