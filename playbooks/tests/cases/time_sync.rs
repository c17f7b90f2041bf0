//! What holds of time-sync whatever the facts are.

use fleetmend_model::Facts;
use fleetmend_playbooks::{Decision, Playbook};
use serde_json::{Value, json};

use crate::case::{folder, leaves, read, situation};

/// The healthy PC's facts with its clock off by this.
fn with_offset(base: &Value, seconds: i64) -> Value {
    let mut facts = base.clone();
    for name in ["offset_seconds", "sntp_seconds", "ldap_seconds"] {
        facts["clock"][name] = json!(seconds);
    }
    facts
}

/// A probe may fail on any PC: no missing fact is an error, and none makes a wrong clock right.
#[test]
fn any_fact_may_be_missing() {
    let playbook = Playbook::load_shipped("time-sync").unwrap();
    let base = read(&folder("time-sync").join("base-facts.yaml"));
    let allowed = json!({"situation": {"params": {
        "accept_one_source": true, "enable_service": true,
        "use_domain_time": true, "ignore_host_time": true
    }}});
    let mut tried = 0;
    for (seconds, given) in [(0, json!({})), (-900, json!({})), (900, allowed)] {
        let situation = situation(&given, &playbook);
        let whole = with_offset(&base, seconds);
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
                seconds == 0 || decision != Decision::Healthy,
                "without {pointer}"
            );
        }
    }
    assert!(tried > 60, "only {tried} facts may be null");
}

/// Whatever the distance and its limits, only a clock in tolerance is well, and only a step is
/// tried beyond what W32Time may set.
#[test]
fn every_distance_has_a_decision() {
    let playbook = Playbook::load_shipped("time-sync").unwrap();
    let situation = situation(&json!({}), &playbook);
    let base = read(&folder("time-sync").join("base-facts.yaml"));
    for limit in [0_i64, 300, 54_000, 4_294_967_295] {
        for seconds in [
            -4_000_000_000_i64,
            -54_001,
            -54_000,
            -301,
            -300,
            0,
            300,
            301,
            54_000,
            54_001,
            4_000_000_000,
        ] {
            let mut facts = with_offset(&base, seconds);
            facts["config"]["max_forward_seconds"] = json!(limit);
            facts["config"]["max_backward_seconds"] = json!(limit);
            let facts = Facts(facts.as_object().unwrap().clone());
            let wanted = match seconds.abs() {
                far if far <= 300 => None,
                far if far > limit => Some("set-clock"),
                _ => Some("resync"),
            };
            match (playbook.decide(&facts, &situation).unwrap(), wanted) {
                (Decision::Healthy, None) => {}
                (Decision::Try { rung, .. }, Some(wanted)) => {
                    assert_eq!(rung, wanted, "{seconds} with {limit}");
                }
                (other, _) => panic!("{seconds} with {limit}: {other:?}"),
            }
        }
    }
}
