//! `trust-repair/verify.ps1`.

use serde_json::{Value, json};

use super::probe::{self, same_host};
use crate::scripts::{StepContext, StepOutcome};

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let domain = context.text("domain").unwrap_or_default().to_owned();
    let expected = context
        .text("domain_controller")
        .map(str::to_ascii_lowercase);
    let after = context
        .number("after_record_id")
        .unwrap_or_else(|| context.pc.last_record());
    let runs = [
        run_once(context, &domain, expected.as_deref()),
        run_once(context, &domain, expected.as_deref()),
    ];
    let (test, _) = probe::test_channel(context, &domain);
    let new = |id| {
        let fresh = context
            .pc
            .events
            .iter()
            .filter(|event| event.record > after);
        fresh
            .filter(|event| event.provider == "NETLOGON" && event.id == id)
            .count()
    };
    StepOutcome::Done(Ok(json!({
        "runs": runs,
        "test_computer_secure_channel": test,
        "new_events": { "netlogon_3210": new(3210), "netlogon_5719": new(5719) },
        "after_record_id": after,
        "member": {
            "part_of_domain": context.pc.is_member(),
            "domain": context.pc.domain_or_workgroup().to_lowercase(),
        },
        "probe_errors": [],
    })))
}

fn run_once(context: &mut StepContext<'_>, domain: &str, expected: Option<&str>) -> Value {
    let asked = probe::verify(context, domain);
    let is_expected = match (expected, asked.dc.as_deref()) {
        (Some(expected), Some(dc)) => Some(same_host(expected, dc)),
        _ => None,
    };
    json!({
        "tool": asked.tool,
        "exit_code": asked.exit_code,
        "control_error": asked.control_error,
        "connection_status": asked.connection_status,
        "trust_status": asked.trust_status,
        "dc": asked.dc,
        "dc_is_expected": is_expected,
    })
}
