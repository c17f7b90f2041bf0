//! The last net under secrets: whatever a PC says, no secret that we gave it is stored.

use fleetmend_model::{Secret, StepEnd};
use serde_json::Value;

const MASK: &str = "***";

/// Replaces every occurrence of the secrets in what a step said.
pub(super) fn scrub(end: &mut StepEnd, secrets: &[Secret]) {
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        match end {
            StepEnd::Answered { answer } => scrub_value(answer, secret),
            StepEnd::Failed {
                message, error_id, ..
            } => {
                scrub_text(message, secret);
                scrub_text(error_id, secret);
            }
            StepEnd::NotRun { reason } | StepEnd::Unknown { reason } => {
                scrub_text(reason, secret);
            }
        }
    }
}

fn scrub_text(text: &mut String, secret: &Secret) {
    if text.contains(secret.reveal()) {
        *text = text.replace(secret.reveal(), MASK);
    }
}

fn scrub_value(value: &mut Value, secret: &Secret) {
    match value {
        Value::String(text) => scrub_text(text, secret),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub_value(item, secret)),
        Value::Object(fields) => {
            fields
                .values_mut()
                .for_each(|field| scrub_value(field, secret));
            if fields.keys().any(|name| name.contains(secret.reveal())) {
                let old = std::mem::take(fields);
                fields.extend(
                    old.into_iter()
                        .map(|(name, v)| (name.replace(secret.reveal(), MASK), v)),
                );
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_secret_survives_in_any_corner() {
        let secrets = [Secret::new("秘密-p4ss".into()), Secret::new(String::new())];
        let mut end = StepEnd::Answered {
            answer: json!({"a": ["x秘密-p4ssy", {"秘密-p4ss": 1}], "n": 4, "ok": true}),
        };
        scrub(&mut end, &secrets);
        assert_eq!(
            end,
            StepEnd::Answered {
                answer: json!({"a": ["x***y", {"***": 1}], "n": 4, "ok": true})
            }
        );
        let mut end = StepEnd::Failed {
            error_id: "E".into(),
            code: None,
            message: "bad password 秘密-p4ss".into(),
        };
        scrub(&mut end, &secrets);
        assert!(!format!("{end:?}").contains("p4ss"));
    }
}
