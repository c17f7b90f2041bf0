//! What the directory said of repaired PCs, in words.

use fleetmend_model::{HostResult, OutcomeClass};
use serde_json::Value;

/// So many PCs are named each; of more only their number is told.
const NAMED: usize = 5;

/// Returns what the directory said of repaired PCs: a line for each if they are few, else one for
/// all, none if it was not asked.
pub(crate) fn lines<'a>(results: impl Iterator<Item = &'a HostResult>) -> Vec<String> {
    let repaired: Vec<&HostResult> = results
        .filter(|result| result.outcome.class() == OutcomeClass::Repaired)
        .collect();
    let read: Vec<(&HostResult, &Value)> = repaired
        .iter()
        .filter_map(|result| Some((*result, result.evidence.as_ref()?)))
        // What the PC's own steps told is no word of the directory.
        .filter(|(_, evidence)| {
            let mut names = evidence.as_object().into_iter().flatten();
            names.any(|(name, _)| name != "rotated")
        })
        .collect();
    if read.is_empty() {
        return Vec::new();
    }
    if repaired.len() <= NAMED {
        let line = |(result, evidence): &(&HostResult, &Value)| {
            format!("{}: {}", result.host, words(evidence))
        };
        return read.iter().map(line).collect();
    }
    let renewed = read.iter().filter(|(_, evidence)| renewed(evidence));
    let failed = read
        .iter()
        .filter(|(_, evidence)| number(evidence, "bad_pwd_count").is_some_and(|count| count > 0));
    vec![format!(
        "{} of {} repaired PCs were looked up: {} accounts have a new password, {} count failed \
         logons",
        read.len(),
        repaired.len(),
        renewed.count(),
        failed.count(),
    )]
}

/// Tells whether the account's password was set between the two readings.
fn renewed(evidence: &Value) -> bool {
    let set = |name: &str| evidence.get(name).and_then(Value::as_str);
    match (set("pwd_last_set_before"), set("pwd_last_set")) {
        (Some(before), Some(after)) => before != after,
        _ => false,
    }
}

fn words(evidence: &Value) -> String {
    let text = |name: &str| evidence.get(name).and_then(Value::as_str);
    let mut words = Vec::new();
    match (text("pwd_last_set"), text("pwd_last_set_before")) {
        (Some(after), Some(before)) if before != after => {
            words.push(format!("password set {before} → {after}"));
        }
        (Some(after), _) => words.push(format!("password set {after}")),
        (None, _) => {}
    }
    if let Some(count) = number(evidence, "bad_pwd_count") {
        words.push(format!("{count} failed logons"));
    }
    if evidence.get("enabled") == Some(&Value::Bool(false)) {
        words.push("account disabled".to_owned());
    }
    if let (Some(answered), Some(all)) = (
        number(evidence, "controllers_answered"),
        number(evidence, "controllers"),
    ) {
        words.push(format!("{answered} of {all} controllers answered"));
    }
    if evidence.get("pwd_last_set_differs") == Some(&Value::Bool(true)) {
        words.push("they do not agree yet".to_owned());
    }
    if let Some(error) = text("error") {
        words.push(error.to_owned());
    }
    match text("dc") {
        Some(dc) => format!("{dc}: {}", words.join(", ")),
        None => words.join(", "),
    }
}

fn number(evidence: &Value, name: &str) -> Option<i64> {
    evidence.get(name)?.as_i64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::repaired;

    fn evidence() -> Option<Value> {
        Some(json!({
            "dc": "dc1.例.jp", "pwd_last_set": "2026-07-24T08:00:01Z",
            "pwd_last_set_before": "2026-01-01T00:00:00Z", "bad_pwd_count": 0,
            "controllers": 2, "controllers_answered": 2, "pwd_last_set_differs": true,
        }))
    }

    #[test]
    fn few_pcs_are_named_and_many_counted() {
        let few = [
            repaired("経理-1", evidence()),
            repaired("pc-2", None),
            repaired(
                "pc-3",
                Some(json!({"pwd_last_set": "2026-01-01T00:00:00Z"})),
            ),
        ];
        assert_eq!(
            lines(few.iter()),
            [
                "経理-1: dc1.例.jp: password set 2026-01-01T00:00:00Z → 2026-07-24T08:00:01Z, 0 \
                 failed logons, 2 of 2 controllers answered, they do not agree yet",
                "pc-3: password set 2026-01-01T00:00:00Z",
            ]
        );
        let mut many: Vec<HostResult> = (0..10).map(|_| repaired("pc", evidence())).collect();
        many.push(repaired("pc", None));
        many.push(repaired("pc", Some(json!({"bad_pwd_count": 3}))));
        assert_eq!(
            lines(many.iter()),
            [
                "11 of 12 repaired PCs were looked up: 10 accounts have a new password, 1 count \
              failed logons"
            ]
        );
        assert!(lines([repaired("pc", None)].iter()).is_empty());
        let of_its_own = repaired("pc", Some(json!({"rotated": false})));
        assert!(lines([of_its_own].iter()).is_empty());
        let silent = json!({"dc": "dc2", "bad_pwd_count": 0, "error": "dc1 応答なし"});
        assert_eq!(
            lines([repaired("pc", Some(silent))].iter()),
            ["pc: dc2: 0 failed logons, dc1 応答なし"]
        );
    }
}
