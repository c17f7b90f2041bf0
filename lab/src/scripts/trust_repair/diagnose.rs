//! `trust-repair/diagnose.ps1`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::probe::{self, Asked};
use crate::machine::{LogEvent, Service};
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel;
use crate::win32;

const PORTS: [u16; 7] = [53, 88, 135, 389, 445, 464, 636];

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let channel = channel(context, &mut errors);
    let (dc, reached) = controller(context, &mut errors);
    let pc = &*context.pc;
    let now = pc.local_time(context.now);
    let (offset, source) = match reached {
        true => (json!(pc.clock_offset_ms as f64 / 1000.0), json!("sntp")),
        false => (Value::Null, Value::Null),
    };
    let updates: Vec<Value> = pc.updates.iter().rev().take(20).map(update).collect();
    StepOutcome::Done(Ok(json!({
        "taken_at": rfc3339(now),
        "elevated": context.elevated,
        "computer": {
            "name": pc.name,
            "dns_host_name": pc.name.to_ascii_lowercase(),
            "domain": pc.domain.as_deref().unwrap_or("WORKGROUP"),
            "part_of_domain": pc.domain.is_some(),
            "domain_role": pc.domain_role,
            "model": pc.model,
        },
        "os": {
            "build": pc.os.build,
            "revision": pc.os.ubr,
            "ui_lcid": pc.lcid,
            "powershell": "5.1",
            "booted_at": rfc3339(pc.local_time(pc.booted)),
            "uptime_seconds": context.now.duration_since(pc.booted).as_secs().max(0),
        },
        "services": {
            "netlogon": service(pc.netlogon),
            "w32time": service(pc.w32time),
            "workstation": service(pc.workstation),
        },
        "channel": channel,
        "dc": dc,
        "clock": { "offset_seconds": offset, "source": source },
        "events": events(context, now),
        "updates": updates,
        "machine_identity_isolation": {
            "configured": null, "credential_guard_running": false, "enforced": false,
        },
        "probe_errors": errors,
    })))
}

/// Asks for the channel, unless the PC has none: outside a domain, or on a controller.
fn channel(context: &mut StepContext<'_>, errors: &mut Vec<Value>) -> Value {
    let domain = match context.pc.domain.clone() {
        Some(domain) if !context.pc.is_controller() => domain,
        _ => return no_channel(),
    };
    let answer = secure_channel::query(context.pc, context.domain, &domain);
    let query = probe::asked(context, answer);
    let verify = probe::verify(context, &domain);
    let (test, test_error) = probe::test_channel(context, &domain);
    if let Some(id) = test_error.as_str() {
        errors.push(json!({ "probe": "test-channel", "code": null, "error_id": id }));
    }
    let mut verify_object = asked(&verify);
    verify_object.insert("trust_status".to_owned(), json!(verify.trust_status));
    json!({
        "query": asked(&query),
        "verify": verify_object,
        "test_computer_secure_channel": test,
        "test_error_id": test_error,
    })
}

fn no_channel() -> Value {
    let nothing = json!({
        "tool": null, "exit_code": null, "control_error": null, "connection_status": null,
        "dc": null,
    });
    let mut verify = nothing.clone();
    if let Some(object) = verify.as_object_mut() {
        object.insert("trust_status".to_owned(), Value::Null);
    }
    json!({
        "query": nothing,
        "verify": verify,
        "test_computer_secure_channel": null,
        "test_error_id": null,
    })
}

fn asked(asked: &Asked) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("tool".to_owned(), json!(asked.tool));
    object.insert("exit_code".to_owned(), json!(asked.exit_code));
    object.insert("control_error".to_owned(), json!(asked.control_error));
    object.insert(
        "connection_status".to_owned(),
        json!(asked.connection_status),
    );
    object.insert("dc".to_owned(), json!(asked.dc));
    object
}

