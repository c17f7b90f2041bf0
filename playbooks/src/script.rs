//! A script beside a playbook, with the schema of what it takes and gives.

use serde_json::Value;

/// A script's text and schemas.
#[derive(Debug)]
pub struct ScriptFile {
    /// `trust-repair/diagnose.ps1`.
    pub name: String,
    /// Its text, UTF-8.
    pub text: String,
    /// JSON Schema of its parameters.
    pub takes: Value,
    /// JSON Schema of its answer.
    pub gives: Value,
}
