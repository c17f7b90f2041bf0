//! Who owns an object, and what its access list grants.

use std::collections::BTreeSet;

use crate::sid::leading_sid;

/// The control that asks for parts of a security descriptor ([MS-ADTS] 3.1.1.3.4.1.11).
pub(crate) const SD_FLAGS_OID: &str = "1.2.840.113556.1.4.801";
/// Its value for the owner alone: SEQUENCE { INTEGER 1 }. The owner may be read by whoever may
/// read the object; with the SACL among the wanted the attribute would be left out altogether.
pub(crate) const OWNER_ONLY: [u8; 5] = [0x30, 3, 2, 1, 1];

/// The same for the access list alone: SEQUENCE { INTEGER 4 }.
pub(crate) const DACL_ONLY: [u8; 5] = [0x30, 3, 2, 1, 4];

/// The right to use extended rights (`RIGHT_DS_CONTROL_ACCESS`, [MS-ADTS] 5.1.3.2).
const CONTROL_ACCESS: u32 = 0x100;
/// An entry that only objects below inherit.
const INHERIT_ONLY: u8 = 0x08;

/// Tells whether the access list of a self-relative security descriptor grants this extended right
/// to somebody with these SIDs: the first entry that speaks of it counts ([MS-DTYP] 2.4.4,
/// 2.5.3.2). None where it is not one. No list at all grants everything.
pub(crate) fn may_use_right(
    descriptor: &[u8],
    right: &[u8; 16],
    token: &BTreeSet<String>,
) -> Option<bool> {
    let (header, _) = descriptor.split_first_chunk::<20>()?;
    let offset = u32::from_le_bytes(header.get(16..20)?.try_into().ok()?);
    let offset = usize::try_from(offset).ok()?;
    if header.first() != Some(&1) {
        return None;
    }
    if offset == 0 {
        return Some(true);
    }
    let list = descriptor.get(offset..)?;
    let count = u16::from_le_bytes(list.get(4..6)?.try_into().ok()?);
    let mut rest = list.get(8..)?;
    for _ in 0..count {
        let size = u16::from_le_bytes(rest.get(2..4)?.try_into().ok()?);
        let size = usize::from(size);
        let entry = rest.get(..size).filter(|entry| entry.len() >= 8)?;
        if let Some(granted) = speaks_of(entry, right, token) {
            return Some(granted);
        }
        rest = rest.get(size..)?;
    }
    Some(false)
}

/// Returns what one entry of an access list says of the right, if it says anything.
fn speaks_of(entry: &[u8], right: &[u8; 16], token: &BTreeSet<String>) -> Option<bool> {
    let (&[kind, flags, _, _], rest) = entry.split_first_chunk()?;
    let (mask, mut rest) = rest.split_first_chunk::<4>()?;
    // ACCESS_ALLOWED, ACCESS_DENIED, and both for an object ([MS-DTYP] 2.4.4.1).
    let (granted, of_object) = match kind {
        0 => (true, false),
        1 => (false, false),
        5 => (true, true),
        6 => (false, true),
        _ => return None,
    };
    if flags & INHERIT_ONLY != 0 || u32::from_le_bytes(*mask) & CONTROL_ACCESS == 0 {
        return None;
    }
    if of_object {
        let (which, tail) = rest.split_first_chunk::<4>()?;
        let which = u32::from_le_bytes(*which);
        rest = tail;
        if which & 1 != 0 {
            let (object, tail) = rest.split_first_chunk::<16>()?;
            if object != right {
                return None;
            }
            rest = tail;
        }
        if which & 2 != 0 {
            rest = rest.get(16..)?;
        }
    }
    token.contains(&leading_sid(rest)?).then_some(granted)
}

