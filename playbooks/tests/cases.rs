//! Decisions as data: `cases/PLAYBOOK/*.yaml`, each a change to the facts of a healthy PC and the
//! decision expected. `docs/playbooks/writing.md` describes the form.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fleetmend_model::{Cause, Facts};
use fleetmend_playbooks::{
    CauseKind, Decision, Language, Need, Playbook, Situation, StopKind, VerifyVerdict, library,
};
use fleetmend_yaml::{Document, Limits};
use serde_json::{Map, Value, json};

/// One case, its facts whole.
struct Case {
    path: PathBuf,
    facts: Facts,
    verify: Option<Value>,
    situation: Situation,
    expect: Value,
}

fn folder(playbook: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("cases")
        .join(playbook)
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    let document = Document::parse(&text, &Limits::default());
    document
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .root
        .to_json()
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

fn situation(case: &Value, playbook: &Playbook) -> Situation {
    let given = case.get("situation").cloned().unwrap_or_else(|| json!({}));
    for key in given.as_object().unwrap().keys() {
        let known = [
            "answers",
            "params",
            "tried",
            "credentials",
            "credentials-for-pcs",
            "language",
        ];
        assert!(known.contains(&key.as_str()), "unknown key {key}");
    }
    let set: Map<String, Value> = given
        .get("params")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    Situation {
        params: playbook
            .resolve_params(&set, &std::collections::BTreeMap::new())
            .unwrap(),
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
        ..Situation::default()
    }
}

fn cases(playbook: &Playbook) -> Vec<Case> {
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
            let case = read(&path);
            let mut facts = base_facts.clone();
            merge(&mut facts, case.get("facts").unwrap_or(&json!({})), &path);
            let verify = case.get("verify").map(|change| {
                let mut verify = base_verify.clone();
                merge(&mut verify, change, &path);
                verify
            });
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

/// Says a decision the way cases do.
fn told(decision: &Decision) -> Value {
    let with = |mut value: Value, cause: &Cause| {
        value["cause"] = json!(cause.id.0);
        value["code"] = json!(cause.code);
        value
    };
    match decision {
        Decision::Healthy => json!("healthy"),
        Decision::Try { cause, rung, .. } => with(json!({"try": rung}), cause),
        Decision::Blocked {
            cause,
            guard,
            reason,
            next,
        } => with(
            json!({"blocked": guard, "reason": reason, "next": next}),
            cause,
        ),
        Decision::Stop {
            cause,
            end,
            reason,
            next,
        } => {
            let end = match end {
                StopKind::NotRepaired => "not-repaired",
                StopKind::Skipped => "skipped",
                StopKind::AccessDenied => "access-denied",
                StopKind::NeedsHands => "needs-hands",
            };
            with(json!({"stop": end, "reason": reason, "next": next}), cause)
        }
    }
}

/// Drops the texts that a case does not name.
fn only_named(told: Value, expect: &Value) -> Value {
    let (Value::Object(mut told), Value::Object(expect)) = (told.clone(), expect) else {
        return told;
    };
    told.retain(|key, _| {
        !["reason", "next", "again"].contains(&key.as_str()) || expect.contains_key(key)
    });
    Value::Object(told)
}

fn told_verdict(verdict: &VerifyVerdict, playbook: &Playbook, language: Language) -> Value {
    match verdict {
        VerifyVerdict::Proven => json!({"verdict": "proven"}),
        VerifyVerdict::RebootPending => json!({"verdict": "reboot-pending"}),
        VerifyVerdict::NotProven { reason, again } => {
            // The text before the first number tells which requirement it is.
            let fails = playbook.verify.require.iter().find(|guard| {
                let text = guard.reason.text(language);
                reason.starts_with(text.split("{{").next().unwrap())
            });
            let fails = fails.map(|guard| guard.name.as_str());
            json!({"verdict": "not-proven", "fails": fails, "reason": reason, "again": again})
        }
    }
}

#[test]
fn every_case_decides_as_told() {
    let mut wrong = Vec::new();
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap_or_else(|error| panic!("{error}"));
        for case in cases(&playbook) {
            let told = match &case.verify {
                None => playbook
                    .decide(&case.facts, &case.situation)
                    .map(|is| told(&is)),
                Some(verify) => playbook
                    .verified(verify, &case.facts, &case.situation)
                    .map(|is| told_verdict(&is, &playbook, case.situation.language)),
            };
            match told.map(|told| only_named(told, &case.expect)) {
                Ok(told) if told == case.expect => {}
                other => wrong.push(format!(
                    "{}:\n  expected {}\n  got      {other:?}",
                    case.path.display(),
                    case.expect
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_case_fits_the_schemas() {
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        for case in cases(&playbook) {
            let checked = match &case.verify {
                None => playbook
                    .diagnose
                    .script
                    .check_answer(&case.facts.to_value()),
                Some(verify) => playbook.verify.step.script.check_answer(verify),
            };
            checked.unwrap_or_else(|error| panic!("{}: {error}", case.path.display()));
        }
    }
}

#[test]
fn what_steps_are_sent_fits_the_schemas() {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    for case in cases(&playbook) {
        let Ok(Decision::Try { rung, .. }) = playbook.decide(&case.facts, &case.situation) else {
            continue;
        };
        let rung = playbook
            .ladder
            .iter()
            .find(|known| known.id == rung)
            .unwrap();
        let mut situation = case.situation.clone();
        for step in &rung.steps {
            let mut params = step.params(&case.facts, &situation).unwrap();
            for (name, _) in &step.secrets {
                params.insert(
                    name.clone(),
                    json!({"user": "EXAMPLE\\admin", "password": "x"}),
                );
            }
            step.script.check_params(&Value::Object(params)).unwrap();
            let answer = json!({"event_record_id": 48_300, "dc": "dc01.example.jp"});
            situation.answers.insert(step.name.clone(), answer);
        }
        let params = playbook
            .verify
            .step
            .params(&case.facts, &situation)
            .unwrap();
        assert_eq!(
            params.get("after_record_id"),
            Some(&json!(48_300)),
            "{}",
            rung.id
        );
        let expected = if rung.id == "secure-channel-repair" {
            json!("dc01.example.jp")
        } else {
            Value::Null
        };
        assert_eq!(
            params.get("domain_controller"),
            Some(&expected),
            "{}",
            rung.id
        );
        playbook
            .verify
            .step
            .script
            .check_params(&Value::Object(params))
            .unwrap();
    }
}

#[test]
fn diagnose_is_sent_what_it_takes() {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    let situation = situation(&json!({}), &playbook);
    let params = playbook
        .diagnose
        .params(&Facts::default(), &situation)
        .unwrap();
    let params = Value::Object(params);
    let expected = json!({"domain_controller": null, "event_hours": 72, "tcp_timeout_ms": 3000});
    assert_eq!(params, expected);
    playbook.diagnose.script.check_params(&params).unwrap();
}

/// A cause, a rung, a hindrance or a proof that no case speaks of is one that nobody tried.
#[test]
fn nothing_is_without_a_case() {
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let mut spoken = BTreeSet::new();
        for case in cases(&playbook) {
            if case.expect == json!("healthy") {
                spoken.insert("healthy healthy".to_owned());
            }
            for (key, value) in case.expect.as_object().into_iter().flatten() {
                spoken.insert(format!("{key} {}", value.as_str().unwrap_or_default()));
            }
        }
        let mut missing = Vec::new();
        let mut ask = |key: &str, value: &str| {
            if !spoken.contains(&format!("{key} {value}")) {
                missing.push(format!("{key}: {value}"));
            }
        };
        for cause in &playbook.causes {
            ask(
                if cause.kind == CauseKind::Healthy {
                    "healthy"
                } else {
                    "cause"
                },
                &cause.id,
            );
        }
        for rung in &playbook.ladder {
            ask("try", &rung.id);
            rung.guards
                .iter()
                .for_each(|guard| ask("blocked", &guard.name));
            for need in &rung.needs {
                match need {
                    Need::CredentialOnPc(_) => {
                        ask("blocked", "needs-credential");
                        ask("blocked", "needs-credential-on-pc");
                    }
                    Need::Parameter(_) => ask("blocked", "needs-parameter"),
                    Need::Reboot => ask("blocked", "needs-reboot"),
                    Need::Directory => ask("blocked", "needs-directory"),
                    Need::OfflineJoin => ask("blocked", "needs-offline-join"),
                }
            }
        }
        playbook
            .verify
            .require
            .iter()
            .for_each(|guard| ask("fails", &guard.name));
        ask("verdict", "proven");
        assert!(
            missing.is_empty(),
            "{name} has no case for {}",
            missing.join(", ")
        );
    }
}

#[test]
fn every_text_is_in_both_languages() {
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let causes = playbook
            .causes
            .iter()
            .flat_map(|cause| [&cause.reason, &cause.next]);
        let guards = playbook.ladder.iter().flat_map(|rung| &rung.guards);
        let guards = guards.flat_map(|guard| [&guard.reason, &guard.next]);
        let summaries = playbook.ladder.iter().map(|rung| &rung.summary);
        let params = playbook.parameters.iter().map(|param| &param.summary);
        let proofs = playbook.verify.require.iter().map(|guard| &guard.reason);
        let all = causes
            .chain(guards)
            .chain(summaries)
            .chain(params)
            .chain(proofs);
        for text in all.chain([&playbook.summary]) {
            assert_eq!(text.en.is_empty(), text.ja.is_empty(), "{text:?}");
        }
    }
}

/// The healthy PC's facts with both numbers of sc_verify set.
fn with_status(base: &Value, connection: &Value, trust: &Value) -> Facts {
    let mut facts = base.clone();
    facts["channel"]["verify"]["connection_status"] = connection.clone();
    facts["channel"]["verify"]["trust_status"] = trust.clone();
    Facts(facts.as_object().unwrap().clone())
}

/// Whatever number comes, there is a decision; only two zeros are health, and the credential is
/// only ever for the three causes that it can mend.
#[test]
fn every_number_has_a_decision() {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    let situation = situation(
        &json!({"situation": {
            "tried": ["netlogon-rediscover", "sc-reset"],
            "credentials": ["domain_credential"],
            "credentials-for-pcs": ["domain_credential"]
        }}),
        &playbook,
    );
    let base = read(&folder("trust-repair").join("base-facts.yaml"));
    let mut mended = BTreeSet::new();
    for code in (1..2800).chain([8557, 3_221_225_506, 4_294_967_295]) {
        for (connection, trust) in [(code, code), (0, code), (code, 0)] {
            let facts = with_status(&base, &json!(connection), &json!(trust));
            match playbook.decide(&facts, &situation).unwrap() {
                Decision::Healthy => panic!("{connection} and {trust} are no health"),
                Decision::Try { cause, rung, .. } => {
                    assert_eq!(rung, "secure-channel-repair");
                    assert_eq!(cause.code, Some(code));
                    mended.insert(code);
                }
                Decision::Blocked { .. } => panic!("{code} is blocked"),
                Decision::Stop { .. } => {}
            }
        }
    }
    let expected = [5, 86, 1786, 1788, 1789, 1790, 3_221_225_506];
    assert_eq!(mended, expected.into_iter().collect());
}

/// A probe may fail on any PC: no missing fact is an error, and none makes a broken PC healthy.
#[test]
fn any_fact_may_be_missing() {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    let situation = situation(&json!({}), &playbook);
    let base = read(&folder("trust-repair").join("base-facts.yaml"));
    let mut tried = 0;
    for status in [0, 5] {
        let whole = with_status(&base, &json!(status), &json!(status)).to_value();
        for pointer in leaves(&whole, "") {
            let mut facts = whole.clone();
            *facts.pointer_mut(&pointer).unwrap() = Value::Null;
            if playbook.diagnose.script.check_answer(&facts).is_err() {
                continue;
            }
            tried += 1;
            let facts = Facts(facts.as_object().unwrap().clone());
            let decision = playbook.decide(&facts, &situation);
            let decision = decision.unwrap_or_else(|error| panic!("without {pointer}: {error}"));
            assert!(
                status == 0 || decision != Decision::Healthy,
                "without {pointer}"
            );
        }
    }
    assert!(tried > 60, "only {tried} facts may be null");
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
