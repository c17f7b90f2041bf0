//! `uwf-keep-secret.ps1` and `uwf-window.ps1`, and what diagnose says of the filter.

use serde_json::{Value, json};

use super::failure;
use crate::machine::{Machine, Uwf};
use crate::scripts::{StepContext, StepOutcome};
use crate::win32;

/// Where it stands that the filter is to be switched on again.
const SWITCH_ON: &str = r"HKLM\SOFTWARE\fleetmend\DiskRestoreGuard\SwitchUwfOn";

/// Returns what the filter does now and after the next boot; null where this Windows has none.
pub(super) fn facts(pc: &Machine) -> Value {
    let Some(next) = pc.uwf else {
        return Value::Null;
    };
    let keeps = pc.freeze.as_ref().map(|freeze| freeze.lets_secret_through);
    json!({
        "enabled_now": pc.is_frozen(),
        "enabled_next": next.enabled_next,
        "protects_now": pc.is_frozen(),
        "protects_next": next.enabled_next,
        "keeps_secret_now": keeps.unwrap_or(next.keeps_secret_next),
        "keeps_secret_next": next.keeps_secret_next,
        "window_open": pc.registry.get(SWITCH_ON) == Some(&json!(1)),
    })
}

/// Returns the filter's settings, or the code with which the script fails.
fn settings(context: &StepContext<'_>) -> Result<Uwf, u32> {
    if context.elevated {
        // ERROR_NOT_SUPPORTED
        context.pc.uwf.ok_or(50)
    } else {
        Err(win32::ACCESS_DENIED)
    }
}

pub(crate) fn keep(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let before = settings(context);
    match before {
        Ok(uwf) => context.pc.set_uwf(Uwf {
            keeps_secret_next: true,
            ..uwf
        }),
        Err(code) => errors.push(failure("keep", code)),
    }
    StepOutcome::Done(Ok(json!({
        "done": before.is_ok(),
        "before": before.ok().map(|uwf| uwf.keeps_secret_next),
        "probe_errors": errors,
    })))
}

pub(crate) fn window(context: &mut StepContext<'_>) -> StepOutcome {
    let open = context.params.get("open") == Some(&json!(true));
    let before = settings(context);
    let mut errors = Vec::new();
    match before {
        Ok(uwf) => {
            if open {
                context.pc.commit(|pc| {
                    pc.registry.insert(SWITCH_ON.to_owned(), json!(1));
                });
            } else {
                context.pc.commit(|pc| {
                    pc.registry.remove(SWITCH_ON);
                });
            }
            context.pc.set_uwf(Uwf {
                enabled_next: !open,
                ..uwf
            });
        }
        Err(code) => errors.push(failure("window", code)),
    }
    StepOutcome::Done(Ok(json!({
        "done": before.is_ok(),
        "restart_needed": before.is_ok() && context.pc.is_frozen(),
        "enabled_next": context.pc.uwf.map(|uwf| uwf.enabled_next),
        "probe_errors": errors,
    })))
}
