//! Steps and the scripts that they run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::Platform;
use fleetmend_yaml::{Map, Node, Position};
use serde_json::Value;

use crate::error::Problem;
use crate::nearest::nearest;
use crate::read::names::Visible;
use crate::read::reader::Reader;
use crate::{Expression, ParameterKind, SchemaSide, ScriptFile, SecretFrom, Step};

/// How long a step may take if the playbook does not say.
const DEADLINE: Duration = Duration::from_secs(120);

/// Keys of every step.
pub(crate) const STEP_KEYS: [&str; 4] = ["with", "secrets", "deadline", "changes"];

/// Scripts read so far, by file name.
#[derive(Default)]
pub(crate) struct Scripts(HashMap<String, Option<Arc<ScriptFile>>>);

/// What a step is read with.
pub(crate) struct StepContext<'a> {
    pub(crate) platform: Platform,
    pub(crate) scripts: &'a mut Scripts,
    pub(crate) visible: &'a Visible<'a>,
}

impl Reader<'_> {
    /// Reads a step's script alone, for its schemas.
    pub(crate) fn script(
        &mut self,
        map: &Map,
        step: &str,
        platform: Platform,
        scripts: &mut Scripts,
    ) -> Option<Arc<ScriptFile>> {
        let node = map.get("script")?;
        let file = self.text(node, step)?;
        let (ending, rule) = match platform {
            Platform::Windows => (
                ".ps1",
                "use the name of a .ps1 file in the playbook's folder",
            ),
            Platform::Posix => (".sh", "use the name of a .sh file in the playbook's folder"),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let stem = file.strip_suffix(ending).filter(|stem| !stem.is_empty());
        let Some(stem) = stem.filter(|stem| !stem.starts_with('.') && stem.chars().all(plain))
        else {
            let problem = Problem::BadName {
                what: "script",
                text: file.to_owned(),
                rule,
            };
            self.error(node.at, step, problem);
            return None;
        };
        if let Some(known) = scripts.0.get(file) {
            return known.clone();
        }
        let script = self.load_script(file, stem, node.at, step).map(Arc::new);
        scripts.0.insert(file.to_owned(), script.clone());
        script
    }

    /// Reads a step.
    ///
    /// `phase` is set for the phases that must not change the PC.
    pub(crate) fn step(
        &mut self,
        node: &Node,
        name: &str,
        step: &str,
        phase: Option<&'static str>,
        context: &mut StepContext<'_>,
    ) -> Option<Step> {
        let map = node.as_map()?;
        let script = self.script(map, step, context.platform, context.scripts);
        let with = self.with(map, step, context.visible);
        let secrets = self.secrets(map, step, context.visible);
        let deadline = match map.get("deadline") {
            Some(node) => self.duration(node, step)?,
            None => DEADLINE,
        };
        let changes = match map.get("changes") {
            Some(node) => {
                let changes = self.boolean(node, step)?;
                if let (true, Some(phase)) = (changes, phase) {
                    self.error(node.at, step, Problem::MustNotChange { phase });
                }
                changes
            }
            None => phase.is_none(),
        };
        let script = script?;
        self.check_passed(map, node.at, step, &script);
        let name = name.to_owned();
        Some(Step {
            name,
            script,
            action: None,
            when: None,
            makes: None,
            with: with?,
            secrets: secrets?,
            deadline,
            changes,
        })
    }

    fn with(
        &mut self,
        map: &Map,
        step: &str,
        visible: &Visible<'_>,
    ) -> Option<Vec<(String, Expression)>> {
        let Some(node) = map.get("with") else {
            return Some(Vec::new());
        };
        let mut with = Vec::new();
        for entry in self.any_map(node, step)? {
            let Some(expression) = self.expression(&entry.value, step) else {
                continue;
            };
            let at = entry.value.at;
            self.check_expression(&expression, at, step, visible);
            for param in visible.params.iter().filter(|param| param.secret) {
                let path = format!("params.{}", param.name);
                if expression.names().contains(&path) {
                    self.error(
                        at,
                        step,
                        Problem::SecretInWith {
                            name: param.name.clone(),
                        },
                    );
                }
            }
            with.push((entry.key.text.clone(), expression));
        }
        Some(with)
    }

    fn secrets(
        &mut self,
        map: &Map,
        step: &str,
        visible: &Visible<'_>,
    ) -> Option<Vec<(String, SecretFrom)>> {
        let Some(node) = map.get("secrets") else {
            return Some(Vec::new());
        };
        let mut secrets = Vec::new();
        for entry in self.any_map(node, step)? {
            let Some(name) = self.text(&entry.value, step) else {
                continue;
            };
            self.check_credential(name, entry.value.at, step, visible);
            let from = SecretFrom::Credential(name.to_owned());
            secrets.push((entry.key.text.clone(), from));
        }
        Some(secrets)
    }

    /// Checks that a parameter of type credential has this name.
    pub(crate) fn check_credential(
        &mut self,
        name: &str,
        at: Position,
        step: &str,
        visible: &Visible<'_>,
    ) {
        let credentials = || {
            let is = |kind| kind == ParameterKind::Credential;
            visible
                .params
                .iter()
                .filter(move |param| is(param.kind))
                .map(|p| p.name.as_str())
        };
        if !visible.is_wrong_param(name) && !credentials().any(|known| known == name) {
            let nearest = nearest(name, credentials());
            let what = "parameter of type credential";
            self.error(
                at,
                step,
                Problem::Undefined {
                    what,
                    name: name.to_owned(),
                    nearest,
                },
            );
        }
    }

    /// Checks that a script gets what its schema asks for, and nothing else.
    fn check_passed(&mut self, map: &Map, at: Position, step: &str, script: &ScriptFile) {
        let passed: Vec<_> = ["with", "secrets"]
            .iter()
            .filter_map(|key| map.get(key)?.as_map())
            .flat_map(Map::iter)
            .map(|entry| &entry.key)
            .collect();
        let closed = script.takes.get("additionalProperties") == Some(&Value::Bool(false));
        if let Some(fields) = script.takes.get("properties").and_then(Value::as_object) {
            for key in passed
                .iter()
                .filter(|key| closed && !fields.contains_key(&key.text))
            {
                let nearest = nearest(&key.text, fields.keys().map(String::as_str));
                let (script, name) = (script.name.clone(), key.text.clone());
                self.error(
                    key.at,
                    step,
                    Problem::NotTaken {
                        script,
                        name,
                        nearest,
                    },
                );
            }
        }
        let required = script.takes.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !passed.iter().any(|key| key.text == name) {
                let (script, name) = (script.name.clone(), name.to_owned());
                self.error(at, step, Problem::NotPassed { script, name });
            }
        }
    }

    fn load_script(
        &mut self,
        file: &str,
        stem: &str,
        at: Position,
        step: &str,
    ) -> Option<ScriptFile> {
        let name = format!("{}/{file}", self.folder);
        let text = self.file_text(&name, at, step);
        let text = text.and_then(|text| self.compose(&text, at, step));
        let takes = self.schema(stem, SchemaSide::Takes, at, step);
        let gives = self.schema(stem, SchemaSide::Gives, at, step);
        match ScriptFile::new(name, text?, takes?, gives?) {
            Ok(script) => Some(script),
            Err(error) => {
                let path = schema_path(self.folder, stem, error.side);
                let problem = Problem::BadSchema {
                    side: error.side,
                    path,
                    detail: error.detail,
                };
                self.error(at, step, problem);
                None
            }
        }
    }

    /// Puts the files of the folder `include` where the script names them, each on a line
    /// `#include NAME`. What travels is one text, and an included file includes no other.
    fn compose(&mut self, text: &str, at: Position, step: &str) -> Option<String> {
        let mut whole = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("#include ") {
                Some(name) => {
                    let path = format!("{}/include/{}", self.folder, name.trim());
                    whole.push_str(&self.file_text(&path, at, step)?);
                }
                None => whole.push_str(line),
            }
        }
        Some(whole)
    }

    fn schema(&mut self, stem: &str, side: SchemaSide, at: Position, step: &str) -> Option<Value> {
        let path = schema_path(self.folder, stem, side);
        let text = self.file_text(&path, at, step)?;
        match serde_json::from_str(&text) {
            Ok(schema) => Some(schema),
            Err(error) => {
                let detail = error.to_string();
                self.error(at, step, Problem::BadSchema { side, path, detail });
                None
            }
        }
    }

    fn file_text(&mut self, path: &str, at: Position, step: &str) -> Option<String> {
        let path = path.to_owned();
        let problem = match self.source.read(&path) {
            Ok(Some(text)) => return Some(text),
            Ok(None) => Problem::MissingFile { path },
            Err(detail) => Problem::BadFile { path, detail },
        };
        self.error(at, step, problem);
        None
    }
}

fn schema_path(folder: &str, stem: &str, side: SchemaSide) -> String {
    format!("{folder}/{stem}.{side}.json")
}
