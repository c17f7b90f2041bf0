//! What the Linux playbook decides where facts are missing or numbers are of no known kind.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fleetmend_model::Facts;
use fleetmend_playbooks::{Decision, Playbook, Situation};
use fleetmend_yaml::{Document, Limits};
use serde_json::{Map, Value, json};

fn read(name: &str) -> Value {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let text = std::fs::read_to_string(cases.join(name)).unwrap();
    let document = Document::parse(&text, &Limits::default()).unwrap();
    document.root.to_json()
}

/// Everything is set and allowed.
fn situation(playbook: &Playbook) -> Situation {
    let credentials = || ["domain_credential".to_owned()].into();
    Situation {
        host: json!({"names": ["pc-001"]}).as_object().unwrap().clone(),
        params: playbook
            .resolve_params(&Map::new(), &BTreeMap::new())
            .unwrap(),
        credentials: credentials(),
        credentials_for_pcs: credentials(),
        directory: true,
        offline_join: true,
        ..Situation::default()
    }
}

/// A healthy winbind member, one whose password is wrong, and the same of adcli.
fn members() -> Vec<(bool, Value)> {
    let mut healthy = read("trust-repair-linux/base-facts.yaml");
    healthy["directory"] = Value::Null;
    let mut broken = healthy.clone();
    broken["trust"]["winbind"] = json!({"exit_code": 1, "status": 3_221_225_506_i64});
    broken["trust"]["rpc"] = json!({"exit_code": 255, "status": 3_221_225_506_i64});
    broken["trust"]["ads"]["exit_code"] = json!(255);
    broken["directory"] = read("base-directory.yaml");
    let mut adcli = broken.clone();
    adcli["joined_by"] = json!("adcli");
    adcli["os"]["adcli"] = json!(true);
    for test in ["winbind", "rpc", "ads"] {
        adcli["trust"][test] = json!({"exit_code": null, "status": null});
    }
    adcli["trust"]["adcli"] = json!({"exit_code": 3, "krb_error": 24});
    vec![(true, healthy), (false, broken), (false, adcli)]
}

fn leaves(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| leaves(value, &format!("{at}/{key}")))
            .collect(),
        _ => vec![at.to_owned()],
    }
}

fn decide(playbook: &Playbook, facts: &Value) -> Decision {
    let facts = Facts(facts.as_object().unwrap().clone());
    playbook
        .decide(&facts, &situation(playbook))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A probe may fail on any host: no missing fact is an error, and none makes a broken trust
/// healthy.
#[test]
fn any_fact_may_be_missing() {
    let playbook = Playbook::load_shipped("trust-repair-linux").unwrap();
    let mut tried = 0;
    for (healthy, whole) in members() {
        assert_eq!(decide(&playbook, &whole) == Decision::Healthy, healthy);
        for pointer in leaves(&whole, "") {
            let mut facts = whole.clone();
            *facts.pointer_mut(&pointer).unwrap() = Value::Null;
            if playbook.check_facts(&facts).is_err() {
                continue;
            }
            tried += 1;
            let decision = decide(&playbook, &facts);
            assert!(
                healthy || decision != Decision::Healthy,
                "without {pointer}"
            );
        }
    }
    assert!(tried > 100, "only {tried} facts may be null");
}

/// Each test counts for itself: any that does not say 0, or did not end, is no health.
#[test]
fn one_test_that_fails_is_enough() {
    let playbook = Playbook::load_shipped("trust-repair-linux").unwrap();
    let (_, healthy) = members().swap_remove(0);
    for test in ["winbind", "rpc", "ads"] {
        for code in [json!(1), json!(124), json!(127), json!(255), Value::Null] {
            let mut facts = healthy.clone();
            facts["trust"][test]["exit_code"] = code.clone();
            let decision = decide(&playbook, &facts);
            assert_ne!(decision, Decision::Healthy, "{test} {code}");
        }
    }
}

/// A number that nobody knows changes nothing on the host.
#[test]
fn unknown_numbers_touch_nothing() {
    let playbook = Playbook::load_shipped("trust-repair-linux").unwrap();
    let mended = [
        (3_221_225_506, "password-mismatch"),
        (3_221_225_578, "password-mismatch"),
        (3_221_225_581, "password-mismatch"),
        (3_221_225_586, "account-disabled"),
        (3_221_225_690, "local-secret-missing"),
        (3_221_225_866, "local-secret-missing"),
        (3_221_225_868, "trust-failure"),
        (3_221_225_869, "trust-failure"),
        (3_221_226_036, "account-locked"),
    ];
    let (_, broken) = members().swap_remove(1);
    for status in (3_221_225_472_i64..3_221_226_500).chain([0, 1, 5, 4_294_967_295]) {
        let mut facts = broken.clone();
        facts["trust"]["winbind"]["status"] = json!(status);
        facts["trust"]["rpc"]["status"] = json!(status);
        let known = mended.iter().find(|(code, _)| *code == status);
        match decide(&playbook, &facts) {
            Decision::Healthy => panic!("{status} is no health"),
            Decision::Try { cause, .. } | Decision::Blocked { cause, .. } => {
                let (_, id) = known.unwrap_or_else(|| panic!("{status} is mended"));
                assert_eq!(cause.id.0, *id);
                assert_eq!(cause.code, Some(status));
            }
            Decision::Preflight { .. } => panic!("{status} is looked at"),
            Decision::Stop { .. } => assert!(known.is_none(), "{status} is given up"),
        }
    }
}

/// Where the scripts stop asking, the playbook does not ask again: both hold the same numbers.
#[test]
fn scripts_and_playbook_agree_what_is_certain() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("library");
    let read = |name: &str| std::fs::read_to_string(library.join(name)).unwrap();
    let numbers = |text: &str, from: &str, to: &str| -> BTreeSet<u32> {
        let rest = text.split_once(from).unwrap().1;
        let lines = rest.split_once(to).unwrap().0.lines();
        // Neither comments nor `exit code 0`.
        let code: String = lines
            .map(|line| line.split('#').next().unwrap().replace("\"0 \"", "") + "\n")
            .collect();
        let words = code.split(|letter: char| !letter.is_ascii_digit());
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let script = read("trust-repair-linux/include/member.sh");
    let script = numbers(
        &script,
        "case $1 in\n        \"0 \"*) return 1 ;;",
        "*) return",
    );
    let playbook = read("trust-repair-linux.yaml");
    let playbook = numbers(&playbook, "certain: >-", "]");
    assert!(playbook.contains(&0xc000_0022) && playbook.contains(&24));
    assert_eq!(script, playbook);
}
