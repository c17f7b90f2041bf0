//! `trust-repair/netlogon-rediscover.ps1`.

use serde_json::{Value, json};

use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel;
use crate::win32;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors: Vec<Value> = Vec::new();
    let status = if context.elevated {
        secure_channel::restart_netlogon(context.pc, context.domain, context.now)
    } else {
        win32::ACCESS_DENIED
    };
    if status != win32::OK {
        let id = "CouldNotStartService,Microsoft.PowerShell.Commands.RestartServiceCommand";
        errors.push(json!({ "probe": "restart", "code": status, "error_id": id }));
    }
    let pin_status = pin(context);
    let found = secure_channel::locate(context.pc, context.domain)
        .filter(|_| context.pc.netlogon.running)
        .map(|dc| dc.dns_name.to_ascii_lowercase());
    let error = if found.is_some() {
        win32::OK
    } else {
        win32::NO_SUCH_DOMAIN
    };
    StepOutcome::Done(Ok(json!({
        "running": context.pc.netlogon.running,
        "locate_error": error,
        "dc": found,
        "pin_status": pin_status,
        "event_record_id": context.pc.last_record(),
        "probe_errors": errors,
    })))
}

/// Binds the channel to the controller asked for, if one is.
fn pin(context: &mut StepContext<'_>) -> Option<u32> {
    let controller = context.text("domain_controller")?.to_owned();
    let domain = context.text("domain")?.to_owned();
    if !context.elevated {
        return Some(win32::ACCESS_DENIED);
    }
    let pinned = Some(controller.as_str());
    let answer = secure_channel::reset(context.pc, context.domain, &domain, pinned, context.now);
    Some(if answer.call == win32::OK {
        answer.connection
    } else {
        answer.call
    })
}
