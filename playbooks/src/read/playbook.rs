//! A whole playbook out of its YAML text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::Platform;
use fleetmend_yaml::{Document, Limits, Map, Node};
use sha2::{Digest, Sha256};

use crate::error::{PlaybookError, PlaybookErrors, Problem};
use crate::read::ladder::{Causes, seen_of};
use crate::read::names::{Answers, Giver, Visible};
use crate::read::reader::Reader;
use crate::read::scripts::Scripts;
use crate::read::steps::{PHASE_KEYS, StepContext};
use crate::source::Source;
use crate::{CauseRule, Consult, Expression, Parameter, Playbook, Step, Verify};

/// Reads and checks a playbook.
///
/// `file` is its name for messages, `stem` the file's name without its ending, which is also the
/// name of the folder with its scripts.
pub(crate) fn read(
    file: &str,
    stem: &str,
    text: &str,
    source: &Source,
) -> Result<Playbook, PlaybookErrors> {
    let limits = Limits {
        max_bytes: LIMIT,
        ..Limits::default()
    };
    let document = Document::parse(text, &limits).map_err(|errors| {
        let error = |error: &fleetmend_yaml::YamlError| PlaybookError {
            file: file.to_owned(),
            at: error.at,
            step: String::new(),
            problem: Problem::Yaml(error.problem.clone()),
        };
        PlaybookErrors::Invalid(errors.iter().map(error).collect())
    })?;
    let mut reader = Reader {
        file,
        folder: stem,
        source,
        errors: Vec::new(),
    };
    let playbook = reader.playbook(&document.root, stem, text);
    reader.errors.sort_by_key(|error| error.at);
    match playbook {
        Some(playbook) if reader.errors.is_empty() => Ok(playbook),
        _ => Err(PlaybookErrors::Invalid(reader.errors)),
    }
}

/// Bytes that a playbook may have.
pub(crate) const LIMIT: usize = 1024 * 1024;

const REQUIRED: [&str; 6] = ["name", "summary", "diagnose", "causes", "repair", "verify"];
const KNOWN: [&str; 5] = [
    "platform",
    "also",
    "parameters",
    "define",
    "stagger-reboots-by",
];

