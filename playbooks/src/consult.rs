//! What goes with a step: whether it is taken, what it is sent, and the directory's answer beside
//! the script's.

use fleetmend_model::Facts;
use serde_json::{Map, Value};

use crate::scope::Scope;
use crate::{
    Consult, DecisionError, Playbook, PreflightEnd, Rung, SchemaMismatch, ScriptFile, Situation,
    Step, StepKind,
};

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
            Ok(self.scope_after(facts, situation)?.with("verify", evidence))
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
                let scope = self.scope_after(facts, situation)?;
                let scope = scope.with("verify", evidence);
                consult.step.evaluate(&scope)
            }
            None => Ok(Map::new()),
        }
    }

    /// Returns the name that another host has in the inventory if a step's script runs there and
    /// not on the PC.
    ///
    /// # Errors
    /// [`DecisionError`] when the expression names what is not there, or gives no name.
    pub fn elsewhere(
        &self,
        step: &Step,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Option<String>, DecisionError> {
        let StepKind::Elsewhere(host) = &step.kind else {
            return Ok(None);
        };
        match host.evaluate(&self.scope_of_step(step, facts, situation)?)? {
            Value::String(name) if !name.is_empty() => Ok(Some(name)),
            other => Err(DecisionError {
                place: host.place.clone(),
                detail: format!("`{other}` is no name of a host"),
            }),
        }
    }

    /// Returns what a PC has in common with others of which only so many may be restarting at
    /// once: the values of `stagger-reboots-by`, each with its number before it, so that a site
    /// and a controller of one name differ.
    ///
    /// A PC of which none is known shares one lane with all such PCs, and so do all PCs where the
    /// playbook names nothing: at least one lane is returned.
    ///
    /// # Errors
    /// [`DecisionError`] when an expression names what is not there, or gives neither a text nor
    /// null.
    pub fn lanes(
        &self,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Vec<String>, DecisionError> {
        let scope = self.scope(facts, situation)?;
        let mut lanes = Vec::new();
        for (index, expression) in self.stagger_reboots_by.iter().enumerate() {
            match expression.evaluate(&scope)? {
                Value::Null => {}
                Value::String(text) => lanes.push(format!("{index}:{}", text.to_lowercase())),
                other => {
                    return Err(DecisionError {
                        place: expression.place.clone(),
                        detail: format!("`{other}` is neither a text nor null"),
                    });
                }
            }
        }
        if lanes.is_empty() {
            lanes.push(String::new());
        }
        Ok(lanes)
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

    /// Returns the names that verify's expressions can use. Whoever asks gives the preflight of the
    /// rung that is to be proven; of several it is the last one's that was tried.
    pub(crate) fn scope_after(
        &self,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Scope, DecisionError> {
        let looked = |rung: &&Rung| situation.preflights.contains_key(&rung.id);
        let tried = |rung: &&Rung| situation.tried.contains(&rung.id);
        let only = |_: &&Rung| situation.preflights.len() == 1;
        let mut rungs = self.ladder.iter().filter(looked);
        let rung = rungs.clone().rfind(tried).or_else(|| rungs.find(only));
        let preflight = preflight(rung, situation);
        Ok(self.scope(facts, situation)?.with("preflight", &preflight))
    }

    /// Returns the rung of which this is a step, or a step of its preflight.
    fn rung_of(&self, step: &Step) -> Option<&Rung> {
        let is = |known: &Step| std::ptr::eq(known, step);
        self.ladder
            .iter()
            .find(|rung| rung.steps.iter().any(is) || rung.preflight_steps().any(is))
    }

    /// Returns what a step's expressions see. Diagnose has no facts from which to compute terms,
    /// so they are there only for a step that uses one.
    fn scope_of_step(
        &self,
        step: &Step,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Scope, DecisionError> {
        if std::ptr::eq(step, &self.verify.step) {
            return self.scope_after(facts, situation);
        }
        let values = step.with.iter().map(|(_, value)| value);
        let host = match &step.kind {
            StepKind::Elsewhere(host) => Some(host),
            _ => None,
        };
        let preflight = preflight(self.rung_of(step), situation);
        let uses_term = values
            .chain(step.when.as_ref().map(|when| &when.0))
            .chain(host)
            .flat_map(|expression| expression.names())
            .any(|name| {
                let root = name.split('.').next().unwrap_or_default();
                self.terms.iter().any(|term| term.name == root)
            });
        if uses_term {
            return Ok(self.scope(facts, situation)?.with("preflight", &preflight));
        }
        let facts = with_directory(facts.to_value(), self.consult.as_ref());
        let scope = Scope::of(situation).with("facts", &facts);
        Ok(scope.with("preflight", &preflight))
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

/// Returns the answers of a rung's preflight, an empty object where there are none.
fn preflight(rung: Option<&Rung>, situation: &Situation) -> Value {
    let end = rung.and_then(|rung| situation.preflights.get(&rung.id));
    match end {
        Some(PreflightEnd::Answered(answers)) => Value::Object(answers.clone()),
        Some(PreflightEnd::Failed { .. }) | None => Value::Object(Map::new()),
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
