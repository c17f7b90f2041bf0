//! Which steps of a rung run, when one of them does not bring what the next ones rest on.

use fleetmend_playbooks::Playbook;
use serde_json::{Value, json};

use crate::case::cases;

/// Runs through the rung of a case; what a step answers is told, and any other answers null.
/// Returns the names of those that ran.
fn ran(playbook: &str, case: &str, rung: &str, answers: &Value) -> Vec<String> {
    let playbook = Playbook::load_shipped(playbook).unwrap();
    let case = cases(&playbook)
        .into_iter()
        .find(|found| found.path.file_stem().unwrap() == case)
        .unwrap();
    let rung = playbook.ladder.iter().find(|found| found.id == rung);
    let mut situation = case.situation.clone();
    situation.answers.clear();
    let mut ran = Vec::new();
    for step in &rung.unwrap().steps {
        let wanted = playbook.step_wanted(step, &case.facts, &situation);
        let mut answer = Value::Null;
        if wanted.unwrap() {
            ran.push(step.name.clone());
            answer = answers.get(&step.name).cloned().unwrap_or_default();
        }
        situation.answers.insert(step.name.clone(), answer);
    }
    ran
}

fn with(base: &Value, name: &str, answer: Value) -> Value {
    let mut answers = base.clone();
    answers[name] = answer;
    answers
}

/// A password that is stored under the filter goes at the next start, and one that the domain got
/// meanwhile stays there.
#[test]
fn nothing_is_written_under_the_write_filter() {
    let opened = json!({"done": true, "restart_needed": true});
    let all = json!({
        "open": opened, "suspend": {"done": true}, "restart_thawed": {"seconds": 60},
        "reset_account": {"dc": "dc01.example.jp"}, "store": {"stored": true},
        "keep": {"done": true}, "close": {"done": true}, "restart": {"seconds": 60},
    });
    let ran = |answers: &Value| {
        let case = "uwf-window-bitlocker";
        ran("disk-restore-guard", case, "uwf-window", answers)
    };
    let whole = [
        "open",
        "suspend",
        "restart_thawed",
        "reset_account",
        "store",
        "keep",
        "close",
        "restart",
    ];
    assert_eq!(ran(&all), whole);
    let locked = with(&all, "suspend", json!({"done": false}));
    assert_eq!(ran(&locked), ["open", "suspend", "close"]);
    let refused = with(&all, "open", json!({"done": false, "restart_needed": true}));
    assert_eq!(ran(&refused), ["open"]);
    // Off already, by a run that was cut: one restart, and not into the recovery screen.
    let off = with(&all, "open", json!({"done": true, "restart_needed": false}));
    assert_eq!(
        ran(&off),
        [
            "open",
            "suspend",
            "reset_account",
            "store",
            "keep",
            "close",
            "restart"
        ]
    );
    let locked = with(&off, "suspend", json!({"done": false}));
    assert_eq!(
        ran(&locked),
        ["open", "suspend", "reset_account", "store", "keep", "close"]
    );
    let not_on = with(&all, "close", json!({"done": false}));
    assert_eq!(ran(&not_on).last().unwrap(), "close");
}
