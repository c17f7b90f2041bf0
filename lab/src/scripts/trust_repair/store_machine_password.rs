//! `trust-repair/store-machine-password.ps1`.

use serde_json::{Value, json};

use super::probe::{self, Asked};
use crate::machine::RepairFault;
use crate::scripts::{StepContext, StepOutcome};
use crate::secure_channel;
use crate::win32;

/// STATUS_ACCESS_DENIED.
const DENIED: u32 = 0xC000_0022;

/// STATUS_OBJECT_NAME_NOT_FOUND: there is no such secret.
const NAME_NOT_FOUND: u32 = 0xC000_0034;

/// ERROR_GEN_FAILURE: what most NTSTATUS without a number of their own become.
const GENERAL_FAILURE: u32 = 31;

/// What each call of the LSA returned.
struct Calls {
    open_policy: u32,
    open_secret: Option<u32>,
    create_secret: Option<u32>,
    query_secret: Option<u32>,
    set_secret: Option<u32>,
}

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    match context.pc.repair_fault {
        RepairFault::HangsInBetween => return StepOutcome::Hangs,
        RepairFault::DiesInBetween => return StepOutcome::Dies,
        RepairFault::DiesInStoreOnce => {
            context.pc.repair_fault = RepairFault::None;
            return StepOutcome::Dies;
        }
        _ => {}
    }
    let domain = context.text("domain").unwrap_or_default().to_owned();
    let controller = context
        .text("domain_controller")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let (calls, error) = store(context);
    let stored = error == win32::OK;
    let netlogon = if stored {
        netlogon(context, &domain, &controller)
    } else {
        json!({
            "running": null, "pin_status": null, "control_error": null,
            "connection_status": null, "trust_status": null, "dc": null,
        })
    };
    StepOutcome::Done(Ok(json!({
        "stored": stored,
        "error": error,
        "lsa": {
            "open_policy": calls.open_policy,
            "open_secret": calls.open_secret,
            "create_secret": calls.create_secret,
            "query_secret": calls.query_secret,
            "set_secret": calls.set_secret,
        },
        "tickets_purged": stored.then_some(0),
        "netlogon": netlogon,
        "dc": controller,
        "event_record_id": context.pc.last_record(),
        "probe_errors": [],
    })))
}

/// Makes the calls; returns them with the Win32 code of the one that failed, else 0.
fn store(context: &mut StepContext<'_>) -> (Calls, u32) {
    let mut calls = Calls {
        open_policy: win32::OK,
        open_secret: None,
        create_secret: None,
        query_secret: None,
        set_secret: None,
    };
    if !context.elevated {
        calls.open_policy = DENIED;
        return (calls, win32::ACCESS_DENIED);
    }
    let password = context.text("machine_password").unwrap_or_default();
    let password = password.to_owned();
    let missing = context.pc.secret.is_none();
    let result = secure_channel::store(context.pc, context.domain, &password, context.now);
    if missing {
        calls.open_secret = Some(NAME_NOT_FOUND);
        calls.create_secret = Some(win32::OK);
    } else {
        calls.open_secret = Some(win32::OK);
        calls.query_secret = Some(win32::OK);
    }
    match result {
        Ok(_) => {
            calls.set_secret = Some(win32::OK);
            (calls, win32::OK)
        }
        Err(refused) => {
            calls.set_secret = Some(refused.0);
            (calls, GENERAL_FAILURE)
        }
    }
}

/// Restarts Netlogon, binds it to the controller and asks for the channel.
fn netlogon(context: &mut StepContext<'_>, domain: &str, controller: &str) -> Value {
    secure_channel::restart_netlogon(context.pc, context.domain, context.now);
    let running = context.pc.netlogon.running;
    let reset = secure_channel::reset(
        context.pc,
        context.domain,
        domain,
        Some(controller),
        context.now,
    );
    let pinned = if reset.call == win32::OK {
        reset.connection
    } else {
        reset.call
    };
    let Asked {
        control_error,
        connection_status,
        trust_status,
        dc,
        ..
    } = probe::verify(context, domain);
    json!({
        "running": running,
        "pin_status": pinned,
        "control_error": control_error,
        "connection_status": connection_status,
        "trust_status": trust_status,
        "dc": dc,
    })
}
