//! A checked playbook as a [`Program`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmend_model::{Facts, Phase, StepRef};
use fleetmend_playbooks::{
    Consult, Decision, DecisionError, Language, Need, ParameterKind, Playbook, Rung, ScriptFile,
    SecretFrom, Situation, Step, StepKind, VerifyVerdict,
};
use fleetmend_transport::Script;
use serde_json::{Map, Value, json};

use crate::program::{
    Judge, Parameters, Program, Programs, RungPlan, StepPlan, StepRun, VerifyPlan,
};

impl Programs {
    /// Makes a checked playbook ready to run, and those for hosts of other platforms beside it.
    pub fn of(main: Arc<Playbook>, also: impl IntoIterator<Item = Arc<Playbook>>) -> Self {
        Self::new(Program::of(main), also.into_iter().map(Program::of))
    }
}

impl Program {
    /// Makes a checked playbook ready to run.
    pub fn of(playbook: Arc<Playbook>) -> Self {
        let mut scripts = Scripts::default();
        let rungs = playbook
            .ladder
            .iter()
            .map(|rung| (rung.id.clone(), scripts.rung(rung)))
            .collect();
        let verify = &playbook.verify;
        Self {
            name: playbook.name.clone(),
            digest: playbook.digest.clone(),
            platform: playbook.platform,
            diagnose: scripts.plan(&playbook.diagnose),
            consult: scripts.consult(playbook.consult.as_ref()),
            rungs,
            verify: VerifyPlan {
                step: scripts.plan(&verify.step),
                consult: scripts.consult(verify.consult.as_ref()),
                attempts: verify.attempts,
                pause: verify.pause,
            },
            own: Arc::default(),
            judge: playbook,
        }
    }
}

/// One copy of each script's text, however many steps run it.
#[derive(Default)]
struct Scripts(BTreeMap<String, Arc<Script>>);

impl Scripts {
    fn rung(&mut self, rung: &Rung) -> RungPlan {
        let need = |need: &Need| matches!(need, Need::Directory | Need::OfflineJoin);
        let action = |step: &Step| step.action().is_some();
        let preflight = rung.preflight.iter().flat_map(|preflight| &preflight.steps);
        let asks = preflight.clone().any(action);
        RungPlan {
            preflight: preflight.map(|step| self.plan(step)).collect(),
            steps: rung.steps.iter().map(|step| self.plan(step)).collect(),
            needs_directory: rung.needs.iter().any(need) || rung.steps.iter().any(action) || asks,
            again_if_cut: rung.again_if_cut,
        }
    }

    fn consult(&mut self, consult: Option<&Consult>) -> Option<StepPlan> {
        consult.map(|consult| self.plan(&consult.step))
    }

    fn plan(&mut self, step: &Step) -> StepPlan {
        let file: &ScriptFile = &step.script;
        let run = match &step.kind {
            StepKind::Action(action) => StepRun::Action(*action),
            StepKind::Reboot => StepRun::Reboot,
            StepKind::Logon(logon) => StepRun::Logon(logon.clone()),
            StepKind::Script | StepKind::Elsewhere(_) => {
                let script = self.0.entry(file.name.clone()).or_insert_with(|| {
                    Arc::new(Script {
                        name: file.name.clone(),
                        text: file.text.clone(),
                    })
                });
                let script = script.clone();
                match step.kind {
                    StepKind::Elsewhere(_) => StepRun::Elsewhere(script),
                    _ => StepRun::Script(script),
                }
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

    fn knows(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|known| known.name == parameter)
    }

    fn wanted(
        &self,
        step: &StepRef,
        facts: &Facts,
        evidence: Option<&Value>,
        situation: &Situation,
    ) -> Result<bool, DecisionError> {
        match find(self, step)? {
            Found::Step(plan) => self.step_wanted(plan, facts, situation),
            Found::Consult(_) => self.consult_wanted(facts, situation),
            Found::VerifyConsult(_) => {
                let evidence = evidence.unwrap_or(&Value::Null);
                self.verify_consult_wanted(evidence, facts, situation)
            }
        }
    }

    fn params(
        &self,
        step: &StepRef,
        facts: &Facts,
        evidence: Option<&Value>,
        situation: &Situation,
    ) -> Result<Map<String, Value>, DecisionError> {
        let found = find(self, step)?;
        let params = match found {
            Found::Step(plan) => self.step_params(plan, facts, situation),
            Found::Consult(_) => self.consult_params(facts, situation),
            Found::VerifyConsult(_) => {
                let evidence = evidence.unwrap_or(&Value::Null);
                self.verify_consult_params(evidence, facts, situation)
            }
        }?;
        let plan = found.step();
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

    fn lanes(&self, facts: &Facts, situation: &Situation) -> Result<Vec<String>, DecisionError> {
        Self::lanes(self, facts, situation)
    }

    fn elsewhere(
        &self,
        step: &StepRef,
        facts: &Facts,
        situation: &Situation,
    ) -> Result<String, DecisionError> {
        let plan = find(self, step)?.step();
        Self::elsewhere(self, plan, facts, situation)?.ok_or_else(|| DecisionError {
            place: step.to_string(),
            detail: "it runs on the PC itself".to_owned(),
        })
    }

    fn caution(&self, rung: &str, language: Language) -> Option<String> {
        let rung = self.ladder.iter().find(|known| known.id == rung)?;
        let caution = rung.caution.as_ref()?;
        Some(caution.text(language).to_owned())
    }

    fn accept(&self, step: &StepRef, answer: &Value) -> Result<(), DecisionError> {
        find(self, step)?
            .step()
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

/// A step of a playbook by the name that events give it.
#[derive(Clone, Copy)]
enum Found<'a> {
    Step(&'a Step),
    Consult(&'a Step),
    VerifyConsult(&'a Step),
}

impl<'a> Found<'a> {
    fn step(self) -> &'a Step {
        match self {
            Self::Step(step) | Self::Consult(step) | Self::VerifyConsult(step) => step,
        }
    }
}

fn find<'a>(playbook: &'a Playbook, step: &StepRef) -> Result<Found<'a>, DecisionError> {
    let named = |consult: &'a Option<Consult>| {
        let plan = &consult.as_ref()?.step;
        (plan.name == step.step).then_some(plan)
    };
    let found = match step.phase {
        Phase::Diagnose => Some(match named(&playbook.consult) {
            Some(plan) => Found::Consult(plan),
            None => Found::Step(&playbook.diagnose),
        }),
        Phase::Verify => Some(match named(&playbook.verify.consult) {
            Some(plan) => Found::VerifyConsult(plan),
            None => Found::Step(&playbook.verify.step),
        }),
        Phase::Preflight | Phase::Repair => {
            let rung = playbook
                .ladder
                .iter()
                .find(|rung| Some(&rung.id) == step.rung.as_ref());
            let steps = rung.and_then(|rung| match step.phase {
                Phase::Preflight => Some(&rung.preflight.as_ref()?.steps),
                _ => Some(&rung.steps),
            });
            steps
                .and_then(|steps| steps.iter().find(|plan| plan.name == step.step))
                .map(Found::Step)
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
        let given: BTreeSet<_> = program
            .rungs
            .values()
            .flat_map(RungPlan::credentials)
            .collect();
        let known = ["domain_credential", "rescue_admin"];
        assert!(given.contains("domain_credential"));
        assert!(given.iter().all(|name| known.contains(name)), "{given:?}");
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
            .params(&step, &Facts::default(), None, &situation)
            .unwrap();
        assert_eq!(params["domain_controller"], Value::Null);
        assert!(playbook.accept(&step, &json!({"made": "up"})).is_err());
    }
}
