//! What can be wrong with a playbook.

use std::fmt;
use std::path::PathBuf;

use fleetmend_yaml::Position;

use crate::SchemaSide;

/// Why a playbook cannot be used: nothing of it runs.
#[derive(Debug, thiserror::Error)]
pub enum PlaybookErrors {
    /// No shipped playbook has this name.
    #[error("failed to find a shipped playbook named `{name}`{}", hint(.nearest.as_deref()))]
    NotShipped {
        /// The name asked for.
        name: String,
        /// A shipped one that is spelled almost so.
        nearest: Option<String>,
    },
    /// The file cannot be read.
    #[error("failed to read the playbook {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The text is wrong in at least one place.
    #[error("{}", lines(.0))]
    Invalid(Vec<PlaybookError>),
}

/// One thing wrong with a playbook, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybookError {
    /// The file as the operator named it.
    pub file: String,
    /// Line and column.
    pub at: Position,
    /// The part: `causes/healthy`, `repair/sc-reset/reset`; empty for the playbook as a whole.
    pub step: String,
    /// What.
    pub problem: Problem,
}

impl fmt::Display for PlaybookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.at)?;
        if !self.step.is_empty() {
            write!(f, "in {}: ", self.step)?;
        }
        write!(f, "{}", self.problem)
    }
}

impl std::error::Error for PlaybookError {}

