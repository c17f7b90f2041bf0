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
        "event_record_id": context.pc.last_record(),
        "probe_errors": errors,
    })))
}
