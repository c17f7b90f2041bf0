//! What `include/time-service.ps1` does to W32Time.

use serde_json::{Value, json};

use super::clock::failure;
use crate::machine::{Machine, StartMode};
use crate::scripts::StepContext;
use crate::time_service;
use crate::win32;

/// Starts W32Time if it can be started, and tells whether it runs.
pub(super) fn start(context: &mut StepContext<'_>, errors: &mut Vec<Value>) -> Option<bool> {
    let elevated = context.elevated;
    let service = &mut context.pc.w32time;
    let refused = if service.running {
        win32::OK
    } else if !elevated {
        win32::ACCESS_DENIED
    } else if service.start == StartMode::Disabled {
        1058
    } else if service.refuses_start {
        1067
    } else {
        win32::OK
    };
    if refused != win32::OK {
        errors.push(failure("start", refused));
        return None;
    }
    service.running = true;
    Some(true)
}

/// Enables W32Time if it is disabled and that is allowed.
pub(super) fn enable(context: &mut StepContext<'_>, errors: &mut Vec<Value>) -> bool {
    if context.params.get("enable_service") != Some(&json!(true)) {
        return false;
    }
    if context.pc.w32time.start == StartMode::Disabled {
        if context.elevated {
            context.pc.w32time.start = StartMode::Automatic;
        } else {
            errors.push(failure("enable", win32::ACCESS_DENIED));
        }
    }
    context.pc.w32time.start != StartMode::Disabled
}

/// Puts kept settings back and tells whether none are kept any more.
pub(super) fn restore(context: &mut StepContext<'_>, errors: &mut Vec<Value>) -> Option<bool> {
    if context.pc.time.saved.is_some() && !context.elevated {
        errors.push(failure("restore", win32::ACCESS_DENIED));
        return None;
    }
    context.pc.time.restore();
    Some(true)
}

/// Returns the exit code of `w32tm /config /update`.
pub(super) fn update(context: &StepContext<'_>) -> i32 {
    if !context.elevated {
        time_service::DENIED
    } else if context.pc.w32time.running {
        0
    } else {
        time_service::NOT_ACTIVE
    }
}

/// Does `w32tm /resync` and returns its exit code.
pub(super) fn resync(context: &mut StepContext<'_>) -> i32 {
    if context.elevated {
        time_service::resync(context.pc, context.domain)
    } else {
        time_service::DENIED
    }
}

/// Lays out W32Time's state and start type.
pub(super) fn facts(pc: &Machine) -> Value {
    json!({ "status": pc.w32time.status(), "start_type": pc.w32time.start as u32 })
}
