//! Steps: what runs, what it gets, and when.

use std::time::Duration;

use fleetmend_model::Platform;
use fleetmend_yaml::{Key, Map, Node, Position};
use serde_json::Value;

use crate::error::Problem;
use crate::read::kinds::Run;
use crate::read::names::Visible;
use crate::read::reader::Reader;
use crate::read::scripts::Scripts;
use crate::{Expression, ParameterKind, ScriptFile, SecretFrom, Step};
use fleetmend_yaml::nearest;

/// How long a step may take if the playbook does not say.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// Keys of diagnose and verify beside those of their script.
pub(crate) const PHASE_KEYS: [&str; 5] = ["with", "secrets", "deadline", "changes", "directory"];

/// Keys of a step of a rung or of its preflight.
pub(crate) const RUNG_STEP_KEYS: [&str; 11] = [
    "script", "action", "reboot", "logon", "on", "when", "makes", "with", "secrets", "deadline",
    "changes",
];

/// What a step is read with.
pub(crate) struct StepContext<'a> {
    pub(crate) platform: Platform,
    pub(crate) scripts: &'a mut Scripts,
    pub(crate) visible: &'a Visible<'a>,
    /// Secrets that earlier steps of the same rung make.
    pub(crate) made: Vec<(String, Position)>,
}

impl StepContext<'_> {
    /// Returns the context of steps that see something else; no secret is made yet.
    pub(crate) fn seeing<'b>(&'b mut self, visible: &'b Visible<'b>) -> StepContext<'b> {
        StepContext {
            platform: self.platform,
            scripts: &mut *self.scripts,
            visible,
            made: Vec::new(),
        }
    }
}

impl Reader<'_> {
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
        let read = self.run(map, node.at, step, context.platform, context.scripts);
        let when = map.get("when");
        let when = when.map(|node| self.condition(node, step, context.visible));
        let with = self.with(map, step, context.visible);
        let secrets = self.secrets(map, step, context);
        let usual = read.as_ref().map_or(DEADLINE, |(_, run)| run.deadline());
        let deadline = self.deadline(map, step, usual)?;
        let makes = match &read {
            Some((script, run)) => {
                self.makes(map, node.at, step, phase, (script, run), context.visible)
            }
            None => None,
        };
        let changes = match &read {
            Some((_, run)) => self.changes(map, step, phase, run)?,
            None => false,
        };
        let (script, run) = read?;
        let kind = self.kind(map, node.at, step, phase, &run, context);
        self.check_taken(map, step, &script);
        let mut with = with?;
        match run {
            Run::Reboot => self.fill_reboot(&mut with, step, node.at)?,
            _ => self.check_passed(map, node.at, step, &script),
        }
        let name = name.to_owned();
        Some(Step {
            name,
            script,
            kind: kind?,
            when: match when {
                Some(when) => Some(when?),
                None => None,
            },
            makes,
            with,
            secrets: secrets?,
            deadline,
            changes,
        })
    }

    /// Reads how long a step may take.
    pub(crate) fn deadline(&mut self, map: &Map, step: &str, usual: Duration) -> Option<Duration> {
        match map.get("deadline") {
            Some(node) => self.duration(node, step),
            None => Some(usual),
        }
    }

    /// Reads whether a step may change anything: a script as it says, anything else by its
    /// nature.
    fn changes(
        &mut self,
        map: &Map,
        step: &str,
        phase: Option<&'static str>,
        run: &Run,
    ) -> Option<bool> {
        let usual = run.changes(phase.is_none());
        let Some(node) = map.get("changes") else {
            return Some(usual);
        };
        let said = self.boolean(node, step)?;
        match (run, phase) {
            (Run::Action(action), _) if said != usual => {
                let (action, changes) = (action.name(), usual);
                self.error(node.at, step, Problem::ActionChanges { action, changes });
            }
            (Run::Script, Some(phase)) if said => {
                self.error(node.at, step, Problem::MustNotChange { phase });
            }
            _ => {}
        }
        Some(said)
    }

    /// Reads what a step gets.
    pub(crate) fn with(
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
        context: &StepContext<'_>,
    ) -> Option<Vec<(String, SecretFrom)>> {
        let Some(node) = map.get("secrets") else {
            return Some(Vec::new());
        };
        let mut secrets = Vec::new();
        for entry in self.any_map(node, step)? {
            let Some(name) = self.text(&entry.value, step) else {
                continue;
            };
            let from = if context.made.iter().any(|(made, _)| made == name) {
                SecretFrom::Made(name.to_owned())
            } else {
                self.check_secret(name, entry.value.at, step, context);
                SecretFrom::Credential(name.to_owned())
            };
            secrets.push((entry.key.text.clone(), from));
        }
        Some(secrets)
    }

    /// Checks that a secret which no earlier step makes is a parameter of type credential.
    fn check_secret(&mut self, name: &str, at: Position, step: &str, context: &StepContext<'_>) {
        let made = context.made.iter().map(|(made, _)| made.as_str());
        let what = "parameter of type credential and no secret of an earlier step of the rung";
        self.credential(name, at, step, context.visible, what, made.collect());
    }

    /// Checks that a parameter of type credential has this name.
    pub(crate) fn check_credential(
        &mut self,
        name: &str,
        at: Position,
        step: &str,
        visible: &Visible<'_>,
    ) {
        let what = "parameter of type credential";
        self.credential(name, at, step, visible, what, Vec::new());
    }

    fn credential(
        &mut self,
        name: &str,
        at: Position,
        step: &str,
        visible: &Visible<'_>,
        what: &'static str,
        others: Vec<&str>,
    ) {
        let credentials = || {
            let params = visible.params.iter();
            params
                .filter(|param| param.kind == ParameterKind::Credential)
                .map(|param| param.name.as_str())
        };
        if visible.is_wrong_param(name) || credentials().any(|known| known == name) {
            return;
        }
        let nearest = nearest(name, credentials().chain(others));
        let name = name.to_owned();
        self.error(
            at,
            step,
            Problem::Undefined {
                what,
                name,
                nearest,
            },
        );
    }

    /// Checks that a script gets nothing that its schema does not know.
    pub(crate) fn check_taken(&mut self, map: &Map, step: &str, script: &ScriptFile) {
        let closed = script.takes.get("additionalProperties") == Some(&Value::Bool(false));
        let fields = script.takes.get("properties").and_then(Value::as_object);
        let Some(fields) = fields.filter(|_| closed) else {
            return;
        };
        for key in passed(map).filter(|key| !fields.contains_key(&key.text)) {
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

    /// Checks that a script gets what its schema asks for.
    pub(crate) fn check_passed(
        &mut self,
        map: &Map,
        at: Position,
        step: &str,
        script: &ScriptFile,
    ) {
        let required = script.takes.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !passed(map).any(|key| key.text == name) {
                let (script, name) = (script.name.clone(), name.to_owned());
                self.error(at, step, Problem::NotPassed { script, name });
            }
        }
    }
}

/// Returns the names under which a step gets something.
fn passed(map: &Map) -> impl Iterator<Item = &Key> {
    ["with", "secrets"]
        .iter()
        .filter_map(|key| map.get(key)?.as_map())
        .flat_map(Map::iter)
        .map(|entry| &entry.key)
}
