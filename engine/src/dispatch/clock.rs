//! How long a phase has taken on one PC.

use std::time::Duration;

use fleetmend_model::{Phase, StepRef};
use tokio::time::Instant;

/// Watches the time of the present phase; each rung and each verify begins anew.
#[derive(Debug, Default)]
pub(super) struct PhaseClock {
    phase: Option<(Phase, Option<String>, Instant)>,
}

impl PhaseClock {
    /// Notes that a step is about to run.
    pub(super) fn note(&mut self, step: &StepRef) {
        let same = self
            .phase
            .as_ref()
            .is_some_and(|(phase, rung, _)| *phase == step.phase && *rung == step.rung);
        if !same {
            self.phase = Some((step.phase, step.rung.clone(), Instant::now()));
        }
    }

    /// Tells whether the present phase has had `limit`.
    pub(super) fn overdue(&self, limit: Duration) -> bool {
        self.phase
            .as_ref()
            .is_some_and(|(_, _, since)| since.elapsed() >= limit)
    }
}
