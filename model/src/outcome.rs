//! How a PC ends.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Cause, HostName};

/// How a PC ends: each its own class, never merged, exactly one for every host of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "kebab-case")]
pub enum Outcome {
    /// Diagnose found nothing to repair; nothing was touched.
    Healthy,
    /// A rung ran and verify proved it.
    Repaired {
        /// The rung that did it.
        rung: String,
    },
    /// Check mode: this rung would run.
    WouldRepair {
        /// The rung that would run first.
        rung: String,
    },
    /// A rung fits, but a guard forbids it.
    Blocked {
        /// The guard, or what is needed and missing.
        guard: String,
    },
    /// Every fitting rung was tried, or none fits.
    NotRepaired {
        /// What is still wrong.
        cause: Cause,
    },
    /// No conversation was possible.
    Unreachable {
        /// A short code: `timed-out`, `refused`, `name-not-found`, `closed`, `tls`, …
        why: String,
    },
    /// The PC, or Windows on it, refused us.
    AccessDenied {
        /// A short code: `logon`, `not-elevated`, `host-key`, …
        why: String,
    },
    /// A rung ran, and only a reboot can finish it.
    RebootPending,
    /// The PC is not one for this playbook, or the run never started on it.
    Skipped {
        /// A short code: `domain-controller`, `interrupted`, …
        why: String,
    },
    /// The answer to a step was lost, or the run was cut there.
    Unknown {
        /// The step whose end nobody knows.
        step: String,
    },
    /// Only a person can go on.
    NeedsHands {
        /// A short code for what stands in the way.
        why: String,
    },
}

/// The class of an outcome without its detail, in the order in which reports list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "each is documented at the outcome of the same name"
)]
pub enum OutcomeClass {
    Healthy,
    Repaired,
    WouldRepair,
    Blocked,
    NotRepaired,
    Unreachable,
    AccessDenied,
    RebootPending,
    Skipped,
    Unknown,
    NeedsHands,
}

impl OutcomeClass {
    /// Every class, in order.
    pub const ALL: [Self; 11] = [
        Self::Healthy,
        Self::Repaired,
        Self::WouldRepair,
        Self::Blocked,
        Self::NotRepaired,
        Self::Unreachable,
        Self::AccessDenied,
        Self::RebootPending,
        Self::Skipped,
        Self::Unknown,
        Self::NeedsHands,
    ];

    /// Returns the word used in reports: `would-repair`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Repaired => "repaired",
            Self::WouldRepair => "would-repair",
            Self::Blocked => "blocked",
            Self::NotRepaired => "not-repaired",
            Self::Unreachable => "unreachable",
            Self::AccessDenied => "access-denied",
            Self::RebootPending => "reboot-pending",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::NeedsHands => "needs-hands",
        }
    }

    /// Tells whether a PC that ended so needs nothing more (exit code 0).
    pub fn is_well(self) -> bool {
        matches!(self, Self::Healthy | Self::Repaired)
    }
}

impl fmt::Display for OutcomeClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Outcome {
    /// Returns the class.
    pub fn class(&self) -> OutcomeClass {
        match self {
            Self::Healthy => OutcomeClass::Healthy,
            Self::Repaired { .. } => OutcomeClass::Repaired,
            Self::WouldRepair { .. } => OutcomeClass::WouldRepair,
            Self::Blocked { .. } => OutcomeClass::Blocked,
            Self::NotRepaired { .. } => OutcomeClass::NotRepaired,
            Self::Unreachable { .. } => OutcomeClass::Unreachable,
            Self::AccessDenied { .. } => OutcomeClass::AccessDenied,
            Self::RebootPending => OutcomeClass::RebootPending,
            Self::Skipped { .. } => OutcomeClass::Skipped,
            Self::Unknown { .. } => OutcomeClass::Unknown,
            Self::NeedsHands { .. } => OutcomeClass::NeedsHands,
        }
    }

    /// Returns what stands in the brackets, where the class has any.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Healthy | Self::RebootPending => None,
            Self::Repaired { rung } | Self::WouldRepair { rung } => Some(rung.clone()),
            Self::Blocked { guard } => Some(guard.clone()),
            Self::NotRepaired { cause } => Some(cause.to_string()),
            Self::Unreachable { why }
            | Self::AccessDenied { why }
            | Self::Skipped { why }
            | Self::NeedsHands { why } => Some(why.clone()),
            Self::Unknown { step } => Some(step.clone()),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail() {
            Some(detail) => write!(f, "{}({detail})", self.class()),
            None => write!(f, "{}", self.class()),
        }
    }
}

/// The one result of one PC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostResult {
    /// Which PC.
    pub host: HostName,
    /// How it ended.
    pub outcome: Outcome,
    /// What diagnose found, where it came so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Why it ended so, in one sentence with its number; empty where there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the operator should do next; empty where nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// What the directory said of the account after verify had proven the repair: evidence that
    /// does not come from the PC itself. An object; each field is missing where it is not known:
    /// `found`, `dc` (where it was read), `enabled`, `pwd_last_set`, `bad_pwd_count`, the same
    /// three as `…_before` as they were before anything was changed, `pwd_last_set_differs`
    /// (controllers disagree), `controllers` and `controllers_answered` (how many).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
    /// Milliseconds from its start to its end.
    pub elapsed_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_class_and_detail() {
        let outcome = Outcome::NotRepaired {
            cause: Cause {
                code: Some(1786),
                ..Cause::new("local-secret-missing")
            },
        };
        assert_eq!(
            outcome.to_string(),
            "not-repaired(local-secret-missing(1786))"
        );
        assert_eq!(Outcome::Healthy.to_string(), "healthy");
    }

    #[test]
    fn survives_json() {
        for outcome in [
            Outcome::Healthy,
            Outcome::Repaired {
                rung: "netlogon-restart".into(),
            },
            Outcome::Unknown {
                step: "verify".into(),
            },
        ] {
            let text = serde_json::to_string(&outcome).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), outcome);
        }
    }
}
