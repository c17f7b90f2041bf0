//! The scripts of trust-repair that join a PC to its domain or take it out of it.

use serde_json::{Value, json};

use crate::machine::RepairFault;
use crate::membership::{ACCOUNT_CREATE, JOIN_DOMAIN, JOIN_IF_JOINED, JoinRequest};
use crate::scripts::{StepContext, StepOutcome};
use crate::{membership, secure_channel, win32};

/// Where a PC notes the domain that it was taken out of.
const LEFT: &str = r"HKLM\SOFTWARE\fleetmend\LeftDomain\";

/// The HRESULT of an `LdapException`, which carries no Win32 code.
const COR_E_EXCEPTION: i64 = -2_146_233_088;

/// Returns what the PC notes of the domain that it was taken out of.
pub(super) fn left_domain(context: &StepContext<'_>) -> Value {
    let noted = |field: &str| context.pc.registry.get(&format!("{LEFT}{field}")).cloned();
    noted("domain").map_or(Value::Null, |domain| {
        json!({
            "domain": domain,
            "ou": noted("ou"),
            "domain_controller": noted("domain_controller"),
        })
    })
}

fn note(context: &mut StepContext<'_>) {
    for field in ["domain", "ou", "domain_controller"] {
        let value = json!(context.text(field));
        context.pc.registry.insert(format!("{LEFT}{field}"), value);
    }
}

/// User and password of a credential among the parameters.
fn credential(context: &StepContext<'_>, name: &str) -> (String, String) {
    let object = context.params.get(name);
    let part = |field| {
        let text = object.and_then(|object| object.get(field)?.as_str());
        text.unwrap_or_default().to_owned()
    };
    (part("user"), part("password"))
}

/// Tries the credential at the controller: 0, why it is refused, or none if nobody answers.
fn accepted(context: &mut StepContext<'_>) -> Option<u32> {
    let server = context.text("domain_controller").unwrap_or_default();
    let found = context.domain.controller(server);
    found.filter(|dc| secure_channel::reaches(context.pc, dc))?;
    let (user, password) = credential(context, "joiner");
    Some(context.domain.log_on(&user, &password))
}

fn unasked(code: Option<u32>) -> Value {
    match code {
        Some(_) => json!([]),
        None => json!([{
            "probe": "credential",
            "code": COR_E_EXCEPTION,
            "error_id": "System.DirectoryServices.Protocols.LdapException",
        }]),
    }
}

fn cut(context: &StepContext<'_>) -> Option<StepOutcome> {
    match context.pc.repair_fault {
        RepairFault::HangsInBetween => Some(StepOutcome::Hangs),
        RepairFault::DiesInBetween => Some(StepOutcome::Dies),
        _ => None,
    }
}

/// `join-domain.ps1`.
pub(crate) fn join(context: &mut StepContext<'_>) -> StepOutcome {
    let refused = accepted(context);
    let server = context.text("domain_controller").unwrap_or_default();
    let server = server.to_ascii_lowercase();
    let code = (refused == Some(win32::OK)).then(|| call(context, &server));
    if let Some(cut) = cut(context) {
        return cut;
    }
    StepOutcome::Done(Ok(json!({
        "joined": code == Some(win32::OK),
        "code": code,
        "tries": u32::from(code.is_some()),
        "credential_error": refused,
        "dc": server,
        "event_record_id": context.pc.last_record(),
        "probe_errors": unasked(refused),
    })))
}

fn call(context: &mut StepContext<'_>, server: &str) -> u32 {
    if !context.elevated {
        return win32::ACCESS_DENIED;
    }
    let (user, password) = credential(context, "joiner");
    let name = format!(r"{}\{server}", context.text("domain").unwrap_or_default());
    let in_place = context.params.get("in_place") == Some(&json!(true));
    let unit = context.text("ou").map(str::to_owned);
    let request = JoinRequest {
        name: &name,
        user: Some(&user),
        password: &password,
        options: JOIN_DOMAIN | ACCOUNT_CREATE | if in_place { JOIN_IF_JOINED } else { 0 },
        unit: unit.as_deref(),
    };
    membership::join(context.pc, context.domain, &request, context.now)
}

/// `leave-domain.ps1`.
pub(crate) fn leave(context: &mut StepContext<'_>) -> StepOutcome {
    let refused = accepted(context);
    let code = (refused == Some(win32::OK)).then(|| {
        note(context);
        if context.elevated {
            membership::unjoin(context.pc, context.domain, None, 0, context.now)
        } else {
            win32::ACCESS_DENIED
        }
    });
    StepOutcome::Done(Ok(json!({
        "left": code == Some(win32::OK),
        "code": code,
        "workgroup_code": (code == Some(win32::OK)).then_some(win32::OK),
        "credential_error": refused,
        "probe_errors": unasked(refused),
    })))
}

/// `offline-join.ps1`.
pub(crate) fn offline(context: &mut StepContext<'_>) -> StepOutcome {
    let blob = context.text("join_secret").unwrap_or_default().to_owned();
    let server = context.text("domain_controller").unwrap_or_default();
    let server = server.to_ascii_lowercase();
    let code = if context.elevated {
        membership::join_offline(context.pc, context.domain, &blob, context.now)
    } else {
        win32::ACCESS_DENIED
    };
    if let Some(cut) = cut(context) {
        return cut;
    }
    let joined = [win32::OK, win32::OFFLINE_JOIN_NEEDS_RESTART].contains(&code);
    StepOutcome::Done(Ok(json!({
        "joined": joined,
        "code": code,
        "dc": server,
        "event_record_id": context.pc.last_record(),
        "probe_errors": [],
    })))
}

