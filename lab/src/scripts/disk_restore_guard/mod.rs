//! The scripts of `playbooks/library/disk-restore-guard/`, by the schemas beside them.

pub(super) mod diagnose;
pub(super) mod marker;
pub(super) mod uwf;

use serde_json::{Value, json};

use super::trust_repair::rejoin_safety;
use crate::machine::Machine;
use crate::scripts::{StepContext, StepOutcome};
use crate::{secure_channel, win32};

/// `restart-safety.ps1`: the part of rejoin-safety that is about a restart.
pub(super) fn restart_safety(context: &mut StepContext<'_>) -> StepOutcome {
    let StepOutcome::Done(Ok(all)) = rejoin_safety::run(context) else {
        return StepOutcome::Dies;
    };
    let of = |name: &str| all.get(name).cloned().unwrap_or_default();
    StepOutcome::Done(Ok(json!({
        "users": of("users"),
        "pending": of("pending"),
        "power": of("power"),
        "bitlocker_protection": of("bitlocker_protection"),
        "probe_errors": [],
    })))
}

/// `set-rotation.ps1`.
pub(super) fn set_rotation(context: &mut StepContext<'_>) -> StepOutcome {
    let before = context.pc.rotation;
    let days = context.number("maximum_age_days");
    let days = days.and_then(|days| u32::try_from(days).ok());
    let never = context.params.get("disable_changes") == Some(&json!(true));
    let commit = context.params.get("commit") == Some(&json!(true));
    let write = |pc: &mut Machine| {
        if days.is_some() {
            pc.rotation.maximum_age_days = days;
        }
        if never {
            pc.rotation.changes_disabled = Some(1);
        }
    };
    let mut errors = Vec::new();
    let committed = commit.then_some(context.elevated && context.pc.uwf.is_some());
    if !context.elevated {
        errors.push(failure("set", win32::ACCESS_DENIED));
    } else if committed == Some(true) {
        context.pc.commit(write);
    } else {
        write(context.pc);
    }
    if committed == Some(false) {
        // ERROR_NOT_SUPPORTED
        errors.push(failure("commit", 50));
    }
    StepOutcome::Done(Ok(json!({
        "set": context.elevated && committed != Some(false),
        "committed": committed,
        "maximum_age_days_before": before.maximum_age_days,
        "changes_disabled_before": before.changes_disabled,
        "probe_errors": errors,
    })))
}

/// `verify.ps1`.
pub(super) fn verify(context: &mut StepContext<'_>) -> StepOutcome {
    let runs = [run_once(context), run_once(context)];
    StepOutcome::Done(Ok(json!({
        "runs": runs,
        "uwf": uwf::facts(context.pc),
        "rotation": rotation(context.pc),
        "secret": { "last_set_unix": secret_set(context) },
        "probe_errors": [],
    })))
}

fn run_once(context: &mut StepContext<'_>) -> Value {
    let mut run = channel(context);
    let expected = context.text("domain_controller").map(str::to_lowercase);
    let dc = run.get("dc").and_then(Value::as_str).map(str::to_owned);
    let is_expected = expected.zip(dc).map(|(expected, dc)| expected == dc);
    if let Some(run) = run.as_object_mut() {
        run.insert("dc_is_expected".to_owned(), json!(is_expected));
    }
    run
}

/// What `nltest /sc_verify` says; a PC in no domain is not asked.
fn channel(context: &mut StepContext<'_>) -> Value {
    let Some(domain) = context.pc.domain.clone() else {
        return json!({
            "control_error": null, "connection_status": null, "trust_status": null, "dc": null,
        });
    };
    let answer = secure_channel::verify(context.pc, context.domain, &domain, context.now);
    let call = if context.elevated {
        answer.call
    } else {
        win32::ACCESS_DENIED
    };
    let fine = call == win32::OK;
    json!({
        "control_error": (!fine).then_some(call),
        "connection_status": fine.then_some(answer.connection),
        "trust_status": answer.verification.filter(|_| fine),
        "dc": answer.controller.filter(|_| fine).map(|name| name.to_lowercase()),
    })
}

/// When the machine password was stored, in seconds since 1970; only administrators may ask.
fn secret_set(context: &StepContext<'_>) -> Option<f64> {
    let secret = context.pc.secret.filter(|_| context.elevated)?;
    Some(secret.changed.as_millisecond() as f64 / 1000.0)
}

fn rotation(pc: &Machine) -> Value {
    json!({
        "maximum_age_days": pc.rotation.maximum_age_days,
        "changes_disabled": pc.rotation.changes_disabled,
        "changes_refused": pc.rotation.changes_refused,
    })
}

fn failure(probe: &str, code: u32) -> Value {
    let id = "System.ComponentModel.Win32Exception";
    json!({ "probe": probe, "code": code, "error_id": id })
}
