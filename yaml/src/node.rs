//! The tree.

use std::collections::HashMap;

use serde_json::{Number, Value as Json};

use crate::{Position, Segment};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it begins; for an alias, where the alias stands.
    pub at: Position,
    /// What it is.
    pub value: Value,
    /// Ansible's tag, if it has one.
    pub tag: Option<Tag>,
}

/// The tags of Ansible that change what a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `!vault`: the text is encrypted by ansible-vault.
    Vault,
    /// `!unsafe`: braces in the text are no template.
    Unsafe,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number; one that does not fit stays a text, so that no digit is lost.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text; also dates, in the form that Ansible prints.
    String(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping in the order of the text, merged keys first.
    Map(Map),
}

/// A key and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it begins.
    pub at: Position,
    /// Its text, as JSON would write the key: `1`, `true`, `null`, `pc-01`.
    pub text: String,
    /// Whether it is a text, not a number, a boolean or null.
    pub is_text: bool,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Node,
}

/// A mapping: ordered, without duplicate keys.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<Entry>,
    index: HashMap<String, usize>,
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Map {
    /// Returns the mapping of one key to nothing, as a lone text is sometimes read.
    pub fn of(key: &str, at: Position) -> Self {
        let mut map = Self::default();
        let key = Key {
            at,
            text: key.to_owned(),
            is_text: true,
        };
        map.set(Entry {
            key,
            value: Node::new(at, Value::Null),
        });
        map
    }

    /// Returns the value under a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Returns the key and value under a key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.get(*self.index.get(key)?)
    }

    /// Returns the entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sets a key, in its old place if it is there already.
    pub(crate) fn set(&mut self, entry: Entry) {
        let found = self.index.get(&entry.key.text).copied();
        match found.and_then(|index| self.entries.get_mut(index)) {
            Some(old) => *old = entry,
            None => {
                self.index
                    .insert(entry.key.text.clone(), self.entries.len());
                self.entries.push(entry);
            }
        }
    }
}

impl<'map> IntoIterator for &'map Map {
    type Item = &'map Entry;
    type IntoIter = std::slice::Iter<'map, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Node {
    /// Returns an untagged node.
    pub fn new(at: Position, value: Value) -> Self {
        Self {
            at,
            value,
            tag: None,
        }
    }

    /// Returns the value under a key, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// Returns the key and value under a key, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.entry(key)
    }

    /// Returns the text, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the mapping, if this is one.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Returns the list, if this is one.
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// Tells whether this is null.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// Returns what kind of value this is, for an error: `a list`.
    pub fn kind(&self) -> &'static str {
        match (&self.tag, &self.value) {
            (Some(Tag::Vault), _) => "an encrypted text",
            (_, Value::Null) => "nothing",
            (_, Value::Bool(_)) => "a boolean",
            (_, Value::Int(_) | Value::Float(_)) => "a number",
            (_, Value::String(_)) => "a text",
            (_, Value::Seq(_)) => "a list",
            (_, Value::Map(_)) => "a mapping",
        }
    }

    /// Returns one step down.
    pub(crate) fn step(&self, segment: &Segment) -> Option<&Node> {
        match segment {
            Segment::Key(key) => self.get(key),
            Segment::Index(index) => self.as_seq()?.get(*index),
        }
    }

    /// Returns the value as JSON, as `ansible-inventory` prints it: an encrypted text is
    /// `{"__ansible_vault": …}`, an unsafe one `{"__ansible_unsafe": …}`. Infinity and not-a-number, which JSON
    /// cannot hold, become null.
    pub fn to_json(&self) -> Json {
        let plain = match &self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => Json::Number((*number).into()),
            Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
            Value::String(text) => Json::String(text.clone()),
            Value::Seq(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(map) => Json::Object(
                map.iter()
                    .map(|entry| (entry.key.text.clone(), entry.value.to_json()))
                    .collect(),
            ),
        };
        match self.tag {
            None => plain,
            Some(Tag::Vault) => serde_json::json!({ "__ansible_vault": plain }),
            Some(Tag::Unsafe) => serde_json::json!({ "__ansible_unsafe": plain }),
        }
    }
}
