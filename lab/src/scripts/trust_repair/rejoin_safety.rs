//! `trust-repair/rejoin-safety.ps1`.

use fleetmend_model::TransportKind;
use serde_json::{Map, Value, json};

use crate::domain::{Domain, DomainController};
use crate::machine::{Machine, PendingMembership, Profile};
use crate::scripts::{StepContext, StepOutcome, freeze_signs};
use crate::{secure_channel, win32};

/// Where Group Policy notes the PC's account. A test may put another value there, or null.
const APPLIED_TO: &str =
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\State\Machine\Distinguished-Name";

/// Where a test may say otherwise of the account in use: what a policy made of it since it logged on.
const SINCE: &str = r"HKLM\SOFTWARE\Lab\Account";

const TRANSPORTS: [TransportKind; 3] = [
    TransportKind::WinrmHttps,
    TransportKind::WinrmHttp,
    TransportKind::Ssh,
];

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    let mut local = ["S-1-5-113", "S-1-5-114"].iter();
    let denied = local.any(|sid| pc.network_denied.contains(*sid));
    StepOutcome::Done(Ok(json!({
        "member": member(pc, context.domain),
        "account": account(context),
        "policy": {
            "uac": true,
            "remote_administrators": pc.remote_admins,
            "local_accounts_denied": denied,
        },
        "dc": controller(context),
        "users": { "active": pc.users.len(), "disconnected": 0 },
        "pending": pending(pc),
        "power": power(pc),
        "bitlocker_protection": pc.bitlocker.status(),
        "write_filter": write_filter(pc, context.script),
        "firewall": {
            "sessions": [{ "port": 5985, "remote": "10.20.0.250" }],
            "private": admits(pc, Profile::Private),
            "public": admits(pc, Profile::Public),
        },
        "probe_errors": [],
    })))
}

fn member(pc: &Machine, domain: &Domain) -> Value {
    let ours = pc.is_member();
    let account = domain.computer(&pc.name).filter(|_| ours);
    let noted = pc.registry.get(APPLIED_TO);
    let ou = account.map(|account| unit(&account.ou, &domain.dns_name));
    let dn = ou.as_ref().map(|ou| json!(format!("CN={},{ou}", pc.name)));
    let dn = noted.cloned().or(dn).unwrap_or_default();
    json!({
        "name": pc.name,
        "domain_role": pc.domain_role,
        "part_of_domain": ours,
        "domain": pc.domain.as_ref().map(|name| name.to_lowercase()),
        "netbios_name": if ours { domain.netbios_name.as_str() } else { pc.workgroup.as_str() },
        "sid": ours.then(|| domain.sid.to_string()),
        "ou": if dn.is_null() { None } else { ou },
        "dn": dn,
    })
}

/// Returns the distinguished name of a container, from its path.
pub(super) fn unit(path: &[String], domain: &str) -> String {
    let units = path.iter().rev().map(|unit| format!("OU={unit}"));
    let parts = domain.split('.').map(|part| format!("DC={part}"));
    units.chain(parts).collect::<Vec<_>>().join(",")
}

fn account(context: &StepContext<'_>) -> Value {
    let pc = &*context.pc;
    let mut answer = local_account(context);
    let since = pc.registry.get(SINCE).and_then(Value::as_object);
    for (field, value) in since.into_iter().flatten() {
        if let Some(known) = answer.get_mut(field) {
            known.clone_from(value);
        }
    }
    answer
}

fn local_account(context: &StepContext<'_>) -> Value {
    let pc = &*context.pc;
    let Some(account) = pc.account(context.user) else {
        return json!({
            "sid": null, "local": false, "built_in": null, "enabled": null,
            "expires_in_seconds": null, "administrator": null, "elevated": context.elevated,
            "full_token": null, "network_logon": null,
        });
    };
    json!({
        "sid": pc.local_sid(account.rid),
        "local": true,
        "built_in": account.rid == 500,
        "enabled": account.enabled && !account.locked && !account.must_change,
        "expires_in_seconds": account.expired.then_some(-1),
        "administrator": account.administrator,
        "elevated": context.elevated,
        "full_token": pc.remote_admins || account.rid == 500,
        "network_logon": !pc.denies_network(account),
    })
}

fn controller(context: &StepContext<'_>) -> Value {
    let (pc, domain) = (&*context.pc, &*context.domain);
    let wanted = context.text("domain").unwrap_or_default();
    let found: Option<&DomainController> = match context.text("domain_controller") {
        Some(name) => domain.controller(name),
        None => secure_channel::locate(pc, domain).filter(|_| domain.is_named(wanted)),
    };
    let open = found.map(|dc| secure_channel::reaches(pc, dc));
    let ports: Map<String, Value> = [88, 135, 389, 445]
        .iter()
        .map(|port| (format!("tcp_{port}"), json!(open)))
        .collect();
    let code = if found.is_some() {
        win32::OK
    } else {
        win32::NO_SUCH_DOMAIN
    };
    json!({
        "located": found.is_some(),
        "error": code,
        "name": found.map(|dc| dc.dns_name.to_lowercase()),
        "ports": ports,
    })
}

fn pending(pc: &Machine) -> Value {
    let waits = &pc.pending_reboot;
    let joins = matches!(
        pc.pending_membership,
        Some(PendingMembership::Domain { .. } | PendingMembership::Workgroup(_))
    );
    json!({
        "servicing": waits.servicing,
        "windows_update": waits.windows_update,
        "file_renames": waits.file_renames > 0,
        "join": waits.join || joins,
        "rename": waits.computer_name.is_some(),
        "shutting_down": false,
    })
}

fn power(pc: &Machine) -> Value {
    let Some(battery) = pc.battery else {
        return json!({ "on_battery": false, "percent": null, "low": null });
    };
    json!({
        "on_battery": !battery.on_mains,
        "percent": battery.percent,
        "low": battery.percent < 33,
    })
}

fn write_filter(pc: &Machine, script: &str) -> Value {
    let filter = pc.write_filter.as_ref();
    let uwf = filter.filter(|filter| filter.product.eq_ignore_ascii_case("uwf"));
    let others = filter
        .filter(|_| uwf.is_none())
        .map(|filter| filter.product.clone());
    let mut products = freeze_signs::products(script, pc);
    products.extend(others);
    json!({
        "uwf_enabled": uwf.map(|filter| filter.active),
        "products": products,
    })
}

/// Tells whether a profile admits us, by whichever way we came.
fn admits(pc: &Machine, profile: Profile) -> bool {
    TRANSPORTS
        .iter()
        .any(|transport| pc.firewall.admits_in(profile, *transport))
}
