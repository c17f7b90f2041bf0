//! The scripts of `tests/reboot/restart-trial`, a playbook for tests of restarts: they mark a PC
//! and tell how often it has restarted since.

use serde_json::{Value, json};

use super::{StepContext, StepOutcome};

/// The highest number that the PC was marked with.
const MARKS: &str = r"HKLM\SOFTWARE\Lab\Trial\Marks";
/// How often the PC had restarted when it was marked first.
const SINCE: &str = r"HKLM\SOFTWARE\Lab\Trial\Since";
/// How often it was marked at all.
const RUNS: &str = r"HKLM\SOFTWARE\Lab\Trial\Runs";

pub(super) fn diagnose(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    let restarts = pc.registry.get(SINCE).and_then(Value::as_u64);
    let since = restarts.map_or(0, |then| u64::from(pc.boot.restarts).saturating_sub(then));
    StepOutcome::Done(Ok(json!({
        "elevated": context.elevated,
        "site": pc.site,
        "marks": number(context, MARKS),
        "restarts_since": since,
        "users": pc.users.len(),
    })))
}

pub(super) fn mark(context: &mut StepContext<'_>) -> StepOutcome {
    let wanted = context.number("number").unwrap_or(1);
    let runs = number(context, RUNS) + 1;
    let marks = number(context, MARKS).max(wanted);
    let restarts = context.pc.boot.restarts;
    let registry = &mut context.pc.registry;
    registry.insert(RUNS.to_owned(), json!(runs));
    registry.insert(MARKS.to_owned(), json!(marks));
    registry
        .entry(SINCE.to_owned())
        .or_insert_with(|| json!(restarts));
    StepOutcome::Done(Ok(json!({ "marks": marks })))
}

fn number(context: &StepContext<'_>, name: &str) -> u64 {
    let value = context.pc.registry.get(name);
    value.and_then(Value::as_u64).unwrap_or(0)
}
