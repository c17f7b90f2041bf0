//! `time-sync/temporary-peer.ps1`.

use serde_json::json;

use super::clock::failure;
use super::service;
use crate::machine::RepairFault;
use crate::scripts::{StepContext, StepOutcome};
use crate::win32;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let controller = context.text("domain_controller").unwrap_or_default();
    let controller = controller.to_owned();
    let (mut running, mut resync) = (None, None);
    if context.elevated {
        context.pc.time.use_temporary_server(&controller);
        match context.pc.repair_fault {
            RepairFault::HangsInBetween => return StepOutcome::Hangs,
            RepairFault::DiesInBetween => return StepOutcome::Dies,
            _ => {}
        }
        running = service::start(context, &mut errors);
        resync = Some(service::resync(context));
    } else {
        errors.push(failure("config", win32::ACCESS_DENIED));
    }
    let restored = service::restore(context, &mut errors);
    StepOutcome::Done(Ok(json!({
        "running": running,
        "resync_exit_code": resync,
        "settings_restored": restored,
        "probe_errors": errors,
    })))
}
