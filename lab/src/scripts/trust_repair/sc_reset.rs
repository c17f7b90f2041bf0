//! `trust-repair/sc-reset.ps1`.

use serde_json::json;

use super::probe;
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let domain = context.text("domain").unwrap_or_default().to_owned();
    let controller = context.text("domain_controller").map(str::to_owned);
    let answer = if context.elevated {
        let pinned = controller.as_deref();
        secure_channel::reset(context.pc, context.domain, &domain, pinned, context.now)
    } else {
        secure_channel::query(context.pc, context.domain, &domain)
    };
    let asked = probe::asked(context, answer);
    StepOutcome::Done(Ok(json!({
        "tool": asked.tool,
        "exit_code": asked.exit_code,
        "control_error": asked.control_error,
        "connection_status": asked.connection_status,
        "dc": asked.dc,
        "event_record_id": context.pc.last_record(),
        "probe_errors": [],
    })))
}
