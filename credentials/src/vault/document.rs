//! What stands in a vault: one line of JSON for the document, one for each entry.
//!
//! ```text
//! {"fleetmend_vault":1,"recipients":["age1…"]}
//! {"name":"local-admin","user":"fleetadmin","password":"…","updated":"2026-01-31T09:00:00Z"}
//! ```
//!
//! A line an entry lets a reader decrypt the one that it needs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;
use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::entry::{Entry, EntryName, EntryNameError, Listed};
use super::json_text::unescape;
use super::wiped::Wiped;

/// The only version that there is.
const VERSION: u32 = 1;

/// All that a vault keeps, decrypted.
pub struct Document {
    /// The age recipients that the vault is locked to; empty where a passphrase locks it.
    pub recipients: Vec<String>,
    /// The entries.
    pub entries: BTreeMap<EntryName, Entry>,
}

/// This is no document of a vault. Says where, never what stands there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The first line does not say that this is a vault.
    #[error("it is no vault of fleetmend: its first line has no \"fleetmend_vault\"")]
    NoVault,
    /// It was written by a newer fleetmend.
    #[error("it has version {found} of the format; this fleetmend knows version {known} only")]
    Version {
        /// What the document says.
        found: u64,
        /// What is known here.
        known: u32,
    },
    /// A line is not what it has to be.
    #[error("line {line} of its text is not understood, at column {column}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in bytes.
        column: usize,
    },
    /// A password or note is no JSON string.
    #[error("line {line} of its text has a {field} that is no text")]
    Text {
        /// Counted from 1.
        line: usize,
        /// Which one.
        field: &'static str,
    },
    /// A name is none.
    #[error("line {line} of its text is not understood: {source}")]
    Name {
        /// Counted from 1.
        line: usize,
        /// Why.
        source: EntryNameError,
    },
    /// Two entries have one name.
    #[error("line {line} of its text names an entry that is there already")]
    Twice {
        /// Counted from 1.
        line: usize,
    },
}

/// Where each entry stands in the text.
pub(super) struct Index {
    /// The age recipients that the vault is locked to.
    pub(super) recipients: Vec<String>,
    /// The bytes of each entry's line.
    pub(super) lines: BTreeMap<EntryName, Range<usize>>,
}

#[derive(Deserialize)]
struct AnyVersion {
    fleetmend_vault: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    fleetmend_vault: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    user: Option<String>,
    #[serde(borrow)]
    password: &'a RawValue,
    #[serde(borrow)]
    note: Option<&'a RawValue>,
    updated: Timestamp,
}

#[derive(Serialize)]
struct LineOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    password: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    updated: Timestamp,
}

/// Reads the whole text of a vault.
///
/// # Errors
/// [`DocumentError`]: it is none that this version writes.
pub fn parse_document(text: &[u8]) -> Result<Document, DocumentError> {
    let mut entries = BTreeMap::new();
    let recipients = walk(text, |line, _, entry| {
        match entries.insert(entry.name.clone(), entry) {
            None => Ok(()),
            Some(_) => Err(DocumentError::Twice { line }),
        }
    })?;
    Ok(Document {
        recipients,
        entries,
    })
}

/// Reads the whole text of a vault, and keeps only where the entries stand.
pub(super) fn index(text: &[u8]) -> Result<Index, DocumentError> {
    let mut lines = BTreeMap::new();
    let recipients = walk(text, |line, range, entry| {
        match lines.insert(entry.name, range) {
            None => Ok(()),
            Some(_) => Err(DocumentError::Twice { line }),
        }
    })?;
    Ok(Index { recipients, lines })
}

/// Reads one entry's line; `line` is its number for errors.
pub(super) fn entry(text: &[u8], line: usize) -> Result<Entry, DocumentError> {
    let read: Line<'_> = serde_json::from_slice(text).map_err(|error| place(line, &error))?;
    let unescaped =
        |raw: &RawValue, field| unescape(raw.get()).ok_or(DocumentError::Text { line, field });
    Ok(Entry {
        name: read
            .name
            .parse()
            .map_err(|source| DocumentError::Name { line, source })?,
        user: read.user,
        password: unescaped(read.password, "password")?,
        note: read.note.map(|note| unescaped(note, "note")).transpose()?,
        updated: read.updated,
    })
}

impl Document {
    /// Returns a document without entries.
    pub(super) fn new(recipients: Vec<String>) -> Self {
        Self {
            recipients,
            entries: BTreeMap::new(),
        }
    }

    /// Returns the entries without their secrets, by name.
    pub fn list(&self) -> Vec<Listed> {
        self.entries.values().map(Entry::listed).collect()
    }

    /// Writes the text.
    pub(super) fn write(&self) -> std::io::Result<Wiped> {
        let mut text = Wiped::default();
        let first = First {
            fleetmend_vault: VERSION,
            recipients: self.recipients.clone(),
        };
        serde_json::to_writer(&mut text, &first)?;
        text.write_all(b"\n")?;
        for entry in self.entries.values() {
            let line = LineOut {
                name: entry.name.as_str(),
                user: entry.user.as_deref(),
                password: entry.password.reveal(),
                note: entry.note.as_ref().map(|note| note.reveal()),
                updated: entry.updated,
            };
            serde_json::to_writer(&mut text, &line)?;
            text.write_all(b"\n")?;
        }
        Ok(text)
    }
}

