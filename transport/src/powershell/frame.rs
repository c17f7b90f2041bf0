//! The lines of the step channel, both ways, without a socket (docs/step-channel.md).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{Input, ScriptFailure};

/// A line was not of the form that the step channel speaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Not as many fields as there must be.
    #[error("failed to find the fields of a step channel line")]
    Fields,
    /// The marker is not 32 lower-case hex digits.
    #[error("failed to read a marker")]
    Marker,
    /// The id is not a number.
    #[error("failed to read an id")]
    Id,
    /// A field is not base64 of UTF-8.
    #[error("failed to decode the {field} of a request")]
    Encoding {
        /// Which field.
        field: &'static str,
    },
    /// The JSON of an answer is not what it must be.
    #[error("failed to read the JSON of an answer")]
    Json(#[source] serde_json::Error),
}

/// Tells our lines from whatever else a process prints: random for each process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Marker(String);

impl Marker {
    /// Returns a new random marker.
    pub fn random() -> Self {
        let bytes: [u8; 16] = rand::random();
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns the 32 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Marker {
    type Err = FrameError;

    fn from_str(text: &str) -> Result<Self, FrameError> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(digits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(FrameError::Marker)
        }
    }
}

/// One request line. Script and parameters are wiped when it is dropped: the parameters hold
/// secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The marker of the process.
    pub marker: Marker,
    /// Counts up from 1.
    pub id: u64,
    /// The script's text.
    pub script: Zeroizing<String>,
    /// The parameters: one JSON object.
    pub params: Zeroizing<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("marker", &self.marker)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Returns the line with its line feed.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let line = RequestLine {
            marker: &self.marker,
            id: self.id,
            script: &self.script,
            params: &self.params,
        };
        line.bytes()
    }

    /// Reads a line without its line feed.
    ///
    /// # Errors
    /// [`FrameError`] if it is not a request line.
    pub fn decode(line: &[u8]) -> Result<Self, FrameError> {
        let line = std::str::from_utf8(line).map_err(|_| FrameError::Fields)?;
        let mut fields = line.trim_end_matches('\r').split(' ');
        let mut next = || fields.next().ok_or(FrameError::Fields);
        let (marker, id, script, params) = (next()?, next()?, next()?, next()?);
        if fields.next().is_some() {
            return Err(FrameError::Fields);
        }
        Ok(Self {
            marker: marker.parse()?,
            id: id.parse().map_err(|_| FrameError::Id)?,
            script: decode_text(script, "script")?,
            params: decode_text(params, "parameters")?,
        })
    }
}

/// A request line before it is written: what many PCs share, a script, is not copied for each.
pub(super) struct RequestLine<'a> {
    /// As in [`Request`].
    pub(super) marker: &'a Marker,
    /// As in [`Request`].
    pub(super) id: u64,
    /// As in [`Request`].
    pub(super) script: &'a str,
    /// As in [`Request`].
    pub(super) params: &'a str,
}

impl fmt::Debug for RequestLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestLine")
            .field("marker", &self.marker)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Input for RequestLine<'_> {
    fn most(&self) -> usize {
        let base64 = |text: &str| text.len().div_ceil(3) * 4;
        // Marker (32), id (at most 20), three blanks, one line feed.
        64 + base64(self.script) + base64(self.params)
    }

    fn bytes(&self) -> Zeroizing<Vec<u8>> {
        // One allocation of the right size: growing would leave copies of secrets behind.
        let mut line = Zeroizing::new(String::with_capacity(self.most()));
        line.push_str(self.marker.as_str());
        line.push(' ');
        line.push_str(&self.id.to_string());
        line.push(' ');
        STANDARD.encode_string(self.script.as_bytes(), &mut line);
        line.push(' ');
        STANDARD.encode_string(self.params.as_bytes(), &mut line);
        line.push('\n');
        Zeroizing::new(std::mem::take(&mut *line).into_bytes())
    }
}

fn decode_text(base64: &str, field: &'static str) -> Result<Zeroizing<String>, FrameError> {
    let bytes = STANDARD
        .decode(base64)
        .map_err(|_| FrameError::Encoding { field })?;
    String::from_utf8(bytes)
        .map(Zeroizing::new)
        .map_err(|_| FrameError::Encoding { field })
}

