//! What is known of one PC, folded from its events.

use std::collections::BTreeSet;

use fleetmend_model::{Cause, Facts, HostEvent, HostResult, Phase, StepEnd, StepRef};
use serde_json::{Map, Value};

/// Everything known of one PC in one run. Equal events give equal states.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PcState {
    /// The connection.
    pub link: Link,
    /// How often it was connected to.
    pub connects: u32,
    /// The step that was announced and has not ended.
    pub running: Option<(StepRef, bool)>,
    /// What the last diagnose step brought.
    pub diagnosis: Diagnosis,
    /// Whether something ran since that may have changed the PC.
    pub stale: bool,
    /// What the last diagnosis adds up to.
    pub cause: Option<Cause>,
    /// What the first one added up to.
    pub found: Option<Cause>,
    /// The rung in progress.
    pub rung: Option<RungState>,
    /// The rung that ended last, with its evidence.
    pub last: Option<RungState>,
    /// Rungs that ran, whatever came of them.
    pub tried: BTreeSet<String>,
    /// The rung that verify has proven.
    pub proven: Option<String>,
    /// Whether any step that may change the PC has run.
    pub changed: bool,
    /// The step of a repair or of exec whose end nobody knows, until a diagnosis clears it up.
    pub doubt: Option<StepRef>,
    /// How the one step of an exec run ended.
    pub exec: Option<StepEnd>,
    /// The PC's result.
    pub result: Option<HostResult>,
}

/// The connection to the PC.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Link {
    /// Never tried.
    #[default]
    None,
    /// Being made.
    Connecting,
    /// Logged on.
    Up,
    /// Not made.
    Failed {
        /// The short code.
        why: String,
        /// The whole story.
        reason: String,
    },
    /// Lost under a step.
    Lost {
        /// The step.
        step: StepRef,
        /// Whether it may have run.
        sent: bool,
        /// Why.
        reason: String,
    },
}

/// What the last diagnose step brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Diagnosis {
    /// Nothing yet.
    #[default]
    None,
    /// Facts.
    Facts(Facts),
    /// An answer that is no object.
    Odd(Value),
    /// The script failed.
    Failed {
        /// `FullyQualifiedErrorId`.
        error_id: String,
        /// HRESULT or Win32 code.
        code: Option<i64>,
        /// The PC's words.
        message: String,
    },
}

/// A rung in progress or over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RungState {
    /// Its id.
    pub id: String,
    /// Only its proof is looked for again, after a diagnosis found nothing wrong any more.
    pub proving: bool,
    /// How many of its steps have answered.
    pub answered: usize,
    /// What they answered, by name.
    pub answers: Map<String, Value>,
    /// How its last step ended.
    pub last_end: Option<(StepRef, StepEnd)>,
    /// Whether any of its steps may have run.
    pub ran: bool,
    /// Whether one that may change the PC has.
    pub changed: bool,
    /// No further step of it may run.
    pub stopped: bool,
    /// How often verify was asked.
    pub verifies: u32,
    /// What verify answered last.
    pub evidence: Option<Value>,
}

impl PcState {
    /// Returns the state after one more event. Total: any event in any order is taken.
    #[must_use]
    pub fn apply(mut self, event: &HostEvent) -> Self {
        match event {
            HostEvent::Connecting => {
                self.link = Link::Connecting;
                self.connects = self.connects.saturating_add(1);
            }
            HostEvent::Connected { .. } => self.link = Link::Up,
            HostEvent::ConnectFailed { why, reason } => {
                self.link = Link::Failed {
                    why: why.clone(),
                    reason: reason.clone(),
                };
            }
            HostEvent::StepStarted { step, changes, .. } => {
                self.running = Some((step.clone(), *changes));
            }
            HostEvent::StepSkipped { .. } => {}
            HostEvent::StepEnded { step, end, .. } => self.step_ended(step, end),
            HostEvent::Diagnosed { cause } => {
                self.found.get_or_insert_with(|| cause.clone());
                self.cause = Some(cause.clone());
            }
            HostEvent::RungStarted { rung, .. } => {
                self.rung = Some(RungState {
                    id: rung.clone(),
                    ..RungState::default()
                });
                self.tried.insert(rung.clone());
            }
            HostEvent::RungEnded { rung, verified } => self.rung_ended(rung, *verified),
            HostEvent::Finished { result } => {
                self.result = Some(result.clone());
                // Nothing is asked of the PC any more; a fleet's facts need not stay in memory.
                self.diagnosis = Diagnosis::None;
                self.rung = None;
                self.last = None;
            }
        }
        self
    }

