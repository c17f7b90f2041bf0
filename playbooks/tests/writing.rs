//! The examples in `docs/playbooks/writing.md` are playbooks that load and decide.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use fleetmend_model::{DirectoryAction, Facts};
use fleetmend_playbooks::{Decision, Playbook, Situation, VerifyVerdict, action_file};
use serde_json::{Map, Value, json};

const TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["service"], "properties": {"service": {"type": "string"}}}"#;
const GIVES: &str = r#"{"type": "object", "additionalProperties": false, "properties": {
    "status": {"type": ["integer", "null"]}, "start_type": {"type": "integer"},
    "jobs": {"type": "integer"}}}"#;

/// Returns one of the page's examples, counted from 1.
fn example(number: usize) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/playbooks/writing.md");
    let page = fs::read_to_string(page).unwrap();
    let yaml = page.split("```yaml\n").nth(number).unwrap();
    yaml.split("```").next().unwrap().to_owned()
}

/// Names of the actions in the page's table, with the fields that each takes and its need.
#[test]
fn the_table_of_actions_is_whole() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/playbooks/writing.md");
    let page = fs::read_to_string(page).unwrap();
    for action in DirectoryAction::ALL {
        let start = format!("| `{action}` |");
        let row = page.lines().find(|line| line.starts_with(&start));
        let cells: Vec<_> = row.unwrap().split('|').map(str::trim).collect();
        let file = action_file(action).unwrap();
        let takes: Vec<_> = file.takes["required"].as_array().unwrap().iter().collect();
        let told: Vec<_> = cells[2]
            .split(", ")
            .map(|name| name.trim_matches('`'))
            .collect();
        assert_eq!(told, takes, "{action}");
        assert_eq!(cells[4] == "–", !action.makes_secret(), "{action}");
        let gives = file.gives["properties"].as_object().unwrap();
        for word in cells[3].split('`').skip(1).step_by(2) {
            assert!(gives.contains_key(word), "{action} gives no {word}");
        }
    }
}

const STORE_TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "required": ["domain_controller", "password"],
    "properties": {"domain_controller": {"type": "string"}, "password": {"type": "string"}}}"#;
const ROTATE_TAKES: &str = r#"{"type": "object", "additionalProperties": false,
    "properties": {"domain_controller": {"type": "string"}}}"#;
const STORE_GIVES: &str = r#"{"type": "object", "additionalProperties": false,
    "properties": {"stored": {"type": "boolean"}}}"#;
const STATUS: &str = r#"{"type": "object", "additionalProperties": false, "properties": {
    "status": {"type": "integer"}, "name": {"type": ["string", "null"]}}}"#;

#[test]
fn the_documented_rung_works() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("mend-trust");
    fs::create_dir(&scripts).unwrap();
    for (name, takes, gives) in [
        ("diagnose", r#"{"type": "object"}"#, STATUS),
        ("store", STORE_TAKES, STORE_GIVES),
        ("rotate", ROTATE_TAKES, STORE_GIVES),
    ] {
        fs::write(scripts.join(format!("{name}.ps1")), "param($Params)\n").unwrap();
        fs::write(scripts.join(format!("{name}.takes.json")), takes).unwrap();
        fs::write(scripts.join(format!("{name}.gives.json")), gives).unwrap();
    }
    let rest = "name: mend-trust\nsummary: Mend the trust\ncauses:\n\
        - {id: healthy, kind: healthy, when: facts.status == 0, reason: It holds}\n\
        - {id: trust-broken, kind: fault, when: \"true\", reason: It does not}\n";
    let path = folder.path().join("mend-trust.yaml");
    fs::write(&path, format!("{rest}{}", example(2))).unwrap();
    let playbook = Playbook::load_file(&path).unwrap_or_else(|error| panic!("{error}"));

    let known_as = |name: &str| json!({"names": [name]}).as_object().unwrap().clone();
    let mut situation = Situation {
        host: known_as("pc-007"),
        directory: true,
        ..Situation::default()
    };
    let mut facts = json!({"status": 1789, "name": "PC-042"});
    let whole = |facts: &Value| Facts(facts.as_object().unwrap().clone());
    assert!(playbook.consult_wanted(&whole(&facts), &situation).unwrap());
    assert!(matches!(
        playbook.decide(&whole(&facts), &situation).unwrap(),
        Decision::Stop { .. }
    ));
    facts["directory"] = json!({"found": true, "dc": "dc01", "sid": "S-1-5-21-1-2-3-1104"});
    let facts = whole(&facts);
    assert!(matches!(
        playbook.decide(&facts, &situation).unwrap(),
        Decision::Blocked { guard, .. } if guard == "own-name"
    ));
    situation.host = known_as("pc-042");
    assert!(matches!(
        playbook.decide(&facts, &situation).unwrap(),
        Decision::Try { rung, .. } if rung == "reset"
    ));
    let [reset, store, rotate] = playbook.ladder[0].steps.as_slice() else {
        panic!("three steps")
    };
    let params = playbook.step_params(reset, &facts, &situation).unwrap();
    reset.script.check_params(&Value::Object(params)).unwrap();
    let answer = json!({"dc": "dc01"});
    situation.answers.insert("reset_account".into(), answer);
    let mut params = playbook.step_params(store, &facts, &situation).unwrap();
    params.insert("password".into(), json!("x"));
    store.script.check_params(&Value::Object(params)).unwrap();
    for stored in [true, false] {
        situation
            .answers
            .insert("store".into(), json!({"stored": stored}));
        assert_eq!(
            playbook.step_wanted(rotate, &facts, &situation).unwrap(),
            stored
        );
    }
    let evidence = json!({"status": 0, "name": "PC-042"});
    let params = playbook
        .verify_consult_params(&evidence, &facts, &situation)
        .unwrap();
    assert_eq!(params["domain_controller"], json!("dc01"));
    assert_eq!(
        playbook.verified(&evidence, &facts, &situation).unwrap(),
        VerifyVerdict::Proven
    );
}

#[test]
fn the_documented_playbook_works() {
    let yaml = example(1);
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
    let with = playbook
        .step_params(&playbook.diagnose, &hung, &situation)
        .unwrap();
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
