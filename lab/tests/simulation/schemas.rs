//! Every answer of the simulated scripts, in every state of PC and domain, fits the schema that
//! stands beside the script; and so do the parameters that the tests give them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{Channel, SCRIPTS, scripts, text_of};
use fleetmend_lab::machine::RepairFault;
use fleetmend_lab::{Lab, LabOptions, Mix, PcPlan, Scenario};
use fleetmend_transport::Script;
use jsonschema::Validator;
use serde_json::{Value, json};

struct Schemas(BTreeMap<String, (Validator, Validator)>);

impl Schemas {
    fn load() -> Self {
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/library");
        let read = |name: &str, kind: &str| {
            let path = library.join(name.replace(".ps1", &format!(".{kind}.json")));
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
        };
        let load = |name: &str| (name.to_owned(), (read(name, "takes"), read(name, "gives")));
        Self(SCRIPTS.map(load).into_iter().collect())
    }

    fn check(&self, name: &str, params: &Value, answer: &Value, state: &str) {
        let (takes, gives) = &self.0[name];
        if let Err(error) = takes.validate(params) {
            panic!(
                "{name} in {state} takes {params}: {error} at {}",
                error.instance_path()
            );
        }
        if let Err(error) = gives.validate(answer) {
            panic!(
                "{name} in {state} gives {answer:#}: {error} at {}",
                error.instance_path()
            );
        }
    }
}

/// Parameters as the playbook passes them.
fn params(name: &str, dc: &Value, password: &str) -> Value {
    let domain = "corp.example.jp";
    match name {
        "trust-repair/diagnose.ps1" => {
            json!({ "domain_controller": dc, "event_hours": 72, "tcp_timeout_ms": 3000 })
        }
        "trust-repair/netlogon-rediscover.ps1" | "trust-repair/sc-reset.ps1" => {
            json!({ "domain": domain, "domain_controller": dc })
        }
        "trust-repair/secure-channel-repair.ps1" => json!({
            "domain": domain,
            "domain_controller": dc.as_str().unwrap_or("dc01.corp.example.jp"),
            "domain_credential": { "user": r"CORP\trust-repair", "password": password },
        }),
        "trust-repair/rotate-machine-password.ps1" => json!({
            "domain": domain,
            "domain_controller": dc.as_str().unwrap_or("dc01.corp.example.jp"),
        }),
        "trust-repair/store-machine-password.ps1" => json!({
            "domain": domain,
            "domain_controller": dc.as_str().unwrap_or("dc01.corp.example.jp"),
            "machine_password": "aB3dE5",
        }),
        "trust-repair/ksetup-machine-password.ps1" => json!({
            "domain_controller": dc.as_str().unwrap_or("dc01.corp.example.jp"),
            "machine_password": "aB3dE5",
        }),
        _ => json!({ "domain": domain, "domain_controller": dc, "after_record_id": null }),
    }
}

#[tokio::test]
async fn every_answer_in_every_state_fits_its_schema() {
    let schemas = Schemas::load();
    let mut plan: Vec<PcPlan> = Vec::new();
    for scenario in Scenario::ALL {
        plan.push(PcPlan::new(scenario));
        plan.push(PcPlan::new(scenario).japanese());
    }
    let options = LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    };
    let lab = Lab::start(options).await.unwrap();
    let user = "fleetadmin";
    let right = lab.domain_credential().password.reveal().to_owned();
    let controllers = [
        Value::Null,
        json!("dc02.corp.example.jp"),
        json!("nowhere.corp.example.jp"),
    ];
    let mut checked = 0;
    for pc in lab.pcs() {
        if pc.scenario == Scenario::StoreCutShort {
            // One that dies answers nothing.
            pc.sim.machine().repair_fault = RepairFault::None;
        }
        for elevated in [true, false] {
            pc.sim.machine().remote_admins = elevated;
            for dc in &controllers {
                for password in ["wrong", right.as_str()] {
                    // The lockout has its own test; here each state is to be reached.
                    lab.shared()
                        .domain()
                        .user_mut("trust-repair")
                        .unwrap()
                        .bad_passwords = 0;
                    let mut channel = Channel::open(&pc.sim, user);
                    for name in SCRIPTS {
                        let params = params(name, dc, password);
                        let answer = channel.answer(name, &params).await;
                        let state = format!("{:?} elevated={elevated} dc={dc}", pc.scenario);
                        schemas.check(name, &params, &answer, &state);
                        checked += 1;
                    }
                    assert_eq!(channel.end().await, 0);
                }
            }
        }
    }
    assert_eq!(checked, Scenario::ALL.len() * 2 * 2 * 3 * 2 * SCRIPTS.len());
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn every_shipped_script_is_simulated() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/library");
    let mut shipped = Vec::new();
    for playbook in std::fs::read_dir(&library)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        // `include` is of no playbook: what their scripts share.
        if !playbook.is_dir() || playbook.ends_with("include") {
            continue;
        }
        let folder = playbook.file_name().unwrap().to_str().unwrap().to_owned();
        for file in std::fs::read_dir(&playbook)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let name = file.file_name().unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".ps1") {
                shipped.push(format!("{folder}/{name}"));
            }
        }
    }
    let missing = SCRIPTS
        .iter()
        .find(|name| !shipped.iter().any(|other| other == *name));
    assert_eq!(missing, None, "is no longer shipped");
    let scripts = shipped.iter().map(|name| Script {
        name: name.clone(),
        text: text_of(name),
    });
    let options = LabOptions {
        mix: Mix::Plan(vec![PcPlan::new(Scenario::Healthy)]),
        ..LabOptions::new(0, scripts.collect())
    };
    let lab = Lab::start(options).await.unwrap();
    for name in &shipped {
        let mut channel = Channel::open(&lab.pcs()[0].sim, "fleetadmin");
        let reply = channel.step(&text_of(name), &json!({})).await;
        assert_eq!(lab.counts().unknown_scripts, 0, "{name}: {reply}");
    }
    assert_eq!(lab.shutdown().await, 0);
}
