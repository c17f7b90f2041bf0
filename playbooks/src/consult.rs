//! What goes with a step: whether it is taken, what it is sent, and the directory's answer beside
//! the script's.

use fleetmend_model::Facts;
use serde_json::{Map, Value};

use crate::scope::Scope;
use crate::{Consult, DecisionError, Playbook, SchemaMismatch, ScriptFile, Situation, Step};

/// The field of facts and evidence that holds what the directory answered.
pub(crate) const DIRECTORY: &str = "directory";

impl Playbook {
    /// Tells whether a step of a rung is taken, or left out because its `when` does not hold.
    ///
    /// # Errors
    /// [`DecisionError`] when the condition names what is not there.
    pub fn step_wanted(
        &self,
        step: &Step,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<bool, DecisionError> {
        match &step.when {
            Some(when) => when.holds(&self.scope_of_step(step, facts, situation)?),
            None => Ok(true),
        }
    }

    /// Computes the JSON object that a step gets, without its secrets.
    ///
    /// # Errors
    /// [`DecisionError`] when an expression names what is not there.
    pub fn step_params(
        &self,
        step: &Step,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Map<String, Value>, DecisionError> {
        step.evaluate(&self.scope_of_step(step, facts, situation)?)
    }

    /// Tells whether the directory is asked about a PC whose diagnose script answered `facts`.
    ///
    /// # Errors
    /// [`DecisionError`] when the condition names what is not there.
    pub fn consult_wanted(
        &self,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<bool, DecisionError> {
        wanted(self.consult.as_ref(), situation, || {
            Ok(before_terms(facts, situation))
        })
    }

    /// Computes what the directory is asked after diagnose; empty if nothing.
    ///
    /// # Errors
    /// [`DecisionError`] when an expression names what is not there.
    pub fn consult_params(
        &self,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Map<String, Value>, DecisionError> {
        match &self.consult {
            Some(consult) => consult.step.evaluate(&before_terms(facts, situation)),
            None => Ok(Map::new()),
        }
    }

    /// Tells whether the directory is asked about a PC whose verify script answered `evidence`.
    ///
    /// # Errors
    /// [`DecisionError`] when the condition names what is not there.
    pub fn verify_consult_wanted(
        &self,
        evidence: &Value,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<bool, DecisionError> {
        wanted(self.verify.consult.as_ref(), situation, || {
            Ok(self.scope(facts, situation)?.with("verify", evidence))
        })
    }

    /// Computes what the directory is asked after verify; empty if nothing.
    ///
    /// # Errors
    /// [`DecisionError`] when an expression names what is not there.
    pub fn verify_consult_params(
        &self,
        evidence: &Value,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Map<String, Value>, DecisionError> {
        match &self.verify.consult {
            Some(consult) => {
                let scope = self.scope(facts, situation)?.with("verify", evidence);
                consult.step.evaluate(&scope)
            }
            None => Ok(Map::new()),
        }
    }

    /// Holds facts, the directory's answer among them, against the schemas of who gave them.
    ///
    /// # Errors
    /// [`SchemaMismatch`] of the first who gave something else.
    pub fn check_facts(&self, facts: &Value) -> Result<(), SchemaMismatch> {
        check(facts, &self.diagnose.script, self.consult.as_ref())
    }

    /// Holds verify's evidence, the directory's answer in it, against the schemas of who gave it.
    ///
    /// # Errors
    /// [`SchemaMismatch`] of the first who gave something else.
    pub fn check_evidence(&self, evidence: &Value) -> Result<(), SchemaMismatch> {
        let verify = &self.verify;
        check(evidence, &verify.step.script, verify.consult.as_ref())
    }

    /// Returns what a step's expressions see. Diagnose has no facts from which to compute terms,
    /// so they are there only for a step that uses one.
    fn scope_of_step(
        &self,
        step: &Step,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Scope, DecisionError> {
        let values = step.with.iter().map(|(_, value)| value);
        let uses_term = values
            .chain(step.when.as_ref().map(|when| &when.0))
            .flat_map(|expression| expression.names())
            .any(|name| {
                let root = name.split('.').next().unwrap_or_default();
                self.terms.iter().any(|term| term.name == root)
            });
        if uses_term {
            return self.scope(facts, situation);
        }
        let facts = with_directory(facts.to_value(), self.consult.as_ref());
        Ok(Scope::of(situation).with("facts", &facts))
    }
}

impl Step {
    fn evaluate(&self, scope: &Scope) -> Result<Map<String, Value>, DecisionError> {
        self.with
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.evaluate(scope)?)))
            .collect()
    }
}

/// Gives facts or evidence the field for the directory's answer if the playbook has one and
/// nobody was asked.
pub(crate) fn with_directory(mut value: Value, consult: Option<&Consult>) -> Value {
    if let (Value::Object(fields), Some(_)) = (&mut value, consult) {
        fields.entry(DIRECTORY).or_insert(Value::Null);
    }
    value
}

fn before_terms(facts: &Facts, situation: &Situation) -> Scope {
    Scope::of(situation).with("facts", &facts.to_value())
}

fn wanted(
    consult: Option<&Consult>,
    situation: &Situation,
    scope: impl FnOnce() -> Result<Scope, DecisionError>,
) -> Result<bool, DecisionError> {
    match consult {
        Some(consult) if situation.directory => match &consult.when {
            Some(when) => when.holds(&scope()?),
            None => Ok(true),
        },
        _ => Ok(false),
    }
}

fn check(
    whole: &Value,
    script: &ScriptFile,
    consult: Option<&Consult>,
) -> Result<(), SchemaMismatch> {
    let mut own = whole.clone();
    if let (Value::Object(fields), Some(consult)) = (&mut own, consult)
        && let Some(answer) = fields.remove(DIRECTORY).filter(|answer| !answer.is_null())
    {
        consult.step.script.check_answer(&answer)?;
    }
    script.check_answer(&own)
}