/// What stands in an answer line behind marker and id.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The script's answer, or how it failed.
    pub outcome: Result<Value, ScriptFailure>,
    /// Warnings, non-terminating errors and the like.
    pub diag: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct AnswerJson {
    ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorJson>,
    #[serde(default)]
    diag: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct ErrorJson {
    id: String,
    code: Option<i64>,
    message: String,
}

impl Answer {
    /// Returns the whole line with the line feeds before and after it.
    pub fn encode(&self, marker: &Marker, id: u64) -> Vec<u8> {
        let (answer, error) = match &self.outcome {
            Ok(value) => (Some(value.clone()), None),
            Err(failure) => (
                None,
                Some(ErrorJson {
                    id: failure.error_id.clone(),
                    code: failure.code,
                    message: failure.message.clone(),
                }),
            ),
        };
        let ok = self.outcome.is_ok();
        // A struct of strings, numbers and JSON always serialises.
        let json = serde_json::to_string(&AnswerJson {
            ok,
            answer,
            error,
            diag: self.diag.clone(),
        })
        .unwrap_or_default();
        format!("\n{marker} {id} {}\n", escape_ascii(&json)).into_bytes()
    }

    /// Reads the JSON of an answer line.
    ///
    /// # Errors
    /// [`FrameError::Json`].
    pub fn decode(json: &[u8]) -> Result<Self, FrameError> {
        let json: AnswerJson = serde_json::from_slice(json).map_err(FrameError::Json)?;
        let outcome = if json.ok {
            Ok(json.answer.unwrap_or(Value::Null))
        } else {
            let error = json.error.unwrap_or(ErrorJson {
                id: "NoError".to_owned(),
                code: None,
                message: String::new(),
            });
            Err(ScriptFailure {
                error_id: error.id,
                code: error.code,
                message: error.message,
            })
        };
        Ok(Self {
            outcome,
            diag: json.diag,
        })
    }
}

/// Returns JSON text with everything beyond ASCII as `\uXXXX`.
pub fn escape_ascii(json: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn marker() -> Marker {
        "0123456789abcdef0123456789abcdef".parse().unwrap()
    }

    #[test]
    fn a_request_survives_the_wire_in_ascii() {
        let request = Request {
            marker: Marker::random(),
            id: 7,
            script: "param($Params)\r\n'信頼関係'\n".to_owned().into(),
            params: r#"{"password":"p\"ä 😀\n"}"#.to_owned().into(),
        };
        let line = request.encode();
        assert!(line.is_ascii() && line.ends_with(b"\n"));
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(
            Request::decode(line.strip_suffix(b"\n").unwrap()).unwrap(),
            request
        );
        assert!(!format!("{request:?}").contains("password"));
        let again = RequestLine {
            marker: &request.marker,
            id: u64::MAX,
            script: &request.script,
            params: &request.params,
        };
        // It never outgrows its first allocation.
        assert_eq!(again.bytes().capacity(), again.most());
        assert!(!format!("{again:?}").contains("password"));
    }

    #[test]
    fn damaged_requests_are_refused() {
        let good = "0123456789abcdef0123456789abcdef 1 YQ== e30=";
        assert!(Request::decode(good.as_bytes()).is_ok());
        for bad in [
            "",
            "0123456789abcdef0123456789abcdef 1 YQ==",
            "0123456789abcdef0123456789abcdef 1 YQ== e30= x",
            "0123456789ABCDEF0123456789abcdef 1 YQ== e30=",
            "0123456789abcdef0123456789abcde 1 YQ== e30=",
            "0123456789abcdef0123456789abcdef one YQ== e30=",
            "0123456789abcdef0123456789abcdef 1 Y!== e30=",
            "0123456789abcdef0123456789abcdef 1 /w== e30=",
        ] {
            assert!(Request::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_answer_survives_the_wire_in_ascii() {
        for outcome in [
            Ok(json!({"名前": "PC-001 😀", "n": [1, null, -5]})),
            Ok(Value::Null),
            Err(ScriptFailure {
                error_id: "CommandNotFoundException".into(),
                code: Some(-2_147_024_891),
                message: "アクセスが拒否されました".into(),
            }),
        ] {
            let answer = Answer {
                outcome,
                diag: vec!["warning: 警告".into()],
            };
            let line = answer.encode(&marker(), 3);
            assert!(line.is_ascii());
            let text = std::str::from_utf8(&line).unwrap();
            let json = text
                .strip_prefix("\n0123456789abcdef0123456789abcdef 3 ")
                .and_then(|rest| rest.strip_suffix('\n'))
                .unwrap();
            assert_eq!(Answer::decode(json.as_bytes()).unwrap(), answer);
        }
    }

    #[test]
    fn the_answers_of_the_page_are_read() {
        let text = r#"{"ok":false,"error":{"id":"X,Y","code":null,"message":"m"},"diag":[]}"#;
        let answer = Answer::decode(text.as_bytes()).unwrap();
        let failure = answer.outcome.unwrap_err();
        assert_eq!((failure.error_id.as_str(), failure.code), ("X,Y", None));
        assert!(Answer::decode(br#"{"ok":true,"answer":NaN,"diag":[]}"#).is_err());
    }
}
