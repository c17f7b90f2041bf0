//! What the scripts of update-rollback and update-health answer fits their schemas, in every state.

use std::path::Path;

use fleetmend_lab::machine::{Battery, Machine, WriteFilter};
use fleetmend_lab::servicing::{Package, Removal};
use fleetmend_lab::{Lab, LabOptions, Mix, PcPlan, Scenario};
use fleetmend_transport::Script;
use serde_json::{Value, json};

use crate::common::{Channel, text_of};

const SCRIPTS: [&str; 11] = [
    "update-health/diagnose.ps1",
    "update-health/enable-services.ps1",
    "update-health/reset-components.ps1",
    "update-health/restore-health.ps1",
    "update-health/system-files.ps1",
    "update-health/verify.ps1",
    "update-rollback/diagnose.ps1",
    "update-rollback/safety.ps1",
    "update-rollback/suspend-bitlocker.ps1",
    "update-rollback/pause-updates.ps1",
    "update-rollback/remove.ps1",
];

fn params(name: &str) -> Value {
    let package = Package::cumulative("KB5062553", 4652).name;
    match name {
        "update-health/diagnose.ps1" => json!({ "days": 30 }),
        "update-health/restore-health.ps1" => json!({ "source": null }),
        "update-health/verify.ps1" => json!({ "search": true }),
        "update-rollback/diagnose.ps1" => json!({ "kb": "KB5062553", "build": null }),
        "update-rollback/suspend-bitlocker.ps1" => json!({ "reboots": 1 }),
        "update-rollback/pause-updates.ps1" => json!({ "days": 35 }),
        "update-rollback/remove.ps1" => json!({ "items": [package], "wusa": false }),
        _ => json!({}),
    }
}

fn check(name: &str, kind: &str, value: &Value) {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/library");
    let path = library.join(name.replace(".ps1", &format!(".{kind}.json")));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = validator.validate(value) {
        panic!(
            "{name} {kind} {value:#}: {error} at {}",
            error.instance_path()
        );
    }
}

const STATES: [fn(&mut Machine); 6] = [
    |_| {},
    |pc| pc.servicing.removal = Removal::Refused(-2_146_498_523),
    |pc| pc.servicing.removal = Removal::AtOnce,
    |pc| {
        pc.servicing.store_health = 1;
        pc.servicing.restore_code = -2_146_498_529;
        pc.servicing.failures = vec![-2_145_124_329];
    },
    |pc| {
        pc.write_filter = Some(WriteFilter {
            product: "uwf".to_owned(),
            active: true,
        });
        pc.battery = Some(Battery {
            percent: 20,
            on_mains: false,
        });
    },
    |pc| pc.remote_admins = false,
];

#[tokio::test]
async fn every_answer_fits_its_schema() {
    let scripts = SCRIPTS.map(|name| Script {
        name: name.into(),
        text: text_of(name),
    });
    let options = LabOptions {
        mix: Mix::Plan(vec![PcPlan::new(Scenario::Healthy); STATES.len()]),
        ..LabOptions::new(0, scripts.to_vec())
    };
    let lab = Lab::start(options).await.unwrap();
    for (pc, state) in lab.pcs().iter().zip(STATES) {
        pc.sim.machine().servicing.packages = vec![Package::cumulative("KB5062553", 4652)];
        state(&mut pc.sim.machine());
        let mut channel = Channel::open(&pc.sim, "fleetadmin");
        for name in SCRIPTS {
            let params = params(name);
            check(name, "takes", &params);
            check(name, "gives", &channel.answer(name, &params).await);
        }
        let elevated = pc.sim.machine().remote_admins;
        let servicing = pc.sim.machine().servicing.clone();
        assert_eq!(servicing.paused_until.is_some(), elevated);
        assert_eq!(servicing.tasks, if elevated { 3 } else { 0 });
    }
    assert_eq!(lab.shutdown().await, 0);
}
