//! What every step is sent, along every case that tries its rung, fits what it takes.

use fleetmend_model::{Facts, Place};
use fleetmend_playbooks::{
    Decision, Playbook, PreflightEnd, Rung, SecretFrom, Situation, Step, StepKind, library,
};
use serde_json::{Map, Value, json};

use crate::case::{Case, cases, folder, read, situation};

/// Returns an answer that fits a schema: nothing is null, and times and ids look like such.
fn sample(schema: &Value) -> Value {
    if let Some(Value::Array(words)) = schema.get("enum") {
        return words.first().unwrap().clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null").unwrap(),
        kind => kind,
    };
    match kind.as_str() {
        Some("object") => {
            let fields = schema["properties"].as_object().cloned();
            let fields = fields.unwrap_or_default().into_iter();
            let fields = fields.map(|(name, field)| match name.as_str() {
                "sid" => (name, json!("S-1-5-21-1-2-3-1104")),
                _ => (name, sample(&field)),
            });
            fields.collect()
        }
        Some("array") => json!([]),
        Some("integer" | "number") => json!(schema["maximum"].as_i64().unwrap_or(48_300)),
        Some("boolean") => json!(true),
        Some("string") if schema["format"] == "date-time" => json!("2026-01-20T00:30:00Z"),
        Some("string") => json!("dc01.example.jp"),
        other => panic!("{other:?} in {schema}"),
    }
}

fn secret(from: &SecretFrom) -> Value {
    match from {
        SecretFrom::Credential(_) => json!({"user": "EXAMPLE\\admin", "password": "x"}),
        SecretFrom::Made(_) => json!("x".repeat(120)),
    }
}

fn check(step: &Step, mut params: Map<String, Value>, case: &Case) {
    for (name, from) in &step.secrets {
        params.insert(name.clone(), secret(from));
    }
    let checked = step.script.check_params(&Value::Object(params));
    checked.unwrap_or_else(|error| panic!("{}: {error}", case.path.display()));
}

/// Runs a step, and returns an answer that fits, null if it is left out.
fn run(playbook: &Playbook, step: &Step, case: &Case, situation: &Situation) -> Value {
    let told = |error| panic!("{}: {error}", case.path.display());
    let wanted = playbook.step_wanted(step, &case.facts, situation);
    if !wanted.unwrap_or_else(told) {
        return Value::Null;
    }
    let params = playbook.step_params(step, &case.facts, situation);
    let told = |error| panic!("{}: {error}", case.path.display());
    check(step, params.unwrap_or_else(told), case);
    let host = playbook.elsewhere(step, &case.facts, situation);
    let host = host.unwrap_or_else(|error| panic!("{}: {error}", case.path.display()));
    assert_eq!(host.is_some(), matches!(step.kind, StepKind::Elsewhere(_)));
    let mut answer = sample(&step.script.gives);
    if step.makes.is_some() && step.runs_script() {
        // The engine takes the secret out, so no expression sees it.
        assert!(answer["made"].is_string(), "{}", step.script.name);
        answer["made"] = Value::Null;
    }
    let fits = step.script.check_answer(&answer);
    fits.unwrap_or_else(|error| panic!("the sample: {error}"));
    answer
}

/// Runs through the preflight of a rung, each step with the answers of those before it.
fn look(playbook: &Playbook, rung: &Rung, case: &Case) {
    let mut answers = Map::new();
    for step in rung.preflight_steps() {
        let mut situation = case.situation.clone();
        let end = PreflightEnd::Answered(answers.clone());
        situation.preflights.insert(rung.id.clone(), end);
        answers.insert(step.name.clone(), run(playbook, step, case, &situation));
    }
}

/// Runs through a rung and returns the situation in which verify is asked.
fn climb(playbook: &Playbook, rung: &Rung, case: &Case) -> Situation {
    let mut situation = case.situation.clone();
    situation.answers.clear();
    situation.tried.insert(rung.id.clone());
    for step in &rung.steps {
        let answer = run(playbook, step, case, &situation);
        situation.answers.insert(step.name.clone(), answer);
    }
    situation
}

/// Calls back with what verify is sent after every rung that a case tries.
fn after_each_rung(
    playbook: &Playbook,
    mut then: impl FnMut(&Rung, &Case, &Situation, Map<String, Value>),
) {
    for case in cases(playbook) {
        let Ok(Decision::Try { rung, .. }) = playbook.decide(&case.facts, &case.situation) else {
            continue;
        };
        let rung = playbook.ladder.iter().find(|known| known.id == rung);
        let rung = rung.unwrap();
        let after = climb(playbook, rung, &case);
        let params = playbook.step_params(&playbook.verify.step, &case.facts, &after);
        let params = params.unwrap_or_else(|error| panic!("after {}: {error}", rung.id));
        then(rung, &case, &after, params);
    }
}

