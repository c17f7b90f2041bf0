//! The examples in `docs/playbooks/writing.md` are playbooks that load and decide.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

use fleetmend_model::{DirectoryAction, Facts};
use fleetmend_playbooks::{
    Builtin, Decision, Playbook, PreflightEnd, SecretFrom, Situation, VerifyVerdict, action_file,
};
use serde_json::{Map, Value, json};

/// Returns one of the page's examples, counted from 1.
fn example(number: usize) -> String {
    block("```yaml\n", number)
}

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/playbooks/writing.md");
    fs::read_to_string(page).unwrap()
}

fn block(start: &str, number: usize) -> String {
    let page = page();
    let text = page.split(start).nth(number).unwrap();
    text.split("```").next().unwrap().to_owned()
}

/// Returns a file that the page shows under its name.
fn shown(file: &str) -> String {
    let kind = if file.ends_with(".ps1") {
        "powershell"
    } else {
        "json"
    };
    let page = page();
    let (_, text) = page.split_once(&format!("`mend-spooler/{file}`")).unwrap();
    let (between, text) = text.split_once(&format!("```{kind}\n")).unwrap();
    assert!(between.len() < 60, "{file} is not shown: {between}");
    text.split("```").next().unwrap().to_owned()
}

/// Names of the actions in the page's table, with the fields that each takes and its need.
#[test]
fn the_table_of_actions_is_whole() {
    let page = page();
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
        for (ending, file) in [
            ("ps1", format!("{name}.ps1")),
            ("takes.json", "diagnose.takes.json".to_owned()),
            ("gives.json", format!("{name}.gives.json")),
        ] {
            let text = shown(&file);
            fs::write(scripts.join(format!("{name}.{ending}")), text).unwrap();
        }
    }
    // What the page says to fetch.
    fleetmend_playbooks::export("trust-repair", folder.path()).unwrap();
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
    for script in playbook.scripts() {
        assert!(
            script.text.contains("function Invoke-Probe"),
            "{}",
            script.name
        );
    }
    let facts = |mut value: Value| {
        value["errors"] = json!([]);
        playbook.check_facts(&value).unwrap();
        Facts(value.as_object().unwrap().clone())
    };
    let hung = facts(json!({"status": 4, "start_type": 2, "jobs": 900}));
    let with = playbook
        .step_params(&playbook.diagnose, &hung, &situation)
        .unwrap();
    assert_eq!(Value::Object(with), json!({"service": "Spooler"}));
    assert!(matches!(
        playbook.decide(&hung, &situation).unwrap(),
        Decision::Try { rung, .. } if rung == "restart"
    ));
    // Whatever a probe could not tell, there is a decision.
    let stopped = facts(json!({"status": 1, "start_type": null, "jobs": null}));
    assert!(matches!(
        playbook.decide(&stopped, &situation).unwrap(),
        Decision::Try { rung, .. } if rung == "restart"
    ));
    for facts in [
        json!({"status": 4, "start_type": 2, "jobs": null}),
        json!({"status": null, "start_type": null, "jobs": null}),
    ] {
        let decided = playbook.decide(&Facts(facts.as_object().unwrap().clone()), &situation);
        assert!(matches!(decided.unwrap(), Decision::Stop { .. }));
    }
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

const NOTHING: &str = r#"{"type": "object", "additionalProperties": false}"#;

/// The scripts of the whole example: name, what each takes, what each gives.
const SCANNER: &[(&str, &str, &str)] = &[
    (
        "diagnose",
        NOTHING,
        r#"{"problem": {"type": ["integer", "null"]}, "model": {"type": ["string", "null"]},
            "site": {"type": ["string", "null"]}}"#,
    ),
    (
        "safety",
        NOTHING,
        r#"{"users": {"type": "integer"}, "pending": {"type": "boolean"}}"#,
    ),
    (
        "ensure-admin",
        r#"{"type": "object", "additionalProperties": false, "required": ["account"],
            "properties": {"account": {"type": "object"}}}"#,
        r#"{"usable": {"type": "boolean"}}"#,
    ),
    (
        "issue-licence",
        r#"{"type": "object", "additionalProperties": false, "required": ["computer", "model", "admin"],
            "properties": {"computer": {"type": "string"}, "model": {"type": "string"}, "admin": {"type": "object"}}}"#,
        r#"{"issued": {"type": "boolean"}, "made": {"type": ["string", "null"]}}"#,
    ),
    (
        "install",
        r#"{"type": "object", "additionalProperties": false, "required": ["licence"],
            "properties": {"licence": {"type": "string"}}}"#,
        r#"{"installed": {"type": "boolean"}}"#,
    ),
    (
        "calibrate",
        NOTHING,
        r#"{"calibrated": {"type": "boolean"}}"#,
    ),
];

