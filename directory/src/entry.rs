//! One object as a controller answered it.

use std::collections::HashMap;

use jiff::Timestamp;
use ldap3::asn1::{PL, StructureTag};
use zeroize::Zeroize;

use crate::time::{filetime, generalized};

/// One object as a controller answered it: its name and the attributes that it let us see.
#[derive(Clone, Default)]
pub(crate) struct Entry {
    /// Its distinguished name.
    pub(crate) dn: String,
    values: HashMap<String, Vec<Vec<u8>>>,
}

impl Entry {
    /// Reads a SearchResultEntry (RFC 4511 section 4.5.2).
    pub(crate) fn read(tag: StructureTag) -> Option<Self> {
        let mut parts = inside(tag)?.into_iter();
        let dn = text(parts.next()?)?;
        let mut values = HashMap::new();
        for attribute in inside(parts.next()?)? {
            let mut parts = inside(attribute)?.into_iter();
            let name = text(parts.next()?)?.to_ascii_lowercase();
            let all = inside(parts.next()?)?.into_iter().map(octets);
            values.insert(name, all.collect::<Option<_>>()?);
        }
        Some(Self { dn, values })
    }

    fn first(&self, name: &str) -> Option<&Vec<u8>> {
        self.values.get(&name.to_ascii_lowercase())?.first()
    }

    /// Tells whether the attribute came.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Returns the first value.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.first(name).map(Vec::as_slice)
    }

    /// Returns every value; none if the attribute did not come.
    pub(crate) fn all(&self, name: &str) -> &[Vec<u8>] {
        let values = self.values.get(&name.to_ascii_lowercase());
        values.map_or(&[], Vec::as_slice)
    }

    /// Returns the first value as text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }

    /// Returns every value as text; none if the attribute did not come.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let values = self.values.get(&name.to_ascii_lowercase())?;
        let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
        Some(values.iter().map(text).collect())
    }

    /// Returns the first value as a number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Returns the 32 flags of an attribute that LDAP writes as a signed number.
    pub(crate) fn flags(&self, name: &str) -> Option<u32> {
        let number = self.number(name)?;
        u32::try_from(number)
            .ok()
            .or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
    }

    /// Returns the first value as a truth value.
    pub(crate) fn truth(&self, name: &str) -> Option<bool> {
        match self.text(name)? {
            "TRUE" => Some(true),
            "FALSE" => Some(false),
            _ => None,
        }
    }

    /// Returns the first value as the instant of a FILETIME.
    pub(crate) fn filetime(&self, name: &str) -> Option<Timestamp> {
        filetime(self.number(name)?)
    }

    /// Returns the first value as the instant of a GeneralizedTime.
    pub(crate) fn generalized(&self, name: &str) -> Option<Timestamp> {
        generalized(self.text(name)?)
    }

    /// Wipes the attribute's values from memory.
    pub(crate) fn wipe(&mut self, name: &str) {
        self.values.remove(&name.to_ascii_lowercase()).zeroize();
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be passwords.
        f.debug_struct("Entry")
            .field("dn", &self.dn)
            .finish_non_exhaustive()
    }
}

fn inside(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn octets(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}

fn text(tag: StructureTag) -> Option<String> {
    String::from_utf8(octets(tag)?).ok()
}

#[cfg(test)]
impl Entry {
    /// An entry for tests.
    pub(crate) fn of(dn: &str, values: &[(&str, &[u8])]) -> Self {
        let mut entry = Self {
            dn: dn.to_owned(),
            values: HashMap::new(),
        };
        for (name, value) in values {
            let name = name.to_ascii_lowercase();
            entry.values.entry(name).or_default().push(value.to_vec());
        }
        entry
    }
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::{TagClass, parse_tag};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_values_of_every_kind() {
        let entry = Entry::of(
            "CN=日本,DC=x",
            &[
                ("userAccountControl", b"4096"),
                ("groupType", b"-2147483646"),
                ("isDeleted", b"TRUE"),
                ("objectSid", &[1, 0xff]),
                ("pwdLastSet", b"0"),
                ("whenCreated", b"20261122170325.0Z"),
                ("spn", b"HOST/a"),
                ("spn", b"HOST/b"),
            ],
        );
        assert_eq!(entry.flags("USERACCOUNTCONTROL"), Some(4096));
        assert_eq!(entry.flags("groupType"), Some(0x8000_0002));
        assert_eq!(entry.truth("isDeleted"), Some(true));
        assert_eq!(entry.truth("spn"), None);
        assert_eq!(entry.bytes("objectSid"), Some(&[1, 0xff][..]));
        assert_eq!(entry.text("objectSid"), None);
        assert_eq!(entry.filetime("pwdLastSet"), None);
        assert_eq!(entry.texts("spn").unwrap(), ["HOST/a", "HOST/b"]);
        assert_eq!(entry.texts("absent"), None);
        assert!(!format!("{entry:?}").contains("4096"));
    }

    proptest! {
        #[test]
        fn never_panics(bytes: Vec<u8>) {
            if let Ok((_, tag)) = parse_tag(&bytes) {
                let _ = Entry::read(tag);
            }
            let _ = Entry::read(StructureTag {
                class: TagClass::Application,
                id: 4,
                payload: PL::P(bytes),
            });
        }
    }
}
