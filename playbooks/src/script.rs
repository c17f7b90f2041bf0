//! A script beside a playbook, with the schema of what it takes and gives.

use std::fmt;

use jsonschema::Validator;
use serde_json::Value;

/// A script's text and schemas.
pub struct ScriptFile {
    /// `trust-repair/diagnose.ps1`.
    pub name: String,
    /// Its text, UTF-8, with what it includes.
    pub text: String,
    /// JSON Schema of its parameters.
    pub takes: Value,
    /// JSON Schema of its answer.
    pub gives: Value,
    takes_validator: Validator,
    gives_validator: Validator,
}

/// Which of the two schemas of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaSide {
    /// Its parameters.
    Takes,
    /// Its answer.
    Gives,
}

impl fmt::Display for SchemaSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Takes => "takes",
            Self::Gives => "gives",
        })
    }
}

/// A schema that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid JSON Schema: {detail}")]
pub struct SchemaError {
    /// Which.
    pub side: SchemaSide,
    /// What the validator says.
    pub detail: String,
}

/// A value that its script's schema does not allow. The message holds no values, for one of
/// them may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} of `{script}` does not fit its schema: {}", .side.noun(), .mistakes.join("; "))]
pub struct SchemaMismatch {
    /// The script.
    pub script: String,
    /// Its parameters or its answer.
    pub side: SchemaSide,
    /// One sentence each: `/dc/located: value is not of types "boolean", "null"`.
    pub mistakes: Vec<String>,
}

impl SchemaSide {
    fn noun(self) -> &'static str {
        match self {
            Self::Takes => "a parameter",
            Self::Gives => "the answer",
        }
    }
}

impl ScriptFile {
    /// Puts a script and its schemas together.
    ///
    /// # Errors
    /// [`SchemaError`] when a schema is not valid JSON Schema 2020-12.
    pub fn new(
        name: String,
        text: String,
        takes: Value,
        gives: Value,
    ) -> Result<Self, SchemaError> {
        let takes_validator = validator(&takes, SchemaSide::Takes)?;
        let gives_validator = validator(&gives, SchemaSide::Gives)?;
        Ok(Self {
            name,
            text,
            takes,
            gives,
            takes_validator,
            gives_validator,
        })
    }

    /// Holds the whole JSON object that a step is sent, secrets included, against the schema.
    ///
    /// # Errors
    /// [`SchemaMismatch`] with every mistake.
    pub fn check_params(&self, params: &Value) -> Result<(), SchemaMismatch> {
        self.check(&self.takes_validator, SchemaSide::Takes, params)
    }

    /// Holds an answer against the schema.
    ///
    /// # Errors
    /// [`SchemaMismatch`] with every mistake.
    pub fn check_answer(&self, answer: &Value) -> Result<(), SchemaMismatch> {
        self.check(&self.gives_validator, SchemaSide::Gives, answer)
    }

    fn check(&self, by: &Validator, side: SchemaSide, value: &Value) -> Result<(), SchemaMismatch> {
        let mistakes: Vec<String> = by
            .iter_errors(value)
            .map(|error| {
                format!(
                    "{}: {}",
                    pointer(&error.instance_path().to_string()),
                    error.masked()
                )
            })
            .collect();
        if mistakes.is_empty() {
            return Ok(());
        }
        Err(SchemaMismatch {
            script: self.name.clone(),
            side,
            mistakes,
        })
    }
}

impl fmt::Debug for ScriptFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptFile")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn pointer(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

fn validator(schema: &Value, side: SchemaSide) -> Result<Validator, SchemaError> {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(schema)
        .map_err(|error| SchemaError {
            side,
            detail: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script() -> ScriptFile {
        let takes = json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {"password": {"type": "string", "minLength": 99}, "at": {"format": "date-time"}}
        });
        ScriptFile::new("x.ps1".into(), String::new(), takes, json!(true)).unwrap()
    }

    #[test]
    fn mismatches_hold_no_values() {
        let error = script()
            .check_params(&json!({"password": "canary", "at": "noon"}))
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/password") && text.contains("/at"), "{text}");
        assert!(!text.contains("canary") && !text.contains("noon"), "{text}");
    }

    #[test]
    fn a_schema_must_be_one() {
        let error = ScriptFile::new("x".into(), String::new(), json!({"type": 5}), json!(true));
        assert_eq!(error.unwrap_err().side, SchemaSide::Takes);
    }
}
