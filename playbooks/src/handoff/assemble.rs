//! The one file for a stick, put together.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::parts::{CSHARP, DRIVER};
use crate::Playbook;

/// How PowerShell is started for the steps.
#[derive(Clone, Copy, Debug)]
pub struct Channel<'a> {
    /// The switches before `-EncodedCommand`'s value, that one included.
    pub switches: &'a str,
    /// The far end of the step channel, without comments.
    pub bootstrap: &'a str,
}

/// Returns the scripts that a stick for this playbook holds: name and text, those of rungs that
/// cannot be done from a stick left out.
pub fn scripts(playbook: &Playbook) -> BTreeMap<&str, &str> {
    let rungs = playbook.ladder.iter();
    let rungs = rungs.filter(|rung| Playbook::left_out(rung).is_none());
    let steps = rungs.flat_map(|rung| &rung.steps);
    let steps = steps.chain([&playbook.diagnose, &playbook.verify.step]);
    steps
        .map(|step| (step.script.name.as_str(), step.script.text.as_str()))
        .collect()
}

/// Returns the SHA-256 of a text, in hex.
pub fn digest(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Puts the script together: `description` is what `Stick.cs` reads, `scripts` by name. The text
/// is ASCII with CRLF, as Windows PowerShell reads it in any language.
pub fn assemble(
    description: &Value,
    scripts: &BTreeMap<&str, &str>,
    channel: Channel<'_>,
) -> String {
    let mut listed = String::new();
    for (name, text) in scripts {
        let _ = write!(listed, "== {name}\n{}\n", indented(text));
    }
    let parts = [
        ("#{description}", indented(&ascii(&description.to_string()))),
        ("#{scripts}", listed.trim_end_matches('\n').to_owned()),
        ("#{bootstrap}", indented(channel.bootstrap)),
        ("#{csharp}", ascii(CSHARP.join("\n").trim_end())),
        ("#{switches}", channel.switches.to_owned()),
    ];
    let mut made = String::new();
    let mut rest = DRIVER;
    for (place, text) in parts {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        made.push_str(before);
        made.push_str(&text);
        rest = after;
    }
    made.push_str(rest);
    made.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// Every line behind one blank, so that none can end the here-string in which it stands.
fn indented(text: &str) -> String {
    let lines = text.split('\n').map(|line| format!(" {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// JSON or C# with everything beyond ASCII as `\uXXXX`, which both read back.
fn ascii(json: &str) -> String {
    let mut made = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            made.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(made, "\\u{unit:04x}");
        }
    }
    made
}
