//! Secrets by name, and where any of them lies about in any form.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use md4::{Digest as _, Md4};

/// A secret that must be found nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Canary {
    /// What it is, for people.
    pub(crate) what: String,
    /// Itself.
    pub(crate) text: String,
    /// Whether its NT hash is looked for, not itself: Windows takes that for the password.
    hashed: bool,
}

impl Canary {
    pub(crate) fn new(what: &str, text: &str) -> Self {
        Self {
            what: what.to_owned(),
            text: text.to_owned(),
            hashed: false,
        }
    }

    pub(crate) fn hash(&self) -> Self {
        Self {
            what: format!("NT hash of {}", self.what),
            text: self.text.clone(),
            hashed: true,
        }
    }

    fn forms(&self) -> Vec<(&'static str, Vec<u8>)> {
        if !self.hashed {
            return forms(&self.text);
        }
        let hash = Md4::digest(wide(&self.text)).to_vec();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![("bytes", hash), ("hex", hex.into_bytes())]
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Looks for canaries in bytes.
pub(crate) struct Search {
    canaries: Vec<Canary>,
    automaton: AhoCorasick,
    /// Canary and form of each pattern.
    patterns: Vec<(usize, &'static str)>,
}

impl Search {
    pub(crate) fn new(canaries: impl IntoIterator<Item = Canary>) -> Self {
        let canaries: Vec<Canary> = canaries.into_iter().collect();
        let (mut patterns, mut needles) = (Vec::new(), Vec::new());
        for (index, canary) in canaries.iter().enumerate() {
            for (form, bytes) in canary.forms() {
                patterns.push((index, form));
                needles.push(bytes);
            }
        }
        Self {
            canaries,
            automaton: AhoCorasick::new(needles).unwrap(),
            patterns,
        }
    }

    /// Returns what is there: which canary, in which form.
    pub(crate) fn found(&self, bytes: &[u8]) -> BTreeSet<(&str, &'static str)> {
        let found = self.automaton.find_overlapping_iter(bytes);
        found
            .map(|found| {
                let (canary, form) = self.patterns[found.pattern().as_usize()];
                (self.canaries[canary].what.as_str(), form)
            })
            .collect()
    }

    /// Returns how often each canary is there, in whatever form.
    pub(crate) fn counts(&self, bytes: &[u8]) -> Vec<usize> {
        let mut ends = vec![BTreeSet::new(); self.canaries.len()];
        for found in self.automaton.find_overlapping_iter(bytes) {
            ends[self.patterns[found.pattern().as_usize()].0].insert(found.start());
        }
        ends.iter().map(BTreeSet::len).collect()
    }

    pub(crate) fn assert_clean(&self, place: &str, bytes: &[u8]) {
        let found = self.found(bytes);
        assert!(found.is_empty(), "in {place}: {found:?}");
    }
}

/// Every form in which a password could lie about; of one with characters that many programs
/// write in ways of their own, also the longest part without.
fn forms(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = encodings(secret);
    let escaped = [
        ("percent", percent(secret)),
        ("JSON", json(secret)),
        ("XML", xml(secret)),
        ("PowerShell", secret.replace('\'', "''")),
        ("shell", secret.replace('\'', r"'\''")),
    ];
    forms.extend(escaped.map(|(form, text)| (form, text.into_bytes())));
    let plain = secret.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let longest = plain.max_by_key(|part| part.len()).unwrap_or_default();
    if longest.len() >= 12 && longest != secret {
        forms.extend(encodings(longest));
    }
    let mut seen = BTreeSet::new();
    forms.retain(|(_, bytes)| seen.insert(bytes.clone()));
    forms
}

fn encodings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let wide = wide(text);
    let mut forms = vec![
        ("UTF-8", text.as_bytes().to_vec()),
        ("UTF-16LE", wide.clone()),
    ];
    for (form, plain) in [
        ("base64", text.as_bytes()),
        ("base64 of UTF-16LE", wide.as_slice()),
    ] {
        for shift in 0..3 {
            let padded = [&vec![0; shift], plain].concat();
            for text in [STANDARD.encode(&padded), URL_SAFE.encode(&padded)] {
                // The first and last group hold foreign bits.
                forms.push((form, text.as_bytes()[4..text.len() - 4].to_vec()));
            }
        }
    }
    for plain in [text.as_bytes(), &wide] {
        let lower: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.push(("hex", lower.to_uppercase().into_bytes()));
        forms.push(("hex", lower.into_bytes()));
        // As `{:?}` shows bytes.
        let numbers: Vec<String> = plain.iter().map(u8::to_string).collect();
        forms.push(("decimal", numbers.join(", ").into_bytes()));
    }
    let each: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    forms.push(("percent", each.into_bytes()));
    let each: String = text
        .encode_utf16()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect();
    forms.push(("JSON", each.into_bytes()));
    forms
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// ASCII only, as PCs answer.
fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    let units = quoted[1..quoted.len() - 1].encode_utf16();
    units
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect()
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

/// A text with everything in it that is written in several ways.
const AWKWARD: &str = "kanaria-8Q2x7Lw\"\\&'%ひ";

#[test]
fn every_form_is_found() {
    // Made by Python.
    let known = [
        ("UTF-8", AWKWARD),
        (
            "UTF-16LE",
            "k\0a\0n\0a\0r\0i\0a\0-\x008\0Q\x002\0x\x007\0L\0w\0",
        ),
        ("base64", "a2FuYXJpYS04UTJ4N0x3IlwmJyXjgbI="),
        ("base64", "IGthbmFyaWEtOFEyeDdMdyJcJicl44Gy"),
        ("base64", "ICBrYW5hcmlhLThRMng3THciXCYnJeOBsg=="),
        (
            "base64 of UTF-16LE",
            "awBhAG4AYQByAGkAYQAtADgAUQAyAHgANwBMAHcAIgBcACYAJwAlAHIw",
        ),
        (
            "base64 of UTF-16LE",
            "IGsAYQBuAGEAcgBpAGEALQA4AFEAMgB4ADcATAB3ACIAXAAmACcAJQByMA==",
        ),
        ("hex", "6b616e617269612d38513278374c77225c262725e381b2"),
        ("hex", "6B616E617269612D38513278374C77225C262725E381B2"),
        (
            "hex",
            "6b0061006e0061007200690061002d00380051003200780037004c007700\
             22005c002600270025007230",
        ),
        ("percent", "kanaria-8Q2x7Lw%22%5C%26%27%25%E3%81%B2"),
        (
            "percent",
            "%6B%61%6E%61%72%69%61%2D%38%51%32%78%37%4C%77%22%5C%26%27%25%E3%81%B2",
        ),
        ("JSON", r#"kanaria-8Q2x7Lw\"\\&'%\u3072"#),
        (
            "JSON",
            r"\u006b\u0061\u006e\u0061\u0072\u0069\u0061\u002d\u0038\u0051\u0032\u0078\u0037\u004c\u0077",
        ),
        ("XML", "kanaria-8Q2x7Lw&quot;\\&amp;'%ひ"),
        ("PowerShell", "kanaria-8Q2x7Lw\"\\&''%ひ"),
        (
            "decimal",
            "[107, 97, 110, 97, 114, 105, 97, 45, 56, 81, 50, 120, 55, 76, 119, 34]",
        ),
    ];
    let search = Search::new([
        Canary::new("another", "sperling-000"),
        Canary::new("awkward", AWKWARD),
    ]);
    for (form, text) in known {
        let found = search.found(format!("before{text}after").as_bytes());
        assert!(
            found.contains(&("awkward", form)),
            "{form} {text} {found:?}"
        );
        assert!(found.iter().all(|(what, _)| *what == "awkward"), "{text}");
    }
    assert!(search.found(b"kanaria-8Q2x7L").is_empty());
    search.assert_clean("an empty place", b"");
    let one = AWKWARD.as_bytes();
    let clean = std::panic::catch_unwind(|| search.assert_clean("a haystack", one));
    assert!(clean.is_err());
    // [MS-NLMP] 4.2.2.1.2.
    let hash = Search::new([Canary::new("it", "Password").hash()]);
    assert!(!hash.found(b"a4f49c406510bdcab6824ee7c30fd852").is_empty());
}

#[test]
fn every_form_of_every_canary_is_found() {
    for canary in crate::ground::TEXTS {
        let search = Search::new([Canary::new("it", canary)]);
        for (form, bytes) in forms(canary) {
            let haystack = [b"before ", bytes.as_slice(), b" after"].concat();
            assert_eq!(search.found(&haystack).first().unwrap().0, "it", "{form}");
            search.assert_clean("its beginning", &bytes[..8]);
        }
    }
}
