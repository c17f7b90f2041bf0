//! The scripts of `playbooks/library/update-rollback/`, by the schemas beside them.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::{StepContext, StepOutcome, freeze_signs};
use crate::machine::Machine;
use crate::servicing::{Package, Removal, Task, UNINSTALL_PENDING};
use crate::win32;

/// CBS_E_PENDING.
const PENDING: i64 = -2_146_498_554;
/// ERROR_BUSY.
const BUSY: i64 = 170;

/// Lays out a failed probe.
pub(super) fn failure(probe: &str, code: i64) -> Value {
    let id = if code == i64::from(win32::ACCESS_DENIED) {
        "System.UnauthorizedAccessException"
    } else {
        "System.ComponentModel.Win32Exception"
    };
    json!({ "probe": probe, "code": code, "error_id": id })
}

/// A code as Windows prints it.
pub(super) fn shown(code: i64) -> String {
    if code >= 0 {
        return code.to_string();
    }
    format!("0x{:08X}", code & 0xFFFF_FFFF)
}

/// Lays out build, pause, pending restarts and history, as both playbooks ask for them.
pub(super) fn common(context: &StepContext<'_>) -> Map<String, Value> {
    let pc = &*context.pc;
    let left = pc.servicing.paused_until.map(|until| {
        let left = until.duration_since(context.now);
        left.as_secs()
    });
    let failures: Vec<Value> = (pc.servicing.failures.iter().take(5))
        .map(|code| json!({ "code": code, "seconds_ago": 3600 }))
        .collect();
    let fine = failures.is_empty();
    let answer = json!({
        "elevated": context.elevated,
        "os": { "build": pc.os.build, "ubr": pc.os.ubr },
        "servicing": { "exclusive": pc.servicing.busy, "worker_busy": pc.servicing.busy || pc.servicing.running.is_some() },
        "own_task": pc.servicing.running.is_some(),
        "pending": {
            "servicing": pc.pending_reboot.servicing,
            "windows_update": pc.pending_reboot.windows_update,
        },
        "pause": { "seconds_left": left, "wsus": false, "policy": false },
        "history": {
            "failures": failures,
            "last_success_seconds_ago": fine.then_some(86_400),
        },
        "probe_errors": [],
    });
    object(answer)
}

/// Returns the fields of an object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

pub(super) fn diagnose(context: &mut StepContext<'_>) -> StepOutcome {
    let mut answer = common(context);
    let pc = &*context.pc;
    let (valid, kbs) = numbers(context.text("kb").unwrap_or_default());
    let build = context.text("build").map(str::to_owned);
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let understood = |build: &String| {
        let parts = build.split_once('.');
        parts.is_some_and(|(build, revision)| number(build) && number(revision))
    };
    let valid = valid && build.as_ref().is_none_or(understood);
    let build = build.filter(understood);
    let mut found = Vec::new();
    for package in &pc.servicing.packages {
        let of_build = build
            .as_ref()
            .is_some_and(|build| package.version.starts_with(&format!("{build}.")));
        if kbs.contains(&package.kb) || (of_build && package.kind == "cumulative") {
            found.push(told(package));
        }
    }
    let in_force = |package: &&Package| package.kind == "cumulative" && package.state >= 101;
    let revision =
        |package: &Package| -> Option<u32> { package.version.split('.').nth(1)?.parse().ok() };
    let newest = (pc.servicing.packages.iter())
        .filter(in_force)
        .filter_map(revision)
        .max();
    let listed = (pc.servicing.packages.iter())
        .any(|package| kbs.contains(&package.kb) && package.state != UNINSTALL_PENDING);
    answer.extend(object(json!({
        "targets": { "valid": valid, "kbs": kbs, "build": build },
        "packages": valid.then_some(found),
        "newest_revision": newest,
        "listed": valid.then_some(listed),
    })));
    StepOutcome::Done(Ok(Value::Object(answer)))
}

/// Reads numbers with commas between.
fn numbers(text: &str) -> (bool, Vec<String>) {
    let parts = text.split(',').map(str::trim);
    let mut kbs = Vec::new();
    for part in parts.filter(|part| !part.is_empty()) {
        let upper = part.to_ascii_uppercase();
        let digits = upper.strip_prefix("KB").unwrap_or(&upper);
        let fits = (6..=8).contains(&digits.len());
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return (false, kbs);
        }
        kbs.push(format!("KB{digits}"));
    }
    (true, kbs)
}

