//! The example in `docs/playbooks/writing.md` is a playbook that loads and decides.

use std::fs;
use std::path::Path;

use fleetmend_model::Facts;
use fleetmend_playbooks::{Decision, Playbook, Situation, VerifyVerdict};
use serde_json::{Map, Value, json};

const TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["service"], "properties": {"service": {"type": "string"}}}"#;
const GIVES: &str = r#"{"type": "object", "additionalProperties": false, "properties": {
    "status": {"type": ["integer", "null"]}, "start_type": {"type": "integer"},
    "jobs": {"type": "integer"}}}"#;

#[test]
fn the_documented_playbook_works() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/playbooks/writing.md");
    let page = fs::read_to_string(page).unwrap();
    let yaml = page
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("mend-spooler");
    fs::create_dir(&scripts).unwrap();
    for name in ["diagnose", "restart"] {
        fs::write(scripts.join(format!("{name}.ps1")), "param($Params)\n").unwrap();
        fs::write(scripts.join(format!("{name}.takes.json")), TAKES).unwrap();
        fs::write(scripts.join(format!("{name}.gives.json")), GIVES).unwrap();
    }
    let path = folder.path().join("mend-spooler.yaml");
    fs::write(&path, yaml).unwrap();
    let playbook = Playbook::load_file(&path).unwrap_or_else(|error| panic!("{error}"));

    let params = playbook
        .resolve_params(&Map::new(), &Default::default())
        .unwrap();
    let situation = Situation {
        params,
        ..Situation::default()
    };
    let facts = |value: Value| Facts(value.as_object().unwrap().clone());
    let hung = facts(json!({"status": 4, "start_type": 2, "jobs": 900}));
    let with = playbook.diagnose.params(&hung, &situation).unwrap();
    assert_eq!(Value::Object(with), json!({"service": "Spooler"}));
    assert!(matches!(
        playbook.decide(&hung, &situation).unwrap(),
        Decision::Try { rung, .. } if rung == "restart"
    ));
    let well = facts(json!({"status": 4, "start_type": 2, "jobs": 0}));
    assert_eq!(
        playbook.decide(&well, &situation).unwrap(),
        Decision::Healthy
    );
    assert_eq!(
        playbook
            .verified(&json!({"status": 1}), &hung, &situation)
            .unwrap(),
        VerifyVerdict::NotProven {
            reason: "The service has status 1".to_owned(),
            again: true,
        }
    );
}
