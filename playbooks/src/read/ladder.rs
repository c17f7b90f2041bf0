//! The rungs of the ladder.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_yaml::{Map, Node, Position};

use crate::error::Problem;
use crate::read::kinds::{Asked, without_made};
use crate::read::names::{Answers, Visible};
use crate::read::reader::Reader;
use crate::read::rules::label;
use crate::read::steps::{RUNG_STEP_KEYS, StepContext};
use crate::{CauseKind, CauseRule, Localized, Need, Preflight, Rung, ScriptFile, SecretFrom, Step};
use fleetmend_yaml::nearest;

/// The causes that a rung can be for.
pub(crate) struct Causes<'a> {
    /// Those that could be read.
    pub(crate) rules: &'a [CauseRule],
    /// The names of all, also of those that are wrong: that is told where they stand.
    pub(crate) declared: Vec<String>,
}

/// The step with which the engine holds a PC before a rung.
const LOCK: &str = "lock";

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
        let known = [
            "when",
            "needs",
            "guards",
            "preflight",
            "cost",
            "caution",
            "again-if-cut",
        ];
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
        let (preflight, seen) = match map.get("preflight") {
            Some(node) => self.preflight(node, step, &needs, context),
            None => (Some(None), Answers::new()),
        };
        let visible = Visible {
            preflight: seen,
            ..context.visible.clone()
        };
        let mut context = context.seeing(&visible);
        let steps = map
            .get("steps")
            .and_then(|node| self.steps(node, step, None, &needs, &mut context).0);
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
            preflight: preflight?,
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
        let known = ["credential-on-pc", "credential", "parameter"];
        let map = self.map(node, step, &[], &known)?;
        if let [first, second, ..] = map.iter().as_slice() {
            let (first, key) = (first.key.text.clone(), second.key.text.clone());
            self.error(second.key.at, step, Problem::SeveralNeeds { first, key });
        }
        if let Some(node) = map.get("credential-on-pc") {
            let name = self.text(node, step)?;
            self.check_credential(name, node.at, step, context.visible);
            return Some(Need::CredentialOnPc(name.to_owned()));
        }
        if let Some(node) = map.get("credential") {
            let name = self.text(node, step)?;
            self.check_credential(name, node.at, step, context.visible);
            return Some(Need::Credential(name.to_owned()));
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
    pub(crate) fn flag(&mut self, map: &Map, key: &str, step: &str) -> Option<bool> {
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

    /// Reads `preflight`, and returns with it what the steps of its rung see of it.
    fn preflight(
        &mut self,
        node: &Node,
        rung: &str,
        needs: &[Need],
        context: &mut StepContext<'_>,
    ) -> (Option<Option<Preflight>>, Answers) {
        let place = format!("{rung}/preflight");
        self.windows_only("preflight", node.at, &place, context.platform);
        let Some(map) = self.map(node, &place, &["steps"], &["guards"]) else {
            return (None, Answers::new());
        };
        let (steps, seen) = match map.get("steps") {
            Some(node) => self.steps(node, &place, Some("preflight"), needs, context),
            None => (None, Answers::new()),
        };
        let visible = Visible {
            preflight: seen.clone(),
            ..context.visible.clone()
        };
        let guards = self.guards(map.get("guards"), &place, &visible);
        (steps.map(|steps| Some(Preflight { steps, guards })), seen)
    }

    /// Reads the steps of a rung, or of a phase that must not change the PC, and returns with
    /// them what others see of their answers.
    fn steps(
        &mut self,
        node: &Node,
        place: &str,
        phase: Option<&'static str>,
        needs: &[Need],
        context: &mut StepContext<'_>,
    ) -> (Option<Vec<Step>>, Answers) {
        // What the steps before in the same list have answered and made.
        let mut visible = context.visible.clone();
        let mut made = Vec::new();
        let Some(items) = self.list(node, place) else {
            return (None, Answers::new());
        };
        if items.is_empty() {
            self.error(node.at, place, Problem::Empty { what: "`steps`" });
        }
        let mut seen = Vec::new();
        let mut steps = Vec::new();
        let mut asked = Asked::default();
        for (index, item) in items.iter().enumerate() {
            let label = label(item, "name", index);
            let step = format!("{place}/{label}");
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
            if label == LOCK {
                let problem = Problem::BadName {
                    what: "step",
                    text: label.clone(),
                    rule: "the engine has a step of that name",
                };
                self.error(name.at, &step, problem);
            }
            let mut context = context.seeing(&visible);
            context.made = made;
            let read = self.step(item, &label, &step, phase, &mut context);
            made = context.made;
            let mut answer = None;
            if let Some(read) = read {
                asked.add(&read);
                self.check_needs(&read, item, &step, (needs, &asked), &visible);
                self.check_made(&read, item, &step, &steps);
                if let Some(secret) = &read.makes {
                    let at = item.get("makes").unwrap_or(item);
                    self.unique("secret", secret, at, &step, &mut made);
                }
                answer = Some(seen_of(&read.script, item));
                steps.push(read);
            } else if let Some((name, at)) = makes_of(item) {
                // What else is wrong with the step is told where it stands.
                made.push((name.to_owned(), at));
            }
            let answers = match phase {
                None => &mut visible.answers,
                Some(_) => &mut visible.preflight,
            };
            answers.entry(label).or_default().extend(answer);
        }
        let answers = match phase {
            None => visible.answers,
            Some(_) => visible.preflight,
        };
        (Some(steps), answers)
    }

    /// Checks that a step may be left out if the secret which it is given may not have been made. A
    /// script may answer null in its place, so what depends on one has a condition anyway.
    fn check_made(&mut self, read: &Step, item: &Node, step: &str, before: &[Step]) {
        let maybe = |name: &String| {
            let makes = |maker: &&Step| maker.makes.as_ref() == Some(name);
            let maker = before.iter().find(makes);
            maker.is_some_and(|maker| maker.action().is_some() && maker.when.is_some())
        };
        let made = read.secrets.iter().find_map(|(_, from)| match from {
            SecretFrom::Made(name) if maybe(name) => Some(name.clone()),
            SecretFrom::Made(_) | SecretFrom::Credential(_) => None,
        });
        if let Some(name) = made.filter(|_| read.when.is_none()) {
            let at = item.get("secrets").unwrap_or(item).at;
            self.error(at, step, Problem::MadeMaybe { name });
        }
    }

    /// Checks that a rung says what its step cannot do without.
    fn check_needs(
        &mut self,
        read: &Step,
        item: &Node,
        step: &str,
        (needs, asked): (&[Need], &Asked),
        visible: &Visible<'_>,
    ) {
        if let Some(action) = read.action() {
            let at = item.get("action").map_or(item.at, |node| node.at);
            self.check_action_needs(action, at, step, needs);
        }
        self.check_credentials(read, item.at, step, needs, asked, visible);
    }
}

/// Returns what others see of a step's answer.
pub(crate) fn seen_of(script: &Arc<ScriptFile>, item: &Node) -> Arc<ScriptFile> {
    match item.get("script").and(item.get("makes")) {
        Some(_) => without_made(script),
        None => Arc::clone(script),
    }
}

fn makes_of(item: &Node) -> Option<(&str, Position)> {
    let node = item.get("makes")?;
    Some((node.as_str()?, node.at))
}
