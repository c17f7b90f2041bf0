//! A new password for a computer account, made here.

use fleetmend_model::{HostName, Secret};
use rand::distr::{Alphanumeric, SampleString};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::failure::{failed, member};
use super::given::Account;
use crate::account_control::DISABLED;
use crate::operation::{Change, NotWritten, Question, replace};
use crate::time::unix;
use crate::{Acted, ActionError, ActiveDirectory, Limit};

/// How long a computer's password is; Windows itself makes them of 120 characters.
const LENGTH: usize = 120;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    computer: String,
    domain_controller: Option<String>,
    sid: Option<String>,
}

/// Gives the account a new random password at one controller.
pub(super) async fn reset(
    directory: &ActiveDirectory,
    reset: Reset,
    host: &HostName,
    limit: &Limit,
) -> Result<Acted, ActionError> {
    let dc = reset.domain_controller.as_deref();
    let member = member(directory, &reset.computer, dc, &["pwdLastSet"], limit).await?;
    let dn = &member.entry.dn;
    let sid = &member.sid;
    if let Some(wanted) = reset.sid
        && *sid != wanted
    {
        let message = format!("{dn} has the SID {sid}, not {wanted}: the name has moved");
        return Err(failed("ComputerSidDiffers", message));
    }
    if member.control & DISABLED != 0 {
        let message = format!("{dn} is disabled; a new password would not help");
        return Err(failed("ComputerDisabled", message));
    }
    let account = Account {
        sid: Some(sid),
        name: member.entry.text("sAMAccountName").unwrap_or(sid),
    };
    let first = directory.given.claim(account, host)?;
    let password = password();
    let change = Change {
        doing: "set a computer's password",
        dn,
        changes: vec![replace("unicodePwd", quoted(&password).to_vec())],
        controls: Vec::new(),
    };
    let written = member.controller.modify(change, limit).await;
    if matches!(written, Err(NotWritten::Certainly(_))) && first {
        directory.given.release(account);
    }
    written?;
    // The password is set, whatever comes of reading when.
    let wanted = ["pwdLastSet"];
    let question = Question::of_object("read when the password was set", dn, &wanted);
    let after = member.controller.search(&question, limit).await.ok();
    let after = after.and_then(|answer| answer.entries.first()?.filetime("pwdLastSet"));
    let answer = json!({
        "dc": member.session.dc,
        "dn": dn,
        "sid": sid,
        "pwd_last_set_unix_before": member.entry.filetime("pwdLastSet").map(unix),
        "pwd_last_set_unix": after.map(unix),
    });
    Ok(Acted {
        answer,
        made: Some(password),
    })
}

/// Makes a password of letters and digits only, which every tool on the way takes as it is.
fn password() -> Secret {
    // ThreadRng is a CSPRNG, seeded by the system. The text has its full size from the start, so
    // that no shorter copy is left behind by growing.
    let mut text = String::with_capacity(LENGTH);
    Alphanumeric.append_string(&mut rand::rng(), &mut text, LENGTH);
    Secret::new(text)
}

/// Returns what `unicodePwd` takes: UTF-16LE of the password in double quotes ([MS-ADTS]
/// 3.1.1.3.1.5.1).
fn quoted(password: &Secret) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * (LENGTH + 2)));
    let units = password.reveal().encode_utf16();
    for unit in std::iter::once(0x22)
        .chain(units)
        .chain(std::iter::once(0x22))
    {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_passwords_that_every_tool_takes() {
        let (one, other) = (password(), password());
        assert_eq!(one.reveal().len(), 120);
        assert!(one.reveal().chars().all(|c| c.is_ascii_alphanumeric()));
        assert_ne!(one, other);
        let bytes = quoted(&Secret::new("aZ".to_owned()));
        assert_eq!(bytes[..], [0x22, 0, b'a', 0, b'Z', 0, 0x22, 0]);
    }
}