impl Reader<'_> {
    fn playbook(&mut self, root: &Node, stem: &str, text: &str) -> Option<Playbook> {
        let map = self.map(root, "", &REQUIRED, &KNOWN)?;
        let name = map
            .get("name")
            .and_then(|node| self.playbook_name(node, stem));
        let summary = map
            .get("summary")
            .and_then(|node| self.localized(node, "summary"));
        let platform = self.platform(map)?;
        let also = self.also(map, stem, platform);
        let parameters = self.parameters(map.get("parameters"));
        let wrong_params = undeclared(map.get("parameters"), &parameters);
        let mut visible = Visible {
            params: &parameters,
            wrong_params: &wrong_params,
            ..Visible::default()
        };

        let mut context = Context {
            platform,
            scripts: Scripts::default(),
        };
        // Without the facts' schema every name in every condition would be reported.
        let (diagnose, consult) =
            self.diagnose(map.get("diagnose")?, &mut visible, &mut context)?;
        // Causes are looked for again after a rung, and see what its steps answered.
        visible.answers = self.answers(map, false, &mut context);
        let terms = self.terms(map.get("define"), &mut visible);
        let causes = self.causes_of(map, &visible);
        let in_rungs = Visible {
            answers: Answers::new(),
            ..visible.clone()
        };
        let stagger_reboots_by = self.stagger(map, &in_rungs);
        visible.preflight = self.answers(map, true, &mut context);
        let verify = map
            .get("verify")
            .and_then(|node| self.verify(node, visible, &mut context));
        let known = Causes {
            rules: &causes,
            declared: ids(map.get("causes")),
        };
        let ladder = map
            .get("repair")
            .map(|node| self.ladder(node, &known, &mut context.step(&in_rungs)));
        let mut playbook = Playbook {
            name: name?,
            summary: summary?,
            platform,
            also,
            parameters,
            diagnose,
            consult,
            terms,
            causes,
            ladder: ladder?,
            verify: verify?,
            stagger_reboots_by,
            digest: String::new(),
        };
        playbook.digest = digest(&playbook, text);
        Some(playbook)
    }

    fn playbook_name(&mut self, node: &Node, stem: &str) -> Option<String> {
        let name = self.id(node, "", "name")?.to_owned();
        if name != stem {
            let stem = stem.to_owned();
            self.error(
                node.at,
                "",
                Problem::NameDiffers {
                    name: name.clone(),
                    stem,
                },
            );
        }
        Some(name)
    }

    /// Reads `stagger-reboots-by`: expressions, each a text or null.
    fn stagger(&mut self, map: &Map, visible: &Visible<'_>) -> Vec<Expression> {
        let step = "stagger-reboots-by";
        let Some(items) = map.get(step).and_then(|node| self.list(node, step)) else {
            return Vec::new();
        };
        let mut values = Vec::new();
        for item in items {
            let Some(value) = self.expression(item, step) else {
                continue;
            };
            self.check_expression(&value, item.at, step, visible);
            values.push(value);
        }
        values
    }

    fn causes_of(&mut self, map: &Map, visible: &Visible<'_>) -> Vec<CauseRule> {
        map.get("causes")
            .map(|node| self.causes(node, visible))
            .unwrap_or_default()
    }

    /// Reads `diagnose`, and the question to the directory that goes with it; from then on
    /// expressions see the facts.
    fn diagnose(
        &mut self,
        node: &Node,
        visible: &mut Visible<'_>,
        context: &mut Context,
    ) -> Option<(Step, Option<Consult>)> {
        let phase = "diagnose";
        let map = self.map(node, phase, &["script"], &PHASE_KEYS)?;
        let step = self.step(node, phase, phase, Some(phase), &mut context.step(visible))?;
        visible.facts = Some(Giver {
            script: Arc::clone(&step.script),
            directory: None,
        });
        let consult = self.consult(map, phase, &mut context.step(visible));
        visible.facts = Some(self.giver(map, phase, &step.script));
        Some((step, consult))
    }

    /// Collects what the steps of rungs, or of their preflights, may have answered, for verify,
    /// by step name.
    fn answers(&mut self, map: &Map, preflight: bool, context: &mut Context) -> Answers {
        let mut answers = Answers::new();
        let rungs = map.get("repair").and_then(Node::as_seq).unwrap_or_default();
        for rung in rungs {
            let label = rung.get("id").and_then(Node::as_str).unwrap_or_default();
            let (parent, label) = if preflight {
                (rung.get("preflight"), format!("{label}/preflight"))
            } else {
                (Some(rung), label.to_owned())
            };
            let items = parent.and_then(|parent| parent.get("steps")?.as_seq());
            for item in items.unwrap_or_default() {
                let Some((name, step)) = item.get("name").and_then(Node::as_str).zip(item.as_map())
                else {
                    continue;
                };
                let place = format!("repair/{label}/{name}");
                let (platform, scripts) = (context.platform, &mut context.scripts);
                let run = self.run(step, item.at, &place, platform, scripts);
                let file = run.map(|(file, _)| seen_of(&file, item));
                answers.entry(name.to_owned()).or_default().extend(file);
            }
        }
        answers
    }

    fn verify(
        &mut self,
        node: &Node,
        mut visible: Visible<'_>,
        context: &mut Context,
    ) -> Option<Verify> {
        let phase = "verify";
        let own = ["reboot-pending", "ask-again", "attempts", "pause"];
        let known: Vec<_> = PHASE_KEYS.iter().chain(&own).copied().collect();
        let map = self.map(node, phase, &["script", "require"], &known)?;
        let step = self.step(node, phase, phase, Some(phase), &mut context.step(&visible))?;
        visible.verify = Some(Giver {
            script: Arc::clone(&step.script),
            directory: None,
        });
        let consult = self.consult(map, phase, &mut context.step(&visible));
        visible.verify = Some(self.giver(map, phase, &step.script));
        let require = self.guards(map.get("require"), phase, &visible);
        if let Some(node) = map.get("require")
            && node.as_seq().is_some_and(<[Node]>::is_empty)
        {
            self.error(node.at, phase, Problem::Empty { what: "`require`" });
        }
        let reboot_pending = match map.get("reboot-pending") {
            Some(node) => Some(self.condition(node, phase, &visible)?),
            None => None,
        };
        let ask_again = match map.get("ask-again") {
            Some(node) => Some(self.condition(node, phase, &visible)?),
            None => None,
        };
        let attempts = match map.get("attempts") {
            Some(node) => self.count(node, phase)?,
            None => 1,
        };
        let pause = match map.get("pause") {
            Some(node) => self.duration(node, phase)?,
            None => Duration::from_secs(5),
        };
        Some(Verify {
            step,
            consult,
            require,
            reboot_pending,
            ask_again,
            attempts,
            pause,
        })
    }
}

/// What all steps of a playbook are read with.
struct Context {
    platform: Platform,
    scripts: Scripts,
}

impl Context {
    fn step<'a>(&'a mut self, visible: &'a Visible<'a>) -> StepContext<'a> {
        StepContext {
            platform: self.platform,
            scripts: &mut self.scripts,
            visible,
            made: Vec::new(),
        }
    }
}

/// Returns the names of parameters that stand in the text but could not be read.
fn undeclared(node: Option<&Node>, read: &[Parameter]) -> Vec<String> {
    let keys = node.and_then(Node::as_map).into_iter().flat_map(Map::iter);
    keys.map(|entry| entry.key.text.clone())
        .filter(|name| !read.iter().any(|param| param.name == *name))
        .collect()
}

/// Returns the ids in a list of mappings.
fn ids(node: Option<&Node>) -> Vec<String> {
    let items = node.and_then(Node::as_seq).unwrap_or_default().iter();
    items
        .filter_map(|item| Some(item.get("id")?.as_str()?.to_owned()))
        .collect()
}

/// Computes SHA-256 over the YAML text and every script with its schemas, in hex.
fn digest(playbook: &Playbook, text: &str) -> String {
    let scripts: BTreeMap<_, _> = playbook
        .scripts()
        .map(|script| (script.name.clone(), script))
        .collect();
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(text);
    };
    add(text);
    for (name, script) in scripts {
        add(&name);
        add(&script.text);
        add(&script.takes.to_string());
        add(&script.gives.to_string());
    }
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
