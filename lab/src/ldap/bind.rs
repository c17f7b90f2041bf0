//! Logons (RFC 4511 section 4.2, [MS-ADTS] 5.1.1.1).

use rasn_ldap::{AuthenticationChoice, BindRequest};

use crate::domain::{self, Domain};
use crate::ldap::dn::Dn;
use crate::ldap::refusal::Refusal;
use crate::ldap::view::user_dn;
use crate::win32;

/// Logs on: the name of the account, or none for nobody. A wrong password counts once.
///
/// # Errors
/// The logon is refused; then nobody is logged on.
pub(super) fn bind(
    request: &BindRequest,
    secure: bool,
    domain: &mut Domain,
) -> Result<Option<String>, Refusal> {
    if request.version != 3 {
        return Err(Refusal::protocol("only version 3 is spoken here"));
    }
    let AuthenticationChoice::Simple(password) = &request.authentication else {
        return Err(Refusal::unknown_mechanism());
    };
    // A name without a password is nobody (RFC 4513 section 5.1.2).
    if password.is_empty() {
        return Ok(None);
    }
    if !secure {
        return Err(Refusal::needs_tls());
    }
    let refused = || Refusal::logon(win32::LOGON_FAILURE);
    let name = account(&request.name, domain).ok_or_else(refused)?;
    let password = std::str::from_utf8(password).unwrap_or("\u{fffd}");
    match domain.log_on(&name, password) {
        win32::OK => Ok(Some(name)),
        code => Err(Refusal::logon(code)),
    }
}

/// Returns the account that is meant: by its distinguished name, `DOMAIN\name` or
/// `name@domain`. A bare name is none of these.
fn account(name: &str, domain: &Domain) -> Option<String> {
    let user = if let Some((of, _)) = name.split_once('\\').filter(|_| !name.contains('=')) {
        domain.user(name).filter(|_| domain.is_named(of))
    } else if let Some((_, of)) = name.rsplit_once('@') {
        domain.user(name).filter(|_| domain.is_named(of))
    } else {
        let wanted = Dn::parse(name).filter(|dn| !dn.is_root())?;
        let mut users = domain.users();
        users.find(|user| user_dn(domain, user).is(&wanted))
    };
    user.map(|user| user.name.clone())
}

/// Returns how "Who am I?" names an account.
pub(super) fn who_am_i(name: Option<&str>, domain: &Domain) -> String {
    let name = name.map(domain::account_name);
    name.map_or_else(String::new, |name| {
        format!("u:{}\\{name}", domain.netbios_name)
    })
}
