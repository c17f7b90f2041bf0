//! How an action fails.

use std::sync::Arc;

use crate::computer::{Names, find_or_say};
use crate::controller::{Controller, Session};
use crate::entry::Entry;
use crate::operation::NotWritten;
use crate::sid::sid_text;
use crate::{ActionError, ActiveDirectory, DirectoryError, Limit, account_control};

impl From<DirectoryError> for ActionError {
    fn from(error: DirectoryError) -> Self {
        let refused = match &error {
            DirectoryError::CredentialRefused { refusal, .. } => Some(refusal.win32().into()),
            _ => None,
        };
        Self::Failed {
            error_id: error.id(),
            code: error.code().map(Into::into),
            message: error.to_string(),
            credential_refused: refused,
        }
    }
}

impl From<NotWritten> for ActionError {
    fn from(why: NotWritten) -> Self {
        match why {
            NotWritten::Certainly(error) => error.into(),
            NotWritten::Perhaps(message) => Self::Unknown { message },
        }
    }
}

/// Returns an orderly failure.
pub(super) fn failed(error_id: &str, message: String) -> ActionError {
    ActionError::Failed {
        error_id: error_id.to_owned(),
        code: None,
        message,
        credential_refused: None,
    }
}

/// A member's account, at the controller where it is about to be changed.
pub(super) struct Member {
    pub(super) controller: Arc<Controller>,
    pub(super) session: Arc<Session>,
    pub(super) entry: Entry,
    /// `userAccountControl`.
    pub(super) control: u32,
    /// `objectSid`.
    pub(super) sid: String,
}

/// Finds the member and refuses every other kind of account.
pub(super) async fn member(
    directory: &ActiveDirectory,
    computer: &str,
    dc: Option<&str>,
    attributes: &[&str],
    limit: &Limit,
) -> Result<Member, ActionError> {
    let controller = directory.named_or_any(dc, limit).await?;
    let session = controller.session(limit).await?;
    let names = Names::of(computer, &directory.access.settings.domain);
    let mut wanted = vec!["objectSid", "userAccountControl"];
    wanted.extend(attributes);
    let entry = find_or_say(&controller, &session, &names, &wanted, limit).await?;
    let control = member_kind(&entry)?;
    let Some(sid) = entry.bytes("objectSid").and_then(sid_text) else {
        let message = format!("{} does not let us read its SID", entry.dn);
        return Err(failed("ComputerNotReadable", message));
    };
    Ok(Member {
        controller,
        session,
        entry,
        control,
        sid,
    })
}

/// Returns the account's flags if it is a member's.
pub(super) fn member_kind(entry: &Entry) -> Result<u32, ActionError> {
    let Some(control) = entry.flags("userAccountControl") else {
        let message = format!(
            "{} does not let us read what kind of account it is",
            entry.dn
        );
        return Err(failed("ComputerNotReadable", message));
    };
    match account_control::not_a_member(control) {
        None => Ok(control),
        Some(why) => {
            let message = format!("{} is not changed: {why}", entry.dn);
            Err(failed("NotAMemberAccount", message))
        }
    }
}
