//! How many failures of which class a run may have.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use fleetmend_model::Outcome;

use crate::connect_failure::AFTER_REBOOT;

/// The classes of failures that are counted, each by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "each is documented at the outcome of the same name"
)]
pub enum ErrorClass {
    Unreachable,
    AccessDenied,
    /// Before any rung ran.
    Blocked,
    /// And no rung ran.
    NotRepaired,
    /// A rung ran and no verify proved it, and the PC ended blocked or not repaired; or it did not
    /// come back from a restart.
    VerifyFailed,
    Unknown,
    NeedsHands,
}

impl ErrorClass {
    /// Every class, in order.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::AccessDenied,
        Self::Blocked,
        Self::NotRepaired,
        Self::VerifyFailed,
        Self::Unknown,
        Self::NeedsHands,
    ];

    /// Returns its word: `verify-failed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::AccessDenied => "access-denied",
            Self::Blocked => "blocked",
            Self::NotRepaired => "not-repaired",
            Self::VerifyFailed => "verify-failed",
            Self::Unknown => "unknown",
            Self::NeedsHands => "needs-hands",
        }
    }

    /// Returns the class of how a PC ended, if that is a failure. `tried`: a rung ran on it that
    /// no verify proved.
    pub fn of(outcome: &Outcome, tried: bool) -> Option<Self> {
        match outcome {
            // A restart of ours is a change like any other; the PC is not simply off.
            Outcome::Unreachable { why } if why == AFTER_REBOOT => Some(Self::VerifyFailed),
            Outcome::Unreachable { .. } => Some(Self::Unreachable),
            Outcome::AccessDenied { .. } => Some(Self::AccessDenied),
            Outcome::NotRepaired { .. } | Outcome::Blocked { .. } if tried => {
                Some(Self::VerifyFailed)
            }
            Outcome::Blocked { .. } => Some(Self::Blocked),
            Outcome::NotRepaired { .. } => Some(Self::NotRepaired),
            Outcome::Unknown { .. } => Some(Self::Unknown),
            Outcome::NeedsHands { .. } => Some(Self::NeedsHands),
            Outcome::Healthy
            | Outcome::Repaired { .. }
            | Outcome::WouldRepair { .. }
            | Outcome::RebootPending
            | Outcome::Skipped { .. } => None,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ErrorClass {
    type Err = NoErrorBudget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|class| class.name() == text)
            .ok_or_else(|| NoErrorBudget::NoClass(text.to_owned()))
    }
}

/// How many PCs may fail in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// So many in the whole run.
    Pcs(usize),
    /// This share of each batch, 0 to 100; of a small batch at least one PC, unless it is 0.
    Percent(u8),
}

/// How many PCs may fail in which way until nothing new is begun. Without any, as many as will.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorBudgets {
    /// Of every class but unreachable that has none of its own.
    every: Option<Allowance>,
    by_class: BTreeMap<ErrorClass, Allowance>,
}

/// A text is no allowance of failures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoErrorBudget {
    /// It is neither a number nor a share.
    #[error("`{0}` is no allowance: write a number of PCs, or a share of a batch as 10%")]
    NoAllowance(String),
    /// There is no such class of failures.
    #[error("`{0}` is no class of failures: there are {all}", all = names())]
    NoClass(String),
    /// Two are given for the same.
    #[error("`{0}` is given twice")]
    Twice(String),
}

fn names() -> String {
    ErrorClass::ALL.map(ErrorClass::name).join(", ")
}

impl ErrorBudgets {
    /// Returns the allowance of a class, if it is counted.
    pub fn of(&self, class: ErrorClass) -> Option<Allowance> {
        let own = self.by_class.get(&class).copied();
        own.or(self.every.filter(|_| class != ErrorClass::Unreachable))
    }

    /// Tells whether nobody asked for any.
    pub fn is_empty(&self) -> bool {
        self.every.is_none() && self.by_class.is_empty()
    }
}

impl Allowance {
    /// Returns how many of a batch, or of the run, it lets fail.
    pub fn pcs(self, batch: usize) -> usize {
        match self {
            Self::Pcs(pcs) => pcs,
            Self::Percent(percent) => batch.saturating_mul(percent.into()).div_ceil(100),
        }
    }
}

impl FromStr for ErrorBudgets {
    type Err = NoErrorBudget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut budgets = Self::default();
        for part in text.split(',').map(str::trim) {
            let twice = match part.split_once('=') {
                Some((class, allowance)) => {
                    let class: ErrorClass = class.trim().parse()?;
                    let allowance = allowance.trim().parse()?;
                    let before = budgets.by_class.insert(class, allowance);
                    before.map(|_| class.to_string())
                }
                None => budgets
                    .every
                    .replace(part.parse()?)
                    .map(|_| part.to_owned()),
            };
            if let Some(twice) = twice {
                return Err(NoErrorBudget::Twice(twice));
            }
        }
        Ok(budgets)
    }
}

