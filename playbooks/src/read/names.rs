//! Checking the names in expressions before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmend_yaml::Position;
use serde_json::Value;

use crate::condition::{is_global, template_names};
use crate::consult::DIRECTORY;
use crate::error::Problem;
use crate::read::reader::Reader;
use crate::{Expression, Localized, Parameter, ParameterKind, ScriptFile};
use fleetmend_yaml::nearest;

/// What is known of a host; what its `vars` are is the inventory's affair.
const HOST: [&str; 6] = ["name", "address", "names", "groups", "vars", "history"];

/// Whoever may have answered, by step name.
pub(crate) type Answers = BTreeMap<String, Vec<Arc<ScriptFile>>>;

/// Who gives facts or evidence.
#[derive(Clone)]
pub(crate) struct Giver {
    /// The script on the PC.
    pub(crate) script: Arc<ScriptFile>,
    /// The action whose answer stands in the field `directory`, if the playbook asks.
    pub(crate) directory: Option<Arc<ScriptFile>>,
}

/// What expressions of one part of a playbook can see.
#[derive(Clone, Default)]
pub(crate) struct Visible<'a> {
    /// The declared parameters.
    pub(crate) params: &'a [Parameter],
    /// Names of parameters that are declared, but wrongly: that is told where they stand.
    pub(crate) wrong_params: &'a [String],
    /// Whoever gives `facts`.
    pub(crate) facts: Option<Giver>,
    /// Whoever gives `verify`.
    pub(crate) verify: Option<Giver>,
    /// Whoever may have given `answers`, by step name.
    pub(crate) answers: Answers,
    /// Whoever may have given `preflight`, by step name.
    pub(crate) preflight: Answers,
    /// Defined terms.
    pub(crate) terms: Vec<String>,
}

impl Reader<'_> {
    /// Checks the names of an expression.
    pub(crate) fn check_expression(
        &mut self,
        expression: &Expression,
        at: Position,
        step: &str,
        visible: &Visible<'_>,
    ) {
        self.check_names(&expression.names(), at, step, visible);
    }

    /// Checks the names in a text with `{{ … }}`, in each language.
    pub(crate) fn check_template(
        &mut self,
        text: &Localized,
        at: Position,
        step: &str,
        visible: &Visible<'_>,
    ) {
        for text in [&text.en, &text.ja] {
            match template_names(text) {
                Ok(names) => self.check_names(&names, at, step, visible),
                Err(error) => {
                    let problem = Problem::BadExpression {
                        text: text.clone(),
                        detail: error.to_string(),
                    };
                    self.error(at, step, problem);
                }
            }
        }
    }

    fn check_names(
        &mut self,
        names: &BTreeSet<String>,
        at: Position,
        step: &str,
        visible: &Visible<'_>,
    ) {
        for problem in names.iter().filter_map(|name| visible.problem(name)) {
            self.error(at, step, problem);
        }
    }
}

