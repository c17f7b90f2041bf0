//! `trust-repair/secure-channel-repair.ps1`.

use serde_json::{Value, json};

use crate::machine::RepairFault;
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel::{self, RepairError};
use crate::win32;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let controller = context
        .text("domain_controller")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let result = repair(context, &controller);
    match (result, context.pc.repair_fault) {
        (Err(RepairError::LocalStore), RepairFault::HangsInBetween) => return StepOutcome::Hangs,
        (Err(RepairError::LocalStore), RepairFault::DiesInBetween) => return StepOutcome::Dies,
        _ => {}
    }
    let pinned = result.is_ok() && context.pc.netlogon.running;
    let mut answer = json!({
        "repaired": result.is_ok().then_some(true),
        "error_id": null,
        "error_code": null,
        "credential_error": null,
        "pin_status": pinned.then_some(context.pc.channel.status),
        "dc": controller,
        "event_record_id": context.pc.last_record(),
        "probe_errors": [],
    });
    if let (Err(error), Some(object)) = (result, answer.as_object_mut()) {
        match error {
            RepairError::Credential(code) => {
                object.insert("credential_error".to_owned(), json!(code));
                object.insert("probe_errors".to_owned(), probe_error("credential", error));
            }
            _ => {
                object.insert("error_id".to_owned(), json!(error.id()));
                object.insert("error_code".to_owned(), json!(error.code()));
                object.insert("probe_errors".to_owned(), probe_error("repair", error));
            }
        }
    }
    StepOutcome::Done(Ok(answer))
}

fn repair(context: &mut StepContext<'_>, controller: &str) -> Result<(), RepairError> {
    if !context.elevated {
        return Err(RepairError::NotElevated);
    }
    let credential = context.params.get("domain_credential");
    let part = |name| {
        credential
            .and_then(|object| object.get(name))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let (Some(user), Some(password)) = (part("user"), part("password")) else {
        return Err(RepairError::Credential(win32::LOGON_FAILURE));
    };
    secure_channel::repair(
        context.pc,
        context.domain,
        Some(controller),
        &user,
        &password,
        context.now,
    )
}

fn probe_error(probe: &str, error: RepairError) -> Value {
    json!([{ "probe": probe, "code": error.code(), "error_id": error.id() }])
}
