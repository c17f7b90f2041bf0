//! The last net under secrets: whatever a PC says, no secret that we gave it is stored.

use fleetmend_model::{Secret, StepEnd};
use serde_json::Value;

const MASK: &str = "***";

/// Replaces every occurrence of the secrets in what a step said. Blanks around a secret do not
/// count: a file's last line end is seldom repeated.
pub(super) fn scrub<'a>(end: &mut StepEnd, secrets: impl IntoIterator<Item = &'a Secret>) {
    let texts = secrets.into_iter().map(|secret| secret.reveal().trim());
    for secret in texts.filter(|secret| !secret.is_empty()) {
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

fn scrub_text(text: &mut String, secret: &str) {
    if text.contains(secret) {
        *text = text.replace(secret, MASK);
    }
}

fn scrub_value(value: &mut Value, secret: &str) {
    match value {
        Value::String(text) => scrub_text(text, secret),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub_value(item, secret)),
        Value::Object(fields) => {
            fields
                .values_mut()
                .for_each(|field| scrub_value(field, secret));
            if fields.keys().any(|name| name.contains(secret)) {
                let old = std::mem::take(fields);
                fields.extend(
                    old.into_iter()
                        .map(|(name, v)| (name.replace(secret, MASK), v)),
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
        let secrets = [
            Secret::new("秘密-p4ss\n".into()),
            Secret::new(" ".into()),
            Secret::new(String::new()),
        ];
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
