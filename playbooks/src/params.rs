//! The values of a playbook's parameters for one PC.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{Parameter, ParameterKind, Playbook};
use fleetmend_yaml::nearest;

/// Parameters that cannot be used, every one of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ParamErrors(pub Vec<ParamError>);

/// One parameter that cannot be used. Values are not repeated: one of them may be a secret
/// under a wrong name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// The playbook has no such parameter.
    #[error("the playbook has no parameter `{name}`{}", .nearest.as_ref()
        .map_or_else(String::new, |name| format!(", did you mean `{name}`?")))]
    Unknown {
        /// The name that was set.
        name: String,
        /// One that is spelled almost so.
        nearest: Option<String>,
    },
    /// The value is of another type.
    #[error("the parameter `{name}` must be of type {kind}")]
    Type {
        /// The parameter.
        name: String,
        /// The word for its type.
        kind: &'static str,
    },
}

impl Playbook {
    /// Gives every parameter its value: as set by the operator, else as the inventory's
    /// variables have it, else its default, else null. A set credential stands as its name.
    ///
    /// Texts are read as numbers and booleans where the type asks for it, because a command line
    /// has only texts. Variables of other names are not looked at.
    ///
    /// # Errors
    /// [`ParamErrors`] with everything wrong.
    pub fn resolve_params(
        &self,
        set: &Map<String, Value>,
        vars: &BTreeMap<String, Value>,
    ) -> Result<Map<String, Value>, ParamErrors> {
        let mut errors = Vec::new();
        let names = || self.parameters.iter().map(|param| param.name.as_str());
        for name in set
            .keys()
            .filter(|name| !names().any(|known| known == name.as_str()))
        {
            errors.push(ParamError::Unknown {
                name: name.clone(),
                nearest: nearest(name, names()),
            });
        }
        let mut values = Map::new();
        for param in &self.parameters {
            let given = set.get(&param.name).or_else(|| vars.get(&param.name));
            match resolve(param, given) {
                Some(value) => {
                    values.insert(param.name.clone(), value);
                }
                None => errors.push(ParamError::Type {
                    name: param.name.clone(),
                    kind: param.kind.name(),
                }),
            }
        }
        if errors.is_empty() {
            Ok(values)
        } else {
            Err(ParamErrors(errors))
        }
    }
}

fn resolve(param: &Parameter, given: Option<&Value>) -> Option<Value> {
    let default = || param.default.clone().unwrap_or(Value::Null);
    let value = match given {
        None | Some(Value::Null) => return Some(default()),
        Some(value) => value,
    };
    let read = match (param.kind, value) {
        (ParameterKind::Integer, Value::String(text)) => Value::from(text.parse::<i64>().ok()?),
        (ParameterKind::Boolean, Value::String(text)) => Value::from(text.parse::<bool>().ok()?),
        (_, value) => value.clone(),
    };
    param.kind.admits(&read).then_some(read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn playbook() -> Playbook {
        Playbook::load_shipped("trust-repair").unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_operator_wins_over_the_inventory_and_the_default() {
        let vars = BTreeMap::from([
            ("clock_tolerance_seconds".to_owned(), json!(60)),
            ("event_hours".to_owned(), json!(24)),
            ("something_else".to_owned(), json!([1])),
        ]);
        let set =
            map(json!({"clock_tolerance_seconds": "120", "domain_credential": "domain-admin"}));
        let playbook = playbook();
        let params = playbook.resolve_params(&set, &vars).unwrap();
        assert_eq!(params["domain_controller"], Value::Null);
        assert_eq!(params["domain_credential"], json!("domain-admin"));
        assert_eq!(params["clock_tolerance_seconds"], json!(120));
        assert_eq!(params["event_hours"], json!(24));
        assert_eq!(params.len(), playbook.parameters.len());
    }

    #[test]
    fn every_mistake_is_told_without_values() {
        let set = map(json!({"event_hour": "canary", "clock_tolerance_seconds": "canary"}));
        let error = playbook()
            .resolve_params(&set, &BTreeMap::new())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the playbook has no parameter `event_hour`, did you mean `event_hours`?\n\
             the parameter `clock_tolerance_seconds` must be of type integer"
        );
    }
}