/// Returns the owner of a self-relative security descriptor ([MS-DTYP] 2.4.6).
pub(crate) fn owner(descriptor: &[u8]) -> Option<String> {
    let (header, _) = descriptor.split_first_chunk::<20>()?;
    let [revision, ..] = header;
    let offset: [u8; 4] = header.get(4..8)?.try_into().ok()?;
    let offset = usize::try_from(u32::from_le_bytes(offset)).ok()?;
    if *revision != 1 || offset < header.len() {
        return None;
    }
    leading_sid(descriptor.get(offset..)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sid::tests::ADMINISTRATORS;

    fn descriptor(offset: u8) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0x80, offset, 0, 0, 0];
        bytes.resize(20, 0);
        bytes.extend_from_slice(&ADMINISTRATORS);
        bytes
    }

    /// Kind, flags, mask, the right if it is of one, the SID.
    type Ace<'a> = (u8, u8, u32, Option<u8>, &'a [u8]);

    /// A descriptor with these entries.
    fn with_list(entries: &[Ace<'_>]) -> Vec<u8> {
        let mut list = vec![4, 0, 0, 0, u8::try_from(entries.len()).unwrap(), 0, 0, 0];
        for (kind, flags, mask, right, sid) in entries {
            let mut body = mask.to_le_bytes().to_vec();
            if matches!(kind, 5 | 6) {
                body.extend_from_slice(&u32::from(right.is_some()).to_le_bytes());
                body.extend(right.iter().flat_map(|right| [*right; 16]));
            }
            body.extend_from_slice(sid);
            list.extend_from_slice(&[*kind, *flags]);
            list.extend_from_slice(&u16::try_from(body.len() + 4).unwrap().to_le_bytes());
            list.extend(body);
        }
        let mut bytes = vec![1, 0, 4, 0x80];
        bytes.resize(16, 0);
        bytes.extend_from_slice(&20_u32.to_le_bytes());
        bytes.extend(list);
        bytes
    }

    #[test]
    fn the_first_entry_that_speaks_of_a_right_counts() {
        let admins = &ADMINISTRATORS[..];
        let everyone = &[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0][..];
        let may = |entries: &[Ace<'_>], who: &str| {
            may_use_right(&with_list(entries), &[7; 16], &[who.to_owned()].into())
        };
        let us = "S-1-5-32-544";
        assert_eq!(may(&[], us), Some(false));
        assert_eq!(may(&[(5, 0, 0x100, Some(7), admins)], us), Some(true));
        assert_eq!(may(&[(5, 0, 0x100, Some(8), admins)], us), Some(false));
        assert_eq!(may(&[(5, 0, 0x100, None, admins)], us), Some(true));
        assert_eq!(may(&[(5, 0, 0x100, Some(7), everyone)], us), Some(false));
        assert_eq!(may(&[(0, 0, 0xF01FF, None, admins)], us), Some(true));
        assert_eq!(may(&[(0, 8, 0xF01FF, None, admins)], us), Some(false));
        assert_eq!(may(&[(0, 0, 0x10, None, admins)], us), Some(false));
        let denied = (6, 0, 0x100, Some(7), admins);
        let granted = (5, 0, 0x100, Some(7), admins);
        assert_eq!(may(&[denied, granted], us), Some(false));
        assert_eq!(may(&[granted, denied], us), Some(true));
        let whole = with_list(&[granted]);
        for end in 20..whole.len() {
            assert_eq!(
                may_use_right(&whole[..end], &[7; 16], &[us.to_owned()].into()),
                None
            );
        }
    }

    #[test]
    fn finds_the_owner() {
        assert_eq!(owner(&descriptor(20)).unwrap(), "S-1-5-32-544");
        for wrong in [
            descriptor(0),
            descriptor(21),
            descriptor(200),
            vec![],
            vec![1; 20],
        ] {
            assert_eq!(owner(&wrong), None);
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>, offset: u8, cut in 0_usize..40) {
            let _ = owner(&bytes);
            let mut bytes = descriptor(offset);
            bytes.truncate(cut);
            let _ = owner(&bytes);
        }
    }
}
