//! `time-sync/resync.ps1`, `domain-hierarchy.ps1` and `ignore-host-time.ps1`: settings, a start, a
//! resync.

use serde_json::{Value, json};

use super::clock::failure;
use super::service;
use crate::scripts::{StepContext, StepOutcome};
use crate::time_service::SyncType;
use crate::win32;

/// What `synchronise` saw.
struct Synchronised {
    running: Option<bool>,
    update: i32,
    resync: i32,
}

pub(crate) fn resync(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let restored = service::restore(context, &mut errors);
    let enabled = service::enable(context, &mut errors);
    let after = synchronise(context, &mut errors);
    StepOutcome::Done(Ok(json!({
        "running": after.running,
        "enabled": enabled,
        "settings_restored": restored,
        "update_exit_code": after.update,
        "resync_exit_code": after.resync,
        "probe_errors": errors,
    })))
}

pub(crate) fn domain_hierarchy(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let before = context.pc.time.sync_type;
    let servers = context.pc.time.servers.clone();
    if context.elevated {
        context.pc.time.sync_type = SyncType::Domain;
    } else {
        errors.push(failure("config", win32::ACCESS_DENIED));
    }
    let after = synchronise(context, &mut errors);
    StepOutcome::Done(Ok(json!({
        "running": after.running,
        "sync_type_before": before as u32,
        "peers_before": servers,
        "sync_type": context.pc.time.sync_type as u32,
        "update_exit_code": after.update,
        "resync_exit_code": after.resync,
        "probe_errors": errors,
    })))
}

pub(crate) fn ignore_host_time(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    if context.elevated {
        context.pc.time.host_listened = false;
    } else {
        errors.push(failure("config", win32::ACCESS_DENIED));
    }
    let after = synchronise(context, &mut errors);
    StepOutcome::Done(Ok(json!({
        "running": after.running,
        "host_provider_off": !context.pc.time.host_listened,
        "update_exit_code": after.update,
        "resync_exit_code": after.resync,
        "probe_errors": errors,
    })))
}

/// Starts the service, makes it read its settings and ask its source.
fn synchronise(context: &mut StepContext<'_>, errors: &mut Vec<Value>) -> Synchronised {
    let running = service::start(context, errors);
    Synchronised {
        running,
        update: service::update(context),
        resync: service::resync(context),
    }
}
