//! `trust-repair/ksetup-machine-password.ps1`.

use serde_json::json;

use crate::machine::RepairFault;
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    match context.pc.repair_fault {
        RepairFault::HangsInBetween => return StepOutcome::Hangs,
        RepairFault::DiesInBetween => return StepOutcome::Dies,
        _ => {}
    }
    let controller = context.text("domain_controller").unwrap_or_default();
    let controller = controller.to_ascii_lowercase();
    let password = context.text("machine_password").unwrap_or_default();
    let password = password.to_owned();
    let set = context.elevated
        && secure_channel::store_for_restart(context.pc, context.domain, &password, context.now);
    StepOutcome::Done(Ok(json!({
        "set": set,
        "exit_code": i32::from(!set),
        "secret_moved": context.elevated.then_some(set),
        "dc": controller,
        "event_record_id": context.pc.last_record(),
        "probe_errors": [],
    })))
}
