//! Bringing a deleted account back.

use serde_json::json;

use super::OnComputer;
use super::failure::failed;
use crate::computer::{Names, find, find_deleted, may_see, recycle_bin};
use crate::operation::{Change, SHOW_DELETED_OID, control, delete, replace};
use crate::sid::sid_text;
use crate::{Acted, ActionError, ActiveDirectory, DirectoryError, Limit};

/// Undeletes the account ([MS-ADTS] 3.1.1.5.3.7): in one modification the flag `isDeleted` goes
/// and the object gets its former name back. From the Recycle Bin it comes whole, as a tombstone
/// with few attributes; the SID is the former one in both cases.
pub(super) async fn restore(
    directory: &ActiveDirectory,
    on: OnComputer,
    limit: &Limit,
) -> Result<Acted, ActionError> {
    let controller = directory
        .named_or_any(on.domain_controller.as_deref(), limit)
        .await?;
    let session = controller.session(limit).await?;
    let names = Names::of(&on.computer, &directory.access.settings.domain);
    let wanted = ["objectSid"];
    if let Some(entry) = find(&controller, &session, &names, &wanted, Vec::new(), limit).await? {
        let sid = entry.bytes("objectSid").and_then(sid_text);
        let answer = json!({"dc": session.dc, "dn": entry.dn, "sid": sid, "done": false});
        return Ok(Acted { answer, made: None });
    }
    may_see(&controller, &session, &names, limit).await?;
    let Some(deleted) = find_deleted(&controller, &session, &names, limit).await? else {
        return Err(DirectoryError::ComputerNotFound {
            dc: session.dc.clone(),
            computer: format!("{} among the deleted objects that it shows us", names.given),
        }
        .into());
    };
    // Without the bin a tombstone may carry the flag as well and can still be brought back.
    if deleted.recycled && recycle_bin(directory, &controller, &session, limit).await? {
        let message = format!("{} is recycled: nothing is left to restore", deleted.dn);
        return Err(failed("ComputerRecycled", message));
    }
    let (Some(name), Some(parent), Some(sid)) = (&deleted.name, &deleted.parent, &deleted.sid)
    else {
        let message = format!("{} does not tell where it lay and which it is", deleted.dn);
        return Err(failed("ComputerNotReadable", message));
    };
    if parent.contains("\\0ADEL:") {
        let message = format!("{parent}, in which {name} lay, is deleted itself");
        return Err(failed("ComputerParentDeleted", message));
    }
    let dn = format!("CN={},{parent}", ldap3::dn_escape(name.as_str()));
    let change = Change {
        doing: "restore a computer",
        dn: &deleted.dn,
        changes: vec![
            delete("isDeleted"),
            replace("distinguishedName", dn.as_str()),
        ],
        controls: vec![control(SHOW_DELETED_OID, None)],
    };
    controller.modify(change, limit).await?;
    let answer = json!({"dc": session.dc, "dn": dn, "sid": sid, "done": true});
    Ok(Acted { answer, made: None })
}
