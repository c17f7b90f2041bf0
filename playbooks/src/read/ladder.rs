//! The rungs of the ladder.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_yaml::{Map, Node, Position};

use crate::error::Problem;
use crate::nearest::nearest;
use crate::read::names::Visible;
use crate::read::reader::Reader;
use crate::read::rules::label;
use crate::read::steps::{RUNG_STEP_KEYS, StepContext};
use crate::{CauseKind, CauseRule, Localized, Need, Rung, SecretFrom, Step};

/// The causes that a rung can be for.
pub(crate) struct Causes<'a> {
    /// Those that could be read.
    pub(crate) rules: &'a [CauseRule],
    /// The names of all, also of those that are wrong: that is told where they stand.
    pub(crate) declared: Vec<String>,
}

impl Reader<'_> {
    /// Reads `repair`.
    pub(crate) fn ladder(
        &mut self,
        node: &Node,
        causes: &Causes<'_>,
        context: &mut StepContext<'_>,
    ) -> Vec<Rung> {
        let Some(items) = self.list(node, "repair") else {
            return Vec::new();
        };
        let mut seen = Vec::new();
        let mut rungs = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let label = label(item, "id", index);
            let step = format!("repair/{label}");
            self.unique("rung", &label, item, &step, &mut seen);
            rungs.extend(self.rung(item, &step, causes, context));
        }
        rungs
    }

    fn rung(
        &mut self,
        node: &Node,
        step: &str,
        causes: &Causes<'_>,
        context: &mut StepContext<'_>,
    ) -> Option<Rung> {
        let required = ["id", "summary", "for", "steps"];
        let known = ["when", "needs", "guards", "cost", "caution", "again-if-cut"];
        let map = self.map(node, step, &required, &known)?;
        let id = map.get("id").and_then(|node| self.id(node, step, "rung"));
        let summary = map
            .get("summary")
            .and_then(|node| self.localized(node, step));
        let for_causes = map
            .get("for")
            .and_then(|node| self.rung_causes(node, step, causes));
        let when = map
            .get("when")
            .and_then(|node| self.condition(node, step, context.visible));
        let needs = self.needs(map, step, context);
        let guards = self.guards(map.get("guards"), step, context.visible);
        let steps = map
            .get("steps")
            .and_then(|node| self.steps(node, step, &needs, context));
        let again_if_cut = self.flag(map, "again-if-cut", step)?;
        let caution = map.get("caution").map(|node| self.plain(node, step));
        let cost = match map.get("cost") {
            Some(node) => self.duration(node, step)?,
            None => Duration::from_secs(30),
        };
        Some(Rung {
            id: id?.to_owned(),
            summary: summary?,
            causes: for_causes?,
            when,
            needs,
            guards,
            steps: steps?,
            preflight: None,
            cost,
            caution: match caution {
                Some(caution) => Some(caution?),
                None => None,
            },
            again_if_cut,
        })
    }

    fn rung_causes(&mut self, node: &Node, step: &str, causes: &Causes<'_>) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for item in self.list(node, step)? {
            let Some(name) = self.text(item, step) else {
                continue;
            };
            match causes.rules.iter().find(|cause| cause.id == name) {
                Some(cause) if cause.kind == CauseKind::Fault => names.push(name.to_owned()),
                Some(cause) => {
                    let (cause, kind) = (name.to_owned(), cause.kind.name());
                    self.error(item.at, step, Problem::NoFault { cause, kind });
                }
                None if causes.declared.iter().any(|id| id == name) => names.push(name.to_owned()),
                None => {
                    let nearest = nearest(name, causes.declared.iter().map(String::as_str));
                    let (what, name) = ("cause", name.to_owned());
                    self.error(
                        item.at,
                        step,
                        Problem::Undefined {
                            what,
                            name,
                            nearest,
                        },
                    );
                }
            }
        }
        if node.as_seq().is_some_and(<[Node]>::is_empty) {
            self.error(node.at, step, Problem::Empty { what: "`for`" });
        }
        Some(names)
    }

    fn needs(&mut self, map: &Map, step: &str, context: &StepContext<'_>) -> Vec<Need> {
        let Some(items) = map.get("needs").and_then(|node| self.list(node, step)) else {
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| self.need(item, step, context))
            .collect()
    }

    fn need(&mut self, node: &Node, step: &str, context: &StepContext<'_>) -> Option<Need> {
        if node.as_str().is_some() {
            return self.word(
                node,
                step,
                "need",
                &["directory", "offline-join"],
                &[Need::Directory, Need::OfflineJoin],
            );
        }
        let map = self.map(node, step, &[], &["credential-on-pc", "parameter"])?;
        if let Some(node) = map.get("credential-on-pc") {
            let name = self.text(node, step)?;
            self.check_credential(name, node.at, step, context.visible);
            return Some(Need::CredentialOnPc(name.to_owned()));
        }
        let node = map.get("parameter")?;
        let name = self.text(node, step)?;
        let names = || {
            context
                .visible
                .params
                .iter()
                .map(|param| param.name.as_str())
        };
        if !context.visible.is_wrong_param(name) && !names().any(|known| known == name) {
            let (what, nearest) = ("parameter", nearest(name, names()));
            self.error(
                node.at,
                step,
                Problem::Undefined {
                    what,
                    name: name.to_owned(),
                    nearest,
                },
            );
        }
        Some(Need::Parameter(name.to_owned()))
    }

    /// Reads `true` or `false`; without the key false.
    fn flag(&mut self, map: &Map, key: &str, step: &str) -> Option<bool> {
        match map.get(key) {
            Some(node) => self.boolean(node, step),
            None => Some(false),
        }
    }

    /// Reads a text in which no expression stands.
    fn plain(&mut self, node: &Node, step: &str) -> Option<Localized> {
        let text = self.localized(node, step)?;
        if [&text.en, &text.ja].iter().any(|text| text.contains("{{")) {
            self.error(node.at, step, Problem::NoTemplate);
        }
        Some(text)
    }

    fn steps(
        &mut self,
        node: &Node,
        rung: &str,
        needs: &[Need],
        context: &mut StepContext<'_>,
    ) -> Option<Vec<Step>> {
        let items = self.list(node, rung)?;
        if items.is_empty() {
            self.error(node.at, rung, Problem::Empty { what: "`steps`" });
        }
        let mut seen = Vec::new();
        let mut steps = Vec::new();
        // What the steps before in the same rung have answered and made.
        let mut visible = context.visible.clone();
        let mut made = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let label = label(item, "name", index);
            let step = format!("{rung}/{label}");
            self.unique("step", &label, item, &step, &mut seen);
            if self.map(item, &step, &["name"], &RUNG_STEP_KEYS).is_none() {
                continue;
            }
            let Some(name) = item.get("name") else {
                continue;
            };
            if self.variable(&label, name.at, &step, "step").is_none() {
                continue;
            }
            let mut context = StepContext {
                platform: context.platform,
                scripts: &mut *context.scripts,
                visible: &visible,
                made,
            };
            let read = self.step(item, &label, &step, None, &mut context);
            made = context.made;
            if let Some(read) = read {
                self.check_needs(&read, item, &step, needs, &visible);
                if let Some(secret) = &read.makes {
                    let at = item.get("makes").unwrap_or(item);
                    self.unique("secret", secret, at, &step, &mut made);
                }
                let answers = visible.answers.entry(label).or_default();
                answers.push(Arc::clone(&read.script));
                steps.push(read);
            } else if let Some(map) = item.as_map() {
                self.keep_names(map, &label, &mut visible, &mut made);
            }
        }
        Some(steps)
    }

    /// Keeps the names of a step that is wrong otherwise: that is told where it stands.
    fn keep_names(
        &self,
        map: &Map,
        label: &str,
        visible: &mut Visible<'_>,
        made: &mut Vec<(String, Position)>,
    ) {
        visible.answers.entry(label.to_owned()).or_default();
        if let Some(node) = map.get("makes")
            && let Some(name) = node.as_str()
        {
            made.push((name.to_owned(), node.at));
        }
    }

    /// Checks that a rung says what its step cannot do without.
    fn check_needs(
        &mut self,
        read: &Step,
        item: &Node,
        step: &str,
        needs: &[Need],
        visible: &Visible<'_>,
    ) {
        if let Some(action) = read.action() {
            let at = item.get("action").map_or(item.at, |node| node.at);
            self.check_action_needs(action, at, step, needs);
        }
        for (_, from) in &read.secrets {
            let SecretFrom::Credential(name) = from else {
                continue;
            };
            // That there is no such parameter is told already.
            let declared = needs.contains(&Need::CredentialOnPc(name.clone()));
            if !declared && visible.is_param(name) {
                let name = name.clone();
                self.error(item.at, step, Problem::UndeclaredCredential { name });
            }
        }
    }
}
