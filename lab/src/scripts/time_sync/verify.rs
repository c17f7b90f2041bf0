//! `time-sync/verify.ps1`.

use serde_json::{Value, json};

use super::clock::Measured;
use super::service;
use crate::scripts::{StepContext, StepOutcome};
use crate::time_service;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let first = measure(context, &mut errors);
    time_service::wait(context.pc);
    let second = measure(context, &mut errors);
    StepOutcome::Done(Ok(json!({
        "first": first,
        "second": second,
        "w32time": service::facts(context.pc),
        "sync_type": context.pc.time.sync_type as u32,
        "left_over": context.pc.time.saved.is_some(),
        "probe_errors": errors,
    })))
}

fn measure(context: &StepContext<'_>, errors: &mut Vec<Value>) -> Value {
    let name = context.text("domain_controller").unwrap_or_default();
    let measured = Measured::take(context.pc, context.domain.controller(name), errors);
    json!({ "sntp_seconds": measured.sntp, "ldap_seconds": measured.ldap })
}
