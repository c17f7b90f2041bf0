//! A small playbook: three rungs, decided by `facts.cause` alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::{Judge, Parameters, Program, RungPlan, StepPlan, StepRun, VerifyPlan};
use fleetmend_model::{Cause, Facts, Platform, StepRef};
use fleetmend_playbooks::{
    Decision, DecisionError, Language, SecretFrom, Situation, StopKind, VerifyVerdict,
};
use fleetmend_transport::Script;
use serde_json::{Map, Value};

/// Rungs in order: id, whether it needs the credential `domain`.
const LADDER: [(&str, bool); 3] = [("restart", false), ("reset", false), ("join", true)];

pub struct TestJudge;

pub fn program() -> Program {
    let step = |name: &str, changes: bool, secrets: Vec<(String, SecretFrom)>| StepPlan {
        name: name.into(),
        run: StepRun::Script(Arc::new(Script {
            name: format!("test/{name}"),
            text: "$x".into(),
        })),
        secrets,
        makes: None,
        deadline: Duration::from_secs(60),
        changes,
    };
    let secret = vec![(
        "domain".to_owned(),
        SecretFrom::Credential("domain".to_owned()),
    )];
    let rungs = [
        ("restart", vec![step("restart", true, vec![])]),
        (
            "reset",
            vec![step("prepare", false, vec![]), step("reset", true, vec![])],
        ),
        ("join", vec![step("join", true, secret)]),
    ];
    Program {
        name: "test".into(),
        digest: "00".into(),
        platform: Platform::Windows,
        diagnose: step("diagnose", false, vec![]),
        consult: None,
        rungs: rungs
            .map(|(id, steps)| {
                let plan = RungPlan {
                    steps,
                    needs_directory: false,
                    again_if_cut: false,
                };
                (id.to_owned(), plan)
            })
            .into(),
        verify: VerifyPlan {
            step: step("verify", false, vec![]),
            consult: None,
            attempts: 2,
            pause: Duration::from_secs(3),
        },
        judge: Arc::new(TestJudge),
    }
}

fn error(detail: &str) -> DecisionError {
    DecisionError {
        place: "test".into(),
        detail: detail.into(),
    }
}

impl Judge for TestJudge {
    fn parameters(
        &self,
        set: &Map<String, Value>,
        vars: &BTreeMap<String, Value>,
    ) -> Result<Parameters, DecisionError> {
        if vars.contains_key("misfit") {
            return Err(error("misfit"));
        }
        let credentials: BTreeSet<String> = set
            .contains_key("domain")
            .then(|| "domain".to_owned())
            .into_iter()
            .collect();
        Ok(Parameters {
            values: set.clone(),
            credentials,
        })
    }

    fn decide(&self, facts: &Facts, situation: &Situation) -> Result<Decision, DecisionError> {
        let Some(id) = facts.0.get("cause").and_then(Value::as_str) else {
            return Err(error("no cause"));
        };
        let cause = Cause::new(id);
        match id {
            "healthy" => return Ok(Decision::Healthy),
            "dc" => {
                let (reason, next) = ("it is a DC".into(), "leave it".into());
                return Ok(Decision::Stop {
                    cause,
                    end: StopKind::Skipped,
                    reason,
                    next,
                });
            }
            _ => {}
        }
        let open = LADDER
            .iter()
            .filter(|(rung, _)| !situation.tried.contains(*rung));
        let mut lacks = false;
        for (rung, credential) in open {
            if *credential && !situation.credentials_for_pcs.contains("domain") {
                lacks = true;
            } else {
                return Ok(Decision::Try {
                    cause,
                    rung: (*rung).into(),
                    reason: "the passwords differ".into(),
                });
            }
        }
        let (reason, next) = ("reason".into(), "next".into());
        Ok(if lacks {
            Decision::Blocked {
                cause,
                guard: "needs-credential".into(),
                reason,
                next,
            }
        } else {
            Decision::Stop {
                cause,
                end: StopKind::NotRepaired,
                reason,
                next,
            }
        })
    }

    fn knows(&self, parameter: &str) -> bool {
        parameter == "domain"
    }

    fn wanted(
        &self,
        _: &StepRef,
        _: &Facts,
        _: Option<&Value>,
        _: &Situation,
    ) -> Result<bool, DecisionError> {
        Ok(true)
    }

    fn caution(&self, _: &str, _: Language) -> Option<String> {
        None
    }

    fn params(
        &self,
        step: &StepRef,
        facts: &Facts,
        _: Option<&Value>,
        _: &Situation,
    ) -> Result<Map<String, Value>, DecisionError> {
        if facts.0.get("unspeakable").is_some() {
            return Err(error("a name is undefined"));
        }
        Ok([("step".to_owned(), Value::from(step.to_string()))]
            .into_iter()
            .collect())
    }

    fn accept(&self, _: &StepRef, answer: &Value) -> Result<(), DecisionError> {
        if answer.get("odd").is_some() || !answer.is_object() {
            return Err(error("odd"));
        }
        Ok(())
    }

    fn verdict(
        &self,
        evidence: &Value,
        _: &Facts,
        _: &Situation,
    ) -> Result<VerifyVerdict, DecisionError> {
        match evidence.get("proof").and_then(Value::as_str) {
            Some("yes") => Ok(VerifyVerdict::Proven),
            Some("reboot") => Ok(VerifyVerdict::RebootPending),
            Some("no") => Ok(VerifyVerdict::NotProven {
                reason: "not yet".into(),
                again: true,
            }),
            _ => Err(error("no proof")),
        }
    }
}
