//! How many PCs ended how.

use fleetmend_model::{ErrorsSpent, OutcomeClass, RunId, RunMode};
use serde::Serialize;

use crate::{RunReport, rotation};

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Which run.
    pub run: Option<RunId>,
    /// What it was for.
    pub mode: Option<RunMode>,
    /// The playbook's name, or the command.
    pub subject: String,
    /// When it began, RFC 3339.
    pub started: Option<jiff::Timestamp>,
    /// Milliseconds from its first record to its latest.
    pub elapsed_ms: u64,
    /// When the latest record was stored; absent once the run has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest: Option<jiff::Timestamp>,
    /// Whether it has ended; false for a run that was cut or still goes on.
    pub ended: bool,
    /// Whether the operator interrupted it.
    pub interrupted: bool,
    /// How too many failures stopped it, if they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<ErrorsSpent>,
    /// The exit code, once it has ended.
    pub exit_code: Option<i32>,
    /// PCs in the run.
    pub pcs: usize,
    /// PCs that ended healthy or repaired.
    pub well: usize,
    /// PCs of which the records tell no result; those whose result was concluded count too.
    pub unfinished: usize,
    /// Repaired PCs that still use a secret which was made for them, as far as is known.
    #[serde(skip_serializing_if = "none")]
    pub not_rotated: usize,
    /// Every class that occurs, in the order of the classes.
    pub outcomes: Vec<ClassCount>,
}

/// How many PCs ended in one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The class.
    pub class: OutcomeClass,
    /// PCs.
    pub pcs: usize,
    /// The same by detail (rung, cause, reason code), most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<DetailCount>,
}

/// How many PCs of a class share one detail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DetailCount {
    /// The rung, the cause, or the short code of the reason.
    pub detail: String,
    /// PCs.
    pub pcs: usize,
}

impl Summary {
    /// Counts a run.
    pub fn of(report: &RunReport) -> Self {
        let told = |host: &&crate::HostReport| host.result.is_some() && !host.concluded;
        let finished = report.hosts.iter().filter(told).count();
        let elapsed = match (report.started, report.latest) {
            (Some(started), Some(latest)) => latest.duration_since(started).as_millis(),
            _ => 0,
        };
        Self {
            run: report.run,
            mode: report.mode,
            subject: report.subject.clone(),
            started: report.started,
            elapsed_ms: u64::try_from(elapsed).unwrap_or(0),
            latest: report.latest.filter(|_| !report.ended),
            ended: report.ended,
            interrupted: report.interrupted,
            stopped: report.spent.clone(),
            exit_code: report.exit_code,
            pcs: report.hosts.len(),
            well: report.hosts.iter().filter(|host| host.is_well()).count(),
            unfinished: report.hosts.len() - finished,
            not_rotated: report
                .results()
                .filter(|result| rotation::not_rotated(result))
                .count(),
            outcomes: OutcomeClass::ALL
                .into_iter()
                .map(|class| count(report, class))
                .filter(|count| count.pcs > 0)
                .collect(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn none(count: &usize) -> bool {
    *count == 0
}

fn count(report: &RunReport, class: OutcomeClass) -> ClassCount {
    let mut pcs = 0;
    let mut details: Vec<DetailCount> = Vec::new();
    for result in report
        .results()
        .filter(|result| result.outcome.class() == class)
    {
        pcs += 1;
        let Some(detail) = result.outcome.detail() else {
            continue;
        };
        match details.iter_mut().find(|known| known.detail == detail) {
            Some(known) => known.pcs += 1,
            None => details.push(DetailCount { detail, pcs: 1 }),
        }
    }
    details.sort_by(|a, b| b.pcs.cmp(&a.pcs).then_with(|| a.detail.cmp(&b.detail)));
    ClassCount {
        class,
        pcs,
        details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn counts_each_class_once() {
        let summary = Summary::of(&RunReport::from_records(&testing::repair_run()));
        insta::assert_json_snapshot!(summary, @r#"
        {
          "run": "01920000-0000-7000-8000-000000000001",
          "mode": "repair",
          "subject": "trust-repair",
          "started": "2026-07-24T08:00:01Z",
          "elapsed_ms": 11000,
          "ended": true,
          "interrupted": false,
          "exit_code": 1,
          "pcs": 6,
          "well": 2,
          "unfinished": 0,
          "outcomes": [
            {
              "class": "healthy",
              "pcs": 1
            },
            {
              "class": "repaired",
              "pcs": 1,
              "details": [
                {
                  "detail": "restart-netlogon",
                  "pcs": 1
                }
              ]
            },
            {
              "class": "not-repaired",
              "pcs": 1,
              "details": [
                {
                  "detail": "no-account(1787)",
                  "pcs": 1
                }
              ]
            },
            {
              "class": "unreachable",
              "pcs": 1,
              "details": [
                {
                  "detail": "timed-out",
                  "pcs": 1
                }
              ]
            },
            {
              "class": "access-denied",
              "pcs": 1,
              "details": [
                {
                  "detail": "logon",
                  "pcs": 1
                }
              ]
            },
            {
              "class": "needs-hands",
              "pcs": 1,
              "details": [
                {
                  "detail": "bitlocker",
                  "pcs": 1
                }
              ]
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_cut_run_says_how_many_are_unfinished() {
        let summary = Summary::of(&RunReport::from_records(&testing::repair_run()[..1]));
        assert_eq!((summary.pcs, summary.well, summary.unfinished), (6, 0, 6));
        assert!(summary.outcomes.is_empty());
    }
}
