//! An offline join blob, made by Samba's `net` on this machine.

use std::sync::Arc;

use fleetmend_model::{Credential, HostName};
use ldap3::Scope;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::failure::{failed, member_kind};
use super::given::Account;
use super::samba_net::{Blob, Failure, available, provision_blob};
use crate::account::bind_name;
use crate::computer::{Names, find, may_see};
use crate::controller::{Controller, Session};
use crate::filter::escape;
use crate::operation::Question;
use crate::sid::sid_text;
use crate::{Acted, ActionError, ActiveDirectory, DirectoryError, Limit, LogonRefusal};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provision {
    computer: String,
    domain: String,
    domain_controller: Option<String>,
    ou: Option<String>,
}

/// Tells whether Samba's `net` is here and can make offline join blobs.
pub async fn offline_join_available(limit: &Limit) -> bool {
    available(limit).await.is_ok()
}

/// Makes the blob. The account gets a new password by that, and what it lacks else.
pub(super) async fn provision(
    directory: &ActiveDirectory,
    on: Provision,
    host: &HostName,
    limit: &Limit,
) -> Result<Acted, ActionError> {
    let settings = &directory.access.settings;
    if on.domain.trim_end_matches('.').to_lowercase() != settings.domain {
        let message = format!(
            "the directory is that of {}, not of {}",
            settings.domain, on.domain
        );
        return Err(failed("DomainDiffers", message));
    }
    // One at a time: each is a logon of our account that the gate does not see.
    let _one = limit
        .bound(directory.provisioning.lock())
        .await
        .map_err(|_| failed("DirectoryDeadline", "no time was left to begin".to_owned()))?;
    available(limit).await?;
    let controller = directory
        .named_or_any(on.domain_controller.as_deref(), limit)
        .await?;
    let session = controller.session(limit).await?;
    let names = Names::of(&on.computer, &settings.domain);
    let (machine, sid) = machine(&controller, &session, &names, limit).await?;
    let netbios = netbios_name(&controller, &session, limit).await?;
    let account = &directory.access.account;
    let stdin = credential_file(account, &settings.domain)?;
    let wanted = Blob {
        machine: &machine,
        netbios: &netbios,
        domain: &settings.domain,
        dc: &session.dc,
        ou: on.ou.as_deref(),
    };
    // Kept whatever comes of it: `net` may fail after it has set the password.
    let name = format!("{machine}$");
    directory.given.claim(
        Account {
            sid: sid.as_deref(),
            name: &name,
        },
        host,
    )?;
    let made = provision_blob(&wanted, &stdin, limit).await?;
    let blob = made.map_err(|failure| judge(directory, &session.dc, failure))?;
    let after = find(
        &controller,
        &session,
        &names,
        &["objectSid"],
        Vec::new(),
        limit,
    )
    .await;
    let sid = after
        .ok()
        .flatten()
        .and_then(|entry| sid_text(entry.bytes("objectSid")?));
    Ok(Acted {
        answer: json!({"dc": session.dc, "sid": sid}),
        made: Some(blob),
    })
}

/// Returns the NetBIOS name to provision and the SID of the account if there is one. An account that is there must be a member's, and its
/// flags must be ours to write: `net` sets the password first and fails at the flags afterwards,
/// which would break a trust that holds.
async fn machine(
    controller: &Arc<Controller>,
    session: &Session,
    names: &Names,
    limit: &Limit,
) -> Result<(String, Option<String>), ActionError> {
    let wanted = [
        "objectSid",
        "userAccountControl",
        "allowedAttributesEffective",
    ];
    let Some(entry) = find(controller, session, names, &wanted, Vec::new(), limit).await? else {
        may_see(controller, session, names, limit).await?;
        let first = names.given.trim_end_matches('$').split('.').next();
        let name = first.unwrap_or_default().chars().take(15).collect();
        return Ok((name, None));
    };
    member_kind(&entry)?;
    let writable = entry
        .texts("allowedAttributesEffective")
        .unwrap_or_default();
    if !writable
        .iter()
        .any(|name| name.eq_ignore_ascii_case("userAccountControl"))
    {
        return Err(failed(
            "OfflineJoinRights",
            format!(
                "the directory account may not write userAccountControl of {}, without which an \
                 offline join fails halfway",
                entry.dn
            ),
        ));
    }
    let account = entry.text("sAMAccountName").unwrap_or(&names.account);
    let sid = entry.bytes("objectSid").and_then(sid_text);
    Ok((account.trim_end_matches('$').to_owned(), sid))
}

