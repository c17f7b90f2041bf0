//! The scripts of `playbooks/library/network-power-saving/`, by the schemas beside them.

use serde_json::{Value, json};

use super::{StepContext, StepOutcome};
use crate::machine::Adapter;
use crate::win32;

/// `network-power-saving/diagnose.ps1`.
pub(super) fn diagnose(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    let adapters = (1_u32..).zip(&pc.adapters).map(|(index, adapter)| {
        json!({
            "guid": adapter.guid,
            "interface_index": index,
            "up": true,
            "allowed": adapter.allowed,
            "capabilities": adapter.capabilities,
            "stored_off": adapter.stored_off(),
            "may_power_off": adapter.allowed == 2,
        })
    });
    StepOutcome::Done(Ok(json!({
        "elevated": context.elevated,
        "adapters": adapters.collect::<Vec<_>>(),
        "sleep": { "standby_seconds": pc.sleeps_after, "hibernate_seconds": 0 },
        "probe_errors": [],
    })))
}

/// `network-power-saving/keep-on.ps1`.
pub(super) fn keep_on(context: &mut StepContext<'_>) -> StepOutcome {
    let asked = context.params.get("adapters").and_then(Value::as_array);
    let asked: Vec<String> = asked
        .into_iter()
        .flatten()
        .filter_map(|guid| guid.as_str().map(str::to_owned))
        .collect();
    let mut done = Vec::new();
    let mut errors = Vec::new();
    for guid in asked {
        let adapters = &mut context.pc.adapters;
        let adapter = adapters.iter_mut().find(|adapter| adapter.guid == guid);
        let before = adapter.as_ref().and_then(|adapter| adapter.capabilities);
        let told = match adapter {
            Some(adapter) if context.elevated => Ok(store(adapter)),
            Some(_) => Err(win32::ACCESS_DENIED),
            None => Err(win32::FILE_NOT_FOUND),
        };
        if let Err(code) = told {
            let id = "System.ComponentModel.Win32Exception";
            errors.push(json!({ "probe": "store", "code": code, "error_id": id }));
        }
        done.push(json!({
            "guid": guid,
            "capabilities_before": before,
            "stored": told.is_ok(),
            "told": told.unwrap_or(false),
        }));
    }
    StepOutcome::Done(Ok(json!({ "adapters": done, "probe_errors": errors })))
}

/// Stores that Windows must not turn it off; tells whether that is in force at once.
fn store(adapter: &mut Adapter) -> bool {
    adapter.capabilities = Some(adapter.capabilities.unwrap_or(0) | 24);
    let now = adapter.allowed == 2 && !adapter.takes_up_late;
    if now {
        adapter.allowed = 1;
    }
    now
}

/// `network-power-saving/no-sleep.ps1`.
pub(super) fn no_sleep(context: &mut StepContext<'_>) -> StepOutcome {
    let code = u32::from(!context.elevated);
    if context.elevated {
        context.pc.sleeps_after = 0;
    }
    StepOutcome::Done(Ok(json!({
        "standby_exit_code": code,
        "hibernate_exit_code": code,
        "activate_exit_code": code,
        "probe_errors": [],
    })))
}
