//! The scripts of `playbooks/library/update-health/`, by the schemas beside them.

use serde_json::{Map, Value, json};

use super::update_rollback::{common, failure, object, shown};
use super::{StepContext, StepOutcome};
use crate::machine::Machine;
use crate::servicing::Task;
use crate::win32;

const SERVICES: [&str; 5] = [
    "wuauserv",
    "bits",
    "cryptsvc",
    "trustedinstaller",
    "msiserver",
];

const DENIED: i64 = win32::ACCESS_DENIED as i64;

fn services(pc: &Machine) -> Value {
    let mut all = Map::new();
    for name in SERVICES {
        let start = if pc.servicing.disabled.contains(name) {
            4
        } else {
            3
        };
        all.insert(name.to_owned(), json!({ "status": 1, "start_type": start }));
    }
    Value::Object(all)
}

pub(super) fn diagnose(context: &mut StepContext<'_>) -> StepOutcome {
    let mut answer = common(context);
    let pc = &*context.pc;
    let errors = if context.elevated {
        Vec::new()
    } else {
        vec![failure("store", DENIED)]
    };
    answer.extend(object(json!({
        "store_health": context.elevated.then_some(pc.servicing.store_health),
        "services": services(pc),
        "cache": { "megabytes": pc.servicing.cache, "whole": true },
        "probe_errors": errors,
    })));
    StepOutcome::Done(Ok(Value::Object(answer)))
}

pub(super) fn enable_services(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let mut enabled = Vec::new();
    if context.elevated {
        enabled.extend(std::mem::take(&mut context.pc.servicing.disabled));
    } else {
        errors.push(failure("enable", DENIED));
    }
    StepOutcome::Done(Ok(json!({
        "enabled": enabled,
        "still_disabled": context.pc.servicing.disabled.len(),
        "probe_errors": errors,
    })))
}

pub(super) fn reset_components(context: &mut StepContext<'_>) -> StepOutcome {
    if !context.elevated {
        return StepOutcome::Done(Ok(json!({
            "reset": false, "stopped": [], "deleted": 0, "aside": [],
            "probe_errors": [failure("stop", DENIED), failure("start", DENIED)],
        })));
    }
    let servicing = &mut context.pc.servicing;
    servicing.resets += 1;
    servicing.cache = 0;
    if servicing.reset_helps {
        servicing.failures.clear();
    }
    StepOutcome::Done(Ok(json!({
        "reset": true, "stopped": ["bits", "wuauserv", "cryptsvc"], "deleted": 2,
        "aside": ["DataStore", "Download", "catroot2"], "probe_errors": [],
    })))
}

/// Runs a task of SYSTEM: whether it was waited for, or how the step ends without it.
fn task(context: &mut StepContext<'_>, name: &str, bare: Value) -> Result<bool, StepOutcome> {
    let refused = |code: i64| {
        let mut answer = object(json!({
            "code": code, "code_shown": shown(code), "through_task": false, "waited": null,
            "probe_errors": [failure("task", code)],
        }));
        answer.extend(object(bare.clone()));
        StepOutcome::Done(Ok(Value::Object(answer)))
    };
    if !context.elevated {
        return Err(refused(DENIED));
    }
    match context.pc.servicing.task(name, &json!(context.params)) {
        Task::Answers(waited) => Ok(waited),
        Task::SessionLost => Err(StepOutcome::Dies),
        Task::Busy => Err(refused(170)),
    }
}

pub(super) fn restore_health(context: &mut StepContext<'_>) -> StepOutcome {
    let bare = json!({ "store_health": null, "restart_needed": false });
    let waited = match task(context, "restore-health", bare) {
        Ok(waited) => waited,
        Err(end) => return end,
    };
    let servicing = &mut context.pc.servicing;
    let code = servicing.restore_code;
    if code == 0 && servicing.store_health == 1 {
        servicing.store_health = 0;
        servicing.failures.clear();
    }
    StepOutcome::Done(Ok(json!({
        "code": code, "code_shown": shown(code),
        "store_health": (code == 0).then_some(servicing.store_health),
        "restart_needed": false, "through_task": true, "waited": waited, "probe_errors": [],
    })))
}

pub(super) fn system_files(context: &mut StepContext<'_>) -> StepOutcome {
    let bare = json!({ "log_lines": null, "not_repaired": null });
    let waited = match task(context, "system-files", bare) {
        Ok(waited) => waited,
        Err(end) => return end,
    };
    StepOutcome::Done(Ok(json!({
        "code": 0, "code_shown": "0", "log_lines": 812,
        "not_repaired": context.pc.servicing.bad_files,
        "through_task": true, "waited": waited, "probe_errors": [],
    })))
}

pub(super) fn verify(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    let asked = context.params.get("search") == Some(&json!(true));
    let code = pc.servicing.failures.first().copied().unwrap_or(0);
    let search = if asked {
        json!({ "code": code, "code_shown": shown(code), "result": if code == 0 { 2 } else { 4 } })
    } else {
        json!({ "code": null, "code_shown": null, "result": null })
    };
    StepOutcome::Done(Ok(json!({
        "store_health": pc.servicing.store_health,
        "services": services(pc),
        "restart_waits": pc.pending_reboot.servicing || pc.pending_reboot.windows_update,
        "search": search,
        "probe_errors": [],
    })))
}
