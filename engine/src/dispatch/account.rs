//! Which accounts belong to a domain.

use fleetmend_model::{CredentialRef, Host};

use super::gate::Key;
use crate::account_budget::AccountName;

/// Returns the account if a domain judges it: `user@domain` or `DOMAIN\name`, where DOMAIN is
/// neither `.` nor a name of the PC. A PC's own account (`name`, `.\name`, `PC\name`) can be
/// locked on that PC only.
///
/// A PC whose computer name differs from what the inventory calls it makes `PC\name` look like a
/// domain's: then the account is guarded alone, since no other PC has it.
pub fn domain_account(user: &str, host: &Host) -> Option<AccountName> {
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
    Some(AccountName::of(user))
}

/// Returns what guards a credential in the hands of a rung: its account, for a name without a
/// domain is the domain's there; a PC's own account is guarded as the credential that it is in.
pub(super) fn handed(user: &str, name: &CredentialRef, host: &Host) -> Key {
    let bare = !user.contains(['\\', '@']);
    let account = domain_account(user, host);
    let account = account.or_else(|| bare.then(|| AccountName::of(user)));
    account.map_or_else(|| Key::Credential(name.clone()), Key::Account)
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
            assert_eq!(domain_account(local, &host), None, "{local}");
        }
        for (user, name) in [
            ("CORP\\Bob", "bob@corp"),
            ("bob@Example.jp", "bob@example"),
            ("corp.example.jp\\bob", "bob@corp"),
            ("PC-015\\admin", "admin@pc-015"),
        ] {
            let account = domain_account(user, &host);
            assert_eq!(account, Some(AccountName::of(user)));
            assert_eq!(account.unwrap().as_str(), name);
        }
    }

    #[test]
    fn a_rung_is_handed_an_account_of_the_domain_unless_it_names_the_pc() {
        let host = Host::new("pc-1");
        let name = CredentialRef("join".into());
        let key = |user| handed(user, &name, &host);
        assert_eq!(key("joiner"), Key::Account(AccountName::of("joiner")));
        assert_eq!(key("CORP\\joiner"), key("joiner@corp.example.jp"));
        for own in [".\\admin", "PC-1\\admin", "admin@pc-1"] {
            assert_eq!(key(own), Key::Credential(name.clone()), "{own}");
        }
    }
}
