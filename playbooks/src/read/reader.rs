//! Walking the YAML tree while gathering every error.

use std::time::Duration;

use fleetmend_yaml::{Key, Map, Node, Position, Value};

use crate::error::{PlaybookError, Problem};
use crate::source::Source;
use crate::{Expression, Localized};
use fleetmend_yaml::nearest;

/// Reads values out of nodes; what is wrong is kept, and `None` returned.
pub(crate) struct Reader<'a> {
    pub(crate) file: &'a str,
    /// The folder with the scripts: the playbook's own name.
    pub(crate) folder: &'a str,
    pub(crate) source: &'a Source,
    pub(crate) errors: Vec<PlaybookError>,
}

impl Reader<'_> {
    /// Keeps an error.
    pub(crate) fn error(&mut self, at: Position, step: &str, problem: Problem) {
        let error = PlaybookError {
            file: self.file.to_owned(),
            at,
            step: step.to_owned(),
            problem,
        };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Returns a mapping that has the required keys and no others than `known` and those.
    pub(crate) fn map<'n>(
        &mut self,
        node: &'n Node,
        step: &str,
        required: &[&'static str],
        known: &[&'static str],
    ) -> Option<&'n Map> {
        let map = self.any_map(node, step)?;
        for entry in map {
            let key = &entry.key;
            let text = written(key);
            let all = || required.iter().chain(known).copied();
            if !all().any(|known| known == text) {
                let nearest = nearest(text, all());
                let problem = Problem::UnknownKey {
                    key: text.to_owned(),
                    nearest,
                };
                self.error(key.at, step, problem);
            }
        }
        for key in required.iter().filter(|key| map.get(key).is_none()) {
            self.error(node.at, step, Problem::MissingKey { key });
        }
        Some(map)
    }

    /// Returns a mapping with any keys.
    pub(crate) fn any_map<'n>(&mut self, node: &'n Node, step: &str) -> Option<&'n Map> {
        let map = node.as_map();
        if map.is_none() {
            self.wrong(node, step, "a mapping");
        }
        map
    }

    /// Returns the items of a list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node, step: &str) -> Option<&'n [Node]> {
        let items = node.as_seq();
        if items.is_none() {
            self.wrong(node, step, "a list");
        }
        items
    }

    /// Returns a text.
    pub(crate) fn text<'n>(&mut self, node: &'n Node, step: &str) -> Option<&'n str> {
        let text = node.as_str();
        if text.is_none() {
            self.wrong(node, step, "a text");
        }
        text
    }

    /// Returns a boolean.
    pub(crate) fn boolean(&mut self, node: &Node, step: &str) -> Option<bool> {
        if let Value::Bool(flag) = node.value {
            return Some(flag);
        }
        self.wrong(node, step, "`true` or `false`");
        None
    }

    /// Returns a count of at least 1.
    pub(crate) fn count(&mut self, node: &Node, step: &str) -> Option<u32> {
        if let Value::Int(number) = node.value
            && let Ok(number @ 1..) = u32::try_from(number)
        {
            return Some(number);
        }
        self.wrong(node, step, "a whole number from 1");
        None
    }

    /// Returns a name of small letters, digits and `-`.
    pub(crate) fn id<'n>(
        &mut self,
        node: &'n Node,
        step: &str,
        what: &'static str,
    ) -> Option<&'n str> {
        let text = self.text(node, step)?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        self.name(
            text,
            node.at,
            step,
            what,
            fits,
            "use small letters, digits and `-`",
        )
    }

    /// Returns a name of small letters, digits and `_`, as expressions can use it.
    pub(crate) fn variable<'n>(
        &mut self,
        text: &'n str,
        at: Position,
        step: &str,
        what: &'static str,
    ) -> Option<&'n str> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        self.name(
            text,
            at,
            step,
            what,
            fits,
            "use small letters, digits and `_`",
        )
    }

    fn name<'n>(
        &mut self,
        text: &'n str,
        at: Position,
        step: &str,
        what: &'static str,
        fits: impl Fn(char) -> bool,
        rule: &'static str,
    ) -> Option<&'n str> {
        if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(fits) {
            return Some(text);
        }
        self.error(
            at,
            step,
            Problem::BadName {
                what,
                text: text.to_owned(),
                rule,
            },
        );
        None
    }

    /// Returns the meaning of one of several words.
    pub(crate) fn word<T: Clone>(
        &mut self,
        node: &Node,
        step: &str,
        what: &'static str,
        allowed: &'static [&'static str],
        meanings: &[T],
    ) -> Option<T> {
        let word = self.text(node, step)?;
        let found = allowed
            .iter()
            .zip(meanings)
            .find(|(name, _)| **name == word);
        if found.is_none() {
            let nearest = nearest(word, allowed.iter().copied());
            let problem = Problem::UnknownWord {
                what,
                word: word.to_owned(),
                nearest,
                allowed,
            };
            self.error(node.at, step, problem);
        }
        found.map(|(_, meaning)| meaning.clone())
    }

    /// Returns a duration: `500ms`, `90s`, `2m`.
    pub(crate) fn duration(&mut self, node: &Node, step: &str) -> Option<Duration> {
        let text = self.text(node, step)?;
        let duration = duration(text);
        if duration.is_none() {
            self.error(
                node.at,
                step,
                Problem::BadDuration {
                    text: text.to_owned(),
                },
            );
        }
        duration
    }

    /// Returns a text in English, or in English and Japanese.
    pub(crate) fn localized(&mut self, node: &Node, step: &str) -> Option<Localized> {
        if let Some(text) = node.as_str() {
            return Some(Localized {
                en: text.to_owned(),
                ja: String::new(),
            });
        }
        let map = self.map(node, step, &["en"], &["ja"])?;
        let en = self.text(map.get("en")?, step)?.to_owned();
        let ja = match map.get("ja") {
            Some(node) => self.text(node, step)?.to_owned(),
            None => String::new(),
        };
        Some(Localized { en, ja })
    }

    /// Compiles an expression; numbers and booleans may stand without quotes.
    pub(crate) fn expression(&mut self, node: &Node, step: &str) -> Option<Expression> {
        let text = match &node.value {
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Int(number) => number.to_string(),
            _ => {
                self.wrong(node, step, "an expression");
                return None;
            }
        };
        let place = format!("{}:{} ({step})", self.file, node.at);
        match Expression::compile(&text, place) {
            Ok(expression) => Some(expression),
            Err(error) => {
                let problem = Problem::BadExpression {
                    text,
                    detail: error.to_string(),
                };
                self.error(node.at, step, problem);
                None
            }
        }
    }

    /// Keeps an error about the kind of a value.
    pub(crate) fn wrong(&mut self, node: &Node, step: &str, expected: &'static str) {
        self.error(
            node.at,
            step,
            Problem::WrongKind {
                expected,
                found: node.kind(),
            },
        );
    }
}

/// Returns the value under the key `on`, which YAML 1.1 reads as `true` unless it is quoted.
pub(crate) fn on(map: &Map) -> Option<&Node> {
    map.iter()
        .find(|entry| written(&entry.key) == "on")
        .map(|entry| &entry.value)
}

/// Returns a key as its author wrote it.
fn written(key: &Key) -> &str {
    match (key.is_text, key.text.as_str()) {
        (false, "true") => "on",
        (_, text) => text,
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        assert_eq!(duration("90s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        for text in ["", "90", "s", "1h", "-1s", "1.5s", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
