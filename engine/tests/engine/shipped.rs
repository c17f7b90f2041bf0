//! The shipped playbooks as programs: the machine walks a repair through the directory with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fleetmend_engine::machine::{Action, Call, Context, PcState, Stop, Work, next};
use fleetmend_engine::{Program, Programs};
use fleetmend_model::{
    HostEvent, HostName, HostResult, Outcome, Phase, Platform, RunMode, StepEnd, TransportKind,
};
use fleetmend_playbooks::{Playbook, Situation};
use fleetmend_yaml::{Document, Limits};
use serde_json::{Map, Value, json};

fn case(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../playbooks/cases")
        .join(name);
    let text = std::fs::read_to_string(path).unwrap();
    Document::parse(&text, &Limits::default())
        .unwrap()
        .root
        .to_json()
}

/// A PC that has lost its secret, and what mends it.
struct Member {
    mended: bool,
    asked: Vec<(String, Map<String, Value>)>,
}

impl Member {
    fn answer(&mut self, call: &Call) -> Value {
        self.asked
            .push((call.step.to_string(), call.params.clone()));
        match (call.step.phase, call.step.step.as_str()) {
            (_, "lock") => json!({"held": true, "error": null}),
            (_, "directory") => {
                let mut account = case("base-directory.yaml");
                if self.mended {
                    account["pwd_last_set"] = json!("2026-01-20T09:06:42.5Z");
                    account["pwd_last_set_unix"] = json!(1_768_900_002.5);
                }
                account
            }
            (Phase::Diagnose, _) => {
                let mut facts = case("trust-repair/base-facts.yaml");
                let channel = &mut facts["channel"];
                channel["query"]["connection_status"] = json!(1786);
                channel["verify"]["connection_status"] = json!(1786);
                channel["verify"]["trust_status"] = json!(1786);
                channel["test_computer_secure_channel"] = json!(false);
                facts
            }
            (Phase::Verify, _) => case("trust-repair/base-verify.yaml"),
            (_, "reset_account") => json!({
                "dc": "dc01.example.jp", "dn": "CN=PC-001,OU=PCs,DC=example,DC=jp",
                "sid": "S-1-5-21-1111111111-2222222222-3333333333-1104",
                "pwd_last_set_unix_before": 1_768_006_923.5, "pwd_last_set_unix": 1_768_900_000.5,
            }),
            (_, "store") => {
                self.mended = true;
                json!({
                    "stored": true, "error": 0, "tickets_purged": 0, "dc": "dc01.example.jp",
                    "lsa": {"open_policy": 0, "open_secret": 0, "create_secret": null,
                        "query_secret": 0, "set_secret": 0},
                    "netlogon": {"running": true, "pin_status": 0, "control_error": null,
                        "connection_status": 0, "trust_status": 0, "dc": "dc01.example.jp"},
                    "event_record_id": 48230, "probe_errors": [],
                })
            }
            (_, "rotate") => json!({
                "rotated": true, "attempted": true, "code": 0, "secret_moved": true,
                "control_error": null, "connection_status": 0, "trust_status": 0,
                "dc": "dc01.example.jp", "event_record_id": 48230, "probe_errors": [],
            }),
            other => panic!("{other:?}"),
        }
    }
}

