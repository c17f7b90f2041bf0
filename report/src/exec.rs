//! What a command by hand printed, as bytes and as text.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{SHIFT_JIS, WINDOWS_1252};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// What a command by hand printed and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExecResult {
    /// Its standard output.
    pub stdout: Stream,
    /// Its standard error.
    pub stderr: Stream,
    /// Its exit code; `None` when it gave no answer.
    pub exit_code: Option<i64>,
}

/// Bytes that a program wrote, in whatever code page it used.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Stream {
    bytes: Vec<u8>,
    total: u64,
}

impl ExecResult {
    /// Tells whether both read the same, whatever the code page of their bytes.
    pub(crate) fn reads_as(&self, other: &Self) -> bool {
        let read = |stream: &Stream| (stream.cut(), stream.text());
        self == other
            || self.exit_code == other.exit_code
                && read(&self.stdout) == read(&other.stdout)
                && read(&self.stderr) == read(&other.stderr)
    }

    /// Reads the answer of an exec step as events hold it.
    pub(crate) fn from_answer(answer: &Value) -> Self {
        Self {
            stdout: Stream::from_answer(answer, "stdout"),
            stderr: Stream::from_answer(answer, "stderr"),
            exit_code: answer.get("exit_code").and_then(Value::as_i64),
        }
    }
}

impl Stream {
    /// Takes bytes as they came.
    pub fn new(bytes: Vec<u8>) -> Self {
        let total = bytes.len() as u64;
        Self { bytes, total }
    }

    /// Returns the bytes as text: UTF-8 if they are that, else cp932 if they can be that (a
    /// Japanese Windows), else Windows-1252, which every byte can be. It is a guess, for showing only.
    pub fn text(&self) -> String {
        if let Ok(text) = std::str::from_utf8(&self.bytes) {
            return text.to_owned();
        }
        SHIFT_JIS
            .decode_without_bom_handling_and_without_replacement(&self.bytes)
            .unwrap_or_else(|| WINDOWS_1252.decode_without_bom_handling(&self.bytes).0)
            .into_owned()
    }

    /// Returns how many bytes the program wrote beyond those that were kept.
    pub fn cut(&self) -> u64 {
        self.total.saturating_sub(self.bytes.len() as u64)
    }

    fn from_answer(answer: &Value, name: &str) -> Self {
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let bytes = match (text(name), text(&format!("{name}_base64"))) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(encoded)) => STANDARD.decode(encoded).unwrap_or_default(),
            (None, None) => Vec::new(),
        };
        let total = answer.get(format!("{name}_bytes")).and_then(Value::as_u64);
        Self {
            total: total.unwrap_or(bytes.len() as u64),
            bytes,
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?})", self.text())
    }
}

/// Text, and beside each stream that was cut how many bytes are missing.
impl Serialize for ExecResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, cut, stream) in [
            ("stdout", "stdout_cut", &self.stdout),
            ("stderr", "stderr_cut", &self.stderr),
        ] {
            map.serialize_entry(name, &stream.text())?;
            if stream.cut() > 0 {
                map.serialize_entry(cut, &stream.cut())?;
            }
        }
        map.serialize_entry("exit_code", &self.exit_code)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn foreign_bytes_become_text_late() {
        let result = ExecResult::from_answer(&json!({
            "exit_code": 5, "stdout_base64": "kKyM9w==", "stderr": "", "stdout_bytes": 10,
        }));
        assert_eq!(
            (result.stdout.text().as_str(), result.stdout.cut()),
            ("成功", 6)
        );
        assert_eq!(
            serde_json::to_value(&result).unwrap(),
            json!({"stdout": "成功", "stdout_cut": 6, "stderr": "", "exit_code": 5})
        );
        let utf8 = |bytes: &str| ExecResult {
            stdout: Stream::new(bytes.into()),
            ..ExecResult::default()
        };
        let cp932 = ExecResult {
            stdout: Stream::new(vec![0x90, 0xac, 0x8c, 0xf7]),
            ..ExecResult::default()
        };
        assert!(cp932.reads_as(&utf8("成功")) && !cp932.reads_as(&utf8("失敗")));
        assert_eq!(Stream::new(b"\xe9t\xe9".to_vec()).text(), "été");
        assert_eq!(Stream::new("成功".into()).text(), "成功");
    }

    #[test]
    fn rubbish_is_survived() {
        let result = ExecResult::from_answer(&json!({ "stdout_base64": "%%%", "stderr": 3 }));
        assert_eq!(result, ExecResult::default());
    }
}
