//! What a step is: a script, an action, a restart or a logon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{DirectoryAction, Platform};
use fleetmend_yaml::{Map, Node, Position};
use serde_json::{Value, json};

use crate::error::Problem;
use crate::read::names::Visible;
use crate::read::reader::{Reader, on};
use crate::read::scripts::Scripts;
use crate::read::steps::{DEADLINE, StepContext};
use crate::{Builtin, Expression, Logon, Need, ScriptFile, SecretFrom, Step, StepKind};

/// How long a restart may take if the playbook does not say: updates may be part of it.
const REBOOT_DEADLINE: Duration = Duration::from_secs(20 * 60);

/// The field of a script's answer that holds the secret which it made.
const MADE: &str = "made";

/// What a restart is given unless the playbook says otherwise: at once, without a word, and only
/// where nobody is logged on.
const REBOOT_DEFAULTS: [(&str, &str); 3] = [
    ("grace_minutes", "0"),
    ("message", "none"),
    ("even_if_logged_on", "false"),
];

/// What runs.
pub(crate) enum Run {
    Script,
    Action(DirectoryAction),
    Reboot,
    Logon,
}

impl Run {
    /// Returns how long it may take if the playbook does not say.
    pub(crate) fn deadline(&self) -> Duration {
        match self {
            Self::Reboot => REBOOT_DEADLINE,
            Self::Script | Self::Action(_) | Self::Logon => DEADLINE,
        }
    }

    /// Tells whether it changes anything; a script does so by default only where it may.
    pub(crate) fn changes(&self, script: bool) -> bool {
        match self {
            Self::Script => script,
            Self::Action(action) => action.changes(),
            Self::Reboot => true,
            Self::Logon => false,
        }
    }

    /// Returns the word for it, and the keys that have no meaning beside it.
    fn foreign(&self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Script => ("script", &[]),
            Self::Action(_) => ("action", &["on"]),
            Self::Reboot => ("reboot", &["on", "makes", "secrets", "changes"]),
            Self::Logon => ("logon", &["on", "makes", "secrets", "changes", "with"]),
        }
    }
}

