//! Questions to the directory beside diagnose and verify.
//!
//! They are evidence, not a condition: one that cannot be put, fails or is lost leaves null, and
//! the PC goes on.

use std::time::Duration;

use fleetmend_model::{Facts, Phase, StepRef};
use serde_json::{Map, Value};

use super::next::Machine;
use super::state::{Consulted, Diagnosis, RungState};
use super::{Action, Call, Context, Stop, ending};
use crate::program::StepPlan;

/// The field in which a script's answer is given the directory's.
const FIELD: &str = "directory";

/// Returns the fields with the directory's answer among them.
pub(super) fn with_directory(mut fields: Map<String, Value>, answer: &Value) -> Map<String, Value> {
    fields.insert(FIELD.to_owned(), answer.clone());
    fields
}

/// Returns the question if it has this name, else the step that it goes with.
pub(super) fn or<'a>(
    consult: Option<&'a StepPlan>,
    step: &'a StepPlan,
    name: &str,
) -> Option<&'a StepPlan> {
    consult.filter(|plan| plan.name == name).or(Some(step))
}

impl Machine<'_> {
    /// Returns the question that goes with the last diagnosis, if it is to be put now.
    pub(super) fn consult_diagnose(self, facts: &Facts) -> Option<Action> {
        let step = self.diagnose_question()?;
        // Once it has been decided upon, the facts stay as they are.
        if self.state.consulted.is_some() || self.state.cause.is_some() {
            return None;
        }
        self.consult(step, facts, None)
    }

    /// Returns the question that goes with what verify just answered, if it is to be put now.
    pub(super) fn consult_verify(self, rung: &RungState, evidence: &Value) -> Option<Action> {
        let step = self.verify_question(rung)?;
        let verify = self.verify_step(&rung.id);
        if rung.consulted.is_some() || self.program.judge.accept(&verify, evidence).is_err() {
            return None;
        }
        self.consult(step, &self.facts(), Some(evidence))
    }

    /// Returns why the directory said nothing to the last diagnosis although it should have.
    pub(super) fn diagnose_unasked(self) -> Option<String> {
        let step = self.diagnose_question()?;
        let Diagnosis::Facts(facts) = &self.state.diagnosis else {
            return None;
        };
        self.unasked(&step, facts, None, self.state.consulted.as_ref())
    }

    /// Returns why the directory said nothing to the rung's proof although it should have.
    pub(super) fn verify_unasked(self, rung: &RungState) -> Option<String> {
        let step = self.verify_question(rung)?;
        let evidence = rung.evidence.as_ref();
        self.unasked(&step, &self.facts(), evidence, rung.consulted.as_ref())
    }

    fn diagnose_question(self) -> Option<StepRef> {
        Some(StepRef {
            phase: Phase::Diagnose,
            rung: None,
            step: self.program.consult.as_ref()?.name.clone(),
        })
    }

    fn verify_question(self, rung: &RungState) -> Option<StepRef> {
        Some(StepRef {
            phase: Phase::Verify,
            rung: Some(rung.id.clone()),
            step: self.program.verify.consult.as_ref()?.name.clone(),
        })
    }

    fn consult(self, step: StepRef, facts: &Facts, evidence: Option<&Value>) -> Option<Action> {
        let Context {
            situation,
            directory_refused,
            stop,
            overdue,
            ..
        } = self.context;
        if !situation.directory || directory_refused.is_some() || *stop != Stop::No || *overdue {
            return None;
        }
        let (judge, situation) = (&self.program.judge, self.situation());
        match judge.wanted(&step, facts, evidence, &situation) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Action::Finish(ending::playbook_error(self.state, &error))),
        }
        // Facts that it needs may be missing; then it cannot be put.
        let params = judge.params(&step, facts, evidence, &situation).ok()?;
        Some(Action::Run(Call {
            step,
            on: None,
            params,
            pause: Duration::ZERO,
            shielded: false,
        }))
    }

    fn unasked(
        self,
        step: &StepRef,
        facts: &Facts,
        evidence: Option<&Value>,
        consulted: Option<&Consulted>,
    ) -> Option<String> {
        match consulted {
            Some(Consulted::Answer(_)) => return None,
            Some(Consulted::Nothing(why)) => return Some(why.clone()),
            None if !self.context.situation.directory => return None,
            None => {}
        }
        let (judge, situation) = (&self.program.judge, self.situation());
        if !judge.wanted(step, facts, evidence, &situation).ok()? {
            return None;
        }
        if let Some(refused) = self.context.directory_refused {
            return Some(refused.to_owned());
        }
        let error = judge.params(step, facts, evidence, &situation).err()?;
        Some(error.to_string())
    }
}
