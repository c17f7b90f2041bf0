//! Reads values out of the tree and gathers what is wrong with them.

use std::path::Path;
use std::time::Duration;

use fleetmend_yaml::{Entry, Map, Node, Position, Tag, Value};

use super::error::{Problem, SettingsError};
use crate::template::Template;
use fleetmend_yaml::nearest;

/// What was found wrong so far.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Path,
    pub(super) errors: Vec<SettingsError>,
}

impl Reader<'_> {
    pub(super) fn error(&mut self, at: Position, problem: Problem) {
        self.errors.push(SettingsError {
            file: self.file.to_owned(),
            at,
            problem,
        });
    }

    /// Returns the entries of a mapping; nothing stands for an empty one.
    pub(super) fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        match &node.value {
            Value::Map(map) => Some(entries(map)),
            Value::Null => Some(&[]),
            _ => {
                self.shape(node, what, "a mapping");
                None
            }
        }
    }

    /// Refuses keys that mean nothing. Where a secret belongs, a key that is like none of ours
    /// may be the secret itself, and is not shown.
    pub(super) fn known(
        &mut self,
        entries: &[Entry],
        what: &str,
        known: &'static [&'static str],
        hidden: bool,
    ) {
        for entry in entries {
            let key = &entry.key.text;
            if known.contains(&key.as_str()) {
                continue;
            }
            let near = nearest(key, known.iter().copied());
            let what = what.to_owned();
            let problem = if hidden && near.is_none() {
                Problem::HiddenKey { what, known }
            } else {
                Problem::UnknownKey {
                    what,
                    key: key.clone(),
                    near,
                    known,
                }
            };
            self.error(entry.key.at, problem);
        }
    }

    /// Returns a text that is not empty.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.value {
            Value::String(text) if node.tag != Some(Tag::Vault) && !text.trim().is_empty() => {
                Some(text.clone())
            }
            Value::String(_) if node.tag != Some(Tag::Vault) => {
                let problem = Problem::Shape {
                    what: what.to_owned(),
                    expected: "a text",
                    found: "an empty one",
                };
                self.error(node.at, problem);
                None
            }
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                self.shape(node, what, "a text (put it in quotes)");
                None
            }
            _ => {
                self.shape(node, what, "a text");
                None
            }
        }
    }

    /// Returns a text that may hold `{{ … }}`.
    pub(super) fn template(&mut self, node: &Node, what: &str) -> Option<Template> {
        let text = self.text(node, what)?;
        match Template::new(&text) {
            Ok(template) => Some(template),
            Err(why) => {
                let what = what.to_owned();
                self.error(node.at, Problem::Template { what, why });
                None
            }
        }
    }

    /// Returns a whole number within bounds.
    pub(super) fn number(
        &mut self,
        node: &Node,
        what: &str,
        (least, most): (i64, i64),
    ) -> Option<u32> {
        let number = match node.value {
            Value::Int(number) if (least..=most).contains(&number) => u32::try_from(number).ok(),
            _ => None,
        };
        if number.is_none() {
            let what = what.to_owned();
            self.error(node.at, Problem::Number { what, least, most });
        }
        number
    }

    /// Returns a time: `20s`, `500ms`, `2m`, or a number of seconds.
    pub(super) fn time(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let time = match &node.value {
            Value::Int(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            Value::String(text) => duration(text),
            _ => None,
        };
        let fit = time.filter(|time| !time.is_zero() && *time <= Duration::from_mins(10));
        if fit.is_none() {
            let what = what.to_owned();
            self.error(node.at, Problem::Time { what });
        }
        fit
    }

    pub(super) fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.value {
            Value::Bool(flag) => Some(flag),
            _ => {
                self.shape(node, what, "`true` or `false`");
                None
            }
        }
    }

    pub(super) fn shape(&mut self, node: &Node, what: &str, expected: &'static str) {
        let problem = Problem::Shape {
            what: what.to_owned(),
            expected,
            found: node.kind(),
        };
        self.error(node.at, problem);
    }
}

/// Returns the value under a key.
pub(super) fn get<'n>(entries: &'n [Entry], key: &str) -> Option<&'n Node> {
    entry(entries, key).map(|entry| &entry.value)
}

/// Returns key and value under a key.
pub(super) fn entry<'n>(entries: &'n [Entry], key: &str) -> Option<&'n Entry> {
    entries.iter().find(|entry| entry.key.text == key)
}

fn entries(map: &Map) -> &[Entry] {
    map.iter().as_slice()
}

fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}
