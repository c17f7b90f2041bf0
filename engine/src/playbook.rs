//! A checked playbook as a [`Program`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmend_model::{Facts, Phase, StepRef};
use fleetmend_playbooks::{
    Decision, DecisionError, ParameterKind, Playbook, ScriptFile, SecretFrom, Situation, Step,
    VerifyVerdict,
};
use fleetmend_transport::Script;
use serde_json::{Map, Value, json};

use crate::program::{Judge, Parameters, Program, RungPlan, StepPlan, StepRun, VerifyPlan};

impl Program {
    /// Makes a checked playbook ready to run.
    pub fn of(playbook: Arc<Playbook>) -> Self {
        let mut scripts = Scripts::default();
        let rungs = playbook
            .ladder
            .iter()
            .map(|rung| {
                let steps = rung.steps.iter().map(|step| scripts.plan(step)).collect();
                (rung.id.clone(), RungPlan { steps })
            })
            .collect();
        Self {
            name: playbook.name.clone(),
            digest: playbook.digest.clone(),
            diagnose: scripts.plan(&playbook.diagnose),
            rungs,
            verify: VerifyPlan {
                step: scripts.plan(&playbook.verify.step),
                attempts: playbook.verify.attempts,
                pause: playbook.verify.pause,
            },
            judge: playbook,
        }
    }
}

/// One copy of each script's text, however many steps run it.
#[derive(Default)]
struct Scripts(BTreeMap<String, Arc<Script>>);

impl Scripts {
    fn plan(&mut self, step: &Step) -> StepPlan {
        let file: &ScriptFile = &step.script;
        let run = match step.action {
            Some(action) => StepRun::Action(action),
            None => {
                let script = self.0.entry(file.name.clone()).or_insert_with(|| {
                    Arc::new(Script {
                        name: file.name.clone(),
                        text: file.text.clone(),
                    })
                });
                StepRun::Script(script.clone())
            }
        };
        StepPlan {
            name: step.name.clone(),
            run,
            secrets: step.secrets.clone(),
            makes: step.makes.clone(),
            deadline: step.deadline,
            changes: step.changes,
        }
    }
}

impl Judge for Playbook {
    fn parameters(
        &self,
        set: &Map<String, Value>,
        vars: &BTreeMap<String, Value>,
    ) -> Result<Parameters, DecisionError> {
        let mut values = self
            .resolve_params(set, vars)
            .map_err(|error| DecisionError {
                place: format!("{} (parameters)", self.name),
                detail: error.to_string(),
            })?;
        let credentials: BTreeSet<String> = self
            .parameters
            .iter()
            .filter(|parameter| parameter.kind == ParameterKind::Credential)
            .filter(|parameter| {
                values
                    .get(&parameter.name)
                    .is_some_and(|value| !value.is_null())
            })
            .map(|parameter| parameter.name.clone())
            .collect();
        for parameter in self.parameters.iter().filter(|parameter| parameter.secret) {
            if parameter.kind != ParameterKind::Credential {
                values.remove(&parameter.name);
            }
        }
        Ok(Parameters {
            values,
            credentials,
        })
    }

    fn decide(&self, facts: &Facts, situation: &Situation) -> Result<Decision, DecisionError> {
        Self::decide(self, facts, situation)
    }

    fn params(
        &self,
        step: &StepRef,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<Map<String, Value>, DecisionError> {
        let plan = find(self, step)?;
        let params = plan.params(facts, situation)?;
        let mut whole = params.clone();
        for (name, from) in &plan.secrets {
            // The real ones are not here yet; what can be checked is that they are expected.
            let stand_in = match from {
                SecretFrom::Credential(_) => json!({"user": "user", "password": "password"}),
                SecretFrom::Made(_) => json!("secret"),
            };
            whole.insert(name.clone(), stand_in);
        }
        plan.script
            .check_params(&Value::Object(whole))
            .map_err(|error| DecisionError {
                place: step.to_string(),
                detail: error.to_string(),
            })?;
        Ok(params)
    }

    fn accept(&self, step: &StepRef, answer: &Value) -> Result<(), DecisionError> {
        find(self, step)?
            .script
            .check_answer(answer)
            .map_err(|error| DecisionError {
                place: step.to_string(),
                detail: error.to_string(),
            })
    }

    fn verdict(
        &self,
        evidence: &Value,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<VerifyVerdict, DecisionError> {
        self.verified(evidence, facts, situation)
    }
}

fn find<'a>(playbook: &'a Playbook, step: &StepRef) -> Result<&'a Step, DecisionError> {
    let found = match step.phase {
        Phase::Diagnose => Some(&playbook.diagnose),
        Phase::Verify => Some(&playbook.verify.step),
        Phase::Repair => {
            let rung = playbook
                .ladder
                .iter()
                .find(|rung| Some(&rung.id) == step.rung.as_ref());
            rung.and_then(|rung| rung.steps.iter().find(|plan| plan.name == step.step))
        }
        Phase::Exec => None,
    };
    found.ok_or_else(|| DecisionError {
        place: step.to_string(),
        detail: "the playbook has no such step".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_playbook_becomes_a_program() {
        let playbook = Arc::new(Playbook::load_shipped("trust-repair").unwrap());
        let program = Program::of(playbook.clone());
        assert_eq!(program.rungs.len(), playbook.ladder.len());
        assert!(!program.diagnose.changes && !program.verify.step.changes);
        let given: Vec<_> = program
            .rungs
            .values()
            .flat_map(RungPlan::credentials)
            .collect();
        assert_eq!(given, ["domain_credential"]);
        let set = json!({"domain_credential": "join"});
        let parameters = playbook
            .parameters(set.as_object().unwrap(), &BTreeMap::new())
            .unwrap();
        assert_eq!(
            parameters.credentials,
            ["domain_credential".to_owned()].into()
        );
        let step = StepRef {
            phase: Phase::Diagnose,
            rung: None,
            step: "diagnose".into(),
        };
        let situation = Situation {
            params: parameters.values,
            ..Situation::default()
        };
        let params = playbook
            .params(&step, &Facts::default(), &situation)
            .unwrap();
        assert_eq!(params["domain_controller"], Value::Null);
        assert!(playbook.accept(&step, &json!({"made": "up"})).is_err());
    }
}
