//! One name for an account, however it is written.

use std::fmt;

/// An account's name as budgets compare it: in lower case, `name@domain`, where `domain` is the
/// first label of what stands for the domain. `CORP\Bob`, `bob@corp` and
/// `bob@corp.example.jp` are one account, for a domain's short name is nearly always its first
/// label. Two domains that share that label, and two accounts of one name in them, share a budget:
/// the one is then spared for the other's sake.
///
/// What cannot be said without asking the domain stays apart: a name without a domain, a
/// user principal name whose suffix is not the domain's name, a distinguished name. Such a form has
/// a budget of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

impl AccountName {
    /// Returns the name of an account as the operator wrote it.
    pub fn of(user: &str) -> Self {
        let user = user.trim().to_lowercase();
        let parts = match user.split_once('\\') {
            Some((domain, name)) => Some((name, domain)),
            None => user.rsplit_once('@'),
        };
        let Some((name, domain)) = parts else {
            return Self(user);
        };
        let (name, domain) = (name.trim(), domain.trim());
        let label = domain.split('.').next().unwrap_or(domain);
        // `.\name` is of the PC itself.
        let domain = if label.is_empty() { domain } else { label };
        match domain {
            "" => Self(name.to_owned()),
            _ => Self(format!("{name}@{domain}")),
        }
    }

    /// Returns the name of an account in this domain; one that names its own stays as it is.
    pub fn in_domain(user: &str, domain: &str) -> Self {
        if user.contains(['\\', '@', '=']) {
            Self::of(user)
        } else {
            Self::of(&format!("{user}@{domain}"))
        }
    }

    /// Returns the name as it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_one_name() {
        for (user, name) in [
            ("CORP\\Bob", "bob@corp"),
            (" bob@corp ", "bob@corp"),
            ("Bob@Corp.Example.JP", "bob@corp"),
            ("corp.example.jp\\bob", "bob@corp"),
            ("CORP\\管理者", "管理者@corp"),
            ("a@b@corp", "a@b@corp"),
            ("bob", "bob"),
            (".\\bob", "bob@."),
            ("\\bob", "bob"),
            ("CN=bob,DC=corp", "cn=bob,dc=corp"),
        ] {
            assert_eq!(AccountName::of(user).as_str(), name, "{user}");
        }
        let bare = AccountName::in_domain("Bob", "corp.example.jp");
        assert_eq!(bare, AccountName::of("CORP\\bob"));
        let own = AccountName::in_domain("other\\bob", "corp.example.jp");
        assert_eq!(own.as_str(), "bob@other");
    }
}
