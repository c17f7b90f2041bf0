//! What is looked at before a rung is begun, because it is too dear to be asked of every PC.

use std::time::Duration;

use fleetmend_model::{HostEvent, Phase, Place, StepEnd, StepRef};
use fleetmend_playbooks::{DecisionError, PreflightEnd, Situation};
use serde_json::{Map, Value};

use super::next::{Machine, preflight_of};
use super::state::PcState;
use super::{Action, Stop, ending};
use crate::program::RungPlan;

/// What the preflight of a rung brought so far, since the last diagnosis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preflight {
    /// The answers of its steps, by name; null for one that was left out.
    pub answers: Map<String, Value>,
    /// The step that did not answer, and why.
    pub failed: Option<(String, String)>,
}

impl PcState {
    pub(super) fn preflight_skipped(&mut self, step: &StepRef) {
        if let Some(preflight) = self.preflight_of(step) {
            preflight.answers.insert(step.step.clone(), Value::Null);
        }
    }

    pub(super) fn preflight_ended(&mut self, step: &StepRef, end: &StepEnd, place: Place) {
        let Some(preflight) = self.preflight_of(step) else {
            return;
        };
        match end {
            StepEnd::Answered { answer } => {
                preflight.answers.insert(step.step.clone(), answer.clone());
            }
            StepEnd::Failed {
                error_id,
                code,
                message,
            } => {
                let code = code.map_or_else(String::new, |code| format!(", code {code}"));
                let reason = format!("{message} ({error_id}{code})");
                preflight.failed = Some((step.step.clone(), reason));
            }
            // The session was lost: it is asked again over a new one, as diagnose is.
            StepEnd::NotRun { .. } | StepEnd::Unknown { .. } if place == Place::Pc => {}
            StepEnd::NotRun { reason } | StepEnd::Unknown { reason } => {
                preflight.failed = Some((step.step.clone(), reason.clone()));
            }
        }
    }

    fn preflight_of(&mut self, step: &StepRef) -> Option<&mut Preflight> {
        let rung = step.rung.clone()?;
        Some(self.preflights.entry(rung).or_default())
    }
}

impl Machine<'_> {
    /// Returns the situation in which a rung is decided upon: with the preflights that are over.
    pub(super) fn situation_to_decide(self) -> Situation {
        let mut situation = self.situation();
        situation.preflights = self
            .program
            .rungs
            .iter()
            .filter_map(|(rung, plan)| Some((rung.clone(), self.preflight_end(rung, plan)?)))
            .collect();
        situation
    }

    /// Returns the next step of a rung's preflight.
    pub(super) fn preflight(self, rung: &str) -> Action {
        if self.context.stop == Stop::Soft {
            return Action::Finish(ending::halted(self.state, "interrupted"));
        }
        let preflight = self.state.preflights.get(rung);
        let done = preflight.map_or(0, |preflight| preflight.answers.len());
        let plan = self.program.rungs.get(rung);
        let Some(step) = plan.and_then(|plan| plan.preflight.get(done)) else {
            let error = DecisionError {
                place: format!("preflight/{rung}"),
                detail: "the decision asks for a preflight that is not there or is over".to_owned(),
            };
            return Action::Finish(ending::playbook_error(self.state, &error));
        };
        let name = preflight_step(rung, &step.name);
        let situation = self.situation_to_ask(&name);
        match self
            .program
            .judge
            .wanted(&name, &self.facts(), None, &situation)
        {
            Ok(true) => self.run(name, Duration::ZERO, false),
            Ok(false) => Action::Note(HostEvent::StepSkipped { step: name }),
            Err(error) => Action::Finish(ending::playbook_error(self.state, &error)),
        }
    }

    /// Returns the situation as a step sees it: with the answers of its rung's preflight so far.
    pub(super) fn situation_to_ask(self, step: &StepRef) -> Situation {
        let mut situation = self.situation();
        let Some(rung) = &step.rung else {
            return situation;
        };
        if step.phase == Phase::Preflight {
            let preflight = self.state.preflights.get(rung);
            let answers = preflight.map(|preflight| preflight.answers.clone());
            let answers = PreflightEnd::Answered(answers.unwrap_or_default());
            situation.preflights.insert(rung.clone(), answers);
        } else if let (None, Some(last)) = (&self.state.rung, &self.state.last)
            && last.id == *rung
        {
            // Its proof is looked for again.
            preflight_of(last, &mut situation);
        }
        situation
    }

    /// Returns how the preflight of a rung ended, if it has.
    fn preflight_end(self, rung: &str, plan: &RungPlan) -> Option<PreflightEnd> {
        let none = Preflight::default();
        let preflight = self.state.preflights.get(rung).unwrap_or(&none);
        let failed = |step: &str, reason: String| {
            Some(PreflightEnd::Failed {
                step: step.to_owned(),
                reason,
            })
        };
        if let Some((step, reason)) = &preflight.failed {
            return failed(step, reason.clone());
        }
        for (step, answer) in preflight.answers.iter().filter(|(_, told)| !told.is_null()) {
            let name = preflight_step(rung, step);
            if let Err(error) = self.program.judge.accept(&name, answer) {
                return failed(step, error.to_string());
            }
        }
        (preflight.answers.len() >= plan.preflight.len())
            .then(|| PreflightEnd::Answered(preflight.answers.clone()))
    }
}

fn preflight_step(rung: &str, step: &str) -> StepRef {
    StepRef {
        phase: Phase::Preflight,
        rung: Some(rung.to_owned()),
        step: step.to_owned(),
    }
}
