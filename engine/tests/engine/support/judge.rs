//! Two small playbooks, decided by `facts.cause` alone: one of three rungs on the PC, and one that
//! goes through the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::{Judge, Parameters, Program, RungPlan, StepPlan, StepRun, VerifyPlan};
use fleetmend_model::{Cause, DirectoryAction, Facts, Phase, Platform, StepRef};
use fleetmend_playbooks::{
    Decision, DecisionError, Language, SecretFrom, Situation, StopKind, VerifyVerdict,
};
use fleetmend_transport::Script;
use serde_json::{Map, Value};

pub const CAUTION: &str = "アカウントの新しいパスワードを PC はまだ知りません";

/// What a rung cannot do without.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    Credential,
    Directory,
}

/// Rungs in order.
type Ladder = &'static [(&'static str, Needs)];

const ON_PC: Ladder = &[
    ("restart", Needs::Nothing),
    ("reset", Needs::Nothing),
    ("join", Needs::Credential),
];

const IN_DIRECTORY: Ladder = &[("account", Needs::Directory), ("join", Needs::Credential)];

pub struct TestJudge {
    ladder: Ladder,
    parameters: &'static [&'static str],
}

fn script(name: &str, changes: bool, secrets: Vec<(String, SecretFrom)>) -> StepPlan {
    StepPlan {
        name: name.into(),
        run: StepRun::Script(Arc::new(Script {
            name: format!("test/{name}"),
            text: "$x".into(),
        })),
        secrets,
        makes: None,
        deadline: Duration::from_secs(60),
        changes,
    }
}

fn action(name: &str, action: DirectoryAction) -> StepPlan {
    StepPlan {
        run: StepRun::Action(action),
        makes: action.makes_secret().then(|| "machine_password".to_owned()),
        deadline: Duration::from_secs(30),
        ..script(name, action.changes(), vec![])
    }
}

fn rung(steps: Vec<StepPlan>) -> RungPlan {
    RungPlan {
        needs_directory: steps
            .iter()
            .any(|step| matches!(step.run, StepRun::Action(_))),
        again_if_cut: false,
        steps,
    }
}

fn join() -> RungPlan {
    let from = SecretFrom::Credential("domain".to_owned());
    rung(vec![script(
        "join",
        true,
        vec![("domain".to_owned(), from)],
    )])
}

fn of(ladder: Ladder, rungs: impl IntoIterator<Item = (&'static str, RungPlan)>) -> Program {
    Program {
        name: "test".into(),
        digest: "00".into(),
        platform: Platform::Windows,
        diagnose: script("diagnose", false, vec![]),
        consult: None,
        rungs: rungs
            .into_iter()
            .map(|(id, plan)| (id.to_owned(), plan))
            .collect(),
        verify: VerifyPlan {
            step: script("verify", false, vec![]),
            consult: None,
            attempts: 2,
            pause: Duration::from_secs(3),
        },
        judge: Arc::new(TestJudge {
            ladder,
            parameters: &["domain", "rotate"],
        }),
    }
}

/// The same as [`program`] for hosts of the other platform, with another parameter.
pub fn posix_program() -> Program {
    Program {
        name: "test-posix".into(),
        digest: "01".into(),
        platform: Platform::Posix,
        judge: Arc::new(TestJudge {
            ladder: ON_PC,
            parameters: &["domain", "shell"],
        }),
        ..program()
    }
}

/// Three rungs on the PC.
pub fn program() -> Program {
    let reset = vec![
        script("prepare", false, vec![]),
        script("reset", true, vec![]),
    ];
    of(
        ON_PC,
        [
            ("restart", rung(vec![script("restart", true, vec![])])),
            ("reset", rung(reset)),
            ("join", join()),
        ],
    )
}

/// The controller sets a password, the PC stores it and changes it: a rung of two halves, with a
/// question to the directory beside diagnose and verify.
pub fn directory_program() -> Program {
    let made = SecretFrom::Made("machine_password".to_owned());
    let account = vec![
        action("reset_account", DirectoryAction::ResetComputerPassword),
        script("store", true, vec![("machine_password".to_owned(), made)]),
        script("rotate", true, vec![]),
    ];
    let account = RungPlan {
        again_if_cut: true,
        ..rung(account)
    };
    let mut program = of(IN_DIRECTORY, [("account", account), ("join", join())]);
    program.consult = Some(action("directory", DirectoryAction::ReadComputer));
    program.verify.consult = Some(action("directory", DirectoryAction::ReadComputer));
    program
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
        if let Some(unknown) = set.keys().find(|name| !self.knows(name)) {
            return Err(error(unknown));
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
            _ if facts
                .0
                .get("directory")
                .is_some_and(|read| read["found"] == false) =>
            {
                return Ok(Decision::Stop {
                    cause: Cause::new("account-missing"),
                    end: StopKind::NotRepaired,
                    reason: "there is no account".into(),
                    next: "make one".into(),
                });
            }
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
        let open = self
            .ladder
            .iter()
            .filter(|(rung, _)| !situation.tried.contains(*rung));
        let mut lacks = None;
        for (rung, needs) in open {
            let lack = match needs {
                Needs::Credential if !situation.credentials_for_pcs.contains("domain") => {
                    Some("needs-credential")
                }
                Needs::Directory if !situation.directory => Some("needs-directory"),
                _ => None,
            };
            if lack.is_some() {
                lacks = lacks.or(lack);
                continue;
            }
            return Ok(Decision::Try {
                cause,
                rung: (*rung).into(),
                reason: "the passwords differ".into(),
            });
        }
        let (reason, next) = ("reason".into(), "next".into());
        Ok(if let Some(guard) = lacks {
            Decision::Blocked {
                cause,
                guard: guard.into(),
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
        self.parameters.contains(&parameter)
    }

    fn wanted(
        &self,
        step: &StepRef,
        facts: &Facts,
        evidence: Option<&Value>,
        situation: &Situation,
    ) -> Result<bool, DecisionError> {
        assert_eq!(
            evidence.is_some(),
            step.phase == Phase::Verify,
            "{step}: {evidence:?}"
        );
        Ok(match step.step.as_str() {
            "directory" if step.phase == Phase::Diagnose => {
                facts.0.get("cause").is_some_and(|cause| cause != "healthy")
            }
            "rotate" => situation.params.get("rotate") != Some(&Value::Bool(false)),
            _ => true,
        })
    }

    fn caution(&self, rung: &str, language: Language) -> Option<String> {
        assert_eq!(language, Language::En);
        (rung == "account").then(|| CAUTION.to_owned())
    }

    fn params(
        &self,
        step: &StepRef,
        facts: &Facts,
        evidence: Option<&Value>,
        situation: &Situation,
    ) -> Result<Map<String, Value>, DecisionError> {
        let asks = step.phase == Phase::Verify && step.step == "directory";
        assert_eq!(evidence.is_some(), asks, "{step}: {evidence:?}");
        if facts.0.get("unspeakable").is_some() {
            return Err(error("a name is undefined"));
        }
        if step.step == "directory" && facts.0.get("nameless").is_some() {
            return Err(error("computer: null is no string"));
        }
        let host = situation.host.get("name").cloned().unwrap_or_default();
        Ok([
            ("step".to_owned(), Value::from(step.to_string())),
            ("computer".to_owned(), host),
        ]
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
        let moved = evidence.pointer("/directory/moved");
        if moved == Some(&Value::Bool(false)) {
            return Ok(VerifyVerdict::NotProven {
                reason: "the account did not move".into(),
                again: true,
            });
        }
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
