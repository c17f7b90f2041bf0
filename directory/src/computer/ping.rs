//! Whether a controller knows an account that it does not show us.

use std::sync::Arc;

use crate::controller::Controller;
use crate::entry::Entry;
use crate::filter::escape;
use crate::operation::Question;
use crate::{DirectoryError, Limit};

/// Asks the controller by an LDAP ping ([MS-ADTS] 6.3.3) whether it has an enabled computer account
/// of this name. The answer does not depend on what our account may see. None if it does not
/// answer pings over TCP.
pub(super) async fn knows(
    controller: &Arc<Controller>,
    domain: &str,
    account: &str,
    limit: &Limit,
) -> Result<Option<bool>, DirectoryError> {
    // AAC: only the accounts of workstations and member servers (ACB_WSTRUST); NtVer: the answer
    // NETLOGON_SAM_LOGON_RESPONSE_EX is understood.
    let filter = format!(
        "(&(DnsDomain={})(User={})(AAC=\\80\\00\\00\\00)(NtVer=\\06\\00\\00\\00))",
        escape(domain),
        escape(account)
    );
    let attributes = ["Netlogon"];
    let mut question = Question::of_object("say whether it knows a computer", "", &attributes);
    question.filter = &filter;
    let answer = controller.search(&question, limit).await?;
    Ok(answer.entries.first().and_then(read))
}

/// Reads the operation code at the answer's beginning ([MS-ADTS] 6.3.1.3).
fn read(entry: &Entry) -> Option<bool> {
    let (code, _) = entry.bytes("Netlogon")?.split_first_chunk()?;
    match u16::from_le_bytes(*code) {
        // LOGON_SAM_LOGON_RESPONSE, LOGON_SAM_LOGON_RESPONSE_EX
        19 | 23 => Some(true),
        // LOGON_SAM_USER_UNKNOWN, LOGON_SAM_USER_UNKNOWN_EX; a disabled account counts as unknown
        21 | 25 => Some(false),
        // Paused, or something newer.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_controller_says_of_the_account() {
        let of = |bytes: &[u8]| read(&Entry::of("", &[("netlogon", bytes)]));
        assert_eq!(of(&[0x17, 0, 0, 0, 0xbd]), Some(true));
        assert_eq!(of(&[0x19, 0, 0, 0]), Some(false));
        assert_eq!(of(&[0x18, 0, 0, 0]), None);
        assert_eq!(of(&[0x17]), None);
        assert_eq!(read(&Entry::default()), None);
    }
}
