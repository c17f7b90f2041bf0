//! What the scripts of time-sync do to a simulated PC, and that every answer fits its schema.

use std::path::Path;

use fleetmend_lab::machine::{RepairFault, StartMode};
use fleetmend_lab::time_service::SyncType;
use fleetmend_lab::{Lab, LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_transport::Script;
use serde_json::{Value, json};

use crate::common::{Channel, request, start_line, text_of};
use fleetmend_lab::{LabCommand, Output, Pc as _};

const SCRIPTS: [&str; 7] = [
    "time-sync/diagnose.ps1",
    "time-sync/verify.ps1",
    "time-sync/temporary-peer.ps1",
    "time-sync/resync.ps1",
    "time-sync/domain-hierarchy.ps1",
    "time-sync/ignore-host-time.ps1",
    "time-sync/set-clock.ps1",
];
const DC: &str = "dc01.corp.example.jp";

/// 41 minutes.
const AHEAD: i64 = 2_460_370;

fn params(name: &str, dc: &str) -> Value {
    match name {
        "time-sync/diagnose.ps1" => json!({ "domain_controller": null }),
        "time-sync/resync.ps1" => json!({ "enable_service": false }),
        "time-sync/set-clock.ps1" => json!({
            "domain_controller": dc, "tolerance_seconds": 300, "accept_one_source": false,
            "enable_service": false,
        }),
        "time-sync/verify.ps1" | "time-sync/temporary-peer.ps1" => {
            json!({ "domain_controller": dc })
        }
        _ => json!({}),
    }
}

async fn lab(scenarios: &[Scenario]) -> Lab {
    let plan = scenarios.iter().copied().map(PcPlan::new).collect();
    let scripts = SCRIPTS.map(|name| Script {
        name: name.into(),
        text: text_of(name),
    });
    let options = LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts.to_vec())
    };
    Lab::start(options).await.unwrap()
}

/// Runs scripts one after another and returns their answers.
async fn answers(pc: &LabPc, names: &[&str]) -> Vec<Value> {
    let mut channel = Channel::open(&pc.sim, "fleetadmin");
    let mut answers = Vec::new();
    for name in names {
        let name = format!("time-sync/{name}.ps1");
        answers.push(channel.answer(&name, &params(&name, DC)).await);
    }
    answers
}

fn check(name: &str, kind: &str, value: &Value, state: &str) {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/library");
    let path = library.join(name.replace(".ps1", &format!(".{kind}.json")));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = schema.validate(value) {
        panic!("{name} {kind} in {state}: {error} in {value:#}");
    }
}

