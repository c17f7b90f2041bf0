//! `time-sync/resync.ps1`, `domain-hierarchy.ps1` and `ignore-host-time.ps1`: settings, a start, a
//! resync.

use serde_json::{Value, json};

use super::clock::failure;
use super::service;
use crate::scripts::{StepContext, StepOutcome};
use crate::time_service::SyncType;
use crate::win32;

pub(crate) fn resync(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let restored = service::restore(context, &mut errors);
    let enabled = service::enable(context, &mut errors);
    let mut answer = synchronise(context, errors);
    answer["settings_restored"] = json!(restored);
    answer["enabled"] = json!(enabled);
    StepOutcome::Done(Ok(answer))
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
    let after = context.pc.time.sync_type;
    let mut answer = synchronise(context, errors);
    answer["sync_type_before"] = json!(before as u32);
    answer["peers_before"] = json!(servers);
    answer["sync_type"] = json!(after as u32);
    StepOutcome::Done(Ok(answer))
}

pub(crate) fn ignore_host_time(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    if context.elevated {
        context.pc.time.host_listened = false;
    } else {
        errors.push(failure("config", win32::ACCESS_DENIED));
    }
    let off = !context.pc.time.host_listened;
    let mut answer = synchronise(context, errors);
    answer["host_provider_off"] = json!(off);
    StepOutcome::Done(Ok(answer))
}

/// Starts the service, makes it read its settings and ask its source.
fn synchronise(context: &mut StepContext<'_>, mut errors: Vec<Value>) -> Value {
    let running = service::start(context, &mut errors);
    let update = service::update(context);
    let resync = service::resync(context);
    json!({
        "running": running,
        "update_exit_code": update,
        "resync_exit_code": resync,
        "probe_errors": errors,
    })
}
