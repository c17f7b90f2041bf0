//! Counts failures, and says when they are too many.

use std::collections::BTreeMap;

use fleetmend_model::{ErrorsSpent, HostName, HostResult};

use super::error_budget::{Allowance, ErrorClass};
use super::failure_kind::failure_kind;
use super::pace::Pace;

/// The failures of a run so far, by class; each PC counts in one.
#[derive(Debug)]
pub(super) struct Spending {
    pace: Pace,
    /// How many PCs each batch has.
    sizes: Vec<usize>,
    /// The batch that is worked on; the first is 1.
    batch: usize,
    /// The first batch in which a PC was reached.
    reached: Option<usize>,
    run: BTreeMap<ErrorClass, Vec<HostName>>,
    here: BTreeMap<ErrorClass, Vec<HostName>>,
}

impl Spending {
    pub(super) fn new(pace: Pace, sizes: Vec<usize>) -> Self {
        Self {
            pace,
            sizes,
            batch: 1,
            reached: None,
            run: BTreeMap::new(),
            here: BTreeMap::new(),
        }
    }

    pub(super) fn batches(&self) -> usize {
        self.sizes.len()
    }

    /// From now on PCs of this batch end.
    pub(super) fn begin(&mut self, batch: usize) {
        self.batch = batch;
        self.here.clear();
    }

    /// Counts how a PC of the batch ended; says so if that is more than may be. `tried`: a rung
    /// ran on it that no verify proved.
    pub(super) fn take(&mut self, result: &HostResult, tried: bool) -> Option<ErrorsSpent> {
        let class = ErrorClass::of(&result.outcome, tried);
        if class != Some(ErrorClass::Unreachable) {
            self.reached.get_or_insert(self.batch);
        }
        let class = class?;
        for counts in [&mut self.run, &mut self.here] {
            counts.entry(class).or_default().push(result.host.clone());
        }
        // What nobody has agreed to outweighs how many may fail: it must not become known by that.
        match self.new_kind(result, class, tried) {
            Some(new) => Some(self.spent(class, vec![result.host.clone()], 0, Some(new))),
            None => self.beyond(class),
        }
    }

    fn beyond(&self, class: ErrorClass) -> Option<ErrorsSpent> {
        let allowance = self.pace.max_errors.of(class)?;
        let counts = match allowance {
            Allowance::Pcs(_) => &self.run,
            Allowance::Percent(_) => &self.here,
        };
        let hosts = counts.get(&class)?;
        let size = self.sizes.get(self.batch.saturating_sub(1)).copied();
        let allowed = allowance.pcs(size.unwrap_or(0));
        (hosts.len() > allowed).then(|| self.spent(class, hosts.clone(), allowed, None))
    }

    /// Returns the kind of the failure if it must not be in a canary: the first batch, and those
    /// after it while no PC was reached. PCs that are off are no failure here.
    fn new_kind(&self, result: &HostResult, class: ErrorClass, tried: bool) -> Option<String> {
        let is_first = self.reached.is_none_or(|reached| self.batch <= reached);
        let is_canary = is_first && self.sizes.len() > 1;
        let counts = class != ErrorClass::Unreachable;
        let kind = failure_kind(&result.outcome, tried).filter(|_| is_canary && counts)?;
        let agreed = self
            .pace
            .expected
            .iter()
            .any(|expected| expected.has(&kind));
        (!agreed && !self.pace.known.contains(&kind)).then_some(kind)
    }