/// Returns the controller part, and whether a controller answers.
fn controller(context: &StepContext<'_>, errors: &mut Vec<Value>) -> (Value, bool) {
    let requested = context
        .text("domain_controller")
        .map(str::to_ascii_lowercase);
    if context.pc.domain.is_none() || context.pc.is_controller() {
        return (
            controller_value(requested, None, Value::Null, None, Some(false)),
            false,
        );
    }
    let pc = &*context.pc;
    let located = secure_channel::locate(pc, context.domain);
    let named = requested
        .as_deref()
        .map(|name| (name, context.domain.controller(name)));
    let target = match named {
        Some((_, found)) => found,
        None => located,
    };
    let reached = target.is_some_and(|dc| secure_channel::reaches(pc, dc));
    let found = target.filter(|_| reached || named.is_some());
    let error = if found.is_some() {
        win32::OK
    } else {
        win32::NO_SUCH_DOMAIN
    };
    if found.is_none() {
        errors.push(json!({ "probe": "locate", "code": error, "error_id": null }));
    }
    let name = requested
        .clone()
        .or_else(|| found.map(|dc| dc.dns_name.to_ascii_lowercase()));
    let address = found.map(|dc| dc.address.to_string());
    let open = name.is_some().then_some(reached);
    let mut value = controller_value(requested, name, json!(error), address, open);
    if let Some(object) = value.as_object_mut() {
        object.insert("located".to_owned(), json!(found.is_some()));
        let site = found.map(|_| "Default-First-Site-Name");
        object.insert("site".to_owned(), json!(site));
    }
    (value, reached)
}

/// `open`: whether the ports accept; `None` or outside a domain: not tried.
fn controller_value(
    requested: Option<String>,
    name: Option<String>,
    error: Value,
    address: Option<String>,
    open: Option<bool>,
) -> Value {
    let tried = name.is_some();
    let ports: Map<String, Value> = PORTS
        .iter()
        .map(|port| (format!("tcp_{port}"), json!(open.filter(|_| tried))))
        .collect();
    json!({
        "requested": requested,
        "located": null,
        "error": error,
        "name": name,
        "address": address,
        "site": null,
        "ports": ports,
    })
}

fn service(service: Service) -> Value {
    json!({ "status": service.status(), "start_type": service.start as u32 })
}

fn update(update: &crate::machine::Update) -> Value {
    let day = update.installed.to_zoned(jiff::tz::TimeZone::UTC).date();
    json!({ "id": update.id, "installed_on": day.to_string() })
}

fn events(context: &StepContext<'_>, now: Timestamp) -> Value {
    let hours = context.number("event_hours").unwrap_or(168).clamp(1, 8760);
    let window = SignedDuration::from_hours(i64::try_from(hours).unwrap_or(8760));
    let since = now.checked_sub(window).unwrap_or(Timestamp::MIN);
    let mut kinds: BTreeMap<(&str, u32), (u64, &LogEvent)> = BTreeMap::new();
    for event in context.pc.events.iter().filter(|event| event.at >= since) {
        let kind = kinds
            .entry((event.provider.as_str(), event.id))
            .or_insert((0, event));
        *kind = (kind.0 + 1, event);
    }
    let items: Vec<Value> = kinds
        .into_iter()
        .map(|((provider, id), (count, newest))| {
            json!({
                "provider": provider, "id": id, "count": count,
                "last_time": rfc3339(newest.at), "last_record_id": newest.record,
            })
        })
        .collect();
    let changed = context
        .pc
        .events
        .iter()
        .rev()
        .find(|event| event.id == 5823);
    json!({
        "hours": hours,
        "last_record_id": context.pc.last_record(),
        "last_password_change": changed.map(|event| rfc3339(event.at)),
        "items": items,
    })
}

/// Formats as PowerShell's `o` does, at whole seconds.
fn rfc3339(at: Timestamp) -> String {
    at.round(jiff::Unit::Second).unwrap_or(at).to_string()
}