impl Visible<'_> {
    /// Returns what is wrong with a dotted name, if anything.
    fn problem(&self, name: &str) -> Option<Problem> {
        let (root, rest) = name.split_once('.').unwrap_or((name, ""));
        match (root, &self.facts, &self.verify) {
            ("params", ..) => self.param_problem(rest),
            ("host", ..) => host_problem(rest),
            ("facts", Some(giver), _) | ("verify", _, Some(giver)) => giver.problem(root, rest),
            ("answers", ..) if !self.answers.is_empty() => {
                answer_problem(&self.answers, root, rest)
            }
            ("preflight", ..) if !self.preflight.is_empty() => {
                answer_problem(&self.preflight, root, rest)
            }
            _ if self.terms.iter().any(|term| term == root) || is_global(root) => None,
            _ => {
                let roots = [
                    ("facts", self.facts.is_some()),
                    ("verify", self.verify.is_some()),
                    ("answers", !self.answers.is_empty()),
                    ("preflight", !self.preflight.is_empty()),
                    ("params", true),
                    ("host", true),
                ];
                let known = roots
                    .iter()
                    .filter(|(_, known)| *known)
                    .map(|(root, _)| *root);
                let nearest = nearest(root, known.chain(self.terms.iter().map(String::as_str)));
                Some(Problem::UnknownName {
                    name: root.to_owned(),
                    nearest,
                })
            }
        }
    }

    /// Tells whether a parameter of this name is declared, rightly or wrongly.
    pub(crate) fn is_param(&self, name: &str) -> bool {
        self.is_wrong_param(name) || self.params.iter().any(|param| param.name == name)
    }

    /// Tells whether a parameter of type credential is declared, and rightly.
    pub(crate) fn is_credential(&self, name: &str) -> bool {
        let is = |param: &Parameter| param.name == name && param.kind == ParameterKind::Credential;
        self.params.iter().any(is)
    }

    /// Tells whether a parameter is declared, but wrongly.
    pub(crate) fn is_wrong_param(&self, name: &str) -> bool {
        self.wrong_params.iter().any(|known| known == name)
    }

    fn param_problem(&self, rest: &str) -> Option<Problem> {
        let name = rest.split('.').next().unwrap_or(rest);
        let names = || self.params.iter().map(|param| param.name.as_str());
        if name.is_empty() || self.is_param(name) {
            return None;
        }
        let nearest = nearest(name, names());
        Some(Problem::Undefined {
            what: "parameter",
            name: name.to_owned(),
            nearest,
        })
    }
}

/// Returns what is wrong with a path into the answers of steps, if anything.
fn answer_problem(answers: &Answers, root: &str, rest: &str) -> Option<Problem> {
    let (step, path) = rest.split_once('.').unwrap_or((rest, ""));
    let Some(scripts) = answers.get(step) else {
        let nearest = nearest(step, answers.keys().map(String::as_str));
        let what = "step";
        return (!step.is_empty()).then(|| Problem::Undefined {
            what,
            name: step.to_owned(),
            nearest,
        });
    };
    let root = format!("{root}.{step}");
    let problems: Vec<_> = scripts
        .iter()
        .map(|script| given(script, &root, path))
        .collect::<Option<_>>()?;
    problems.into_iter().next()
}

/// Returns what is wrong with a path into `host`, if anything.
fn host_problem(rest: &str) -> Option<Problem> {
    let name = rest.split('.').next().unwrap_or(rest);
    (!name.is_empty() && !HOST.contains(&name)).then(|| Problem::Undefined {
        what: "field of a host",
        name: name.to_owned(),
        nearest: nearest(name, HOST),
    })
}

impl Giver {
    /// Returns what is wrong with a path into what is given, if anything.
    fn problem(&self, root: &str, path: &str) -> Option<Problem> {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        match &self.directory {
            Some(action) if first == DIRECTORY => given(action, &format!("{root}.{first}"), rest),
            _ => given(&self.script, root, path),
        }
    }
}

/// Follows a dotted path through the schema of a script's answer.
fn given(script: &ScriptFile, root: &str, path: &str) -> Option<Problem> {
    let mut schema = &script.gives;
    let mut name = root.to_owned();
    for key in path.split('.').filter(|key| !key.is_empty()) {
        let fields = schema.get("properties").and_then(Value::as_object);
        if fields.is_none() && is_open(schema) {
            return None;
        }
        let Some(next) = fields.and_then(|fields| fields.get(key)) else {
            let keys = fields.into_iter().flat_map(|fields| fields.keys());
            let nearest = nearest(key, keys.map(String::as_str));
            return Some(Problem::NotGiven {
                name: format!("{name}.{key}"),
                giver: script.name.clone(),
                nearest: nearest.map(|key| format!("{name}.{key}")),
            });
        };
        schema = next;
        name = format!("{name}.{key}");
    }
    None
}

/// Tells whether a schema without a list of fields may still have any: a list has items, and
/// an object without `properties` anything.
fn is_open(schema: &Value) -> bool {
    schema
        .get("type")
        .is_none_or(|kind| has(kind, "array") || has(kind, "object"))
}

/// Tells whether a schema's `type` is or contains a word.
fn has(kind: &Value, word: &str) -> bool {
    kind.as_str() == Some(word)
        || kind
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == word))
}
