//! Values as the directory writes them.

use jiff::{SignedDuration, Timestamp};

use crate::domain::Sid;

/// The values of one attribute; none: it is not set.
pub(super) type Values = Vec<Vec<u8>>;

/// Seconds from 1601 to 1970, and how many 100 ns a second has.
const EPOCH: i128 = 11_644_473_600;
const TICKS: i128 = 10_000_000;

pub(super) fn text(text: impl ToString) -> Values {
    vec![text.to_string().into_bytes()]
}

pub(super) fn texts<T: ToString>(texts: impl IntoIterator<Item = T>) -> Values {
    let bytes = |text: T| text.to_string().into_bytes();
    texts.into_iter().map(bytes).collect()
}

pub(super) fn sid(sid: &Sid) -> Values {
    vec![sid.to_bytes()]
}

/// Writes 100 ns since 1601 ([MS-DTYP] 2.3.3).
pub(super) fn filetime(time: Timestamp) -> Values {
    text(time.as_nanosecond() / 100 + EPOCH * TICKS)
}

/// Writes `filetime`, and 0 for never.
pub(super) fn filetime_or_never(time: Option<Timestamp>) -> Values {
    time.map_or_else(|| text(0), filetime)
}

/// Writes `20261122170325.0Z`, as the directory does: whole seconds.
pub(super) fn generalized(time: Timestamp) -> Values {
    text(time.strftime("%Y%m%d%H%M%S.0Z"))
}

/// Writes a span as the negative count of 100 ns.
pub(super) fn interval(span: SignedDuration) -> Values {
    text(-span.as_nanos() / 100)
}

/// Writes a GUID as the directory stores it: the first three fields little-endian.
pub(super) fn guid(guid: uuid::Uuid) -> Values {
    vec![guid.to_bytes_le().to_vec()]
}

/// Writes a self-relative security descriptor that has an owner and nothing else ([MS-DTYP]
/// 2.4.6).
pub(super) fn owner_descriptor(owner: &Sid) -> Values {
    // Revision 1; SE_SELF_RELATIVE; the owner behind the header; no group, SACL, DACL.
    let mut bytes = vec![1, 0, 0, 0x80, 20, 0, 0, 0];
    bytes.resize(20, 0);
    bytes.extend(owner.to_bytes());
    vec![bytes]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_directory_does() {
        let time: Timestamp = "2025-11-26T14:43:25.123456Z".parse().unwrap();
        assert_eq!(filetime(time), [b"134086418051234560"]);
        assert_eq!(filetime(Timestamp::UNIX_EPOCH), [b"116444736000000000"]);
        assert_eq!(generalized(time), [b"20251126144325.0Z"]);
        assert_eq!(interval(SignedDuration::from_mins(30)), [b"-18000000000"]);
        assert_eq!(filetime_or_never(None), [b"0"]);
    }
}
