//! What holds of trust-repair whatever the facts are.

use std::collections::BTreeSet;

use fleetmend_model::Facts;
use fleetmend_playbooks::{Decision, Playbook};
use serde_json::{Value, json};

use crate::case::{folder, leaves, read, situation};

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
                Decision::Blocked { guard, .. } => assert_eq!(guard, "needs-reboot", "{code}"),
                Decision::Preflight { .. } | Decision::Stop { .. } => {}
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
