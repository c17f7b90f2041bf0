//! `time-sync/diagnose.ps1`.

use serde_json::{Value, json};

use super::clock::{Measured, failure};
use super::service;
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel;
use crate::win32;

/// WSAHOST_NOT_FOUND: the name does not resolve.
const HOST_NOT_FOUND: u32 = 11001;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let (dc, clock) = controller(context, &mut errors);
    let channel = channel(context);
    let pc = &*context.pc;
    let host = pc.time.host_offset_ms.is_some();
    let (forward, back) = pc.time.limits;
    StepOutcome::Done(Ok(json!({
        "elevated": context.elevated,
        "computer": {
            "name": pc.name,
            "domain": pc.domain.as_deref().unwrap_or("WORKGROUP"),
            "part_of_domain": pc.domain.is_some(),
            "domain_role": pc.domain_role,
            "model": pc.model,
            "hypervisor": host,
        },
        "services": {
            "w32time": service::facts(pc),
            "host_time": { "status": if host { 4 } else { 1 }, "start_type": 3 },
        },
        "config": {
            "sync_type": pc.time.sync_type as u32,
            "sync_type_policy": pc.time.policy.map(|policy| policy as u32),
            "peers": pc.time.servers,
            "peers_policy": null,
            "client_enabled": true,
            "client_enabled_policy": null,
            "host_provider_enabled": pc.time.host_listened,
            "max_forward_seconds": forward,
            "max_backward_seconds": back,
            "tls_seeding": true,
            "left_over": pc.time.saved.is_some(),
        },
        "dc": dc,
        "clock": clock,
        "channel": channel,
        "probe_errors": errors,
    })))
}

/// Returns the parts `dc` and `clock`. A PC in no domain asks nobody.
fn controller(context: &StepContext<'_>, errors: &mut Vec<Value>) -> (Value, Value) {
    let requested = context.text("domain_controller");
    let requested = requested.map(str::to_ascii_lowercase);
    let member = context.pc.domain.is_some();
    let found = match &requested {
        _ if !member => None,
        Some(name) => context.domain.controller(name),
        None => secure_channel::locate(context.pc, context.domain),
    };
    let error = match (found, &requested) {
        _ if !member => None,
        (Some(_), _) => Some(win32::OK),
        (None, Some(_)) => {
            errors.push(failure("locate", HOST_NOT_FOUND));
            Some(HOST_NOT_FOUND)
        }
        (None, None) => Some(win32::NO_SUCH_DOMAIN),
    };
    let name = found.map(|dc| dc.dns_name.to_ascii_lowercase());
    let name = name.or(requested.filter(|_| member));
    let measured = found.map(|dc| Measured::take(context.pc, Some(dc), errors));
    let measured = measured.unwrap_or_default();
    let dc = json!({
        "located": error.map(|code| code == win32::OK),
        "error": error,
        "name": name,
    });
    let clock = json!({
        "offset_seconds": measured.offset(),
        "source": measured.source(),
        "sntp_seconds": measured.sntp,
        "ldap_seconds": measured.ldap,
        "sources_agree": measured.agree(),
    });
    (dc, clock)
}

fn channel(context: &mut StepContext<'_>) -> Value {
    let Some(domain) = context.pc.domain.clone() else {
        return json!({ "control_error": null, "connection_status": null, "trust_status": null });
    };
    let answer = if context.elevated {
        secure_channel::verify(context.pc, context.domain, &domain, context.now)
    } else {
        secure_channel::query(context.pc, context.domain, &domain)
    };
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
    })
}
