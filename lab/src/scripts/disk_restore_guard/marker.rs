//! `plant-marker.ps1` and `look-for-marker.ps1`.

use serde_json::{Value, json};

use super::failure;
use crate::machine::Machine;
use crate::scripts::{StepContext, StepOutcome};
use crate::win32;

const VALUE: &str = r"HKLM\SOFTWARE\fleetmend\DiskRestoreGuard\Marker";
const FILE: &str = r"C:\ProgramData\fleetmend\disk-restore-guard.marker";

/// Tells whether there is a marker from before the present boot.
pub(super) fn survived(pc: &Machine) -> bool {
    let marker = pc.registry.get(VALUE).and_then(Value::as_str);
    let planted = marker.and_then(|marker| marker.split_once(' ')?.1.parse::<i64>().ok());
    marker.is_some_and(|marker| {
        pc.files
            .get(FILE)
            .is_some_and(|file| file == marker.as_bytes())
    }) && planted.is_some_and(|planted| pc.booted.as_second() > planted)
}

pub(crate) fn plant(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &mut *context.pc;
    let marker = format!(
        "{:032x} {}",
        context.now.as_microsecond(),
        pc.booted.as_second()
    );
    if context.elevated {
        pc.registry.insert(VALUE.to_owned(), json!(marker));
        pc.files
            .insert(FILE.to_owned(), marker.clone().into_bytes());
    }
    let errors: Vec<Value> = ["registry", "file"]
        .iter()
        .filter(|_| !context.elevated)
        .map(|probe| failure(probe, win32::ACCESS_DENIED))
        .collect();
    StepOutcome::Done(Ok(json!({
        "marker": marker,
        "registry": context.elevated,
        "file": context.elevated,
        "probe_errors": errors,
    })))
}

pub(crate) fn look(context: &mut StepContext<'_>) -> StepOutcome {
    let wanted = context.text("marker").unwrap_or_default().to_owned();
    let value = context.pc.registry.remove(VALUE);
    let file = context.pc.files.remove(FILE);
    StepOutcome::Done(Ok(json!({
        "registry": value == Some(json!(wanted)),
        "file": file == Some(wanted.into_bytes()),
        "cleaned": true,
        "probe_errors": [],
    })))
}
