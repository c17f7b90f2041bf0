//! Which accounts for logging on belong to a domain.

use fleetmend_model::Host;

use super::gate::Key;

/// Returns what guards the account if a domain judges it: `user@domain` or `DOMAIN\name`, where
/// DOMAIN is neither `.` nor a name of the PC. A PC's own account (`name`, `.\name`, `PC\name`)
/// can be locked on that PC only.
///
/// A PC whose computer name differs from what the inventory calls it makes `PC\name` look like a
/// domain's: then the account is guarded alone, since no other PC has it.
pub(super) fn domain_logon(user: &str, host: &Host) -> Option<Key> {
    let domain = match user.split_once('\\') {
        Some((domain, _)) => domain,
        None => user.rsplit_once('@')?.1,
    };
    let domain = domain.trim();
    let own = |name: &str| {
        let label = name.split('.').next().unwrap_or(name);
        [name, label]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(domain))
    };
    if domain.is_empty() || domain == "." || own(&host.name.0) || own(&host.address) {
        return None;
    }
    Some(Key::Logon(user.trim().to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_domain_from_the_pc() {
        let mut host = Host::new("PC-014.example.jp");
        host.address = "10.0.0.14".into();
        for local in [
            "admin",
            "管理者",
            ".\\admin",
            "pc-014\\admin",
            "\\admin",
            "a@PC-014.example.jp",
        ] {
            assert_eq!(domain_logon(local, &host), None, "{local}");
        }
        for (user, key) in [
            ("CORP\\Bob", "corp\\bob"),
            ("bob@Example.jp", "bob@example.jp"),
            ("corp.example.jp\\bob", "corp.example.jp\\bob"),
            ("PC-015\\admin", "pc-015\\admin"),
        ] {
            assert_eq!(domain_logon(user, &host), Some(Key::Logon(key.into())));
        }
    }
}
