//! Computers that were deleted and may be brought back.

use std::sync::Arc;

use jiff::Timestamp;
use ldap3::Scope;

use crate::computer::Names;
use crate::controller::{Controller, Session};
use crate::entry::Entry;
use crate::filter::escape;
use crate::operation::{Question, SHOW_DELETED_OID, control};
use crate::sid::sid_text;
use crate::{ActiveDirectory, DirectoryError, Limit};

/// The container of deleted objects by its well-known GUID ([MS-ADTS] 6.1.1.4).
const DELETED_OBJECTS: &str = "18E2EA80684F11D2B9AA00C04F79F805";

/// A deleted computer account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Its distinguished name among the deleted.
    pub(crate) dn: String,
    pub(crate) sid: Option<String>,
    pub(crate) changed: Option<Timestamp>,
    /// Its attributes are gone for good.
    pub(crate) recycled: bool,
    /// Its first name component before: `PC1`.
    pub(crate) name: Option<String>,
    /// Where it lay.
    pub(crate) parent: Option<String>,
}

/// Finds the computer among the deleted objects: the one deleted last. None also where our
/// account may not look there, as by default only administrators may.
pub(crate) async fn find_deleted(
    controller: &Arc<Controller>,
    session: &Session,
    names: &Names,
    limit: &Limit,
) -> Result<Option<Deleted>, DirectoryError> {
    let filter = filter(names);
    let base = format!("<WKGUID={DELETED_OBJECTS},{}>", session.domain);
    let question = Question {
        doing: "look among the deleted objects",
        base: &base,
        scope: Scope::OneLevel,
        filter: &filter,
        attributes: &[
            "objectSid",
            "whenChanged",
            "isRecycled",
            "lastKnownParent",
            "msDS-LastKnownRDN",
        ],
        controls: vec![control(SHOW_DELETED_OID, None)],
        size_limit: 50,
    };
    match controller.search(&question, limit).await {
        Ok(answer) => {
            let deleted = answer.entries.iter().map(read);
            Ok(deleted.max_by_key(|deleted| (!deleted.recycled, deleted.changed)))
        }
        Err(error) if matches!(error.code(), Some(32 | 50)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn filter(names: &Names) -> String {
    let cn = escape(names.given.trim_end_matches('$'));
    let mut any = format!("(sAMAccountName={})", escape(&names.account));
    // A deleted object is renamed to `PC1`, line feed, `DEL:` and its GUID.
    any += &format!("(cn={cn}\\0aDEL:*)");
    if names.given.contains('.') {
        any += &format!("(dNSHostName={})", escape(&names.given));
        let first = names.given.split('.').next().unwrap_or_default();
        let short: String = first.chars().take(15).collect();
        any += &format!("(sAMAccountName={}$)", escape(&short));
    }
    format!("(&(isDeleted=TRUE)(objectClass=computer)(|{any}))")
}

fn read(entry: &Entry) -> Deleted {
    let renamed = crate::distinguished_name::first_value(&entry.dn);
    let before = renamed.and_then(|name| Some(name.split_once("\nDEL:")?.0.to_owned()));
    Deleted {
        dn: entry.dn.clone(),
        sid: entry.bytes("objectSid").and_then(sid_text),
        changed: entry.generalized("whenChanged"),
        recycled: entry.truth("isRecycled") == Some(true),
        name: entry
            .text("msDS-LastKnownRDN")
            .map(str::to_owned)
            .or(before),
        parent: entry.text("lastKnownParent").map(str::to_owned),
    }
}

/// Tells whether the forest has its Recycle Bin enabled (`msDS-EnabledFeature` of the partitions
/// container names it); asked once. Where our account may not read that, it counts as not.
pub(crate) async fn recycle_bin(
    directory: &ActiveDirectory,
    controller: &Arc<Controller>,
    session: &Session,
    limit: &Limit,
) -> Result<bool, DirectoryError> {
    let ask = async || {
        let Some(configuration) = &session.root.configuration_naming_context else {
            return Ok(false);
        };
        let base = format!("CN=Partitions,{configuration}");
        let attributes = ["msDS-EnabledFeature"];
        let question = Question::of_object("name its features", &base, &attributes);
        match controller.search(&question, limit).await {
            Ok(answer) => Ok(answer.entries.iter().any(|entry| {
                let features = entry.texts("msDS-EnabledFeature").unwrap_or_default();
                features
                    .iter()
                    .any(|name| name.starts_with("CN=Recycle Bin Feature,"))
            })),
            Err(error) if matches!(error.code(), Some(32 | 50)) => Ok(false),
            Err(error) => Err(error),
        }
    };
    directory.recycle_bin.get_or_try_init(ask).await.copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_an_object_was_called() {
        let entry = Entry::of(
            "CN=PC1\\0ADEL:0b4f1c3e-0000-0000-0000-000000000000,CN=Deleted Objects,DC=corp",
            &[
                ("lastKnownParent", "OU=店舗,DC=corp".as_bytes()),
                ("isRecycled", b"TRUE"),
                ("whenChanged", b"20261122170325.0Z"),
            ],
        );
        let deleted = read(&entry);
        assert_eq!(deleted.name.as_deref(), Some("PC1"));
        assert_eq!(deleted.parent.as_deref(), Some("OU=店舗,DC=corp"));
        assert!(deleted.recycled);
        let names = Names::of("pc1*.corp.jp", "corp.jp");
        assert!(ldap3::parse_filter(filter(&names)).is_ok());
        assert!(filter(&names).contains("(cn=pc1\\2a.corp.jp\\0aDEL:*)"));
    }
}