#[tokio::test]
async fn every_answer_in_every_state_fits_its_schema() {
    let lab = lab(&Scenario::ALL).await;
    let mut checked = 0;
    for pc in lab.pcs() {
        for elevated in [true, false] {
            for strange in [false, true] {
                {
                    let mut machine = pc.sim.machine();
                    machine.repair_fault = RepairFault::None;
                    machine.remote_admins = elevated;
                    machine.clock_offset_ms = AHEAD;
                    machine.w32time.running = !strange;
                    if strange {
                        machine.w32time.start = StartMode::Disabled;
                        machine.time.policy = Some(SyncType::Nobody);
                        machine.time.host_offset_ms = Some(AHEAD);
                        machine.time.ntp_blocked = true;
                        machine.time.use_temporary_server(DC);
                    }
                }
                for dc in [DC, "nowhere.corp.example.jp"] {
                    let mut channel = Channel::open(&pc.sim, "fleetadmin");
                    for name in SCRIPTS {
                        let params = params(name, dc);
                        let answer = channel.answer(name, &params).await;
                        let state = format!("{:?} {elevated} {strange} {dc}", pc.scenario);
                        check(name, "takes", &params, &state);
                        check(name, "gives", &answer, &state);
                        checked += 1;
                    }
                }
            }
        }
    }
    assert_eq!(checked, Scenario::ALL.len() * 8 * SCRIPTS.len());
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn a_resync_sets_the_clock_where_the_source_counts() {
    let lab = lab(&[Scenario::TimeSkew]).await;
    let pc = &lab.pcs()[0];
    let asked = answers(pc, &["diagnose", "resync", "diagnose"]).await;
    assert_eq!(asked[0]["clock"]["offset_seconds"], json!(2460.37));
    assert_eq!(asked[0]["clock"]["ldap_seconds"], json!(2460));
    assert_eq!(asked[0]["channel"]["connection_status"], json!(1398));
    assert_eq!(asked[1]["resync_exit_code"], json!(0));
    assert_eq!(asked[2]["clock"]["offset_seconds"], json!(0.012));
    assert_eq!(asked[2]["channel"]["connection_status"], json!(0));
}

#[tokio::test]
async fn a_resync_refuses_what_w32time_refuses() {
    let lab = lab(&[Scenario::TimeSkew]).await;
    let pc = &lab.pcs()[0];
    let blocked = |change: &dyn Fn(&mut fleetmend_lab::machine::Machine)| {
        let mut machine = pc.sim.machine();
        machine.time = fleetmend_lab::time_service::TimeService::default();
        change(&mut machine);
    };
    blocked(&|pc| pc.time.limits = (u32::MAX, 900));
    assert_ne!(answers(pc, &["resync"]).await[0]["resync_exit_code"], 0);
    blocked(&|pc| pc.time.policy = Some(SyncType::Nobody));
    assert_ne!(answers(pc, &["resync"]).await[0]["resync_exit_code"], 0);
    blocked(&|pc| pc.time.ntp_blocked = true);
    assert_ne!(answers(pc, &["resync"]).await[0]["resync_exit_code"], 0);
    blocked(&|pc| pc.w32time.start = StartMode::Disabled);
    pc.sim.machine().w32time.running = false;
    let answer = answers(pc, &["resync"]).await.remove(0);
    assert_eq!(answer["running"], Value::Null);
    assert_eq!(answer["probe_errors"][0]["code"], json!(1058));
    assert_eq!(pc.sim.machine().clock_offset_ms, AHEAD);
    // The limit for the other direction does not count.
    blocked(&|pc| pc.time.limits = (900, u32::MAX));
    pc.sim.machine().w32time = fleetmend_lab::machine::Service::running();
    assert_eq!(answers(pc, &["resync"]).await[0]["resync_exit_code"], 0);
}

#[tokio::test]
async fn a_broken_trust_takes_plain_time_only_and_keeps_its_settings() {
    let lab = lab(&[Scenario::PasswordMismatch]).await;
    let pc = &lab.pcs()[0];
    pc.sim.machine().clock_offset_ms = -AHEAD;
    let before = pc.sim.machine().time.clone();
    let asked = answers(pc, &["diagnose", "resync", "temporary-peer"]).await;
    assert_eq!(asked[0]["channel"]["connection_status"], json!(5));
    assert_ne!(asked[1]["resync_exit_code"], json!(0));
    assert_eq!(asked[2]["resync_exit_code"], json!(0));
    assert_eq!(asked[2]["settings_restored"], json!(true));
    assert_eq!(pc.sim.machine().clock_offset_ms, 12);
    assert_eq!(pc.sim.machine().time, before);
}

/// Whoever is cut between the two writes finds its settings again, by the rung or by resync.
#[tokio::test]
async fn what_a_cut_run_left_is_put_back() {
    for mended_by in ["temporary-peer", "resync", "set-clock"] {
        let lab = lab(&[Scenario::PasswordMismatch]).await;
        let pc = &lab.pcs()[0];
        let before = pc.sim.machine().time.clone();
        {
            let mut machine = pc.sim.machine();
            machine.clock_offset_ms = AHEAD;
            machine.repair_fault = RepairFault::DiesInBetween;
        }
        let mut process = pc.sim.spawn(LabCommand {
            user: "fleetadmin".into(),
            line: start_line(),
            through_shell: false,
            code_page: Some(65001),
        });
        let script = text_of("time-sync/temporary-peer.ps1");
        let line = request(1, &script, &json!({ "domain_controller": DC }));
        process.stdin.send(line).await.unwrap();
        while let Some(output) = process.output.recv().await {
            if let Output::Exit(_) = output {
                break;
            }
        }
        assert_eq!(pc.sim.machine().time.sync_type, SyncType::Servers);
        pc.sim.machine().repair_fault = RepairFault::None;
        let asked = answers(pc, &["diagnose", mended_by, "diagnose"]).await;
        assert_eq!(asked[0]["config"]["left_over"], json!(true), "{mended_by}");
        assert_eq!(asked[2]["config"]["left_over"], json!(false), "{mended_by}");
        assert_eq!(pc.sim.machine().time, before, "{mended_by}");
    }
}

#[tokio::test]
async fn the_clock_is_set_by_two_witnesses_only() {
    let lab = lab(&[Scenario::TimeSkew]).await;
    let pc = &lab.pcs()[0];
    pc.sim.machine().time.false_ntp_ms = Some(86_400_000);
    let answer = answers(pc, &["set-clock"]).await.remove(0);
    assert_eq!(answer["stepped_seconds"], json!(0.0));
    assert_eq!(pc.sim.machine().clock_offset_ms, AHEAD);

    pc.sim.machine().time.false_ntp_ms = None;
    pc.sim.machine().time.ntp_blocked = true;
    assert_eq!(answers(pc, &["set-clock"]).await[0]["stepped_seconds"], 0.0);

    pc.sim.machine().time.ntp_blocked = false;
    let asked = answers(pc, &["set-clock", "set-clock"]).await;
    assert_eq!(asked[0]["stepped_seconds"], json!(-2460.37));
    assert_eq!(asked[1]["stepped_seconds"], json!(0.0));
    assert_eq!(pc.sim.machine().clock_offset_ms, 12);
}

#[tokio::test]
async fn a_host_pulls_the_clock_back_until_nobody_listens() {
    let lab = lab(&[Scenario::TimeSkew]).await;
    let pc = &lab.pcs()[0];
    pc.sim.machine().time.host_offset_ms = Some(AHEAD);
    let asked = answers(pc, &["set-clock", "verify", "ignore-host-time", "verify"]).await;
    assert_eq!(asked[1]["first"]["ldap_seconds"], json!(0));
    assert_eq!(asked[1]["second"]["ldap_seconds"], json!(2460));
    assert_eq!(asked[2]["host_provider_off"], json!(true));
    assert_eq!(asked[3]["second"]["ldap_seconds"], json!(0));
}
