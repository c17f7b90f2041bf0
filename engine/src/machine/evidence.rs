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
/// how many controllers were asked (`controllers`) and how many of them answered, and what was
/// wrong with the reading (`error`), as that the controller asked for was silent.
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
    let error = answer.get("error").and_then(|error| error.get("message"));
    if let Some(message) = error.filter(|message| message.is_string()) {
        kept.insert("error".to_owned(), message.clone());
    }
    Value::Object(kept)
}

/// Returns the evidence of a repair: what the directory said after it, beside what the same
/// controller said before anything was changed; and `rotated` where the rung gave the PC a secret
/// that was made for it, with what the rung's steps `answered`. None if nothing is known.
pub(super) fn of(
    after: Option<&Value>,
    before: Option<&Value>,
    answered: Option<&Map<String, Value>>,
) -> Option<Value> {
    let mut evidence = after.map(reduced);
    if let (Some(Value::Object(fields)), Some(before)) = (&mut evidence, before)
        // What another controller said may be older or newer by itself.
        && before.get("dc") == fields.get("dc")
    {
        for name in COMPARED {
            if let Some(value) = before.get(name) {
                fields.insert(format!("{name}_before"), value.clone());
            }
        }
    }
    if let Some(answered) = answered {
        let evidence = evidence.get_or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(fields) = evidence {
            fields.insert("rotated".to_owned(), rotated(answered).into());
        }
    }
    evidence
}

/// Tells whether the PC has replaced the secret that was made for it by one of its own, so that
/// nobody else knows it: the `rotated` of the first step that tells, else the `changed` of the
/// step `rotate`. None if no step tells, as where it was left out.
fn rotated(answered: &Map<String, Value>) -> Option<bool> {
    let mut answers = answered.values();
    let told = answers.find_map(|answer| answer.get("rotated")?.as_bool());
    told.or_else(|| answered.get("rotate")?.get("changed")?.as_bool())
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
            of(
                Some(&answer("2026-07-24T08:00:00Z", 0)),
                Some(&before),
                None
            ),
            Some(json!({
                "found": true, "dc": "dc1.例.jp", "enabled": true, "enabled_before": true,
                "pwd_last_set": "2026-07-24T08:00:00Z",
                "pwd_last_set_before": "2026-01-01T00:00:00Z",
                "bad_pwd_count": 0, "bad_pwd_count_before": 3,
                "controllers": 2, "controllers_answered": 1,
            }))
        );
        assert_eq!(
            of(Some(&json!({"found": null})), None, None),
            Some(json!({}))
        );
        assert_eq!(of(None, Some(&before), None), None);
    }

    #[test]
    fn what_another_controller_said_is_no_comparison() {
        let before = json!({"dc": "dc1", "pwd_last_set": "2026-01-01T00:00:00Z"});
        let after = json!({
            "dc": "dc2", "pwd_last_set": "2026-01-02T00:00:00Z",
            "error": {"code": null, "error_id": "DirectoryDeadline", "message": "dc1 応答なし"},
        });
        assert_eq!(
            of(Some(&after), Some(&before), None),
            Some(json!({
                "dc": "dc2", "pwd_last_set": "2026-01-02T00:00:00Z", "error": "dc1 応答なし",
            }))
        );
    }

    #[test]
    fn tells_whether_the_made_secret_was_replaced() {
        for (answered, told) in [
            (
                json!({"store": {"stored": true}, "rotate": {"rotated": true}}),
                Some(true),
            ),
            (
                json!({"store": {}, "rotate": {"rotated": false, "changed": true}}),
                Some(false),
            ),
            (
                json!({"rotate": {"changed": false, "tool": "ads"}}),
                Some(false),
            ),
            (
                json!({"store": {"rotated": true}, "rotate": null}),
                Some(true),
            ),
            (json!({"store": {"changed": true}, "rotate": null}), None),
            (json!({}), None),
        ] {
            let answered = answered.as_object().unwrap();
            let evidence = of(None, None, Some(answered)).unwrap();
            assert_eq!(evidence, json!({"rotated": told}), "{answered:?}");
        }
    }
}
