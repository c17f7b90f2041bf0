//! The scripts of network-power-saving on a simulated PC: their answers fit the schemas, and nobody
//! who is not elevated changes anything.

use std::path::Path;

use fleetmend_lab::machine::Adapter;
use fleetmend_lab::{Lab, LabOptions, Mix, PcPlan, Scenario};
use fleetmend_transport::Script;
use serde_json::{Value, json};

use crate::common::{Channel, text_of};

const DIAGNOSE: &str = "network-power-saving/diagnose.ps1";
const KEEP_ON: &str = "network-power-saving/keep-on.ps1";
const NO_SLEEP: &str = "network-power-saving/no-sleep.ps1";

async fn lab(scenario: Scenario) -> Lab {
    let scripts = [DIAGNOSE, KEEP_ON, NO_SLEEP].map(|name| Script {
        name: name.into(),
        text: text_of(name),
    });
    let options = LabOptions {
        mix: Mix::Plan(vec![PcPlan::new(scenario)]),
        ..LabOptions::new(0, scripts.to_vec())
    };
    let lab = Lab::start(options).await.unwrap();
    let mut adapter = Adapter::new(7);
    adapter.allowed = 2;
    adapter.capabilities = None;
    lab.pcs()[0].sim.machine().adapters.push(adapter);
    lab
}

fn fits(name: &str, kind: &str, value: &Value) {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/library");
    let path = library.join(name.replace(".ps1", &format!(".{kind}.json")));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = schema.validate(value) {
        panic!("{name} {kind} {value:#}: {error}");
    }
}

async fn ask(lab: &Lab, name: &str, params: Value) -> Value {
    let mut channel = Channel::open(&lab.pcs()[0].sim, "fleetadmin");
    fits(name, "takes", &params);
    let answer = channel.answer(name, &params).await;
    fits(name, "gives", &answer);
    answer
}

#[tokio::test]
async fn an_adapter_is_told_and_the_start_takes_it_up() {
    let lab = lab(Scenario::Healthy).await;
    let facts = ask(&lab, DIAGNOSE, json!({})).await;
    assert_eq!(facts["adapters"][0]["may_power_off"], false);
    let guilty = facts["adapters"][1].clone();
    assert_eq!(guilty["may_power_off"], true);
    assert_eq!(guilty["stored_off"], false);

    let wanted = json!({ "adapters": [guilty["guid"]] });
    let done = ask(&lab, KEEP_ON, wanted.clone()).await;
    assert_eq!(done["adapters"][0]["stored"], true);
    assert_eq!(done["adapters"][0]["told"], false);
    let facts = ask(&lab, DIAGNOSE, json!({})).await;
    assert_eq!(facts["adapters"][1]["may_power_off"], true);
    assert_eq!(facts["adapters"][1]["stored_off"], true);

    let booted = lab.pcs()[0].sim.machine().booted;
    lab.pcs()[0].sim.machine().restart(booted);
    let facts = ask(&lab, DIAGNOSE, json!({})).await;
    assert_eq!(facts["adapters"][1]["may_power_off"], false);
    // Once more does the same.
    ask(&lab, KEEP_ON, wanted).await;
    assert_eq!(
        lab.pcs()[0].sim.machine().adapters[1].capabilities,
        Some(24)
    );
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn an_adapter_that_is_not_there_is_told_as_such() {
    let lab = lab(Scenario::Healthy).await;
    let unknown = "{00000000-0000-0000-0000-000000000000}";
    let done = ask(&lab, KEEP_ON, json!({ "adapters": [unknown] })).await;
    assert_eq!(done["adapters"][0]["stored"], false);
    assert_eq!(done["probe_errors"][0]["code"], 2);
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn a_filtered_token_changes_nothing() {
    let lab = lab(Scenario::NotElevated).await;
    let before = lab.pcs()[0].sim.machine().adapters.clone();
    let guid = before[1].guid.clone();
    let done = ask(&lab, KEEP_ON, json!({ "adapters": [guid] })).await;
    assert_eq!(done["probe_errors"][0]["code"], 5);
    assert_eq!(ask(&lab, NO_SLEEP, json!({})).await["standby_exit_code"], 1);
    assert_eq!(lab.pcs()[0].sim.machine().adapters, before);
    assert_eq!(lab.pcs()[0].sim.machine().sleeps_after, 1800);
    assert_eq!(lab.shutdown().await, 0);
}
