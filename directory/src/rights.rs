//! What our account may do to a computer's account.

use std::collections::BTreeSet;

use ldap3::controls::RawControl;

use crate::computer::{Names, find_or_say};
use crate::operation::Question;
use crate::security_descriptor::{DACL_ONLY, SD_FLAGS_OID, may_use_right};
use crate::sid::sid_text;
use crate::{ActiveDirectory, DirectoryError, Limit, lockout};

/// The extended right *Reset Password* (`User-Force-Change-Password`, [MS-ADTS] 5.1.3.2.1), in the
/// byte order of a binary GUID.
const RESET_PASSWORD: [u8; 16] = [
    0x70, 0x95, 0x29, 0x00, 0x6d, 0x24, 0xd0, 0x11, 0xa7, 0x68, 0x00, 0xaa, 0x00, 0x6e, 0x05, 0x29,
];
/// Everyone, and whoever has logged on: in every token, in no list of groups.
const IN_EVERY_TOKEN: [&str; 2] = ["S-1-1-0", "S-1-5-11"];

/// What our account may do to a computer's account; none where that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Give it another password.
    pub reset_password: Option<bool>,
    /// Unlock it (`lockoutTime`).
    pub unlock: Option<bool>,
    /// Enable it (`userAccountControl`).
    pub enable: Option<bool>,
}

impl ActiveDirectory {
    /// Reads what our account may do to a computer's account: the attributes that the controller
    /// says may be written (`allowedAttributesEffective`), and its access list against the groups of
    /// our account (`tokenGroups`). What denies or grants by other ways, as ownership, is not seen.
    ///
    /// # Errors
    /// The computer is not found, or the directory does not answer.
    pub async fn rights(&self, computer: &str, limit: &Limit) -> Result<Rights, DirectoryError> {
        let controller = self.any(false, limit).await?;
        let session = controller.session(limit).await?;
        let names = Names::of(computer, &self.access.settings.domain);
        let found = find_or_say(&controller, &session, &names, &["cn"], limit).await?;
        let wanted = ["allowedAttributesEffective", "nTSecurityDescriptor"];
        let flags = RawControl {
            ctype: SD_FLAGS_OID.to_owned(),
            crit: false,
            val: Some(DACL_ONLY.to_vec()),
        };
        let question = Question {
            controls: vec![flags],
            ..Question::of_object("read what may be done to a computer", &found.dn, &wanted)
        };
        let answer = controller.search(&question, limit).await?;
        let entry = answer.entries.first();
        let writable = entry.and_then(|entry| entry.texts("allowedAttributesEffective"));
        let may_write = |name: &str| {
            let writable = writable.as_ref()?;
            Some(writable.iter().any(|one| one.eq_ignore_ascii_case(name)))
        };
        let user = &self.access.account.user;
        let (_, own) = lockout::read(&controller, &session, user, limit).await?;
        let token = match own {
            None => None,
            Some(own) => {
                let wanted = ["tokenGroups", "objectSid"];
                let question = Question::of_object("read its groups", &own.dn, &wanted);
                let answer = controller.search(&question, limit).await?;
                answer.entries.first().map(|entry| {
                    let sids = wanted.iter().flat_map(|name| entry.all(name));
                    let sids = sids.filter_map(|sid| sid_text(sid));
                    let always = IN_EVERY_TOKEN.iter().map(|sid| (*sid).to_owned());
                    sids.chain(always).collect::<BTreeSet<String>>()
                })
            }
        };
        let list = entry.and_then(|entry| entry.bytes("nTSecurityDescriptor"));
        let reset_password = list
            .zip(token)
            .and_then(|(list, token)| may_use_right(list, &RESET_PASSWORD, &token));
        Ok(Rights {
            reset_password,
            unlock: may_write("lockoutTime"),
            enable: may_write("userAccountControl"),
        })
    }
}