/// `provision-offline-join.ps1`, on a PC that makes blobs for others.
pub(crate) fn provision(context: &mut StepContext<'_>) -> StepOutcome {
    let (user, password) = credential(context, "joiner");
    let computer = context.text("computer").unwrap_or_default().to_owned();
    let server = context.text("domain_controller").unwrap_or_default();
    let server = server.to_ascii_lowercase();
    let unit = context.text("ou").map(str::to_owned);
    let reached = context.domain.controller(&server);
    let reached = reached.is_some_and(|dc| secure_channel::reaches(context.pc, dc));
    let made = if reached {
        let by = (user.as_str(), password.as_str());
        let unit = unit.as_deref();
        context
            .domain
            .provision(&computer, by, true, unit, context.now)
    } else {
        Err(win32::NO_SUCH_DOMAIN)
    };
    let code = made.as_ref().err().copied().unwrap_or(win32::OK);
    let refusals = [1326, 1327, 1330, 1331, 1385, 1907, 1909];
    let refused = (code == win32::OK || refusals.contains(&code)).then_some(code);
    StepOutcome::Done(Ok(json!({
        "provisioned": made.is_ok(),
        "code": code,
        "credential_error": refused,
        "dc": server,
        "made": made.ok(),
        "probe_errors": [],
    })))
}

/// `after-restart.ps1`.
pub(crate) fn settle(context: &mut StepContext<'_>) -> StepOutcome {
    let domain = context.text("domain").unwrap_or_default().to_owned();
    let server = context.text("domain_controller").unwrap_or_default();
    let server = server.to_owned();
    let answer = secure_channel::reset(
        context.pc,
        context.domain,
        &domain,
        Some(&server),
        context.now,
    );
    let status = if answer.call == win32::OK {
        answer.connection
    } else {
        answer.call
    };
    let member = context.pc.is_member();
    if member {
        context.pc.registry.retain(|key, _| !key.starts_with(LEFT));
    }
    StepOutcome::Done(Ok(json!({
        "part_of_domain": member,
        "pin_status": status,
        "event_record_id": context.pc.last_record(),
        "probe_errors": [],
    })))
}

/// `suspend-bitlocker.ps1`.
pub(crate) fn suspend(context: &mut StepContext<'_>) -> StepOutcome {
    let reboots = context.number("reboots").unwrap_or_default();
    let reboots = u32::try_from(reboots).unwrap_or_default();
    let code = if !context.elevated {
        // E_ACCESSDENIED, as an unsigned number.
        0x8007_0005_u32
    } else if reboots == 0 {
        context.pc.bitlocker.resume();
        win32::OK
    } else {
        context.pc.bitlocker.suspend(reboots);
        win32::OK
    };
    let status = context.pc.bitlocker.status();
    StepOutcome::Done(Ok(json!({
        "done": code == win32::OK && (status == 0) == (reboots > 0),
        "code": code,
        "protection": status,
        "probe_errors": [],
    })))
}

/// `ensure-admin.ps1`.
pub(crate) fn ensure_admin(context: &mut StepContext<'_>) -> StepOutcome {
    let (user, password) = credential(context, "account");
    let (place, name) = user.rsplit_once('\\').unwrap_or((".", &user));
    let here = place == "." || place.eq_ignore_ascii_case(&context.pc.name);
    if !here || name.contains('@') || !context.elevated {
        // ERROR_INVALID_ACCOUNT_NAME, ERROR_ACCESS_DENIED
        let code = if context.elevated { 1315 } else { 5 };
        return StepOutcome::Done(Ok(json!({
            "usable": false, "account_error": code, "created": null, "replaced": null,
            "flags_error": null, "expiry_error": null, "member_error": null, "logon_error": null,
            "probe_errors": [],
        })));
    }
    let missing = context.pc.account(name).is_none();
    let mut code = if missing {
        context.pc.create_account(name, &password, true)
    } else {
        win32::OK
    };
    let mut replaced = missing && code == win32::OK;
    let mut logon = None;
    if code == win32::OK {
        context.pc.make_usable(name);
        let same = |pc: &crate::machine::Machine| {
            let account = pc.account(name);
            account.is_some_and(|account| account.password.reveal() == password)
        };
        if !same(context.pc) {
            context.pc.note_logon(name, false);
            code = context.pc.set_password(name, &password);
            replaced = code == win32::OK;
        }
        let right = same(context.pc);
        context.pc.note_logon(name, right);
        logon = Some(if right {
            win32::OK
        } else {
            win32::LOGON_FAILURE
        });
    }
    StepOutcome::Done(Ok(json!({
        "usable": code == win32::OK && logon == Some(win32::OK),
        "account_error": code,
        "created": missing && code == win32::OK,
        "replaced": replaced,
        "flags_error": null,
        "expiry_error": null,
        "member_error": logon.map(|_| win32::OK),
        "logon_error": logon,
        "probe_errors": [],
    })))
}
