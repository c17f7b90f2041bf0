//! The scripts of `playbooks/library/machine-password-age/`, by the schemas beside them.

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::scripts::{StepContext, StepOutcome};
use crate::win32;

pub(super) fn diagnose(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    let mut errors = Vec::new();
    let member = pc.domain.is_some();
    let secret = pc.secret.filter(|_| member && context.elevated);
    if member && secret.is_none() {
        let code = if context.elevated {
            2
        } else {
            win32::ACCESS_DENIED
        };
        errors.push(failure("age", code));
    }
    let now = pc.local_time(context.now);
    let age = secret.map(|secret| now.duration_since(secret.changed).as_secs_f64() / 86_400.0);
    StepOutcome::Done(Ok(json!({
        "elevated": context.elevated,
        "computer": {
            "name": pc.name,
            "domain": pc.domain.as_deref().unwrap_or("WORKGROUP"),
            "part_of_domain": member,
            "domain_role": pc.domain_role,
        },
        "rotation": rotation(pc),
        "policy": {
            "maximum_age": pc.rotation.age_by_policy,
            "changes_disabled": pc.rotation.disabled_by_policy,
        },
        "password_age_days": age.map(|days| (days * 100.0).round() / 100.0),
        "probe_errors": errors,
    })))
}

pub(super) fn set_rotation(context: &mut StepContext<'_>) -> StepOutcome {
    let before = context.pc.rotation;
    let days = context.number("maximum_age_days");
    let days = days.and_then(|days| u32::try_from(days).ok());
    let never = context.params.get("disable_changes") == Some(&json!(true));
    let mut errors = Vec::new();
    if context.elevated {
        context.pc.rotation.maximum_age_days = days;
        context.pc.rotation.changes_disabled = Some(u32::from(never));
    } else {
        errors.push(failure("set", win32::ACCESS_DENIED));
    }
    StepOutcome::Done(Ok(json!({
        "set": context.elevated,
        "maximum_age_days_before": before.maximum_age_days,
        "changes_disabled_before": before.changes_disabled,
        "probe_errors": errors,
    })))
}

pub(super) fn verify(context: &mut StepContext<'_>) -> StepOutcome {
    StepOutcome::Done(Ok(json!({
        "rotation": rotation(context.pc),
        "probe_errors": [],
    })))
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
