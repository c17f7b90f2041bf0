//! What the far end of the `sh` channel answers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::ScriptFailure;
use crate::powershell::frame::{Answer, FrameError};

/// The script's standard output in base64 (a shell cannot escape JSON) and its exit code.
#[derive(Deserialize)]
struct Raw {
    base64: String,
    code: i64,
}

/// Reads the JSON of an answer line of the `sh` channel.
///
/// # Errors
/// [`FrameError`] if the line is not an answer at all. A script that printed no JSON is a
/// failure of the script.
pub fn decode(json: &[u8]) -> Result<Answer, FrameError> {
    let raw: Raw = serde_json::from_slice(json).map_err(FrameError::Json)?;
    let output = STANDARD
        .decode(&raw.base64)
        .map_err(|_| FrameError::Encoding { field: "output" })?;
    let outcome = if raw.code != 0 {
        Err(failure("ExitCode", Some(raw.code), &output))
    } else if output.trim_ascii().is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_slice(&output).map_err(|_| failure("AnswerNotJson", None, &output))
    };
    Ok(Answer {
        outcome,
        diag: Vec::new(),
    })
}

fn failure(error_id: &str, code: Option<i64>, output: &[u8]) -> ScriptFailure {
    let text = String::from_utf8_lossy(output);
    ScriptFailure {
        error_id: error_id.to_owned(),
        code,
        message: text.trim().chars().take(2000).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(output: &str, code: i64) -> Result<Value, ScriptFailure> {
        let line = json!({"base64": STANDARD.encode(output), "code": code}).to_string();
        decode(line.as_bytes()).unwrap().outcome
    }

    #[test]
    fn reads_output_and_exit_code() {
        assert_eq!(outcome("{\"名\":1}\n", 0), Ok(json!({"名": 1})));
        assert_eq!(outcome("\n", 0), Ok(Value::Null));
        assert_eq!(
            outcome("not json", 0).unwrap_err().error_id,
            "AnswerNotJson"
        );
        let failure = outcome("だめ", 3).unwrap_err();
        assert_eq!(
            (failure.error_id.as_str(), failure.code),
            ("ExitCode", Some(3))
        );
        assert_eq!(failure.message, "だめ");
        assert!(decode(br#"{"base64":"!","code":0}"#).is_err());
    }
}
