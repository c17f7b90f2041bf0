//! What is said of batches and budgets of failures, before a run and after one that they stopped.

use std::collections::BTreeSet;
use std::path::Path;

use fleetmend_engine::{ErrorClass, Expected, Pace, RunReport, failure_kind};
use fleetmend_journal::JournalReader;
use fleetmend_model::{ErrorsSpent, RunId};
use jiff::{SignedDuration, Timestamp};

use crate::error::CliError;
use crate::printer::Printer;
use crate::quoted::quoted;
use crate::statement::pcs_named;

/// How far back a failure is known.
const LATELY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Reads which kinds of failures runs of this playbook have seen lately; `but`, the run that goes
/// on, is none of them. A journal that cannot be read knows none, so each is new.
pub(crate) fn known(journal: &Path, subject: &str, but: Option<RunId>) -> BTreeSet<String> {
    let since = Timestamp::now() - LATELY;
    let ends = JournalReader::open(journal)
        .and_then(|reader| reader.ends(subject, since, but))
        .inspect_err(|error| tracing::warn!(%error, "which failures are known cannot be told"))
        .unwrap_or_default();
    let kinds = ends.iter();
    let kinds = kinds.filter_map(|end| failure_kind(&end.outcome, end.tried));
    kinds.collect()
}

/// Returns what a run's pace is, in words; nothing if it has none.
pub(crate) fn lines(pace: &Pace, pcs: usize) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if !pace.batches.is_empty() {
        lines.push(("batches", batches(pace, pcs)));
    }
    if !pace.max_errors.is_empty() {
        lines.push(("stops at", budgets(pace)));
    }
    let mut limits = Vec::new();
    if let Some(rate) = pace.ramp {
        limits.push(format!("at most {rate} begun"));
    }
    if let Some(pcs) = pace.per_site {
        limits.push(format!("at most {pcs} of one site at once"));
    }
    if let Some(pcs) = pace.per_dc {
        limits.push(format!(
            "at most {pcs} repaired at once of one domain controller"
        ));
    }
    if !limits.is_empty() {
        lines.push(("pace", limits.join(", ")));
    }
    lines
}

fn batches(pace: &Pace, pcs: usize) -> String {
    /// More batches than this are told as a number.
    const SHOWN: usize = 8;
    let sizes = pace.batches.split(pcs);
    let mut shown: Vec<String> = sizes.iter().take(SHOWN).map(ToString::to_string).collect();
    if sizes.len() > SHOWN {
        shown.push("…".to_owned());
    }
    let noun = if pcs == 1 { "PC" } else { "PCs" };
    let text = format!("{}: {} {noun}", sizes.len(), shown.join(", "));
    let any = pace.expected.iter().any(Expected::is_any);
    if any || sizes.len() < 2 {
        return text;
    }
    let expected: Vec<String> = pace.expected.iter().map(ToString::to_string).collect();
    let but = match expected.as_slice() {
        [] => String::new(),
        kinds => format!(", other than {},", kinds.join(", ")),
    };
    format!("{text}; a new kind of failure in the first{but} stops the run")
}

fn budgets(pace: &Pace) -> String {
    let each = ErrorClass::ALL.into_iter().filter_map(|class| {
        let allowance = pace.max_errors.of(class)?;
        Some(format!("{class} {allowance}"))
    });
    let each: Vec<String> = each.collect();
    format!("more failures than {}", each.join(", "))
}

/// Says that too many PCs failed, which, and how the others are gone on with.
pub(crate) fn say_spent(
    spent: &ErrorsSpent,
    outcome: &RunReport,
    data_dir: Option<&Path>,
    printer: &Printer,
) {
    let ErrorsSpent {
        class,
        new,
        count,
        allowed,
        hosts,
        left,
        ..
    } = spent;
    let which = pcs_named(hosts.iter().collect());
    let why = match new {
        Some(kind) => format!("a new kind of failure, {kind}, in the first batch, on {which}"),
        None => {
            let failures = if *count == 1 { "failure" } else { "failures" };
            format!("{count} {failures} of class {class}, {allowed} allowed, on {which}")
        }
    };
    let batch = match spent.of {
        0 | 1 => String::new(),
        of => format!(" in batch {} of {of}", spent.batch),
    };
    let reached = match left {
        0 => "every PC had been begun".to_owned(),
        1 => "1 PC was not reached".to_owned(),
        left => format!("{left} PCs were not reached"),
    };
    let mut error = CliError::budget(format!("stopped{batch}: {why}; {reached}"));
    let folder = data_dir.map_or_else(String::new, |folder| {
        format!(" --data-dir {}", quoted(folder))
    });
    if let Some(run) = outcome.run {
        error = error.hint(format!("see why: fleetmend show {run}{folder}"));
    }
    if let Some(kind) = new {
        error = error.hint(format!(
            "if that is as it should be, agree to it in the next run: --expect \"{kind}\""
        ));
    }
    if let Some(run) = outcome.run.filter(|_| *left > 0) {
        error = error.hint(format!(
            "then list those that were not reached: fleetmend show {run}{folder} --names \
             error-budget > rest.txt; and run again on them: the same command with --limit @rest.txt"
        ));
    }
    printer.error(&error);
}
