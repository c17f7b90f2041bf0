//! A file of scripted answers, which teaches the lab scripts that it does not simulate.
//!
//! ```yaml
//! answers:
//!   - script: trust-repair/diagnose.ps1   # or the SHA-256 of the script's text
//!     host: "PC-00*"                      # NetBIOS names; any host if left out
//!     answer: { ok: true }
//!   - script: 9f86d081884c7d65…
//!     error: { id: AccessDenied, code: 5, message: no }
//!     delay_ms: 200
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;
use serde_json::Value;

/// Scripted answers; the first that fits is given, before any simulation.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    entries: Vec<Entry>,
}

/// What one entry says.
#[derive(Clone, Debug, PartialEq)]
pub struct Taught {
    /// The answer, or the error.
    pub reply: Result<Value, TaughtError>,
    /// How long to wait first.
    pub delay: Duration,
}

/// An error to answer with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaughtError {
    /// `FullyQualifiedErrorId`.
    pub id: String,
    /// HRESULT or Win32 code.
    #[serde(default)]
    pub code: Option<i64>,
    /// Its text.
    #[serde(default)]
    pub message: String,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswersError {
    /// It cannot be read.
    #[error("failed to read the answers in {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("failed to understand the answers")]
    Parse(#[from] serde_yaml::Error),
    /// A host pattern is wrong.
    #[error("failed to understand the host pattern {pattern}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        source: globset::Error,
    },
    /// An entry has neither an answer nor an error, or both.
    #[error("failed to understand the entry for {script}: it needs either an answer or an error")]
    Ambiguous {
        /// The script it names.
        script: String,
    },
}

#[derive(Clone, Debug)]
struct Entry {
    script: String,
    host: Option<GlobMatcher>,
    taught: Taught,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    answers: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    script: String,
    #[serde(default)]
    host: Option<String>,
    /// Kept twice wrapped, so that `answer: null` differs from no answer at all.
    #[serde(default, deserialize_with = "present")]
    answer: Option<Value>,
    #[serde(default)]
    error: Option<TaughtError>,
    #[serde(default)]
    delay_ms: u64,
}

impl Answers {
    /// Reads a file of answers, YAML or JSON.
    ///
    /// # Errors
    /// See [`AnswersError`].
    pub fn read(path: &Path) -> Result<Self, AnswersError> {
        let text = std::fs::read_to_string(path).map_err(|source| AnswersError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    /// Reads answers from a text, YAML or JSON.
    ///
    /// # Errors
    /// See [`AnswersError`].
    pub fn parse(text: &str) -> Result<Self, AnswersError> {
        let raw: RawFile = serde_yaml::from_str(text)?;
        let entries = raw
            .answers
            .into_iter()
            .map(entry)
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Returns the first answer for this script on this host.
    pub fn find(&self, name: Option<&str>, digest: &str, host: &str) -> Option<&Taught> {
        let fits = |entry: &&Entry| {
            let script = Some(entry.script.as_str()) == name
                || entry
                    .script
                    .trim_start_matches("sha256:")
                    .eq_ignore_ascii_case(digest);
            script && entry.host.as_ref().is_none_or(|glob| glob.is_match(host))
        };
        self.entries.iter().find(fits).map(|entry| &entry.taught)
    }
}

fn entry(raw: RawEntry) -> Result<Entry, AnswersError> {
    let host = raw.host.map(pattern).transpose()?;
    let reply = match (raw.answer, raw.error) {
        (Some(answer), None) => Ok(answer),
        (None, Some(error)) => Err(error),
        _ => return Err(AnswersError::Ambiguous { script: raw.script }),
    };
    let taught = Taught {
        reply,
        delay: Duration::from_millis(raw.delay_ms),
    };
    Ok(Entry {
        script: raw.script,
        host,
        taught,
    })
}

fn pattern(pattern: String) -> Result<GlobMatcher, AnswersError> {
    GlobBuilder::new(&pattern)
        .case_insensitive(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|source| AnswersError::Pattern { pattern, source })
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_name_by_digest_and_by_host() {
        let answers = Answers::parse(
            "answers:\n\
             - {script: a.ps1, host: 'PC-00*', answer: [1]}\n\
             - {script: a.ps1, answer: null}\n\
             - {script: 'sha256:ABCD', error: {id: X, code: -5}, delay_ms: 7}\n",
        )
        .unwrap();
        let reply = |name, digest, host| answers.find(name, digest, host).map(|t| t.reply.clone());
        assert_eq!(
            reply(Some("a.ps1"), "0", "pc-001"),
            Some(Ok(serde_json::json!([1])))
        );
        assert_eq!(reply(Some("a.ps1"), "0", "PC-100"), Some(Ok(Value::Null)));
        assert_eq!(reply(None, "0", "PC-100"), None);
        let taught = answers.find(None, "abcd", "PC-1").unwrap();
        assert_eq!(taught.delay, Duration::from_millis(7));
        assert_eq!(taught.reply.as_ref().unwrap_err().code, Some(-5));
    }

    #[test]
    fn an_entry_says_one_thing() {
        let both = "answers: [{script: a, answer: 1, error: {id: X}}]";
        let none = "answers: [{script: a}]";
        for text in [both, none] {
            assert!(matches!(
                Answers::parse(text),
                Err(AnswersError::Ambiguous { .. })
            ));
        }
        assert!(matches!(
            Answers::parse("answers: [{scrip: a}]"),
            Err(AnswersError::Parse(_))
        ));
    }
}