impl fmt::Display for ErrorBudgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let every = self.every.iter().map(ToString::to_string);
        let own = self.by_class.iter();
        let own = own.map(|(class, allowance)| format!("{class}={allowance}"));
        f.write_str(&every.chain(own).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Allowance {
    type Err = NoErrorBudget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NoErrorBudget::NoAllowance(text.to_owned());
        let digits = text.strip_suffix('%').unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        if digits.len() == text.len() {
            return digits.parse().map(Self::Pcs).map_err(|_| wrong());
        }
        match digits.parse() {
            Ok(percent @ 0..=100) => Ok(Self::Percent(percent)),
            Ok(_) | Err(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pcs(pcs) => write!(f, "{pcs}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::Cause;
    use proptest::prelude::*;

    use super::*;

    fn budgets(text: &str) -> ErrorBudgets {
        text.parse().unwrap()
    }

    #[test]
    fn one_for_all_does_not_count_the_unreachable() {
        let all = budgets("5");
        for class in ErrorClass::ALL {
            let own = (class != ErrorClass::Unreachable).then_some(Allowance::Pcs(5));
            assert_eq!(all.of(class), own, "{class}");
        }
        let mixed = budgets("10%, unreachable=50%,verify-failed=0");
        assert_eq!(
            mixed.of(ErrorClass::Unreachable),
            Some(Allowance::Percent(50))
        );
        assert_eq!(mixed.of(ErrorClass::VerifyFailed), Some(Allowance::Pcs(0)));
        assert_eq!(mixed.of(ErrorClass::Blocked), Some(Allowance::Percent(10)));
        let single = budgets("access-denied=3");
        assert_eq!(single.of(ErrorClass::Blocked), None);
        assert!(ErrorBudgets::default().is_empty() && !single.is_empty());
    }

    #[test]
    fn a_share_is_rounded_up() {
        assert_eq!(Allowance::Percent(10).pcs(10), 1);
        assert_eq!(Allowance::Percent(10).pcs(11), 2);
        assert_eq!(Allowance::Percent(10).pcs(1), 1);
        assert_eq!(Allowance::Percent(0).pcs(500), 0);
        assert_eq!(Allowance::Percent(100).pcs(7), 7);
        assert_eq!(Allowance::Pcs(3).pcs(1), 3);
    }

    #[test]
    fn what_is_none_is_refused_with_the_part_that_is_wrong() {
        let error = |text: &str| text.parse::<ErrorBudgets>().unwrap_err();
        for (text, part) in [
            ("", ""),
            ("-1", "-1"),
            ("101%", "101%"),
            ("%", "%"),
            ("blocked=", ""),
            ("blocked=x", "x"),
            ("5,,", ""),
        ] {
            assert_eq!(
                error(text),
                NoErrorBudget::NoAllowance(part.into()),
                "{text}"
            );
        }
        assert_eq!(error("healthy=1"), NoErrorBudget::NoClass("healthy".into()));
        assert!(
            error("x=1")
                .to_string()
                .contains("unreachable, access-denied, blocked")
        );
        assert_eq!(error("1,2"), NoErrorBudget::Twice("2".into()));
        assert_eq!(
            error("blocked=1,blocked=2"),
            NoErrorBudget::Twice("blocked".into())
        );
    }

    #[test]
    fn only_failures_have_a_class() {
        let cause = Cause::new("x");
        let not_repaired = Outcome::NotRepaired { cause };
        assert_eq!(
            ErrorClass::of(&not_repaired, true),
            Some(ErrorClass::VerifyFailed)
        );
        assert_eq!(
            ErrorClass::of(&not_repaired, false),
            Some(ErrorClass::NotRepaired)
        );
        let blocked = Outcome::Blocked { guard: "x".into() };
        assert_eq!(
            ErrorClass::of(&blocked, true),
            Some(ErrorClass::VerifyFailed)
        );
        assert_eq!(ErrorClass::of(&blocked, false), Some(ErrorClass::Blocked));
        let unreachable = |why: &str| Outcome::Unreachable { why: why.into() };
        for tried in [false, true] {
            let of = |why| ErrorClass::of(&unreachable(why), tried);
            assert_eq!(of("timed-out"), Some(ErrorClass::Unreachable));
            assert_eq!(of("after-reboot"), Some(ErrorClass::VerifyFailed));
        }
        for well in [
            Outcome::Healthy,
            Outcome::Skipped { why: "x".into() },
            Outcome::RebootPending,
            Outcome::Repaired { rung: "r".into() },
        ] {
            assert_eq!(ErrorClass::of(&well, true), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(
            every in proptest::option::of(allowance()),
            by_class in proptest::collection::btree_map(
                proptest::sample::select(ErrorClass::ALL.to_vec()), allowance(), 0..4),
        ) {
            let budgets = ErrorBudgets { every, by_class };
            prop_assume!(!budgets.is_empty());
            prop_assert_eq!(budgets.to_string().parse::<ErrorBudgets>(), Ok(budgets));
        }
    }

    fn allowance() -> impl Strategy<Value = Allowance> {
        prop_oneof![
            (0..5_000_usize).prop_map(Allowance::Pcs),
            (0..=100_u8).prop_map(Allowance::Percent),
        ]
    }
}
