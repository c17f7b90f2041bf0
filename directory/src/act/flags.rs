//! Enabling and unlocking an account.

use serde_json::json;

use super::OnComputer;
use super::failure::{Member, member};
use crate::account_control::DISABLED;
use crate::operation::{Change, replace};
use crate::{Acted, ActionError, ActiveDirectory, Limit};

/// Takes the flag "disabled" away; every other flag stays.
pub(super) async fn enable(
    directory: &ActiveDirectory,
    on: OnComputer,
    limit: &Limit,
) -> Result<Acted, ActionError> {
    let dc = on.domain_controller.as_deref();
    let member = member(directory, &on.computer, dc, &[], limit).await?;
    let flags = (member.control & !DISABLED).cast_signed().to_string();
    let needed = member.control & DISABLED != 0;
    set(
        member,
        needed,
        "enable a computer",
        "userAccountControl",
        &flags,
        limit,
    )
    .await
}

/// Sets `lockoutTime` to 0, which is the only value that it can be set to.
pub(super) async fn unlock(
    directory: &ActiveDirectory,
    on: OnComputer,
    limit: &Limit,
) -> Result<Acted, ActionError> {
    let dc = on.domain_controller.as_deref();
    let member = member(directory, &on.computer, dc, &["lockoutTime"], limit).await?;
    let needed = member.entry.number("lockoutTime").unwrap_or(0) != 0;
    set(
        member,
        needed,
        "unlock a computer",
        "lockoutTime",
        "0",
        limit,
    )
    .await
}

async fn set(
    member: Member,
    needed: bool,
    doing: &'static str,
    attribute: &str,
    value: &str,
    limit: &Limit,
) -> Result<Acted, ActionError> {
    let dn = &member.entry.dn;
    if needed {
        let change = Change {
            doing,
            dn,
            changes: vec![replace(attribute, value)],
            controls: Vec::new(),
        };
        member.controller.modify(change, limit).await?;
    }
    let answer = json!({
        "dc": member.session.dc,
        "dn": dn,
        "sid": member.sid,
        "done": needed,
    });
    Ok(Acted { answer, made: None })
}
