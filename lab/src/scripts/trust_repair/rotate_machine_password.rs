//! `trust-repair/rotate-machine-password.ps1`.

use serde_json::json;

use super::probe::{self, same_host};
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel;
use crate::win32;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let domain = context.text("domain").unwrap_or_default().to_owned();
    let controller = context
        .text("domain_controller")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let before = probe::verify(context, &domain);
    let proven = before.connection_status == Some(win32::OK)
        && before.trust_status == Some(win32::OK)
        && before
            .dc
            .as_deref()
            .is_some_and(|dc| same_host(dc, &controller));
    let mut code = None;
    let mut moved = None;
    if proven {
        let secret = context.pc.secret;
        let answer =
            secure_channel::change_password(context.pc, context.domain, &domain, context.now);
        code = Some(if answer.call == win32::OK {
            answer.connection
        } else {
            answer.call
        });
        moved = Some(context.pc.secret != secret);
    }
    StepOutcome::Done(Ok(json!({
        "rotated": code == Some(win32::OK),
        "attempted": proven,
        "code": code,
        "secret_moved": moved,
        "control_error": before.control_error,
        "connection_status": before.connection_status,
        "trust_status": before.trust_status,
        "dc": before.dc,
        "event_record_id": context.pc.last_record(),
        "probe_errors": [],
    })))
}