fn scanner() -> Playbook {
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("mend-scanner");
    fs::create_dir(&scripts).unwrap();
    for (name, takes, fields) in SCANNER {
        let fields: Value = serde_json::from_str(fields).unwrap();
        let required: Vec<_> = fields.as_object().unwrap().keys().collect();
        let gives = json!({"type": "object", "additionalProperties": false,
            "required": required, "properties": fields});
        fs::write(scripts.join(format!("{name}.ps1")), "param($Params)\n").unwrap();
        fs::write(scripts.join(format!("{name}.takes.json")), takes).unwrap();
        fs::write(
            scripts.join(format!("{name}.gives.json")),
            gives.to_string(),
        )
        .unwrap();
    }
    let path = folder.path().join("mend-scanner.yaml");
    fs::write(&path, example(3)).unwrap();
    Playbook::load_file(&path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_whole_example_is_decided_as_the_page_tells() {
    let playbook = scanner();
    let facts = |problem: Value, model: Value| {
        let facts = json!({"problem": problem, "model": model, "site": "Tokyo"});
        playbook.check_facts(&facts).unwrap();
        Facts(facts.as_object().unwrap().clone())
    };
    let broken = facts(json!(28), json!("S-100"));
    let word = |situation: &Situation| match playbook.decide(&broken, situation).unwrap() {
        Decision::Preflight { rung, .. } => format!("preflight {rung}"),
        Decision::Try { rung, .. } => format!("try {rung}"),
        Decision::Blocked { guard, .. } => guard,
        other => panic!("{other:?}"),
    };
    let set = json!({"licence_host": "lic-01", "licence_admin": "licences"});
    let mut situation = Situation {
        params: playbook
            .resolve_params(set.as_object().unwrap(), &Default::default())
            .unwrap(),
        ..Situation::default()
    };
    assert_eq!(word(&situation), "needs-reboot");
    situation.max_reboots = 1;
    assert_eq!(word(&situation), "needs-credential");
    situation.credentials.insert("licence_admin".to_owned());
    assert_eq!(word(&situation), "preflight reinstall");

    let account = |local: bool| {
        json!({"name": "admin", "sid": "S-1-5-21-1-2-3-1001", "local": local,
            "administrator": true, "elevated": true, "enabled": true,
            "built_in_administrator": false, "computer_name": "PC-042",
            "address": "10.0.0.42", "transport": "winrm"})
    };
    let look = |situation: &Situation, users: u64, pending: bool, local: bool| {
        let answers =
            json!({"safety": {"users": users, "pending": pending}, "account": account(local)});
        let mut situation = situation.clone();
        let end = PreflightEnd::Answered(answers.as_object().unwrap().clone());
        situation.preflights.insert("reinstall".to_owned(), end);
        situation
    };
    let empty = look(&situation, 0, false, true);
    assert_eq!(word(&empty), "try reinstall");
    let mut busy = look(&situation, 2, false, true);
    assert_eq!(word(&busy), "nobody-logged-on");
    busy.params.insert("even_if_logged_on".into(), json!(true));
    assert_eq!(word(&busy), "try reinstall");
    assert_eq!(word(&look(&situation, 0, true, true)), "no-pending-restart");
    assert_eq!(word(&look(&situation, 0, false, false)), "way-back");
    let mut rescued = look(&situation, 0, false, false);
    rescued
        .params
        .insert("rescue_admin".into(), json!("rescue"));
    rescued.credentials.insert("rescue_admin".to_owned());
    assert_eq!(word(&rescued), "needs-credential-on-pc");
    rescued
        .credentials_for_pcs
        .insert("rescue_admin".to_owned());
    assert_eq!(word(&rescued), "try reinstall");
    let missing = playbook
        .decide(&facts(json!(null), json!(null)), &situation)
        .unwrap();
    assert!(matches!(missing, Decision::Stop { .. }));
    assert_eq!(playbook.lanes(&broken, &situation).unwrap(), ["0:tokyo"]);
}

/// Along its steps everything that is named is there, and a step behind one that did nothing is
/// left out.
#[test]
fn the_steps_of_the_whole_example_follow_one_another() {
    let playbook = scanner();
    let [rung] = playbook.ladder.as_slice() else {
        panic!("one rung")
    };
    assert_eq!(rung.reboots(), 1);
    let facts = json!({"problem": 28, "model": "S-100", "site": null});
    let facts = Facts(facts.as_object().unwrap().clone());
    let run = |issued: bool, rescue: bool| {
        let mut set = json!({"licence_host": "lic-01", "licence_admin": "licences"});
        if rescue {
            set["rescue_admin"] = json!("rescue");
        }
        let answers = json!({"safety": {"users": 2, "pending": false},
            "account": {"local": !rescue, "administrator": true, "name": "admin"}});
        let end = PreflightEnd::Answered(answers.as_object().unwrap().clone());
        let mut situation = Situation {
            params: playbook
                .resolve_params(set.as_object().unwrap(), &Default::default())
                .unwrap(),
            host: json!({"name": "pc-042"}).as_object().unwrap().clone(),
            preflights: [("reinstall".to_owned(), end)].into(),
            tried: ["reinstall".to_owned()].into(),
            ..Situation::default()
        };
        let mut ran = Vec::new();
        for step in &rung.steps {
            let mut answer = Value::Null;
            if playbook.step_wanted(step, &facts, &situation).unwrap() {
                let mut params = playbook.step_params(step, &facts, &situation).unwrap();
                for (name, from) in &step.secrets {
                    let secret = match from {
                        SecretFrom::Credential(_) => json!({"user": "u", "password": "p"}),
                        SecretFrom::Made(_) => json!("x"),
                    };
                    params.insert(name.clone(), secret);
                }
                let params = Value::Object(params);
                step.script.check_params(&params).unwrap();
                if step.name == "restart" {
                    assert_eq!(params["grace_minutes"], json!(5));
                }
                ran.push(step.name.as_str());
                answer = match step.name.as_str() {
                    "rescue" => json!({"usable": true}),
                    "rescue_logon" => json!({"elevated": true}),
                    "issue" => json!({"issued": issued, "made": null}),
                    "install" => json!({"installed": true}),
                    "restart" => json!({"ready": true}),
                    _ => json!({}),
                };
                let host = playbook.elsewhere(step, &facts, &situation).unwrap();
                assert_eq!(host.as_deref(), (step.name == "issue").then_some("lic-01"));
            }
            situation.answers.insert(step.name.clone(), answer);
        }
        let ran: Vec<String> = ran.into_iter().map(str::to_owned).collect();
        let verdict = |problem: i64| {
            let evidence = json!({"problem": problem, "model": null, "site": null});
            playbook.verified(&evidence, &facts, &situation).unwrap()
        };
        (ran, verdict(0), verdict(14))
    };
    let (ran, well, pending) = run(true, false);
    assert_eq!(ran, ["issue", "install", "restart", "calibrate"]);
    assert_eq!(well, VerifyVerdict::Proven);
    assert!(
        matches!(pending, VerifyVerdict::NotProven { .. }),
        "it was restarted"
    );
    let (ran, _, pending) = run(false, false);
    assert_eq!(ran, ["issue"]);
    assert_eq!(pending, VerifyVerdict::RebootPending);
    let (ran, ..) = run(true, true);
    let all: Vec<_> = rung.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(ran, all);
}

/// What the page says that the engine's own steps answer and take is what their schemas say.
#[test]
fn the_page_names_what_restarts_and_logons_answer() {
    let page = page();
    let section = |title: &str| {
        let (_, text) = page.split_once(&format!("\n## {title}\n")).unwrap();
        text.split("\n## ").next().unwrap().to_owned()
    };
    for (builtin, title) in [
        (Builtin::Reboot, "Restarts"),
        (Builtin::Logon, "Logging on anew"),
    ] {
        let file = builtin.file().unwrap();
        let text = section(title);
        for schema in [&file.takes, &file.gives] {
            for name in schema["properties"].as_object().unwrap().keys() {
                assert!(text.contains(&format!("`{name}`")), "{title}: {name}");
            }
        }
    }
    let before = &Builtin::Reboot.file().unwrap().gives["properties"]["before"];
    for name in before["properties"].as_object().unwrap().keys() {
        assert!(section("Restarts").contains(&format!("`{name}`")), "{name}");
    }
}
