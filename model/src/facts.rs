//! What diagnose found.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The JSON object that a diagnose or verify step answered: numbers, booleans, ids; text only
/// for showing, never for deciding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(pub Map<String, Value>);

impl Facts {
    /// Returns the facts as one JSON value, for expressions.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}
