//! A playbook for a PC that nobody reaches: everything that a script on a USB stick needs to
//! decide as [`Playbook::decide`] and [`Playbook::verified`] do, as data.
//!
//! On the PC there is Windows PowerShell and the C# compiler that comes with it, and no
//! `minijinja`. So each expression travels as the tree into which minijinja itself has parsed it,
//! and a small evaluator in C# (`playbooks/handoff/`) walks these trees. A test runs every case of
//! every shipped playbook through both.

mod assemble;
mod tree;

use serde_json::{Map, Value, json};

use crate::need::{Missing, missing, reboots_missing};
use crate::{
    CauseKind, CauseRule, Condition, Expression, Guard, Language, Localized, Need, Playbook, Rung,
    SecretFrom, Situation, Step, StepKind,
};

pub use assemble::{Channel, assemble, digest, scripts};

/// The parts of the script for a stick that are the same for every playbook.
pub mod parts {
    /// The PowerShell around all else.
    pub const DRIVER: &str = include_str!("../handoff/driver.ps1");
    /// The C# in the order in which it is compiled: one text when put together.
    pub const CSHARP: [&str; 5] = [
        include_str!("../handoff/Json.cs"),
        include_str!("../handoff/Evaluator.cs"),
        include_str!("../handoff/Decider.cs"),
        include_str!("../handoff/Channel.cs"),
        include_str!("../handoff/Stick.cs"),
    ];
}

/// An expression of the playbook is more than the evaluator on the stick understands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to put `{text}` on a stick: {what} is not known there ({place})")]
pub struct HandoffError {
    /// Where it stands.
    pub place: String,
    /// The expression or text.
    pub text: String,
    /// What of it.
    pub what: String,
}

