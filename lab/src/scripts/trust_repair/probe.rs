//! What several scripts of trust-repair ask alike.

use serde_json::{Value, json};

use crate::scripts::StepContext;
use crate::secure_channel::{self, ChannelAnswer, RepairError};
use crate::win32;

/// What `nltest` (or the function beneath it) told, as every schema of trust-repair lays it out.
pub(super) struct Asked {
    pub(super) tool: &'static str,
    pub(super) exit_code: u32,
    pub(super) control_error: Option<u32>,
    pub(super) connection_status: Option<u32>,
    pub(super) trust_status: Option<u32>,
    pub(super) dc: Option<String>,
}

/// Lays out an answer of Netlogon; a caller who is not elevated is refused with 5.
pub(super) fn asked(context: &StepContext<'_>, answer: ChannelAnswer) -> Asked {
    let call = if context.elevated {
        answer.call
    } else {
        win32::ACCESS_DENIED
    };
    let tool = if context.pc.nltest { "nltest" } else { "api" };
    let fine = call == win32::OK;
    Asked {
        tool,
        // nltest ends with 0 also when the channel is broken; only a refused call shows.
        exit_code: if context.pc.nltest && !fine { 1 } else { call },
        control_error: (!fine).then_some(call),
        connection_status: fine.then_some(answer.connection),
        trust_status: answer.verification.filter(|_| fine),
        dc: answer
            .controller
            .filter(|_| fine)
            .map(|name| name.to_ascii_lowercase()),
    }
}

/// Asks Netlogon to verify the channel; somebody who is not elevated changes nothing by asking.
pub(super) fn verify(context: &mut StepContext<'_>, domain: &str) -> Asked {
    let answer = if context.elevated {
        secure_channel::verify(context.pc, context.domain, domain, context.now)
    } else {
        secure_channel::query(context.pc, context.domain, domain)
    };
    asked(context, answer)
}

/// Returns what `Test-ComputerSecureChannel` says: its value and its error id.
pub(super) fn test_channel(context: &StepContext<'_>, domain: &str) -> (Value, Value) {
    if !context.elevated {
        return (Value::Null, json!(error_id(RepairError::NotElevated)));
    }
    let answer = secure_channel::query(context.pc, context.domain, domain);
    if answer.call == win32::OK {
        (json!(answer.connection == win32::OK), Value::Null)
    } else {
        (Value::Null, json!(error_id(RepairError::Call(answer.call))))
    }
}

/// Returns the `FullyQualifiedErrorId` of an error of `Test-ComputerSecureChannel`.
pub(super) fn error_id(error: RepairError) -> String {
    format!(
        "{},Microsoft.PowerShell.Commands.TestComputerSecureChannelCommand",
        error.id()
    )
}

/// Tells whether two names are the same host; one of them may lack its domain.
pub(super) fn same_host(one: &str, other: &str) -> bool {
    let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    one == other || (one.contains('.') != other.contains('.') && first(one) == first(other))
}