/// Shows names, no secret.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("recipients", &self.recipients)
            .field("entries", &self.entries)
            .finish()
    }
}

/// Reads line by line; returns the recipients.
fn walk(
    text: &[u8],
    mut take: impl FnMut(usize, Range<usize>, Entry) -> Result<(), DocumentError>,
) -> Result<Vec<String>, DocumentError> {
    let mut start = 0;
    let mut recipients = None;
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let range = start..start + line.len();
        start = range.end + 1;
        if recipients.is_none() {
            recipients = Some(first(line)?);
        } else if !line.trim_ascii().is_empty() {
            take(number, range, entry(line, number)?)?;
        }
    }
    recipients.ok_or(DocumentError::NoVault)
}

fn first(line: &[u8]) -> Result<Vec<String>, DocumentError> {
    // An editor of Windows begins a text with a byte order mark.
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let any: AnyVersion = serde_json::from_slice(line).map_err(|_| DocumentError::NoVault)?;
    if any.fleetmend_vault != u64::from(VERSION) {
        return Err(DocumentError::Version {
            found: any.fleetmend_vault,
            known: VERSION,
        });
    }
    let first: First = serde_json::from_slice(line).map_err(|error| place(1, &error))?;
    Ok(first.recipients)
}

/// Where an error is. Its own words may quote what stands there, which may be a password.
fn place(line: usize, error: &serde_json::Error) -> DocumentError {
    DocumentError::Line {
        line,
        column: error.column(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"fleetmend_vault":1}"#;

    fn parse(lines: &[&str]) -> Result<Document, DocumentError> {
        parse_document(lines.join("\n").as_bytes())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = [
            r#"{"fleetmend_vault":1,"recipients":["age1x"]}"#,
            r#"{"name":"local-admin","user":"管理者","password":"p\"\\ ひみつ\t","note":"メモ","updated":"2026-01-31T09:00:00Z"}"#,
            r#"{"name":"営業","password":"x","updated":"2026-01-31T09:00:01Z"}"#,
            "",
        ];
        let document = parse(&text).unwrap();
        let admin = &document.entries[&"local-admin".parse().unwrap()];
        assert_eq!(admin.password.reveal(), "p\"\\ ひみつ\t");
        assert_eq!(admin.note.as_ref().unwrap().reveal(), "メモ");
        let written = document.write().unwrap();
        assert_eq!(
            std::str::from_utf8(written.bytes()).unwrap(),
            text.join("\n")
        );
        let index = index(written.bytes()).unwrap();
        for (name, range) in index.lines {
            let line = &written.bytes()[range];
            assert_eq!(
                entry(line, 1).unwrap().listed(),
                document.entries[&name].listed()
            );
        }
    }

    #[test]
    fn hand_edited_text_is_read() {
        let document = parse(&[
            "\u{feff}{\"fleetmend_vault\": 1}\r",
            "",
            " {\"updated\":\"2026-01-31T09:00:00+09:00\", \"password\":\"\\u0041\", \"note\":null, \"name\":\"a\"}\r",
        ])
        .unwrap();
        assert_eq!(
            document.entries[&"a".parse().unwrap()].password.reveal(),
            "A"
        );
    }

    #[test]
    fn wrong_text_is_refused_without_being_quoted() {
        let line = |name: &str, rest: &str| {
            format!(r#"{{"name":{name},{rest}"updated":"2026-01-31T09:00:00Z"}}"#)
        };
        let good = line("\"a\"", "\"password\":\"canary\",");
        let decomposed = line("\"\u{304b}\u{3099}\"", "\"password\":\"canary\",");
        let composed = line("\"が\"", "\"password\":\"canary\",");
        for (lines, wanted) in [
            (vec![""], "NoVault"),
            (vec!["canary"], "NoVault"),
            (vec!["{}"], "NoVault"),
            (
                vec![r#"{"fleetmend_vault":2,"new":1}"#],
                "Version { found: 2, known: 1 }",
            ),
            (
                vec![r#"{"fleetmend_vault":1,"canary":1}"#],
                "Line { line: 1, column: 29 }",
            ),
            (vec![FIRST, "canary"], "Line { line: 2, column: 1 }"),
            (vec![FIRST, &good, &good], "Twice { line: 3 }"),
            (vec![FIRST, &decomposed, &composed], "Twice { line: 3 }"),
            (
                vec![FIRST, &line("\"a\"", "")],
                "Line { line: 2, column: 45 }",
            ),
            (
                vec![FIRST, &line("\"a\"", "\"password\":7,")],
                "Text { line: 2, field: \"password\" }",
            ),
            (
                vec![FIRST, &line("\"a\"", "\"password\":\"x\",\"note\":{},")],
                "Text { line: 2, field: \"note\" }",
            ),
            (
                vec![FIRST, &line("\"\"", "\"password\":\"canary\",")],
                "Name { line: 2, source: Blank }",
            ),
            (
                vec![FIRST, &good.replace("2026-01-31T09:00:00Z", "canary")],
                "Line { line: 2, column: 50 }",
            ),
        ] {
            let error = parse(&lines).unwrap_err();
            assert_eq!(format!("{error:?}"), wanted, "{lines:?}");
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let document = parse(&[
            FIRST,
            r#"{"name":"a","password":"canary-1","note":"canary-2","updated":"2026-01-31T09:00:00Z"}"#,
        ]);
        assert!(!format!("{document:?}").contains("canary"));
    }
}
