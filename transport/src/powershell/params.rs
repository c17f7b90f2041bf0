//! What a request carries: the script's text and its parameters with the secrets among them.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{SessionError, StepRequest};

/// An empty field would be no field for `sh`.
pub(super) fn script_text(request: &StepRequest) -> &str {
    match request.script.text.as_str() {
        "" => "\n",
        text => text,
    }
}

/// Returns visible and secret parameters as one JSON object, in memory that is wiped.
pub(super) fn merged_params(request: &StepRequest) -> Result<Zeroizing<String>, SessionError> {
    let not_run = |error: serde_json::Error| SessionError::NotRun {
        detail: format!("parameters: {error}"),
    };
    let hidden = |name: &String| {
        request.secrets.contains_key(name) || request.credentials.contains_key(name)
    };
    let visible: Map<String, Value> = request
        .params
        .iter()
        .filter(|(name, _)| !hidden(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut text = Zeroizing::new(serde_json::to_string(&visible).map_err(not_run)?);
    if request.secrets.is_empty() && request.credentials.is_empty() {
        return Ok(text);
    }
    // Written by hand, so that no copy of a secret lives in a JSON value: a secret of n bytes
    // takes at most 6 n when escaped, so the text never moves.
    let secrets = request
        .secrets
        .iter()
        .map(|(name, secret)| name.len() + secret.reveal().len());
    let credentials = request
        .credentials
        .iter()
        .map(|(name, held)| name.len() + held.user.len() + held.password.reveal().len() + 32);
    let room: usize = secrets.chain(credentials).map(|size| 6 * size + 8).sum();
    let mut whole = Zeroizing::new(String::with_capacity(text.len() + room));
    text.pop();
    whole.push_str(&text);
    for (name, secret) in &request.secrets {
        push_json_name(&mut whole, name);
        push_json_string(&mut whole, secret.reveal());
    }
    for (name, credential) in &request.credentials {
        push_json_name(&mut whole, name);
        whole.push('{');
        push_json_name(&mut whole, "user");
        push_json_string(&mut whole, &credential.user);
        push_json_name(&mut whole, "password");
        push_json_string(&mut whole, credential.password.reveal());
        whole.push('}');
    }
    whole.push('}');
    Ok(whole)
}

/// Begins a member of a JSON object.
fn push_json_name(text: &mut String, name: &str) {
    if !text.ends_with('{') {
        text.push(',');
    }
    push_json_string(text, name);
    text.push(':');
}

fn push_json_string(text: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    text.push('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            '\u{0}'..='\u{1f}' => {
                let digit = |nibble: u32| {
                    HEX.get(nibble as usize & 15)
                        .copied()
                        .map_or('0', char::from)
                };
                let code = u32::from(character);
                text.extend(['\\', 'u', '0', '0', digit(code >> 4), digit(code)]);
            }
            _ => text.push(character),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use fleetmend_model::Secret;
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_merged_as_json() {
        let script = crate::Script {
            name: "x".into(),
            text: String::new(),
        };
        let mut request = StepRequest {
            script: std::sync::Arc::new(script),
            params: Map::new(),
            secrets: std::collections::BTreeMap::new(),
            credentials: std::collections::BTreeMap::new(),
        };
        assert_eq!(*merged_params(&request).unwrap(), "{}");
        request
            .secrets
            .insert("p".into(), Secret::new("a\"\\\n\u{1}信頼😀".into()));
        let parsed: Value = serde_json::from_str(&merged_params(&request).unwrap()).unwrap();
        assert_eq!(parsed, json!({"p": "a\"\\\n\u{1}信頼😀"}));
        request.params.insert("d".into(), json!("example.jp"));
        request.params.insert("p".into(), json!("the secret wins"));
        let parsed: Value = serde_json::from_str(&merged_params(&request).unwrap()).unwrap();
        assert_eq!(
            parsed,
            json!({"d": "example.jp", "p": "a\"\\\n\u{1}信頼😀"})
        );
        let credential = fleetmend_model::Credential {
            user: r"CORP\修復".into(),
            password: Secret::new("a{b".into()),
            ssh: None,
        };
        request.secrets.clear();
        request.credentials.insert("p".into(), credential);
        let parsed: Value = serde_json::from_str(&merged_params(&request).unwrap()).unwrap();
        assert_eq!(
            parsed,
            json!({"d": "example.jp", "p": {"user": r"CORP\修復", "password": "a{b"}})
        );
    }
}
