//! Reading cases: each a change to what a healthy PC, and the directory about it, answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_model::Facts;
use fleetmend_playbooks::{Language, Playbook, PreflightEnd, RebootWindow, Situation};
use fleetmend_yaml::{Document, Limits};
use serde_json::{Map, Value, json};

/// One case, its facts whole.
pub(crate) struct Case {
    pub(crate) path: PathBuf,
    pub(crate) facts: Facts,
    pub(crate) verify: Option<Value>,
    pub(crate) situation: Situation,
    pub(crate) expect: Value,
}

pub(crate) fn folder(playbook: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("cases")
        .join(playbook)
}

pub(crate) fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let document = Document::parse(&text, &Limits::default());
    document
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .root
        .to_json()
}

/// Lays a case's changes over what a healthy PC answers. What the directory answered is there
/// only if the case says so, and then laid over what it answers about a healthy PC.
fn answer(base: &Value, change: &Value, path: &Path) -> Value {
    let mut change = change.clone();
    let asked = change
        .as_object_mut()
        .and_then(|change| change.remove("directory"));
    let mut whole = base.clone();
    merge(&mut whole, &change, path);
    if let Some(asked) = asked {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases/base-directory.yaml");
        let mut account = read(&base);
        merge(&mut account, &asked, path);
        whole["directory"] = account;
    }
    whole
}

/// Lays changes over a value: objects key by key, all else as a whole. A key that the value does
/// not have is a slip.
fn merge(base: &mut Value, change: &Value, path: &Path) {
    match (base, change) {
        (Value::Object(base), Value::Object(change)) => {
            for (key, change) in change {
                let Some(old) = base.get_mut(key) else {
                    panic!("{}: there is no fact {key}", path.display())
                };
                merge(old, change, path);
            }
        }
        (base, change) => *base = change.clone(),
    }
}

fn names(value: Option<&Value>) -> BTreeSet<String> {
    let items = value.and_then(Value::as_array).cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn situation(case: &Value, playbook: &Playbook) -> Situation {
    let given = case.get("situation").cloned().unwrap_or_else(|| json!({}));
    for key in given.as_object().unwrap().keys() {
        let known = [
            "answers",
            "host",
            "params",
            "tried",
            "credentials",
            "credentials-for-pcs",
            "language",
            "directory",
            "offline-join",
            "max-reboots",
            "reboots",
            "reboot-window",
            "preflights",
        ];
        assert!(known.contains(&key.as_str()), "unknown key {key}");
    }
    let set: Map<String, Value> = given
        .get("params")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let flag = |key: &str| given.get(key) == Some(&json!(true));
    // Unless the case says otherwise, the inventory knows the PC by the name that the PC has.
    let mut host = json!({
        "name": "pc-001", "address": "pc-001.example.jp", "names": ["pc-001"],
        "groups": ["all"], "vars": {},
        "history": {"repairs": 0, "last_repaired": null},
    });
    let here = Path::new("situation/host");
    merge(&mut host, given.get("host").unwrap_or(&json!({})), here);
    Situation {
        host: host.as_object().unwrap().clone(),
        params: playbook.resolve_params(&set, &BTreeMap::new()).unwrap(),
        answers: given
            .get("answers")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
        tried: names(given.get("tried")),
        credentials: names(given.get("credentials")),
        credentials_for_pcs: names(given.get("credentials-for-pcs")),
        language: if given.get("language") == Some(&json!("ja")) {
            Language::Ja
        } else {
            Language::En
        },
        directory: flag("directory"),
        offline_join: flag("offline-join"),
        max_reboots: count(given.get("max-reboots")),
        reboots: count(given.get("reboots")),
        reboot_window: given.get("reboot-window").map(|window| RebootWindow {
            text: window["text"].as_str().unwrap().to_owned(),
            open_for: window["open-for-seconds"].as_u64().map(Duration::from_secs),
        }),
        preflights: preflights(given.get("preflights")),
    }
}

fn count(given: Option<&Value>) -> u32 {
    given.map_or(0, |count| count.as_u64().unwrap().try_into().unwrap())
}

/// Reads the answers of preflights: rung → step → answer, or `{failed: {step, reason}}`.
fn preflights(given: Option<&Value>) -> BTreeMap<String, PreflightEnd> {
    let rungs = given.and_then(Value::as_object).into_iter().flatten();
    let end = |value: &Value| match value.get("failed") {
        Some(failed) => PreflightEnd::Failed {
            step: failed["step"].as_str().unwrap().to_owned(),
            reason: failed["reason"].as_str().unwrap().to_owned(),
        },
        None => PreflightEnd::Answered(value.as_object().unwrap().clone()),
    };
    rungs
        .map(|(rung, value)| (rung.clone(), end(value)))
        .collect()
}

/// Lays what a case says of preflights over what their steps answer on a PC where all is well, if
/// the playbook has such a base.
fn lay_over_preflight(case: &mut Value, folder: &Path, path: &Path) {
    let base = folder.join("base-preflight.yaml");
    if !base.exists() {
        return;
    }
    let base = read(&base);
    let rungs = case.pointer_mut("/situation/preflights");
    for change in rungs
        .and_then(Value::as_object_mut)
        .into_iter()
        .flat_map(Map::values_mut)
    {
        if change.get("failed").is_none() {
            let mut whole = base.clone();
            merge(&mut whole, change, path);
            *change = whole;
        }
    }
}

pub(crate) fn cases(playbook: &Playbook) -> Vec<Case> {
    let folder = folder(&playbook.name);
    let base_facts = read(&folder.join("base-facts.yaml"));
    let base_verify = read(&folder.join("base-verify.yaml"));
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| {
        !path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("base-")
    });
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let mut case = read(&path);
            lay_over_preflight(&mut case, &folder, &path);
            let change = case.get("facts").cloned().unwrap_or_else(|| json!({}));
            let facts = answer(&base_facts, &change, &path);
            let verify = case.get("verify");
            let verify = verify.map(|change| answer(&base_verify, change, &path));
            Case {
                facts: Facts(facts.as_object().unwrap().clone()),
                verify,
                situation: situation(&case, playbook),
                expect: case.get("expect").unwrap().clone(),
                path,
            }
        })
        .collect()
}

/// Returns where every value that holds no others stands.
pub(crate) fn leaves(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| leaves(value, &format!("{at}/{key}")))
            .collect(),
        _ => vec![at.to_owned()],
    }
}