impl Playbook {
    /// Tells why a rung cannot be done from a stick, if it cannot: a word for the pages.
    pub fn left_out(rung: &Rung) -> Option<&'static str> {
        let kinds = || rung.steps.iter().map(|step| &step.kind);
        let away = |need: &Need| {
            matches!(
                need,
                Need::Directory | Need::OfflineJoin | Need::Credential(_)
            )
        };
        if rung.needs.iter().any(away) || kinds().any(|kind| matches!(kind, StepKind::Action(_))) {
            return Some("directory");
        }
        if kinds().any(|kind| matches!(kind, StepKind::Elsewhere(_))) {
            return Some("other-pc");
        }
        if rung.reboots() > 0 {
            return Some("restart");
        }
        let made = |(_, from): &(String, SecretFrom)| matches!(from, SecretFrom::Made(_));
        let secret = |step: &Step| step.makes.is_some() || step.secrets.iter().any(made);
        let odd = |kind: &StepKind| !matches!(kind, StepKind::Script);
        (rung.preflight.is_some() || kinds().any(odd) || rung.steps.iter().any(secret))
            .then_some("controller")
    }

    /// Returns the playbook as data for the evaluator on a stick. Scripts stand in it by name.
    ///
    /// # Errors
    /// [`HandoffError`] when an expression uses what the evaluator does not know.
    pub fn handoff(&self) -> Result<Value, HandoffError> {
        let terms = self.terms.iter();
        let terms = terms.map(|term| Ok(json!([term.name, expression(&term.value)?])));
        let causes = self.causes.iter().map(|rule| cause(rule, &self.name));
        let rungs = self.ladder.iter().map(|rung| self.rung(rung));
        let verify = &self.verify;
        Ok(json!({
            "playbook": self.name,
            "summary": plain(&self.summary),
            "diagnose": self.step(&self.diagnose)?,
            "consult": self.consult.is_some(),
            "terms": all(terms)?,
            "causes": all(causes)?,
            "rungs": all(rungs)?,
            "verify": {
                "step": self.step(&verify.step)?,
                "consult": verify.consult.is_some(),
                "require": all(verify.require.iter().map(|each| guard(each, "verify")))?,
                "reboot_pending": optional(verify.reboot_pending.as_ref())?,
                "ask_again": optional(verify.ask_again.as_ref())?,
                "attempts": verify.attempts,
                "pause_ms": milliseconds(verify.pause),
            },
        }))
    }

    /// Returns the names of a host's variables that any expression looks at.
    pub fn variables_read(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .expressions()
            .flat_map(Expression::names)
            .filter_map(|name| {
                let rest = name.strip_prefix("host.vars.")?;
                Some(rest.split('.').next().unwrap_or_default().to_owned())
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let steps = self.ladder.iter().flat_map(|rung| &rung.steps);
        let steps = steps.chain([&self.diagnose, &self.verify.step]);
        let of_steps = steps.flat_map(|step| {
            let with = step.with.iter().map(|(_, value)| value);
            with.chain(step.when.as_ref().map(|when| &when.0))
        });
        let guards = self.ladder.iter().flat_map(|rung| &rung.guards);
        let guards = guards.chain(&self.verify.require);
        let causes = self.causes.iter().map(|rule| &rule.when.0);
        let rungs = self.ladder.iter().filter_map(|rung| rung.when.as_ref());
        self.terms
            .iter()
            .map(|term| &term.value)
            .chain(of_steps)
            .chain(guards.map(|guard| &guard.require.0))
            .chain(causes)
            .chain(rungs.map(|when| &when.0))
    }

    fn step(&self, step: &Step) -> Result<Value, HandoffError> {
        let with = step.with.iter();
        let with = with.map(|(name, value)| Ok(json!([name, expression(value)?])));
        let secrets: Map<String, Value> = step
            .secrets
            .iter()
            .filter_map(|(name, from)| match from {
                SecretFrom::Credential(parameter) => Some((name.clone(), parameter.clone().into())),
                SecretFrom::Made(_) => None,
            })
            .collect();
        Ok(json!({
            "name": step.name,
            "script": step.script.name,
            "when": optional(step.when.as_ref())?,
            "with": all(with)?,
            "secrets": secrets,
            "deadline_ms": milliseconds(step.deadline),
            "changes": step.changes,
            "terms": self.uses_term(step),
        }))
    }

    /// Tells whether a step's expressions look at a term; only then are terms computed for it.
    fn uses_term(&self, step: &Step) -> bool {
        let with = step.with.iter().map(|(_, value)| value);
        with.chain(step.when.as_ref().map(|when| &when.0))
            .flat_map(Expression::names)
            .any(|name| {
                let root = name.split('.').next().unwrap_or_default();
                self.terms.iter().any(|term| term.name == root)
            })
    }

    fn rung(&self, rung: &Rung) -> Result<Value, HandoffError> {
        let place = format!("{} (repair/{})", self.name, rung.id);
        let left_out = Self::left_out(rung);
        let steps = match left_out {
            // What it needs is not on the PC; its guards may still be looked at.
            Some(_) => Vec::new(),
            None => all(rung.steps.iter().map(|step| self.step(step)))?,
        };
        Ok(json!({
            "id": rung.id,
            "summary": plain(&rung.summary),
            "causes": rung.causes,
            "when": optional(rung.when.as_ref())?,
            "left_out": left_out,
            "needs": needs(rung),
            "guards": all(rung.guards.iter().map(|each| guard(each, &place)))?,
            "steps": steps,
            "caution": rung.caution.as_ref().map(plain),
        }))
    }
}

fn all(
    items: impl Iterator<Item = Result<Value, HandoffError>>,
) -> Result<Vec<Value>, HandoffError> {
    items.collect()
}

fn cause(rule: &CauseRule, playbook: &str) -> Result<Value, HandoffError> {
    let place = format!("{playbook} (causes/{})", rule.id);
    let kind: &CauseKind = &rule.kind;
    Ok(json!({
        "id": rule.id,
        "kind": kind.name(),
        "when": expression(&rule.when.0)?,
        "code": rule.code.as_ref().map(expression).transpose()?,
        "reason": text(&rule.reason, &place)?,
        "next": text(&rule.next, &place)?,
    }))
}

fn guard(guard: &Guard, place: &str) -> Result<Value, HandoffError> {
    let place = format!("{place}/{}", guard.name);
    Ok(json!({
        "name": guard.name,
        "require": expression(&guard.require.0)?,
        "reason": text(&guard.reason, &place)?,
        "next": text(&guard.next, &place)?,
    }))
}

/// The needs of a rung, its restarts last: none is made from a stick.
fn needs(rung: &Rung) -> Vec<Value> {
    let mut all: Vec<Value> = rung.needs.iter().map(|each| need(each, &rung.id)).collect();
    if let (Some(en), Some(ja)) = (restarts(rung, Language::En), restarts(rung, Language::Ja)) {
        all.push(json!({"kind": "restart", "name": "", "unset": words(&en, &ja)}));
    }
    all
}

fn restarts(rung: &Rung, language: Language) -> Option<Missing> {
    let situation = Situation {
        language,
        ..Situation::default()
    };
    reboots_missing(rung, &situation)
}

fn words(en: &Missing, ja: &Missing) -> Value {
    json!({
        "guard": en.guard,
        "reason": {"en": en.reason, "ja": ja.reason},
        "next": {"en": en.next, "ja": ja.next},
    })
}

/// A need with the words for its lack, as [`Playbook::decide`] has them.
fn need(need: &Need, rung: &str) -> Value {
    let (kind, name) = match need {
        Need::CredentialOnPc(name) => ("credential-on-pc", name.as_str()),
        Need::Parameter(name) => ("parameter", name.as_str()),
        Need::Credential(name) => ("credential", name.as_str()),
        Need::Directory => ("directory", ""),
        Need::OfflineJoin => ("offline-join", ""),
    };
    let lack = |kept: bool| {
        let told = |language| {
            let mut situation = Situation {
                language,
                ..Situation::default()
            };
            if kept {
                situation.credentials.insert(name.to_owned());
            }
            missing(need, rung, &situation)
        };
        Some(words(&told(Language::En)?, &told(Language::Ja)?))
    };
    json!({"kind": kind, "name": name, "unset": lack(false), "kept": lack(true)})
}

fn expression(expression: &Expression) -> Result<Value, HandoffError> {
    tree::of_expression(&expression.text).map_err(|what| HandoffError {
        place: expression.place.clone(),
        text: expression.text.clone(),
        what,
    })
}

fn optional(condition: Option<&Condition>) -> Result<Option<Value>, HandoffError> {
    condition
        .map(|condition| expression(&condition.0))
        .transpose()
}

fn text(text: &Localized, place: &str) -> Result<Value, HandoffError> {
    let part = |language| {
        let text = text.text(language);
        tree::of_text(text).map_err(|what| HandoffError {
            place: place.to_owned(),
            text: text.to_owned(),
            what,
        })
    };
    Ok(json!({"en": part(Language::En)?, "ja": part(Language::Ja)?}))
}

fn plain(text: &Localized) -> Value {
    json!({"en": text.text(Language::En), "ja": text.text(Language::Ja)})
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