    fn spent(
        &self,
        class: ErrorClass,
        hosts: Vec<HostName>,
        allowed: usize,
        new: Option<String>,
    ) -> ErrorsSpent {
        ErrorsSpent {
            batch: self.batch,
            of: self.sizes.len(),
            class: class.name().to_owned(),
            new,
            count: hosts.len(),
            allowed,
            hosts,
            left: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::{Cause, Outcome};

    use super::*;

    fn spending(budget: &str, sizes: &[usize]) -> Spending {
        let pace = Pace {
            max_errors: if budget.is_empty() {
                Default::default()
            } else {
                budget.parse().unwrap()
            },
            known: ["blocked(old)".to_owned()].into(),
            expected: vec!["needs-hands".parse().unwrap()],
            ..Pace::default()
        };
        Spending::new(pace, sizes.to_vec())
    }

    fn ended(index: usize, outcome: Outcome) -> HostResult {
        HostResult {
            host: HostName(format!("pc-{index}")),
            outcome,
            cause: None,
            reason: String::new(),
            next: String::new(),
            evidence: None,
            elapsed_ms: 0,
        }
    }

    fn blocked(guard: &str) -> Outcome {
        Outcome::Blocked {
            guard: guard.into(),
        }
    }

    #[test]
    fn a_number_counts_over_the_run_and_a_share_in_its_batch() {
        let mut run = spending("2", &[100, 100]);
        assert_eq!(run.take(&ended(0, Outcome::Healthy), false), None);
        run.begin(2);
        assert_eq!(run.take(&ended(1, blocked("a")), false), None);
        assert_eq!(run.take(&ended(2, blocked("b")), false), None);
        let cause = Cause::new("x");
        // Another class has its own.
        assert_eq!(
            run.take(&ended(3, Outcome::NotRepaired { cause }), true),
            None
        );
        let spent = run.take(&ended(4, blocked("c")), false).unwrap();
        assert_eq!((spent.count, spent.allowed), (3, 2));
        assert_eq!(
            (spent.batch, spent.of, spent.class.as_str()),
            (2, 2, "blocked")
        );
        assert_eq!(spent.hosts.len(), 3);

        let mut share = spending("10%", &[10, 10]);
        assert_eq!(share.take(&ended(1, blocked("old")), false), None);
        share.begin(2);
        assert_eq!(share.take(&ended(2, blocked("a")), false), None);
        let spent = share.take(&ended(3, blocked("a")), false).unwrap();
        assert_eq!((spent.count, spent.allowed), (2, 1));
    }

    #[test]
    fn only_a_new_kind_in_the_first_of_several_batches_stops() {
        let dead = || Outcome::Unreachable { why: "x".into() };
        let hands = || Outcome::NeedsHands { why: "x".into() };
        let mut canary = spending("", &[2, 8]);
        assert_eq!(canary.take(&ended(1, blocked("old")), false), None);
        assert_eq!(canary.take(&ended(2, hands()), false), None);
        assert_eq!(canary.take(&ended(3, dead()), false), None);
        let spent = canary.take(&ended(4, blocked("new")), false).unwrap();
        assert_eq!(spent.new.as_deref(), Some("blocked(new)"));
        assert_eq!((spent.count, spent.hosts.len()), (1, 1));
        canary.begin(2);
        assert_eq!(canary.take(&ended(5, blocked("other")), false), None);
        // Where they are counted, PCs that are off count, and are no new kind.
        let mut counted = spending("unreachable=1", &[2, 8]);
        assert_eq!(counted.take(&ended(1, dead()), false), None);
        let spent = counted.take(&ended(2, dead()), false).unwrap();
        assert_eq!((spent.new, spent.count), (None, 2));
        // In a batch of one a share lets one fail, and a new kind stops first.
        let mut small = spending("10%", &[1, 1, 8]);
        let spent = small.take(&ended(1, blocked("new")), false).unwrap();
        assert_eq!(spent.new.as_deref(), Some("blocked(new)"));
        // A PC that does not come back from a restart is not off.
        let lost = Outcome::Unreachable {
            why: "after-reboot".into(),
        };
        let mut lost_one = spending("", &[1, 8]);
        assert!(lost_one.take(&ended(1, lost), true).is_some());
        // A canary that was off has shown nothing: the next batch is it.
        let mut off = spending("", &[1, 2, 8]);
        assert_eq!(off.take(&ended(1, dead()), false), None);
        off.begin(2);
        assert_eq!(off.take(&ended(2, Outcome::Healthy), false), None);
        assert!(off.take(&ended(3, blocked("new")), false).is_some());
        off.begin(3);
        assert_eq!(off.take(&ended(4, blocked("new")), false), None);
        let mut only = spending("", &[10]);
        assert_eq!(only.take(&ended(1, blocked("new")), false), None);
    }
}
