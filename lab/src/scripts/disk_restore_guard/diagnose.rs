//! `diagnose.ps1`: what may undo changes of the disk.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{channel, failure, marker, rotation, secret_set, uwf};
use crate::scripts::freeze_signs::{self, Sign};
use crate::scripts::{StepContext, StepOutcome};
use crate::{secure_channel, win32};

const KINDS: [&str; 4] = ["service", "filter", "program", "key"];

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let channel = channel(context);
    let dc = controller(context);
    let mut signs = freeze_signs::list(context.script);
    match own(context.text("own_signatures").unwrap_or_default()) {
        Some(own) => signs.extend(own),
        // ERROR_INVALID_PARAMETER
        None => errors.push(failure("own-signatures", 87)),
    }
    let pc = &*context.pc;
    signs.retain(|sign| sign.is_there(pc));
    let of = |image: bool| -> BTreeSet<&str> {
        let those = signs.iter().filter(|sign| sign.image == image);
        those.map(|sign| sign.product.as_str()).collect()
    };
    let secret = secret_set(context);
    if pc.is_member() && secret.is_none() {
        errors.push(failure("machine-secret", win32::ACCESS_DENIED));
    }
    let found: Vec<Value> = signs
        .iter()
        .map(|sign| {
            json!({
                "product": sign.product, "kind": sign.kind, "name": sign.name, "sure": sign.sure,
            })
        })
        .collect();
    StepOutcome::Done(Ok(json!({
        "elevated": context.elevated,
        "computer": {
            "name": pc.name,
            "domain": pc.domain_or_workgroup(),
            "part_of_domain": pc.is_member(),
            "domain_role": pc.domain_role,
            "model": pc.model,
        },
        "channel": channel,
        "dc": dc,
        "uwf": uwf::facts(pc),
        "products": of(false),
        "images": of(true),
        "found": found,
        "rotation": rotation(pc),
        "policy": {
            "maximum_age": pc.rotation.age_by_policy,
            "changes_disabled": pc.rotation.disabled_by_policy,
        },
        "secret": { "last_set_unix": secret },
        "events": events(context),
        "isolation_enforced": pc.isolates_identity(),
        "marker_survived": marker::survived(pc),
        "probe_errors": errors,
    })))
}

fn controller(context: &StepContext<'_>) -> Value {
    let site = Some(context.pc.site.as_str()).filter(|_| context.pc.is_member());
    if let Some(name) = context.text("domain_controller") {
        let name = name.to_lowercase();
        return json!({ "located": null, "error": null, "name": name, "site": site });
    }
    if !context.pc.is_member() {
        return json!({ "located": null, "error": null, "name": null, "site": null });
    }
    let found = secure_channel::locate(context.pc, context.domain);
    let error = if found.is_some() {
        win32::OK
    } else {
        win32::NO_SUCH_DOMAIN
    };
    json!({
        "located": found.is_some(),
        "error": error,
        "name": found.map(|dc| dc.dns_name.to_lowercase()),
        "site": site,
    })
}

/// Reads the operator's own signs; `None` if they are not understood.
fn own(text: &str) -> Option<Vec<Sign>> {
    let parts = text.split(',').filter(|_| !text.is_empty());
    let read = |part: &str| {
        let (kind, name) = part.trim().split_once(':')?;
        let name = name.trim();
        let known = KINDS.contains(&kind) && !name.is_empty();
        known.then(|| Sign {
            product: name.to_owned(),
            image: false,
            kind: kind.to_owned(),
            name: name.to_owned(),
            sure: true,
        })
    };
    parts.map(read).collect()
}

fn events(context: &StepContext<'_>) -> Value {
    let hours = context.number("event_hours").unwrap_or(720).clamp(1, 8760);
    let window = SignedDuration::from_hours(i64::try_from(hours).unwrap_or(8760));
    let now = context.pc.local_time(context.now);
    let since = now.checked_sub(window).unwrap_or(Timestamp::MIN);
    let count = |provider: &str, id: u32| {
        let late = context.pc.events.iter().filter(|event| event.at >= since);
        late.filter(|event| event.provider == provider && event.id == id)
            .count()
    };
    json!({
        "hours": hours,
        "starts": count("Microsoft-Windows-Kernel-General", 12),
        "unclean_ends": count("EventLog", 6008),
        "refusals": count("NETLOGON", 3210),
        "password_changes": count("NETLOGON", 5823),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_signs_are_understood_or_refused_as_a_whole() {
        let read = own("service:保護,program:Kiosk *").unwrap();
        assert_eq!(
            (read[0].name.as_str(), read[1].kind.as_str()),
            ("保護", "program")
        );
        assert_eq!(own("").unwrap().len(), 0);
        assert!(own("service:a,driver:b").is_none());
        assert!(own("service").is_none());
    }
}