/// What a case says that a preflight answered is what its steps can answer.
#[test]
fn what_preflights_are_said_to_answer_fits_the_schemas() {
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        for case in cases(&playbook) {
            for (rung, end) in &case.situation.preflights {
                let rung = playbook.ladder.iter().find(|known| known.id == *rung);
                let rung = rung.unwrap_or_else(|| panic!("{}: no such rung", case.path.display()));
                let PreflightEnd::Answered(answers) = end else {
                    continue;
                };
                let steps: Vec<_> = rung.preflight_steps().map(|step| &step.name).collect();
                let told: Vec<_> = answers.keys().collect();
                assert!(
                    told.iter().all(|name| steps.contains(name)) && told.len() == steps.len(),
                    "{}: told of {told:?}, there are {steps:?}",
                    case.path.display()
                );
                for step in rung.preflight_steps() {
                    let answer = &answers[&step.name];
                    if answer.is_null() {
                        assert!(step.when.is_some(), "{}", case.path.display());
                        continue;
                    }
                    let checked = step.script.check_answer(answer);
                    checked.unwrap_or_else(|error| panic!("{}: {error}", case.path.display()));
                }
            }
        }
    }
}

/// Wherever a preflight is run, its steps are sent what they take.
#[test]
fn what_preflights_are_sent_fits_the_schemas() {
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let mut looked = 0;
        for case in cases(&playbook) {
            let decision = playbook.decide(&case.facts, &case.situation);
            let Ok(Decision::Preflight { rung, .. }) = decision else {
                continue;
            };
            let rung = playbook.ladder.iter().find(|known| known.id == rung);
            look(&playbook, rung.unwrap(), &case);
            looked += 1;
        }
        let any = playbook.ladder.iter().any(|rung| rung.preflight.is_some());
        assert!(
            looked > 0 || !any,
            "{name} has a preflight that no case runs"
        );
    }
}

#[test]
fn what_steps_are_sent_fits_the_schemas() {
    let mut seen = 0;
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let base = read(&folder(name).join("base-verify.yaml"));
        after_each_rung(&playbook, |_, case, after, params| {
            seen += 1;
            check(&playbook.verify.step, params, case);
            if let Some(consult) = &playbook.verify.consult {
                let params = playbook.verify_consult_params(&base, &case.facts, after);
                check(&consult.step, params.unwrap(), case);
            }
        });
    }
    assert!(seen > 20, "only {seen} cases try a rung");
}

/// A rung that wrote to one controller is proven there, for the others may not know of it yet;
/// and the complaints from before its end do not count.
#[test]
fn verify_of_trust_repair_knows_what_the_rung_did() {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    after_each_rung(&playbook, |rung, _, _, params| {
        let writes = |step: &Step| step.makes.is_some() || !step.secrets.is_empty();
        if rung.steps.iter().any(writes) {
            let dc = params.get("domain_controller");
            assert_eq!(dc, Some(&json!("dc01.example.jp")), "{}", rung.id);
        }
        let record = params.get("after_record_id");
        assert_eq!(record, Some(&json!(48_300)), "{}", rung.id);
    });
}

#[test]
fn diagnose_is_sent_what_it_takes() {
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let situation = situation(&json!({}), &playbook);
        let facts = Facts::default();
        let params = playbook.step_params(&playbook.diagnose, &facts, &situation);
        let params = Value::Object(params.unwrap());
        // Left alone, a PC looks for its controller by itself.
        if let Some(controller) = params.get("domain_controller") {
            assert_eq!(controller, &Value::Null, "{name}");
        }
        playbook.diagnose.script.check_params(&params).unwrap();
    }
}

/// Wherever the directory would be asked, the question is one; and asking is possible at all.
#[test]
fn what_the_directory_is_asked_fits_its_schema() {
    for name in library() {
        let playbook = Playbook::load_shipped(name).unwrap();
        let Some(consult) = &playbook.consult else {
            continue;
        };
        assert_eq!(place(&consult.step), Place::Controller);
        let mut asked = 0;
        for mut case in cases(&playbook) {
            case.situation.directory = true;
            if playbook
                .consult_wanted(&case.facts, &case.situation)
                .unwrap_or_else(|error| panic!("{}: {error}", case.path.display()))
            {
                asked += 1;
                let params = playbook.consult_params(&case.facts, &case.situation);
                check(&consult.step, params.unwrap(), &case);
            }
        }
        assert!(asked > 0, "{name} never asks");
    }
}

fn place(step: &Step) -> Place {
    match step.action() {
        Some(_) => Place::Controller,
        None => Place::Pc,
    }
}