    fn step_ended(&mut self, step: &StepRef, end: &StepEnd) {
        let changes = self.running.take().is_some_and(|(_, changes)| changes);
        let ran = !matches!(end, StepEnd::NotRun { .. });
        if ran && changes {
            self.changed = true;
            self.stale = true;
        }
        match end {
            StepEnd::NotRun { reason } => {
                self.link = Link::Lost {
                    step: step.clone(),
                    sent: false,
                    reason: reason.clone(),
                };
            }
            StepEnd::Unknown { reason } => {
                self.link = Link::Lost {
                    step: step.clone(),
                    sent: true,
                    reason: reason.clone(),
                };
                if changes {
                    self.doubt = Some(step.clone());
                }
            }
            StepEnd::Answered { .. } | StepEnd::Failed { .. } => {}
        }
        match step.phase {
            Phase::Diagnose => self.diagnosed(end),
            Phase::Repair => self.repair_step_ended(step, end, ran, changes),
            Phase::Verify => self.verify_ended(step, end),
            Phase::Exec => self.exec = Some(end.clone()),
        }
    }

    fn diagnosed(&mut self, end: &StepEnd) {
        self.diagnosis = match end {
            StepEnd::Answered {
                answer: Value::Object(facts),
            } => Diagnosis::Facts(Facts(facts.clone())),
            StepEnd::Answered { answer } => Diagnosis::Odd(answer.clone()),
            StepEnd::Failed {
                error_id,
                code,
                message,
            } => Diagnosis::Failed {
                error_id: error_id.clone(),
                code: *code,
                message: message.clone(),
            },
            StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => return,
        };
        self.cause = None;
        self.stale = false;
        if matches!(self.diagnosis, Diagnosis::Facts(_)) {
            self.doubt = None;
        }
    }

    fn repair_step_ended(&mut self, step: &StepRef, end: &StepEnd, ran: bool, changes: bool) {
        let Some(rung) = &mut self.rung else { return };
        rung.last_end = Some((step.clone(), end.clone()));
        rung.ran |= ran;
        rung.changed |= ran && changes;
        match end {
            StepEnd::Answered { answer } => {
                rung.answered += 1;
                rung.answers.insert(step.step.clone(), answer.clone());
            }
            StepEnd::Failed { .. } | StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => {
                rung.stopped = true;
            }
        }
    }

    fn verify_ended(&mut self, step: &StepRef, end: &StepEnd) {
        let last = &self.last;
        let rung = self.rung.get_or_insert_with(|| RungState {
            id: step.rung.clone().unwrap_or_default(),
            proving: true,
            // Verify may be told what the rung's steps answered (the last event's record id).
            answers: last
                .as_ref()
                .map(|last| last.answers.clone())
                .unwrap_or_default(),
            ..RungState::default()
        });
        rung.ran = true;
        match end {
            StepEnd::Answered { answer } => {
                rung.verifies = rung.verifies.saturating_add(1);
                rung.evidence = Some(answer.clone());
            }
            StepEnd::Failed { .. } => {
                rung.verifies = rung.verifies.saturating_add(1);
                rung.evidence = None;
                rung.last_end = Some((step.clone(), end.clone()));
            }
            StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => rung.stopped = true,
        }
    }

    fn rung_ended(&mut self, id: &str, verified: bool) {
        if verified {
            self.proven = Some(id.to_owned());
        }
        if let Some(rung) = self.rung.take() {
            if !rung.ran {
                self.tried.remove(id);
            }
            self.last = Some(rung);
        }
    }
}
