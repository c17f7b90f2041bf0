//! What a repaired PC's result keeps of the directory's answers.

use serde_json::{Map, Value};

/// What is kept of an answer of `read-computer`; each moves when a repair was real, or says where
/// it was read.
const KEPT: [&str; 6] = [
    "found",
    "dc",
    "enabled",
    "pwd_last_set",
    "bad_pwd_count",
    "pwd_last_set_differs",
];

/// Of these the value before the repair is told too, as `NAME_before`.
const COMPARED: [&str; 3] = ["enabled", "pwd_last_set", "bad_pwd_count"];

/// Cuts an answer of `read-computer` down to what evidence needs: the fields above that are known,
/// how many controllers were asked (`controllers`) and how many of them answered.
pub(super) fn reduced(answer: &Value) -> Value {
    let mut kept = Map::new();
    for name in KEPT {
        if let Some(value) = answer.get(name).filter(|value| !value.is_null()) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(controllers) = answer.get("controllers").and_then(Value::as_array) {
        let answered = controllers
            .iter()
            .filter(|controller| controller.get("answered") == Some(&Value::Bool(true)));
        kept.insert("controllers_answered".to_owned(), answered.count().into());
        kept.insert("controllers".to_owned(), controllers.len().into());
    }
    Value::Object(kept)
}

/// Returns the evidence of a repair: what the directory said after it, beside what it said before
/// anything was changed.
pub(super) fn of(after: &Value, before: Option<&Value>) -> Value {
    let mut evidence = reduced(after);
    if let Value::Object(fields) = &mut evidence {
        for name in COMPARED {
            if let Some(value) = before.and_then(|before| before.get(name)) {
                fields.insert(format!("{name}_before"), value.clone());
            }
        }
    }
    evidence
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keeps_little_and_says_what_moved() {
        let answer = |set: &str, bad: u32| {
            json!({
                "found": true, "dc": "dc1.例.jp", "dn": "CN=PC", "enabled": true, "spns": ["HOST/pc"],
                "pwd_last_set": set, "bad_pwd_count": bad, "pwd_last_set_differs": null,
                "controllers": [{"dc": "dc1", "answered": true}, {"dc": "dc2", "answered": false}],
            })
        };
        let before = reduced(&answer("2026-01-01T00:00:00Z", 3));
        assert_eq!(
            of(&answer("2026-07-24T08:00:00Z", 0), Some(&before)),
            json!({
                "found": true, "dc": "dc1.例.jp", "enabled": true, "enabled_before": true,
                "pwd_last_set": "2026-07-24T08:00:00Z",
                "pwd_last_set_before": "2026-01-01T00:00:00Z",
                "bad_pwd_count": 0, "bad_pwd_count_before": 3,
                "controllers": 2, "controllers_answered": 1,
            })
        );
        assert_eq!(of(&json!({"found": null}), None), json!({}));
    }
}
