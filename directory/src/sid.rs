//! Security identifiers.

use std::fmt::Write as _;

/// Returns `S-1-5-21-…` for a binary SID ([MS-DTYP] 2.4.2.2), if the bytes are one.
pub(crate) fn sid_text(bytes: &[u8]) -> Option<String> {
    let (&[revision, count], rest) = bytes.split_first_chunk()?;
    let (authority, rest) = rest.split_first_chunk::<6>()?;
    let (parts, tail) = rest.as_chunks::<4>();
    if revision != 1 || usize::from(count) != parts.len() || !tail.is_empty() {
        return None;
    }
    let authority = authority
        .iter()
        .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let mut text = format!("S-1-{authority}");
    for part in parts {
        // Writing into a string cannot fail.
        let _ = write!(text, "-{}", u32::from_le_bytes(*part));
    }
    Some(text)
}

/// Returns the SID that begins here; what follows it is not looked at.
pub(crate) fn leading_sid(bytes: &[u8]) -> Option<String> {
    let count = usize::from(*bytes.get(1)?);
    sid_text(bytes.get(..8 + 4 * count)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `S-1-5-32-544`, the built-in Administrators.
    pub(crate) const ADMINISTRATORS: [u8; 16] =
        [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0];

    #[test]
    fn reads_sids() {
        assert_eq!(sid_text(&ADMINISTRATORS).unwrap(), "S-1-5-32-544");
        assert_eq!(sid_text(&[1, 0, 0, 0, 0, 0, 0, 5]).unwrap(), "S-1-5");
        assert_eq!(sid_text(&ADMINISTRATORS[..15]), None);
        assert_eq!(sid_text(&[2, 0, 0, 0, 0, 0, 0, 5]), None);
        let longer = [&ADMINISTRATORS[..], &[1, 2, 3]].concat();
        assert_eq!(sid_text(&longer), None);
        assert_eq!(leading_sid(&longer).unwrap(), "S-1-5-32-544");
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            let _ = leading_sid(&bytes);
            if let Some(text) = sid_text(&bytes) {
                prop_assert!(text.starts_with("S-1-"));
            }
        }
    }
}