fn told(package: &Package) -> Value {
    let dism = match package.state {
        UNINSTALL_PENDING => 1,
        80 => 6,
        96 => 5,
        _ => 4,
    };
    json!({
        "name": package.name, "kind": package.kind, "version": package.version,
        "kb": package.kb, "state": package.state, "permanent": package.permanent,
        "dism_state": dism,
    })
}

pub(super) fn safety(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    let filter = pc.write_filter.as_ref().filter(|filter| filter.active);
    let uwf = filter.is_some_and(|filter| filter.product == "uwf");
    let mut others = freeze_signs::products(context.script, pc);
    let other = filter.iter().filter(|filter| filter.product != "uwf");
    others.extend(other.map(|filter| filter.product.clone()));
    let percent = pc.battery.map(|battery| battery.percent);
    StepOutcome::Done(Ok(json!({
        "users": { "active": pc.users.len(), "disconnected": 0 },
        "join_waits": pc.pending_reboot.join || pc.pending_membership.is_some(),
        "rename_waits": pc.pending_reboot.computer_name.is_some(),
        "shutting_down": false,
        "power": {
            "on_battery": pc.battery.is_some_and(|battery| !battery.on_mains),
            "percent": percent,
            "low": percent.map(|percent| percent < 33),
        },
        "bitlocker_protection": pc.bitlocker.status(),
        "write_filter": { "uwf_enabled": uwf.then_some(true), "products": others },
        "probe_errors": [],
    })))
}

pub(super) fn pause(context: &mut StepContext<'_>) -> StepOutcome {
    let days = i64::try_from(context.number("days").unwrap_or(35)).unwrap_or(35);
    let mut errors = Vec::new();
    let span = SignedDuration::from_hours(24 * days);
    let until = context.now.checked_add(span).unwrap_or(context.now);
    let kept = (context.pc.servicing.paused_until).is_some_and(|already| already >= until);
    if !context.elevated {
        errors.push(failure("set", i64::from(win32::ACCESS_DENIED)));
    } else if !kept {
        context.pc.servicing.paused_until = Some(until);
    }
    let left = (context.pc.servicing.paused_until)
        .map(|until| until.duration_since(context.now).as_secs());
    StepOutcome::Done(Ok(json!({
        "seconds_left": left, "kept": kept, "probe_errors": errors,
    })))
}

pub(super) fn remove(context: &mut StepContext<'_>) -> StepOutcome {
    let wusa = context.params.get("wusa") == Some(&json!(true));
    let items = context.params.get("items").cloned().unwrap_or_default();
    let refused = |code: i64| {
        StepOutcome::Done(Ok(json!({
            "code": code, "code_shown": shown(code), "items": [], "through_task": false,
            "waited": null, "probe_errors": [failure("task", code)],
        })))
    };
    if !context.elevated {
        return refused(i64::from(win32::ACCESS_DENIED));
    }
    let waited = match context.pc.servicing.task("update-removal", &items) {
        Task::Answers(waited) => waited,
        Task::SessionLost => return StepOutcome::Dies,
        Task::Busy => return refused(BUSY),
    };
    context.pc.servicing.wusa_used |= wusa;
    let mut done = Vec::new();
    let mut code = 0;
    for item in items.as_array().into_iter().flatten() {
        let one = remove_one(context.pc, item.as_str().unwrap_or_default(), wusa);
        done.push(json!({ "name": item, "code": one }));
        if one != 0 {
            code = one;
        }
        if one != 0 && one != 3010 {
            break;
        }
    }
    StepOutcome::Done(Ok(json!({
        "code": code, "code_shown": shown(code), "items": done, "through_task": true,
        "waited": waited, "probe_errors": [],
    })))
}

/// What servicing does with one package or update; returns its code.
fn remove_one(pc: &mut Machine, item: &str, wusa: bool) -> i64 {
    let known = |package: &Package| package.name == item || (wusa && package.kb == item);
    let Some(at) = pc.servicing.packages.iter().position(known) else {
        return 0;
    };
    match pc.servicing.removal {
        Removal::Refused(code) => return code,
        Removal::RefusedByDism(code) if !wusa => return code,
        _ if pc.pending_reboot.servicing
            && pc
                .servicing
                .packages
                .iter()
                .all(|package| package.state != UNINSTALL_PENDING) =>
        {
            return PENDING;
        }
        Removal::AtOnce => {
            pc.servicing.packages.remove(at);
            return 0;
        }
        _ => {}
    }
    if let Some(package) = pc.servicing.packages.get_mut(at) {
        package.state = UNINSTALL_PENDING;
    }
    pc.pending_reboot.servicing = true;
    3010
}
