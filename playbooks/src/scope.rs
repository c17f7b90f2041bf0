//! What an expression can see.

use std::collections::BTreeMap;

use minijinja::Value as Ninja;
use minijinja::value::Serde;
use serde_json::Value;

use crate::Situation;

/// The names an expression can use, with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    values: BTreeMap<String, Ninja>,
}

impl Scope {
    /// Returns the names that the situation gives: `params`, `host`, `answers`.
    pub(crate) fn of(situation: &Situation) -> Self {
        let object = |map: &serde_json::Map<String, Value>| Value::Object(map.clone());
        Self::default()
            .with("params", &object(&situation.params))
            .with("host", &object(&situation.host))
            .with("answers", &object(&situation.answers))
    }

    /// Adds a name.
    pub(crate) fn with(mut self, name: &str, value: &Value) -> Self {
        self.insert(name, Ninja::from(Serde(value)));
        self
    }

    /// Adds a name.
    pub(crate) fn insert(&mut self, name: &str, value: Ninja) {
        self.values.insert(name.to_owned(), value);
    }

    /// Returns all of it as one value.
    pub(crate) fn root(&self) -> Ninja {
        Ninja::from(self.values.clone())
    }
}
