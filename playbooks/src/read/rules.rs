//! Parameters, terms, causes and guards.

use fleetmend_yaml::{Node, Position, Value};

use crate::error::Problem;
use crate::read::names::Visible;
use crate::read::reader::Reader;
use crate::{CauseKind, CauseRule, Condition, Guard, Localized, Parameter, ParameterKind, Term};

/// Names that expressions see anyway, so that no term may take them.
const ROOTS: [&str; 6] = ["params", "facts", "host", "verify", "answers", "preflight"];

impl Reader<'_> {
    /// Reads `parameters`.
    pub(crate) fn parameters(&mut self, node: Option<&Node>) -> Vec<Parameter> {
        let Some(map) = node.and_then(|node| self.any_map(node, "parameters")) else {
            return Vec::new();
        };
        map.iter()
            .filter_map(|entry| {
                let step = format!("parameters/{}", entry.key.text);
                self.variable(&entry.key.text, entry.key.at, &step, "parameter")?;
                self.parameter(&entry.key.text, &entry.value, &step)
            })
            .collect()
    }

    fn parameter(&mut self, name: &str, node: &Node, step: &str) -> Option<Parameter> {
        let map = self.map(node, step, &["type", "summary"], &["default", "secret"])?;
        let kind = self.word(
            map.get("type")?,
            step,
            "type",
            &["string", "integer", "boolean", "credential"],
            &[
                ParameterKind::String,
                ParameterKind::Integer,
                ParameterKind::Boolean,
                ParameterKind::Credential,
            ],
        )?;
        let secret = kind == ParameterKind::Credential;
        if let Some(node) = map.get("secret")
            && self.boolean(node, step)? != secret
        {
            self.error(node.at, step, Problem::SecretType);
        }
        let default = match map.get("default") {
            None => None,
            Some(node) if node.is_null() => None,
            Some(node) if kind.admits(&node.to_json()) && !secret => Some(node.to_json()),
            Some(node) => {
                let problem = Problem::BadDefault {
                    kind: kind.name(),
                    found: node.kind(),
                };
                self.error(node.at, step, problem);
                None
            }
        };
        let summary = self.localized(map.get("summary")?, step)?;
        Some(Parameter {
            name: name.to_owned(),
            kind,
            secret,
            default,
            summary,
        })
    }

    /// Reads `define`; each term sees the ones before it.
    pub(crate) fn terms(&mut self, node: Option<&Node>, visible: &mut Visible<'_>) -> Vec<Term> {
        let Some(map) = node.and_then(|node| self.any_map(node, "define")) else {
            return Vec::new();
        };
        let mut terms = Vec::new();
        for entry in map {
            let name = entry.key.text.as_str();
            let step = format!("define/{name}");
            if ROOTS.contains(&name) {
                let rule = "expressions have that name already";
                let problem = Problem::BadName {
                    what: "term",
                    text: name.to_owned(),
                    rule,
                };
                self.error(entry.key.at, &step, problem);
            }
            self.variable(name, entry.key.at, &step, "term");
            if let Some(value) = self.expression(&entry.value, &step) {
                self.check_expression(&value, entry.value.at, &step, visible);
                terms.push(Term {
                    name: name.to_owned(),
                    value,
                });
            }
            visible.terms.push(name.to_owned());
        }
        terms
    }

    /// Reads `causes`.
    pub(crate) fn causes(&mut self, node: &Node, visible: &Visible<'_>) -> Vec<CauseRule> {
        let Some(items) = self.list(node, "causes") else {
            return Vec::new();
        };
        let mut seen: Vec<(String, Position)> = Vec::new();
        let mut causes = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let label = label(item, "id", index);
            let step = format!("causes/{label}");
            self.unique("cause", &label, item, &step, &mut seen);
            causes.extend(self.cause(item, &step, visible));
        }
        if causes.len() == items.len() {
            if !causes.iter().any(|cause| cause.kind == CauseKind::Healthy) {
                self.error(node.at, "causes", Problem::NoHealthy);
            }
            if let Some(item) = items.last()
                && causes
                    .last()
                    .is_some_and(|cause| cause.when.0.text != "true")
            {
                self.error(item.at, "causes", Problem::NoCatchAll);
            }
        }
        causes
    }

    fn cause(&mut self, node: &Node, step: &str, visible: &Visible<'_>) -> Option<CauseRule> {
        let required = ["id", "kind", "when", "reason"];
        let map = self.map(node, step, &required, &["code", "next"])?;
        let id = map.get("id").and_then(|node| self.id(node, step, "cause"));
        let kind = map.get("kind").and_then(|node| self.cause_kind(node, step));
        let when = map
            .get("when")
            .and_then(|node| self.condition(node, step, visible));
        let code = map.get("code").and_then(|node| {
            let code = self.expression(node, step)?;
            self.check_expression(&code, node.at, step, visible);
            Some(code)
        });
        let reason = self.template(map.get("reason"), step, visible);
        let next = self.template(map.get("next"), step, visible);
        Some(CauseRule {
            id: id?.to_owned(),
            kind: kind?,
            when: when?,
            code,
            reason,
            next,
        })
    }

    fn cause_kind(&mut self, node: &Node, step: &str) -> Option<CauseKind> {
        self.word(
            node,
            step,
            "kind",
            &["healthy", "fault", "skip", "access-denied", "needs-hands"],
            &[
                CauseKind::Healthy,
                CauseKind::Fault,
                CauseKind::Skip,
                CauseKind::AccessDenied,
                CauseKind::NeedsHands,
            ],
        )
    }

    /// Reads a list of guards: `name`, `require`, `reason`, `next`.
    pub(crate) fn guards(
        &mut self,
        node: Option<&Node>,
        parent: &str,
        visible: &Visible<'_>,
    ) -> Vec<Guard> {
        let Some(items) = node.and_then(|node| self.list(node, parent)) else {
            return Vec::new();
        };
        let mut seen = Vec::new();
        let mut guards = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let label = label(item, "name", index);
            let step = format!("{parent}/{label}");
            self.unique("guard", &label, item, &step, &mut seen);
            guards.extend(self.guard(item, &step, visible));
        }
        guards
    }

    fn guard(&mut self, node: &Node, step: &str, visible: &Visible<'_>) -> Option<Guard> {
        let map = self.map(node, step, &["name", "require", "reason"], &["next"])?;
        let name = map
            .get("name")
            .and_then(|node| self.id(node, step, "guard"));
        let require = map
            .get("require")
            .and_then(|node| self.condition(node, step, visible));
        let reason = self.template(map.get("reason"), step, visible);
        let next = self.template(map.get("next"), step, visible);
        Some(Guard {
            name: name?.to_owned(),
            require: require?,
            reason,
            next,
        })
    }

    /// Reads a condition.
    pub(crate) fn condition(
        &mut self,
        node: &Node,
        step: &str,
        visible: &Visible<'_>,
    ) -> Option<Condition> {
        let expression = self.expression(node, step)?;
        self.check_expression(&expression, node.at, step, visible);
        Some(Condition(expression))
    }

    fn template(&mut self, node: Option<&Node>, step: &str, visible: &Visible<'_>) -> Localized {
        let Some(node) = node else {
            return Localized::default();
        };
        let Some(text) = self.localized(node, step) else {
            return Localized::default();
        };
        self.check_template(&text, node.at, step, visible);
        text
    }

    /// Keeps an error if a name stood before.
    pub(crate) fn unique(
        &mut self,
        what: &'static str,
        name: &str,
        node: &Node,
        step: &str,
        seen: &mut Vec<(String, Position)>,
    ) {
        match seen.iter().find(|(known, _)| known == name) {
            Some((_, first)) => {
                let problem = Problem::Duplicate {
                    what,
                    name: name.to_owned(),
                    first: *first,
                };
                self.error(node.at, step, problem);
            }
            None => seen.push((name.to_owned(), node.at)),
        }
    }
}

/// Returns the name of a list's item for messages, or its number if it has none.
pub(crate) fn label(node: &Node, key: &str, index: usize) -> String {
    match node.get(key).map(|name| &name.value) {
        Some(Value::String(name)) => name.clone(),
        _ => (index + 1).to_string(),
    }
}
