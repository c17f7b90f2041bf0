//! `trust-repair/diagnose.ps1`.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::controller;
use super::membership;
use super::probe::{self, Asked};
use crate::machine::{LogEvent, Service};
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let channel = channel(context);
    let (dc, clock) = controller::look(context, &mut errors);
    let left_domain = membership::left_domain(context);
    let pc = &*context.pc;
    let now = pc.local_time(context.now);
    let updates: Vec<Value> = pc.updates.iter().rev().take(20).map(update).collect();
    StepOutcome::Done(Ok(json!({
        "taken_at": rfc3339(now),
        "elevated": context.elevated,
        "computer": {
            "name": pc.name,
            "dns_host_name": pc.name.to_ascii_lowercase(),
            "domain": pc.domain_or_workgroup(),
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
        "channel": channel.clone(),
        "dc": dc,
        "clock": clock,
        "events": events(context, now),
        "updates": updates,
        "machine_identity_isolation": {
            "configured": pc.isolation,
            "credential_guard_running": pc.isolates_identity(),
            "enforced": pc.isolates_identity(),
        },
        "machine_secret": machine_secret(context, &channel),
        "left_domain": left_domain,
        "probe_errors": errors,
    })))
}

/// Asks for the channel, unless the PC is in no domain.
fn channel(context: &mut StepContext<'_>) -> Value {
    let Some(domain) = context.pc.domain.clone() else {
        return no_channel();
    };
    let answer = secure_channel::query(context.pc, context.domain, &domain);
    let query = probe::asked(context, answer);
    let verify = probe::verify(context, &domain);
    let (test, test_error) = probe::test_channel(context, &domain);
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

/// When the machine password was set: by the LSA where the channel is not proven, else by
/// Netlogon's event.
fn machine_secret(context: &StepContext<'_>, channel: &Value) -> Value {
    let pc = &*context.pc;
    let verify = |status: &str| channel.pointer(&format!("/verify/{status}")) == Some(&json!(0));
    let proven = verify("connection_status") && verify("trust_status");
    let asked = pc.domain.is_some() && context.elevated && !proven;
    let stored = pc.secret.filter(|_| asked).map(|secret| secret.changed);
    let changed = pc.events.iter().rev().find(|event| event.id == 5823);
    let (at, source) = match (stored, changed) {
        (Some(at), _) => (Some(at), Some("lsa")),
        (None, Some(event)) => (Some(event.at), Some("event-5823")),
        (None, None) => (None, None),
    };
    json!({
        "last_set": at.map(rfc3339),
        "last_set_unix": at.map(|at| at.as_millisecond() as f64 / 1000.0),
        "source": source,
    })
}

/// Formats as PowerShell's `o` does, at whole seconds.
fn rfc3339(at: Timestamp) -> String {
    at.round(jiff::Unit::Second).unwrap_or(at).to_string()
}
