//! The scripts of the engine itself, in `playbooks/builtin/`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{StepContext, StepOutcome};
use crate::win32;

/// Which boot it is, and whether Windows is ready.
pub(super) fn boot(context: &mut StepContext<'_>) -> StepOutcome {
    let (pc, now) = (&*context.pc, context.now);
    let booted = pc.local_time(pc.booted);
    StepOutcome::Done(Ok(json!({
        "last_boot_unix": seconds(booted),
        "boot_id": pc.boot.id,
        "uptime_seconds": pc.uptime_seconds(now),
        "logon_ready": pc.is_logon_ready(now),
        "servicing_busy": pc.is_servicing(now),
        "netlogon_running": pc.netlogon.running,
        "computer_name": pc.name,
        "domain": pc.domain_or_workgroup(),
        "part_of_domain": pc.is_member(),
    })))
}

/// Orders the restart.
pub(super) fn restart(context: &mut StepContext<'_>) -> StepOutcome {
    let users = context.pc.users.len();
    let even = context.params.get("even_if_logged_on") == Some(&json!(true));
    if users > 0 && !even {
        let nothing = json!({ "ordered": false, "code": null, "users": users, "in_seconds": null });
        return StepOutcome::Done(Ok(nothing));
    }
    let after = if users > 0 {
        "delay_seconds"
    } else {
        "at_once_seconds"
    };
    let seconds = context.number(after).unwrap_or(5);
    let delay = Duration::from_secs(seconds);
    if let Some(message) = context.text("message").map(str::to_owned) {
        context.pc.show(&message);
    }
    let code = context.pc.order_restart(delay, context.elevated);
    let ordered = code == win32::OK;
    StepOutcome::Done(Ok(json!({
        "ordered": ordered, "code": code, "users": users, "in_seconds": seconds,
    })))
}

/// Holds the PC for a run.
pub(super) fn lock(context: &mut StepContext<'_>) -> StepOutcome {
    let run = context.text("run").unwrap_or_default().to_owned();
    let held = context.pc.take_lock(context.process, &run);
    StepOutcome::Done(Ok(json!({ "held": held, "error": null })))
}

/// As which account it runs.
pub(super) fn account(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    let account = pc.account(context.user);
    let rid = account.map_or(1001, |account| account.rid);
    StepOutcome::Done(Ok(json!({
        "name": format!(r"{}\{}", pc.name, context.user),
        "sid": pc.local_sid(rid),
        "local": account.is_some(),
        "administrator": account.is_some_and(|account| account.administrator),
        "elevated": context.elevated,
        "enabled": account.map(|account| account.enabled),
        "built_in_administrator": rid == 500,
        "computer_name": pc.name,
    })))
}

fn seconds(at: jiff::Timestamp) -> Value {
    // A thousandth of a second since 1970; far below what a float holds.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let seconds = at.as_millisecond() as f64 / 1000.0;
    json!(seconds)
}