/// Returns the domain's NetBIOS name.
async fn netbios_name(
    controller: &Arc<Controller>,
    session: &Session,
    limit: &Limit,
) -> Result<String, ActionError> {
    let configuration = session
        .root
        .configuration_naming_context
        .as_deref()
        .unwrap_or_default();
    let base = format!("CN=Partitions,{configuration}");
    let filter = format!(
        "(&(objectClass=crossRef)(nCName={}))",
        escape(&session.domain)
    );
    let question = Question {
        doing: "name its domain",
        base: &base,
        scope: Scope::OneLevel,
        filter: &filter,
        attributes: &["nETBIOSName"],
        controls: Vec::new(),
        size_limit: 2,
    };
    let answer = controller.search(&question, limit).await?;
    let name = answer
        .entries
        .first()
        .and_then(|entry| entry.text("nETBIOSName"));
    name.map(str::to_owned).ok_or_else(|| {
        let message = format!("{} does not tell its domain's NetBIOS name", session.dc);
        failed("OfflineJoinUnavailable", message)
    })
}

/// Returns the text of an authentication file. It goes through a pipe, never to a disk.
fn credential_file(account: &Credential, domain: &str) -> Result<Zeroizing<String>, ActionError> {
    let name = bind_name(&account.user, domain);
    let password = account.password.reveal();
    // The format has no quotes: a line each, blanks at its ends taken away.
    let odd = |text: &str| text.contains(['\r', '\n', '\0']) || text.trim() != text;
    if odd(password) || odd(&name) || name.contains('=') {
        return Err(failed(
            "OfflineJoinUnavailable",
            "`net` cannot be given this account: neither a distinguished name nor a password with \
             a line break or a blank at an end fits its file format"
                .to_owned(),
        ));
    }
    let mut text = Zeroizing::new(String::with_capacity(name.len() + password.len() + 32));
    for part in ["username=", &name, "\npassword=", password, "\n"] {
        text.push_str(part);
    }
    Ok(text)
}

/// Judges a failure. The exit code is the low byte of a Win32 code.
fn judge(directory: &ActiveDirectory, dc: &str, failure: Failure) -> ActionError {
    let refusal = failure.code.and_then(|code| {
        let byte = u32::try_from(code).ok()?;
        // 1 and 50 have meanings of their own; the other logon failures' low bytes do not occur.
        let mut refusals = LogonRefusal::NAMED.into_iter();
        refusals.find(|refusal| refusal.win32() & 0xff == byte && !matches!(byte, 1 | 50))
    });
    if let Some(refusal) = refusal {
        let dc = dc.to_owned();
        let refused = DirectoryError::CredentialRefused { dc, refusal };
        return directory.access.gate.close(refused).into();
    }
    let code = failure
        .code
        .map_or_else(|| "a signal".to_owned(), |code| code.to_string());
    ActionError::Unknown {
        message: format!(
            "`net offlinejoin provision` ended with {code}: {}",
            failure.said
        ),
    }
}

#[cfg(test)]
mod tests {
    use fleetmend_model::Secret;

    use super::*;
    use crate::Settings;

    fn account(user: &str, password: &str) -> Credential {
        Credential {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
            ssh: None,
        }
    }

    #[test]
    fn writes_only_what_the_format_can_hold() {
        let text = credential_file(&account("svc", "p=a%ss 日本"), "corp.jp")
            .ok()
            .unwrap();
        assert_eq!(*text, "username=svc@corp.jp\npassword=p=a%ss 日本\n");
        for (user, password) in [("svc", " x"), ("svc", "a\nb"), ("CN=svc,DC=x", "a")] {
            assert!(credential_file(&account(user, password), "corp.jp").is_err());
        }
    }

    #[test]
    fn a_refused_logon_closes_the_gate_and_all_else_is_unknown() {
        let directory = ActiveDirectory::new(Settings::new("corp.jp"), account("svc", "x"));
        let judged = |code| {
            let said = String::new();
            judge(&directory, "dc1", Failure { code, said })
        };
        for code in [None, Some(5), Some(31), Some(1), Some(255), Some(-1)] {
            assert!(
                matches!(judged(code), ActionError::Unknown { .. }),
                "{code:?}"
            );
            assert_eq!(directory.access.gate.check(), Ok(()));
        }
        // 1326, of which a process can give only the low byte.
        let refused = judged(Some(46));
        assert!(matches!(
            refused,
            ActionError::Failed {
                credential_refused: Some(1326),
                ..
            }
        ));
        assert!(directory.access.gate.check().is_err());
    }
}
