//! Decisions as data: `cases/PLAYBOOK/*.yaml`, each a change to the facts of a healthy PC and the
//! decision expected. `docs/playbooks/writing.md` describes the form.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod case;
mod sent;
mod steps;
mod time_sync;
mod trust_repair;

use std::collections::BTreeSet;

use case::{cases, leaves};
use fleetmend_model::{Cause, Facts};
use fleetmend_playbooks::{
    CauseKind, Decision, Guard, Language, Need, Playbook, Rung, StopKind, VerifyVerdict, library,
};
use serde_json::{Value, json};

/// Says a decision the way cases do.
fn told(decision: &Decision) -> Value {
    let with = |mut value: Value, cause: &Cause| {
        value["cause"] = json!(cause.id.0);
        value["code"] = json!(cause.code);
        value
    };
    match decision {
        Decision::Healthy => json!("healthy"),
        Decision::Preflight { cause, rung } => with(json!({"preflight": rung}), cause),
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

/// Returns the guards of a rung and those of its preflight.
fn guards(rung: &Rung) -> impl Iterator<Item = &Guard> {
    let preflight = rung.preflight.iter();
    rung.guards
        .iter()
        .chain(preflight.flat_map(|preflight| &preflight.guards))
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
                None => playbook.check_facts(&case.facts.to_value()),
                Some(verify) => playbook.check_evidence(verify),
            };
            checked.unwrap_or_else(|error| panic!("{}: {error}", case.path.display()));
        }
    }
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
            guards(rung).for_each(|guard| ask("blocked", &guard.name));
            if rung.preflight.is_some() {
                ask("preflight", &rung.id);
                ask("blocked", "preflight");
            }
            if rung.reboots() > 0 {
                ask("blocked", "needs-reboot");
                ask("blocked", "reboot-window");
            }
            for need in &rung.needs {
                match need {
                    Need::CredentialOnPc(_) => {
                        ask("blocked", "needs-credential");
                        ask("blocked", "needs-credential-on-pc");
                    }
                    Need::Parameter(_) => ask("blocked", "needs-parameter"),
                    Need::Credential(_) => ask("blocked", "needs-credential"),
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
        let guards = playbook.ladder.iter().flat_map(guards);
        let guards = guards.flat_map(|guard| [&guard.reason, &guard.next]);
        let summaries = playbook.ladder.iter().map(|rung| &rung.summary);
        let cautions = playbook.ladder.iter().flat_map(|rung| &rung.caution);
        let params = playbook.parameters.iter().map(|param| &param.summary);
        let proofs = playbook.verify.require.iter().map(|guard| &guard.reason);
        let all = causes
            .chain(guards)
            .chain(summaries)
            .chain(cautions)
            .chain(params)
            .chain(proofs);
        for text in all.chain([&playbook.summary]) {
            assert_eq!(text.en.is_empty(), text.ja.is_empty(), "{text:?}");
        }
    }
}

/// The directory may be off, or may not tell something: there is a decision all the same.
#[test]
fn any_answer_of_the_directory_may_be_missing() {
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let mut tried = 0;
        for case in cases(&playbook) {
            let whole = case.facts.to_value();
            let account = whole.get("directory").filter(|account| !account.is_null());
            let Some(account) = account else { continue };
            for pointer in leaves(account, "/directory")
                .into_iter()
                .chain(["/directory".into()])
            {
                let mut facts = whole.clone();
                *facts.pointer_mut(&pointer).unwrap() = Value::Null;
                if playbook.check_facts(&facts).is_err() {
                    continue;
                }
                tried += 1;
                let facts = Facts(facts.as_object().unwrap().clone());
                let decision = playbook.decide(&facts, &case.situation);
                decision.unwrap_or_else(|error| {
                    panic!("{} without {pointer}: {error}", case.path.display())
                });
            }
        }
        assert!(
            tried > 20 || playbook.consult.is_none(),
            "{name}: only {tried} answers may be missing"
        );
    }
}

/// A PC says itself who it is: none may choose whose account is written.
#[test]
fn no_rung_writes_an_account_that_the_inventory_does_not_name() {
    let mut rungs = 0;
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        for rung in &playbook.ladder {
            let writes = rung.steps.iter().any(|step| step.action().is_some());
            let guarded = rung.guards.iter().any(|guard| guard.name == "own-name");
            rungs += usize::from(writes);
            // Who joins a PC by a script names the account as well.
            assert!(guarded || !writes, "{name}: {}", rung.id);
        }
    }
    assert!(rungs > 3, "only {rungs}");
}
