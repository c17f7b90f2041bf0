//! `time-sync/set-clock.ps1`.

use serde_json::json;

use super::clock::{Measured, failure};
use super::service;
use crate::scripts::{StepContext, StepOutcome};
use crate::time_service;
use crate::win32;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let name = context.text("domain_controller").unwrap_or_default();
    let controller = context.domain.controller(name);
    let measured = Measured::take(context.pc, controller, &mut errors);
    let one_is_enough = context.params.get("accept_one_source") == Some(&json!(true));
    let trusted = measured.agree().unwrap_or(one_is_enough);
    let tolerance = context.number("tolerance_seconds").unwrap_or(300) as f64;
    let far = measured.offset().filter(|offset| offset.abs() > tolerance);
    let mut stepped = 0.0;
    if let Some(offset) = far.filter(|_| trusted) {
        if context.elevated {
            time_service::step(context.pc, (offset * 1000.0).round() as i64);
            stepped = -offset;
        } else {
            errors.push(failure("set", win32::ACCESS_DENIED));
        }
    }
    service::enable(context, &mut errors);
    let restored = service::restore(context, &mut errors);
    let running = service::start(context, &mut errors);
    let update = service::update(context);
    StepOutcome::Done(Ok(json!({
        "stepped_seconds": stepped,
        "source": measured.source(),
        "sntp_seconds_before": measured.sntp,
        "ldap_seconds_before": measured.ldap,
        "running": running,
        "settings_restored": restored,
        "update_exit_code": update,
        "probe_errors": errors,
    })))
}
