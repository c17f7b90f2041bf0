//! One entry, and the bytes over which its hash goes.

use fleetmend_model::{HostName, RunId};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::head::Head;

/// Counts up whenever the hash is made in another way.
const VERSION: &[u8] = b"fleetmend-audit/1";

/// One entry of the trail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Counts up from 1 without gaps, over all runs of the journal.
    pub number: u64,
    /// When, by the controller's clock.
    pub at: Timestamp,
    /// The run; none: a command beside runs, or the trail's own beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The number of the run's event that it tells of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The PC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// What: `run-begun`, `credential-used` and so on.
    pub kind: String,
    /// The rest, by its kind.
    pub what: Value,
    /// Stands for this entry and all before it.
    pub head: Head,
}

/// An entry that has no number yet.
pub(crate) struct Draft<'a> {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) run: Option<&'a str>,
    pub(crate) seq: Option<i64>,
    pub(crate) host: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) body: &'a str,
    pub(crate) events: Option<&'a [u8]>,
}

impl Draft<'_> {
    /// Returns the head that this entry makes after another: SHA-256 over the version, the hash
    /// before, and every column, each with its length, so that nothing can be moved from one into
    /// the next.
    pub(crate) fn after(&self, previous: &Head) -> Head {
        let number = previous.number.saturating_add(1);
        let mut hash = Sha256::new();
        hash.update(VERSION);
        hash.update(previous.hash);
        hash.update(number.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        field(&mut hash, self.run.map(str::as_bytes));
        field(
            &mut hash,
            self.seq.map(i64::to_be_bytes).as_ref().map(|seq| &seq[..]),
        );
        field(&mut hash, self.host.map(str::as_bytes));
        field(&mut hash, Some(self.kind.as_bytes()));
        field(&mut hash, Some(self.body.as_bytes()));
        field(&mut hash, self.events);
        Head {
            number,
            hash: hash.finalize().into(),
        }
    }
}

/// Adds a field so that none can be taken for another, and none for one that is empty.
pub(super) fn field(hash: &mut Sha256, bytes: Option<&[u8]>) {
    match bytes {
        None => hash.update([0]),
        Some(bytes) => {
            hash.update([1]);
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            hash.update(length.to_be_bytes());
            hash.update(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft<'a>(kind: &'a str, body: &'a str) -> Draft<'a> {
        Draft {
            at: 7,
            run: None,
            seq: None,
            host: None,
            kind,
            body,
            events: None,
        }
    }

    #[test]
    fn no_letter_can_move_from_one_column_into_the_next() {
        let one = draft("ab", "c").after(&Head::NONE);
        assert_eq!(one.number, 1);
        assert_ne!(one, draft("a", "bc").after(&Head::NONE));
        let empty = Draft {
            host: Some(""),
            ..draft("ab", "c")
        };
        assert_ne!(one, empty.after(&Head::NONE));
        assert_ne!(one.hash, draft("ab", "c").after(&one).hash);
    }

    /// What was stored once must be understood for ever.
    #[test]
    fn the_hash_is_what_it_was() {
        let draft = Draft {
            run: Some("0192"),
            seq: Some(3),
            host: Some("教室-001"),
            events: Some(&[5; 32]),
            ..draft("credential-used", "{\"account\":\"管理者\"}")
        };
        let head = draft.after(&Head {
            number: 41,
            hash: [9; 32],
        });
        assert_eq!(
            head.to_string(),
            "42:130f778b9de7595a16d5041a56bd9c850eaf1db847ae0469dc7b1f1502143eed"
        );
    }
}
