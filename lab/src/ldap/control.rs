//! The controls that a request may carry ([MS-ADTS] 3.1.1.3.4.1).

use rasn::types::OctetString;
use rasn::{AsnType, Decode, Decoder as _, Encode};
use rasn_ldap::Control;

use crate::ldap::refusal::Refusal;

pub(super) const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
pub(super) const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
pub(super) const SHOW_RECYCLED: &str = "1.2.840.113556.1.4.2064";
pub(super) const SD_FLAGS: &str = "1.2.840.113556.1.4.801";
pub(super) const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
/// Bits of SD_FLAGS: the owner; the audit list, which needs a right that nobody here has.
const OWNER: u32 = 1;
const AUDIT: u32 = 8;

/// What the controls of a request ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// A page, and how it goes on.
    pub(super) page: Option<Page>,
    /// Deleted objects too.
    pub(super) deleted: bool,
    /// The owner in `nTSecurityDescriptor`, and nothing that may not be read.
    pub(super) owner: bool,
    /// No referrals.
    pub(super) domain_scope: bool,
}

/// The value of the control for pages (RFC 2696), of both directions.
#[derive(AsnType, Clone, Debug, Decode, Encode)]
pub(super) struct Page {
    /// How many objects; in an answer: how many there are in all, 0 for unknown.
    pub(super) size: u32,
    /// Where it goes on; empty: at the beginning, or nowhere.
    pub(super) cookie: OctetString,
}

#[derive(AsnType, Clone, Debug, Decode, Encode)]
struct SecurityFlags {
    flags: u32,
}

impl Asked {
    /// Reads the controls of a request.
    ///
    /// # Errors
    /// One that must be understood is not known, or has no value that it can have.
    pub(super) fn read(controls: &[Control]) -> Result<Self, Refusal> {
        let mut asked = Self::default();
        for control in controls {
            let oid = std::str::from_utf8(&control.control_type).unwrap_or_default();
            let value = control.control_value.as_deref().unwrap_or_default();
            match oid {
                PAGED_RESULTS => {
                    let page = rasn::ber::decode::<Page>(value);
                    asked.page = Some(page.map_err(|_| Refusal::control())?);
                }
                SD_FLAGS => {
                    let wanted = rasn::ber::decode::<SecurityFlags>(value);
                    let flags = wanted.map_err(|_| Refusal::control())?.flags;
                    asked.owner = flags & OWNER != 0 && flags & AUDIT == 0;
                }
                SHOW_DELETED | SHOW_RECYCLED => asked.deleted = true,
                DOMAIN_SCOPE => asked.domain_scope = true,
                _ if control.criticality => return Err(Refusal::control()),
                _ => {}
            }
        }
        Ok(asked)
    }
}

impl Page {
    /// Returns the control that ends a page; an empty cookie after the last.
    pub(super) fn control(cookie: Vec<u8>) -> Option<Control> {
        let page = Self {
            size: 0,
            cookie: cookie.into(),
        };
        let value = rasn::ber::encode(&page).ok()?;
        let oid = PAGED_RESULTS.as_bytes().to_vec().into();
        Some(Control::new(oid, false, Some(value.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(oid: &str, critical: bool, value: Option<&[u8]>) -> Control {
        let oid = oid.as_bytes().to_vec().into();
        Control::new(oid, critical, value.map(|value| value.to_vec().into()))
    }

    #[test]
    fn reads_what_clients_send() {
        let asked = Asked::read(&[
            control(PAGED_RESULTS, true, Some(&[0x30, 6, 2, 1, 100, 4, 1, b'x'])),
            control(SD_FLAGS, false, Some(&[0x30, 3, 2, 1, 7])),
            control(SHOW_DELETED, true, None),
            control("1.2.3", false, None),
        ])
        .unwrap();
        let page = asked.page.unwrap();
        assert_eq!((page.size, &page.cookie[..]), (100, &b"x"[..]));
        assert!(asked.deleted && asked.owner && !asked.domain_scope);
        let with_audit = control(SD_FLAGS, true, Some(&[0x30, 3, 2, 1, 15]));
        assert!(!Asked::read(&[with_audit]).unwrap().owner);
    }

    #[test]
    fn refuses_what_it_must_understand_and_does_not() {
        for bad in [
            control("1.2.3", true, None),
            control(PAGED_RESULTS, false, Some(&[1, 2, 3])),
            control(PAGED_RESULTS, false, None),
            control(SD_FLAGS, false, Some(&[0x30, 0])),
        ] {
            assert_eq!(Asked::read(&[bad]).unwrap_err(), Refusal::control());
        }
    }
}
