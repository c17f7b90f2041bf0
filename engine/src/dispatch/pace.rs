//! In which batches a run goes, how fast, and after how many failures it stops.

use std::collections::BTreeSet;

use super::batches::Batches;
use super::error_budget::ErrorBudgets;
use super::failure_kind::Expected;
use super::rate::Rate;

/// In which batches a run goes, how fast, and after how many failures it stops. By default: all
/// PCs at once, whatever fails.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// The next one begins when every PC of the one before has its result.
    pub batches: Batches,
    /// How many PCs may fail in which way; one more, and nothing new is begun.
    pub max_errors: ErrorBudgets,
    /// Kinds of failures ([`failure_kind`](fn@super::failure_kind)) that earlier runs have seen. Of
    /// several batches the first is a canary: another kind in it stops the run.
    pub known: BTreeSet<String>,
    /// Kinds that the operator agreed to beforehand.
    pub expected: Vec<Expected>,
    /// How many PCs of one site are worked on at once. The site is the PC's variable `site`.
    pub per_site: Option<usize>,
    /// How many PCs of one domain controller are repaired at once. It is the playbook's parameter
    /// or the PC's variable `domain_controller`, else what diagnose found as `dc.name`.
    pub per_dc: Option<usize>,
    /// How many PCs are begun in a time.
    pub ramp: Option<Rate>,
}
