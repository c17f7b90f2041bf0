//! Two small playbooks, decided by `facts.cause` alone: one of three rungs on the PC, and one that
//! goes through the directory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::{Judge, Parameters, Program, RungPlan, StepPlan, StepRun, VerifyPlan};
use fleetmend_model::{Cause, DirectoryAction, Facts, Phase, Platform, StepRef};
use fleetmend_playbooks::{
    Decision, DecisionError, Language, Logon, PreflightEnd, SecretFrom, Situation, StopKind,
    VerifyVerdict,
};
use fleetmend_transport::Script;
use serde_json::{Map, Value};

/// What is said of a step that does not see what its rung's preflight has answered.
pub const NO_PREFLIGHT: &str = "the preflight is not what it was";

pub const CAUTION: &str = "アカウントの新しいパスワードを PC はまだ知りません";

/// What a rung cannot do without.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    Nothing,
    Credential,
    Directory,
    /// A preflight, and two restarts.
    Restarts,
}

/// Rungs in order.
type Ladder = &'static [(&'static str, Needs)];

const ON_PC: Ladder = &[
    ("restart", Needs::Nothing),
    ("reset", Needs::Nothing),
    ("join", Needs::Credential),
];

const IN_DIRECTORY: Ladder = &[("account", Needs::Directory), ("join", Needs::Credential)];

const WITH_RESTARTS: Ladder = &[("rejoin", Needs::Restarts), ("join", Needs::Credential)];

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

fn other(name: &str, run: StepRun, changes: bool) -> StepPlan {
    StepPlan {
        run,
        deadline: Duration::from_secs(20 * 60),
        ..script(name, changes, vec![])
    }
}

fn logon(name: &str, credential: Option<&str>, keep: bool) -> StepPlan {
    let credential = credential.map(str::to_owned);
    other(name, StepRun::Logon(Logon { credential, keep }), false)
}

/// Leaves, restarts, joins and restarts: a rung with a preflight, whose blob another PC makes.
pub fn rejoin_program() -> Program {
    let StepRun::Script(making) = script("blob", true, vec![]).run else {
        panic!("a script");
    };
    let blob = StepPlan {
        makes: Some("blob".to_owned()),
        ..other("blob", StepRun::Elsewhere(making), true)
    };
    let from = SecretFrom::Made("blob".to_owned());
    let rejoin = RungPlan {
        preflight: vec![
            script("safety", false, vec![]),
            logon("account", None, false),
        ],
        again_if_cut: true,
        ..rung(vec![
            logon("rescue", Some("rescue_admin"), true),
            blob,
            script("keep_blob", true, vec![("blob".to_owned(), from)]),
            other("restart_1", StepRun::Reboot, true),
            script("rejoin", true, vec![]),
            other("restart_2", StepRun::Reboot, true),
        ])
    };
    Program {
        judge: Arc::new(TestJudge {
            ladder: WITH_RESTARTS,
            parameters: &["domain", "blob", "rescue_admin", "grace"],
        }),
        ..of(WITH_RESTARTS, [("rejoin", rejoin), ("join", join())])
    }
}

fn rung(steps: Vec<StepPlan>) -> RungPlan {
    RungPlan {
        needs_directory: steps
            .iter()
            .any(|step| matches!(step.run, StepRun::Action(_))),
        again_if_cut: false,
        preflight: vec![],
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
        own: Arc::default(),
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

impl TestJudge {
    /// What is decided on a rung with restarts, before any other.
    fn restarts(&self, cause: &Cause, _: &Facts, situation: &Situation) -> Option<Decision> {
        let (rung, _) = self
            .ladder
            .iter()
            .find(|(_, needs)| *needs == Needs::Restarts)?;
        let (rung, cause) = ((*rung).to_owned(), cause.clone());
        if situation.tried.contains(&rung) {
            return None;
        }
        let blocked = |guard: &str, reason: &str| {
            Some(Decision::Blocked {
                cause: cause.clone(),
                guard: guard.into(),
                reason: reason.into(),
                next: "next".into(),
            })
        };
        if situation.reboots + 2 > situation.max_reboots {
            return blocked("needs-reboot", "it restarts");
        }
        if let Some(window) = &situation.reboot_window
            && window
                .open_for
                .is_none_or(|left| left < Duration::from_secs(600))
        {
            return blocked("reboot-window", &window.text);
        }
        match situation.preflights.get(&rung) {
            None => Some(Decision::Preflight { cause, rung }),
            Some(PreflightEnd::Failed { step, reason }) => {
                blocked("preflight", &format!("{step}: {reason}"))
            }
            Some(PreflightEnd::Answered(answers)) if answers["safety"]["safe"] == false => {
                blocked("unsafe", "somebody is logged on")
            }
            Some(PreflightEnd::Answered(_)) => Some(Decision::Try {
                cause,
                rung,
                reason: "it left".into(),
            }),
        }
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
        if let Some(decision) = self.restarts(&cause, facts, situation) {
            return Ok(decision);
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
            "rescue" => situation.params.contains_key("rescue_admin"),
            "blob" | "keep_blob" => situation.params.contains_key("blob"),
            "rotate" => situation.params.get("rotate") != Some(&Value::Bool(false)),
            _ => true,
        })
    }

    fn lanes(&self, facts: &Facts, _: &Situation) -> Result<Vec<String>, DecisionError> {
        let site = facts.0.get("site").and_then(Value::as_str);
        Ok(site.map(str::to_owned).into_iter().collect())
    }

    fn elsewhere(
        &self,
        _: &StepRef,
        facts: &Facts,
        _: &Situation,
    ) -> Result<String, DecisionError> {
        let on = facts.0.get("on").and_then(Value::as_str);
        Ok(on.unwrap_or("server").to_owned())
    }

    fn caution(&self, rung: &str, language: Language) -> Option<String> {
        assert_eq!(language, Language::En);
        ["account", "rejoin"]
            .contains(&rung)
            .then(|| CAUTION.to_owned())
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
        if let Some(rung) = step.rung.as_ref().filter(|rung| *rung == "rejoin") {
            let known = situation.preflights.get(rung);
            let safety = step.phase == Phase::Preflight && step.step == "safety";
            let fits = matches!(known, Some(PreflightEnd::Answered(answers))
                if answers.contains_key("safety") != safety);
            if !fits {
                return Err(error(NO_PREFLIGHT));
            }
        }
        let grace = situation.params.get("grace").cloned();
        if step.step.starts_with("restart_") {
            let minutes = grace.unwrap_or_else(|| Value::from(0));
            return Ok([("grace_minutes".to_owned(), minutes)]
                .into_iter()
                .collect());
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
