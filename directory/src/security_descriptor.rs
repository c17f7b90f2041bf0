//! Who owns an object.

use crate::sid::leading_sid;

/// The control that asks for parts of a security descriptor ([MS-ADTS] 3.1.1.3.4.1.11).
pub(crate) const SD_FLAGS_OID: &str = "1.2.840.113556.1.4.801";
/// Its value for the owner alone: SEQUENCE { INTEGER 1 }. The owner may be read by whoever may
/// read the object; with the SACL among the wanted the attribute would be left out altogether.
pub(crate) const OWNER_ONLY: [u8; 5] = [0x30, 3, 2, 1, 1];

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