impl Reader<'_> {
    /// Reads what a step runs, and the schemas of that.
    pub(crate) fn run(
        &mut self,
        map: &Map,
        at: Position,
        step: &str,
        platform: Platform,
        scripts: &mut Scripts,
    ) -> Option<(Arc<ScriptFile>, Run)> {
        let words = ["script", "action", "reboot", "logon"];
        let kinds: Vec<_> = words
            .into_iter()
            .filter_map(|word| Some((word, map.get(word)?)))
            .collect();
        let (word, node) = match kinds.as_slice() {
            [] => {
                self.error(at, step, Problem::NoKind);
                return None;
            }
            [kind] => *kind,
            [_, (_, second), ..] => {
                self.error(second.at, step, Problem::SeveralKinds);
                return None;
            }
        };
        match word {
            "script" => Some((self.script(map, step, platform, scripts)?, Run::Script)),
            "action" => {
                let (action, file) = self.action(node, step)?;
                Some((file, Run::Action(action)))
            }
            "reboot" => {
                self.windows_only("reboot", node.at, step, platform);
                let file = self.builtin(Builtin::Reboot, node.at, step)?;
                Some((file, Run::Reboot))
            }
            _ => {
                self.windows_only("logon", node.at, step, platform);
                let file = self.builtin(Builtin::Logon, node.at, step)?;
                Some((file, Run::Logon))
            }
        }
    }

    /// Reads what a step is, once it is known what it runs.
    pub(crate) fn kind(
        &mut self,
        map: &Map,
        at: Position,
        step: &str,
        phase: Option<&'static str>,
        run: &Run,
        context: &StepContext<'_>,
    ) -> Option<StepKind> {
        let (kind, foreign) = run.foreign();
        for key in foreign.iter().copied() {
            let node = if key == "on" { on(map) } else { map.get(key) };
            if let Some(node) = node {
                self.error(node.at, step, Problem::NotOfKind { kind, key });
            }
        }
        match run {
            Run::Script => match on(map) {
                Some(node) => self.elsewhere(node, step, context),
                None => Some(StepKind::Script),
            },
            Run::Action(action) => {
                if let Some(phase) = phase.filter(|_| action.changes()) {
                    let at = map.get("action").map_or(at, |node| node.at);
                    let action = action.name();
                    self.error(at, step, Problem::MustOnlyAsk { phase, action });
                }
                Some(StepKind::Action(*action))
            }
            Run::Reboot => {
                self.map(map.get("reboot")?, step, &[], &[])?;
                if phase.is_some() {
                    self.error(at, step, Problem::NotInPreflight { kind });
                }
                Some(StepKind::Reboot)
            }
            Run::Logon => {
                let logon = self.logon(map.get("logon")?, step, phase, context.visible)?;
                Some(StepKind::Logon(logon))
            }
        }
    }

    /// Reads `on`: the name of another host of the inventory.
    fn elsewhere(
        &mut self,
        node: &Node,
        step: &str,
        context: &StepContext<'_>,
    ) -> Option<StepKind> {
        self.windows_only("on", node.at, step, context.platform);
        let host = self.expression(node, step)?;
        self.check_expression(&host, node.at, step, context.visible);
        Some(StepKind::Elsewhere(host))
    }

    fn logon(
        &mut self,
        node: &Node,
        step: &str,
        phase: Option<&'static str>,
        visible: &Visible<'_>,
    ) -> Option<Logon> {
        let map = self.map(node, step, &[], &["credential", "keep"])?;
        let credential = match map.get("credential") {
            Some(node) => {
                let name = self.text(node, step)?;
                self.check_credential(name, node.at, step, visible);
                Some(name.to_owned())
            }
            None => None,
        };
        let keep = self.flag(map, "keep", step)?;
        if let Some(node) = map.get("keep").filter(|_| keep) {
            if credential.is_none() {
                self.error(node.at, step, Problem::KeepsNothing);
            }
            if phase.is_some() {
                self.error(node.at, step, Problem::NotInPreflight { kind: "keep" });
            }
        }
        Some(Logon { credential, keep })
    }

    /// Gives a restart what the playbook leaves out.
    pub(crate) fn fill_reboot(
        &mut self,
        with: &mut Vec<(String, Expression)>,
        step: &str,
        at: Position,
    ) -> Option<()> {
        for (name, text) in REBOOT_DEFAULTS {
            if with.iter().any(|(known, _)| known == name) {
                continue;
            }
            let place = format!("{}:{at} ({step})", self.file);
            let expression = Expression::compile(text, place).ok()?;
            with.push((name.to_owned(), expression));
        }
        Some(())
    }

    /// Keeps an error if a host of another platform would be treated so.
    pub(crate) fn windows_only(
        &mut self,
        what: &'static str,
        at: Position,
        step: &str,
        platform: Platform,
    ) {
        if platform != Platform::Windows {
            self.error(at, step, Problem::WindowsOnly { what });
        }
    }

    /// Checks that a rung says which credentials its step spends, unless the step is left out
    /// without them.
    pub(crate) fn check_credentials(
        &mut self,
        read: &Step,
        at: Position,
        step: &str,
        needs: &[Need],
        asked: &Asked,
        visible: &Visible<'_>,
    ) {
        let is_optional = |name: &str| asked.asks(&read.name, &format!("params.{name}"));
        let on_pc = |name: &str| needs.contains(&Need::CredentialOnPc(name.to_owned()));
        let elsewhere = |name: &str| needs.contains(&Need::Credential(name.to_owned()));
        let mut undeclared = Vec::new();
        for (_, from) in &read.secrets {
            let SecretFrom::Credential(name) = from else {
                continue;
            };
            let name = name.clone();
            match read.kind {
                StepKind::Elsewhere(_) if !elsewhere(&name) => {
                    undeclared.push((name.clone(), Problem::UndeclaredElsewhere { name }));
                }
                StepKind::Elsewhere(_) => {}
                _ if !on_pc(&name) => {
                    undeclared.push((name.clone(), Problem::UndeclaredCredential { name }));
                }
                _ => {}
            }
        }
        if let StepKind::Logon(Logon {
            credential: Some(name),
            ..
        }) = &read.kind
            && !on_pc(name)
            && !elsewhere(name)
            && visible.is_credential(name)
        {
            let name = name.clone();
            undeclared.push((name.clone(), Problem::UndeclaredLogon { name }));
        }
        for (name, problem) in undeclared {
            // That there is no such parameter is told already.
            if visible.is_param(&name) && !is_optional(&name) {
                self.error(at, step, problem);
            }
        }
    }

    fn builtin(&mut self, builtin: Builtin, at: Position, step: &str) -> Option<Arc<ScriptFile>> {
        builtin
            .file()
            .map_err(|error| {
                let side = error.side;
                let path = format!("{builtin}.{side}.json");
                let detail = error.detail;
                self.error(at, step, Problem::BadSchema { side, path, detail });
            })
            .ok()
    }
}

/// What the conditions of the steps of one list ask for, by step: in their own words, and through
/// the answers of steps before them.
#[derive(Default)]
pub(crate) struct Asked(BTreeMap<String, BTreeSet<String>>);

impl Asked {
    /// Takes in the next step of the list.
    pub(crate) fn add(&mut self, read: &Step) {
        let mut names = BTreeSet::new();
        for name in read.when.iter().flat_map(|when| when.0.names()) {
            let mut parts = name.splitn(3, '.');
            let step = match (parts.next(), parts.next()) {
                (Some("answers" | "preflight"), Some(step)) => self.0.get(step),
                _ => None,
            };
            names.extend(step.into_iter().flatten().cloned());
            names.insert(name);
        }
        self.0.insert(read.name.clone(), names);
    }

    fn asks(&self, step: &str, name: &str) -> bool {
        self.0.get(step).is_some_and(|names| names.contains(name))
    }
}

/// Tells whether a script's schema lets it answer the secret that it makes.
pub(crate) fn gives_made(script: &ScriptFile) -> bool {
    let kind = script.gives.pointer("/properties/made/type");
    let required = script.gives.get("required").and_then(Value::as_array);
    let kinds = [json!(["string", "null"]), json!(["null", "string"])];
    kind.is_some_and(|kind| kinds.contains(kind))
        && required.is_some_and(|names| names.contains(&json!(MADE)))
}

/// Returns what later steps see of the answer of a script that makes a secret: all but that.
pub(crate) fn without_made(script: &Arc<ScriptFile>) -> Arc<ScriptFile> {
    let mut gives = script.gives.clone();
    if let Some(Value::Object(fields)) = gives.get_mut("properties") {
        fields.remove(MADE);
    }
    let name = script.name.clone();
    let seen = ScriptFile::new(name, String::new(), script.takes.clone(), gives);
    seen.map_or_else(|_| Arc::clone(script), Arc::new)
}
