//! What the scripts of machine-password-age do, and that every answer fits its schema.

use std::path::Path;

use fleetmend_lab::{Lab, LabOptions, Mix, PcPlan, Scenario};
use fleetmend_transport::Script;
use serde_json::{Value, json};

use crate::common::{Channel, text_of};

const SCRIPTS: [&str; 3] = [
    "machine-password-age/diagnose.ps1",
    "machine-password-age/set-rotation.ps1",
    "machine-password-age/verify.ps1",
];

fn params(name: &str) -> Value {
    if name.ends_with("set-rotation.ps1") {
        json!({ "maximum_age_days": 60, "disable_changes": false })
    } else {
        json!({})
    }
}

fn check(name: &str, kind: &str, value: &Value) {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/library");
    let path = library.join(name.replace(".ps1", &format!(".{kind}.json")));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = schema.validate(value) {
        panic!("{name} {kind}: {error} in {value:#}");
    }
}

#[tokio::test]
async fn the_settings_are_written_by_an_administrator_only() {
    let scripts = SCRIPTS.map(|name| Script {
        name: name.into(),
        text: text_of(name),
    });
    let plan = Scenario::ALL.into_iter().map(PcPlan::new).collect();
    let lab = Lab::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts.to_vec())
    })
    .await
    .unwrap();
    for pc in lab.pcs() {
        for elevated in [false, true] {
            pc.sim.machine().remote_admins = elevated;
            let mut channel = Channel::open(&pc.sim, "fleetadmin");
            let mut answers = Vec::new();
            for name in SCRIPTS {
                let params = params(name);
                let answer = channel.answer(name, &params).await;
                check(name, "takes", &params);
                check(name, "gives", &answer);
                answers.push(answer);
            }
            let wanted = if elevated { json!(60) } else { Value::Null };
            assert_eq!(answers[0]["rotation"]["maximum_age_days"], Value::Null);
            assert_eq!(answers[1]["set"], json!(elevated));
            assert_eq!(answers[2]["rotation"]["maximum_age_days"], wanted);
            if elevated && pc.scenario == Scenario::Healthy {
                assert_eq!(answers[0]["password_age_days"], json!(12.0));
            }
        }
    }
    assert_eq!(lab.shutdown().await, 0);
}