/// What is wrong; the text does not repeat the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Problem {
    #[error("{0}")]
    Yaml(fleetmend_yaml::Problem),
    #[error("expected {expected}, found {found}")]
    WrongKind {
        expected: &'static str,
        found: &'static str,
    },
    #[error("unknown key `{key}`{}", hint(.nearest.as_deref()))]
    UnknownKey {
        key: String,
        nearest: Option<String>,
    },
    #[error("the key `{key}` is missing")]
    MissingKey { key: &'static str },
    #[error("{what} must not be empty")]
    Empty { what: &'static str },
    #[error("`{text}` is no {what}: {rule}")]
    BadName {
        what: &'static str,
        text: String,
        rule: &'static str,
    },
    #[error("the name `{name}` differs from the file's, `{stem}`")]
    NameDiffers { name: String, stem: String },
    #[error("{what} `{name}` is defined twice, first at line {}", .first.line)]
    Duplicate {
        what: &'static str,
        name: String,
        first: Position,
    },
    #[error("unknown {what} `{word}`{}; there are {}", hint(.nearest.as_deref()), list(.allowed))]
    UnknownWord {
        what: &'static str,
        word: String,
        nearest: Option<String>,
        allowed: &'static [&'static str],
    },
    #[error("no {what} is named `{name}`{}", hint(.nearest.as_deref()))]
    Undefined {
        what: &'static str,
        name: String,
        nearest: Option<String>,
    },
    #[error("`{text}` is no duration; write `500ms`, `90s` or `2m`")]
    BadDuration { text: String },
    #[error("the file `{path}` is missing")]
    MissingFile { path: String },
    #[error("the file `{path}` cannot be read: {detail}")]
    BadFile { path: String, detail: String },
    #[error("the {side} schema `{path}` cannot be used: {detail}")]
    BadSchema {
        side: SchemaSide,
        path: String,
        detail: String,
    },
    #[error("the expression `{text}` does not compile: {detail}")]
    BadExpression { text: String, detail: String },
    #[error("`{name}` is not among what {giver} gives{}", hint(.nearest.as_deref()))]
    NotGiven {
        name: String,
        giver: String,
        nearest: Option<String>,
    },
    #[error("`{name}` is unknown here{}", hint(.nearest.as_deref()))]
    UnknownName {
        name: String,
        nearest: Option<String>,
    },
    #[error("`{script}` takes no parameter `{name}`{}", hint(.nearest.as_deref()))]
    NotTaken {
        script: String,
        name: String,
        nearest: Option<String>,
    },
    #[error("`{script}` needs the parameter `{name}`, which neither `with` nor `secrets` gives")]
    NotPassed { script: String, name: String },
    #[error("`{name}` is a credential; pass it under `secrets`, never under `with`")]
    SecretInWith { name: String },
    #[error(
        "the rung hands `{name}` to the PC; say so with `needs: [credential-on-pc: {name}]`, or \
         leave the step out without it: `when: params.{name} is not none`"
    )]
    UndeclaredCredential { name: String },
    #[error("a rung with the action `{action}` must say `needs: [{need}]`")]
    UndeclaredNeed {
        action: &'static str,
        need: &'static str,
    },
    #[error("{phase} must not change the PC, so `changes: true` is refused")]
    MustNotChange { phase: &'static str },
    #[error("{phase} must not change the directory, so `{action}` is refused")]
    MustOnlyAsk {
        phase: &'static str,
        action: &'static str,
    },
    #[error("a step has one of {}, not several", list(STEP_WORDS))]
    SeveralKinds,
    #[error("a step needs one of {}", list(STEP_WORDS))]
    NoKind,
    #[error("a step with `{kind}` has no `{key}`")]
    NotOfKind {
        kind: &'static str,
        key: &'static str,
    },
    #[error("`{what}` is for windows hosts, and this playbook is for posix hosts")]
    WindowsOnly { what: &'static str },
    #[error("a preflight only looks, so `{kind}` is refused")]
    NotInPreflight { kind: &'static str },
    #[error("a preflight makes no secret; make it in a step of the rung")]
    MakesInPreflight,
    #[error(
        "`{script}` makes a secret, so its answer needs a field `made` of type [string, null]: \
         give it in the schema, under `properties` and `required`"
    )]
    MadeNotGiven { script: String },
    #[error(
        "the rung hands `{name}` to another PC; say so with `needs: [credential: {name}]`, or \
         leave the step out without it: `when: params.{name} is not none`"
    )]
    UndeclaredElsewhere { name: String },
    #[error(
        "the rung logs on with `{name}`; say so with `needs: [credential: {name}]`, or leave the \
         step out without it: `when: params.{name} is not none`"
    )]
    UndeclaredLogon { name: String },
    #[error("one need a line: write `{key}` apart from `{first}`")]
    SeveralNeeds { first: String, key: String },
    #[error("`keep` is for a logon with a credential: the account in use is kept anyway")]
    KeepsNothing,
    #[error("`{action}` {} the directory, so `changes: {}` is refused",
        if *.changes { "changes" } else { "does not change" }, !.changes)]
    ActionChanges { action: &'static str, changes: bool },
    #[error("`{name}` makes no secret; scripts do, and {}", list(.makers))]
    MakesNothing {
        name: String,
        makers: Vec<&'static str>,
    },
    #[error(
        "`{action}` makes a secret; name it with `makes`, so that a later step can be given it"
    )]
    MakesNameless { action: &'static str },
    #[error(
        "the step that makes `{name}` may be left out; give this one a condition too, such as `when: answers.STEP is not none`"
    )]
    MadeMaybe { name: String },
    #[error("a parameter is named `{name}` too; give the secret another name")]
    AmbiguousSecret { name: String },
    #[error("`{giver}` gives a field `directory` itself, where the directory's answer belongs")]
    GivesDirectory { giver: String },
    #[error("expressions are not filled in here; write the text without braces")]
    NoTemplate,
    #[error("`{name}` is for {platform} hosts, and so is `{other}`")]
    SamePlatform {
        name: String,
        platform: &'static str,
        other: String,
    },
    #[error("`{name}` names playbooks under `also` itself; list them here")]
    AlsoNested { name: String },
    #[error("a parameter of type credential is always secret, and only those are")]
    SecretType,
    #[error("the default is {found}, which is not of type {kind}")]
    BadDefault {
        kind: &'static str,
        found: &'static str,
    },
    #[error("no cause has `kind: healthy`")]
    NoHealthy,
    #[error("the last cause must catch the rest: `when: \"true\"`")]
    NoCatchAll,
    #[error("`{cause}` is of kind {kind}; a rung can only be for causes of kind fault")]
    NoFault { cause: String, kind: &'static str },
}

/// What a step may be.
const STEP_WORDS: &[&str] = &["script", "action", "reboot", "logon"];

/// Returns a hint at what was meant, or nothing.
fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn lines(errors: &[PlaybookError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}
