//! Basic logon (RFC 7617), inside TLS only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Reads the credentials of an `Authorization: Basic` header.
pub(crate) fn credentials(value: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(value.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_may_hold_colons() {
        let value = STANDARD.encode("管理者:a:b");
        assert_eq!(
            credentials(&value),
            Some(("管理者".to_owned(), "a:b".to_owned()))
        );
        assert_eq!(credentials("%%%"), None);
    }
}
