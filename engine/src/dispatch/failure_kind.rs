//! What kind of failure a PC ended with, and which kinds the operator agreed to.

use std::fmt;
use std::str::FromStr;

use fleetmend_model::Outcome;

use super::error_budget::{ErrorClass, NoErrorBudget};

/// Returns the kind of failure: its class with the detail of the outcome, as in
/// `access-denied(logon)` or `verify-failed(password-mismatch(1326))`. `tried`: a rung ran that no
/// verify proved.
pub fn failure_kind(outcome: &Outcome, tried: bool) -> Option<String> {
    let class = ErrorClass::of(outcome, tried)?;
    Some(match outcome.detail() {
        Some(detail) => format!("{class}({detail})"),
        None => class.to_string(),
    })
}

/// Kinds of failures that the operator agreed to: one kind, all of a class, or any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(String);

const ANY: &str = "any";

/// A text is no kind of failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must read CLASS, CLASS(DETAIL) as the run told it, or any")]
pub struct NoKind {
    /// What is wrong with its class.
    #[source]
    pub class: NoErrorBudget,
}

impl Expected {
    /// Tells whether every kind is agreed to.
    pub fn is_any(&self) -> bool {
        self.0 == ANY
    }

    /// Tells whether this kind of failure is agreed to.
    pub fn has(&self, kind: &str) -> bool {
        let class = kind.split_once('(').map_or(kind, |(class, _)| class);
        [ANY, kind, class].contains(&self.0.as_str())
    }
}

impl FromStr for Expected {
    type Err = NoKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let whole = || Ok(Self(text.to_owned()));
        let class = match text.split_once('(') {
            _ if text == ANY => return whole(),
            Some((class, detail)) if detail.len() > 1 && detail.ends_with(')') => class,
            Some(_) | None => text,
        };
        match class.parse::<ErrorClass>() {
            Ok(_) => whole(),
            Err(class) => Err(NoKind { class }),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::Cause;

    use super::*;

    fn expected(text: &str) -> Expected {
        text.parse().unwrap()
    }

    #[test]
    fn a_kind_is_class_and_detail() {
        let outcome = Outcome::NotRepaired {
            cause: Cause {
                code: Some(1787),
                ..Cause::new("no-account")
            },
        };
        let kind = |tried| failure_kind(&outcome, tried).unwrap();
        assert_eq!(kind(false), "not-repaired(no-account(1787))");
        assert_eq!(kind(true), "verify-failed(no-account(1787))");
        assert_eq!(failure_kind(&Outcome::Healthy, false), None);
        // What a run tells can be agreed to as it stands.
        assert!(expected(&kind(true)).has(&kind(true)));
        assert!(!expected(&kind(true)).has(&kind(false)));
    }

    #[test]
    fn a_class_or_any_takes_all_of_it() {
        let kind = "blocked(needs-credential)";
        assert!(expected("blocked").has(kind) && expected("any").has(kind));
        assert!(expected(" blocked(needs-credential) ").has(kind));
        assert!(!expected("blocked(needs)").has(kind) && !expected("unknown").has(kind));
        for wrong in [
            "",
            "healthy",
            "blocked(",
            "blocked()x",
            "blocked)",
            "anything",
        ] {
            assert!(wrong.parse::<Expected>().is_err(), "{wrong}");
        }
    }
}