/// Walks one PC to its end.
fn walk(
    program: &Program,
    situation: &Situation,
    member: &mut Member,
) -> (HostResult, Vec<HostEvent>) {
    let refused = BTreeMap::new();
    let context = Context {
        mode: RunMode::Repair,
        stop: Stop::No,
        situation,
        refused: &refused,
        directory_refused: None,
        overdue: false,
        aged: false,
    };
    let mut events = Vec::new();
    let mut state = PcState::default();
    for _ in 0..50 {
        let new = match next(Work::Playbook(program), &context, &state) {
            Action::Connect => vec![
                HostEvent::Connecting,
                HostEvent::Connected {
                    transport: TransportKind::WinrmHttp,
                    address: "pc:5985".into(),
                },
            ],
            Action::Run(call) => {
                let plan = program.step(&call.step).unwrap();
                let answer = member.answer(&call);
                vec![
                    HostEvent::StepStarted {
                        step: call.step.clone(),
                        changes: plan.changes,
                        place: plan.place(),
                    },
                    HostEvent::StepEnded {
                        step: call.step,
                        end: StepEnd::Answered { answer },
                        elapsed_ms: 1,
                    },
                ]
            }
            Action::Await(call) => panic!("{call:?}"),
            Action::Note(event) => vec![event],
            Action::Finish(ending) => {
                return (ending.into_result(HostName("pc-001".into()), 1), events);
            }
            Action::Done => panic!("no result"),
        };
        for event in new {
            state = state.apply(&event);
            events.push(event);
        }
    }
    panic!("no end: {events:#?}")
}

fn situation(program: &Program, set: &Value) -> Situation {
    let judge = &program.judge;
    let parameters = judge
        .parameters(set.as_object().unwrap(), &BTreeMap::new())
        .unwrap();
    Situation {
        host: json!({"names": ["pc-001"]}).as_object().unwrap().clone(),
        params: parameters.values,
        directory: true,
        ..Situation::default()
    }
}

#[test]
fn a_lost_secret_is_mended_through_the_directory() {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    let program = Program::of(Arc::new(playbook));
    for rotate in [true, false] {
        let situation = situation(&program, &json!({"rotate_afterwards": rotate}));
        let mut member = Member {
            mended: false,
            asked: Vec::new(),
        };
        let (result, events) = walk(&program, &situation, &mut member);
        let rung = "machine-password-reset".to_owned();
        assert_eq!(result.outcome, Outcome::Repaired { rung }, "{result:?}");
        let evidence = result.evidence.unwrap();
        assert_eq!(evidence["pwd_last_set_before"], "2026-01-10T01:02:03.5Z");
        assert_eq!(evidence["pwd_last_set"], "2026-01-20T09:06:42.5Z");
        assert_eq!(evidence["controllers_answered"], 2);
        let steps: Vec<&str> = member.asked.iter().map(|(step, _)| step.as_str()).collect();
        let mut expected = vec![
            "diagnose/diagnose",
            "diagnose/directory",
            "repair/machine-password-reset/lock",
            "repair/machine-password-reset/reset_account",
            "repair/machine-password-reset/store",
            "repair/machine-password-reset/rotate",
            "verify/machine-password-reset/verify",
            "verify/machine-password-reset/directory",
        ];
        if !rotate {
            expected.remove(5);
        }
        assert_eq!(steps, expected);
        let skipped = events
            .iter()
            .any(|event| matches!(event, HostEvent::StepSkipped { .. }));
        assert_eq!(skipped, !rotate);
        let params = &member.asked[3].1;
        assert_eq!(params["computer"], member.asked[1].1["computer"]);
        assert_eq!(
            params["sid"],
            "S-1-5-21-1111111111-2222222222-3333333333-1104"
        );
        assert!(!member.asked[4].1.contains_key("machine_password"));
        let warned = events.iter().any(|event| {
            matches!(event, HostEvent::RungStarted { caution: Some(caution), .. }
                if !caution.is_empty())
        });
        assert!(warned);
    }
}

#[test]
fn hosts_of_both_platforms_have_a_shipped_program() {
    let main = Playbook::load_shipped("trust-repair").unwrap();
    let also = main.load_also("trust-repair").unwrap();
    let programs = Programs::of(Arc::new(main), also.into_iter().map(Arc::new));
    for platform in [Platform::Windows, Platform::Posix] {
        let program = programs.on(platform).unwrap();
        assert_eq!(program.platform, platform);
        let through: Vec<&String> = program
            .rungs
            .iter()
            .filter(|(_, rung)| rung.needs_directory)
            .map(|(id, _)| id)
            .collect();
        assert!(
            through.iter().any(|id| *id == "machine-password-reset"),
            "{through:?}"
        );
        assert!(program.rungs["machine-password-reset"].again_if_cut);
    }
}
