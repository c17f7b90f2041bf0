//! `trust-repair/secure-channel-repair.ps1`.

use serde_json::{Map, Value, json};

use super::probe;
use crate::machine::RepairFault;
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel::{self, RepairError};
use crate::win32;

/// The HRESULT of an `LdapException`, which carries no Win32 code.
const COR_E_EXCEPTION: i64 = -2_146_233_088;

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
    let called = result.is_ok();
    let netlogon = context.pc.netlogon.running;
    let pin = if netlogon {
        context.pc.channel.status
    } else {
        win32::RPC_SERVER_UNAVAILABLE
    };
    let mut answer = json!({
        "repaired": called.then_some(true),
        "error_id": null,
        "error_code": null,
        "credential_error": 0,
        "pin_status": called.then_some(pin),
        "dc": controller,
        "event_record_id": context.pc.last_record(),
        "probe_errors": [],
    });
    if let (Err(error), Some(object)) = (result, answer.as_object_mut()) {
        tell(error, object);
    }
    StepOutcome::Done(Ok(answer))
}

/// The script tries the credential by LDAP before it calls the cmdlet: it tells apart a refused
/// credential, a controller that could not be asked, and an error of the cmdlet.
fn tell(error: RepairError, answer: &mut Map<String, Value>) {
    match error {
        RepairError::Credential(code) => {
            answer.insert("credential_error".to_owned(), json!(code));
        }
        RepairError::NoController => {
            let id = "System.DirectoryServices.Protocols.LdapException";
            let failed =
                json!([{ "probe": "credential", "code": COR_E_EXCEPTION, "error_id": id }]);
            answer.insert("probe_errors".to_owned(), failed);
            answer.insert("credential_error".to_owned(), Value::Null);
        }
        _ => {
            answer.insert("error_id".to_owned(), json!(probe::error_id(error)));
            answer.insert("error_code".to_owned(), json!(error.code()));
        }
    }
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
