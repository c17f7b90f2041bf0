//! The names under which an account binds.

use fleetmend_model::Credential;

use crate::DirectoryError;

/// Returns the name for a simple bind ([MS-ADTS] 5.1.1.1.1): a name without a domain becomes
/// `name@domain`.
pub(crate) fn bind_name(user: &str, domain: &str) -> String {
    let user = user.trim();
    // A distinguished name, a UPN or DOMAIN\name stands as it is.
    if user.contains(['@', '\\', '=']) {
        user.to_owned()
    } else {
        format!("{user}@{domain}")
    }
}

/// Refuses what LDAP would take as an anonymous logon (RFC 4513 section 5.1.2).
pub(crate) fn complete(credential: &Credential) -> Result<(), DirectoryError> {
    if credential.user.trim().is_empty() {
        return Err(DirectoryError::CredentialIncomplete("user name"));
    }
    if credential.password.is_empty() {
        return Err(DirectoryError::CredentialIncomplete("password"));
    }
    Ok(())
}

/// Returns the account's own name and the domain that was written with it.
pub(crate) fn split(user: &str) -> (&str, Option<&str>) {
    let user = user.trim();
    if let Some((domain, name)) = user.split_once('\\') {
        (name, Some(domain))
    } else if let Some((name, domain)) = user.rsplit_once('@') {
        (name, Some(domain))
    } else {
        (user, None)
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::Secret;

    use super::*;

    #[test]
    fn binds_under_names_that_controllers_know() {
        for (user, name) in [
            ("svc-reset", "svc-reset@corp.example.jp"),
            ("CORP\\svc-reset", "CORP\\svc-reset"),
            (" svc@other.example ", "svc@other.example"),
            ("CN=svc,DC=corp", "CN=svc,DC=corp"),
        ] {
            assert_eq!(bind_name(user, "corp.example.jp"), name);
        }
        assert_eq!(split("CORP\\a"), ("a", Some("CORP")));
        assert_eq!(split("a@b@c"), ("a@b", Some("c")));
        assert_eq!(split("a"), ("a", None));
    }

    #[test]
    fn never_binds_without_a_password() {
        let credential = |user: &str, password: &str| Credential {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
            ssh: None,
        };
        assert!(complete(&credential("a", "")).is_err());
        assert!(complete(&credential(" ", "x")).is_err());
        assert!(complete(&credential("a", "x")).is_ok());
    }
}
