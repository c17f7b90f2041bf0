//! `diagnose.ps1`: what may undo changes of the disk.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{channel, failure, marker, rotation, secret_set, uwf};
use crate::machine::Machine;
use crate::scripts::{StepContext, StepOutcome};
use crate::{secure_channel, win32};

const UNINSTALL: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\";
const VOLUMES: &str =
    r"HKLM\SYSTEM\CurrentControlSet\Control\Class\{71a27cdd-812a-11d0-bec7-08002be2092f}\";
const KINDS: [&str; 4] = ["service", "filter", "program", "key"];

/// What betrays a product.
struct Sign {
    product: String,
    image: bool,
    kind: String,
    name: String,
    sure: bool,
}

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let channel = channel(context);
    let dc = controller(context);
    let mut signs: Vec<Sign> = given(context);
    match own(context.text("own_signatures").unwrap_or_default()) {
        Some(own) => signs.extend(own),
        // ERROR_INVALID_PARAMETER
        None => errors.push(failure("own-signatures", 87)),
    }
    let pc = &*context.pc;
    signs.retain(|sign| is_there(pc, sign));
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

/// Returns the signs that came with the playbook.
fn given(context: &StepContext<'_>) -> Vec<Sign> {
    let all = context.params.get("signatures").and_then(Value::as_array);
    let read = |line: &Value| {
        let mut parts = line.as_str()?.splitn(5, ' ').map(str::to_owned);
        let mut next = || parts.next();
        Some(Sign {
            product: next()?,
            image: next()? == "image",
            kind: next()?,
            sure: next()? == "known",
            name: next()?,
        })
    };
    all.into_iter().flatten().filter_map(read).collect()
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

fn is_there(pc: &Machine, sign: &Sign) -> bool {
    let name = &sign.name;
    match sign.kind.as_str() {
        "service" => {
            let start = format!(r"HKLM\SYSTEM\CurrentControlSet\Services\{name}\Start");
            pc.registry
                .get(&start)
                .is_some_and(|start| *start != json!(4))
        }
        "filter" => ["UpperFilters", "LowerFilters"].iter().any(|value| {
            let drivers = pc.registry.get(&format!("{VOLUMES}{value}"));
            let mut drivers = drivers.and_then(Value::as_array).into_iter().flatten();
            drivers.any(|driver| driver.as_str() == Some(name))
        }),
        "program" => pc.registry.iter().any(|(path, value)| {
            let named = path.starts_with(UNINSTALL) && path.ends_with(r"\DisplayName");
            named && value.as_str().is_some_and(|text| is_like(text, name))
        }),
        _ => {
            let below = format!(r"HKLM\{name}\");
            pc.registry.keys().any(|path| path.starts_with(&below))
        }
    }
}

/// Tells whether a text is like a pattern with `*`, without regard to case, as `-like` does.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.to_lowercase(), pattern.to_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
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
    fn patterns_are_those_of_the_shell() {
        assert!(is_like("HD革命/WinProtector Ver.8", "*winprotector*"));
        assert!(is_like("Shadow Defender", "Shadow Defender*"));
        assert!(!is_like("My Shadow Defender", "Shadow Defender*"));
        assert!(is_like("abc", "abc") && !is_like("abcd", "abc"));
        assert!(is_like("Toolwiz Time Freeze 2017", "Toolwiz Time*Freeze*"));
    }

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
