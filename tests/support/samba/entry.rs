//! What `ldapsearch` prints (LDIF, RFC 2849), as far as the tests read it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An object of the directory, as OpenLDAP's client printed it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry(BTreeMap<String, Vec<String>>);

impl Entry {
    /// Reads unwrapped LDIF; comments and references are left out.
    pub(super) fn read_all(ldif: &str) -> Vec<Self> {
        ldif.split("\n\n")
            .map(Self::read)
            .filter(|entry| entry.one("dn").is_some())
            .collect()
    }

    fn read(block: &str) -> Self {
        let mut entry = Self::default();
        for line in block.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = match value.strip_prefix(':') {
                // Bytes that are no text, as those of a SID, stay as they were printed.
                Some(encoded) => STANDARD
                    .decode(encoded.trim())
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok())
                    .unwrap_or_else(|| encoded.trim().to_owned()),
                None => value.trim_start().to_owned(),
            };
            entry.0.entry(name.to_owned()).or_default().push(value);
        }
        entry
    }

    /// Returns an attribute's only value.
    pub fn one(&self, name: &str) -> Option<&str> {
        match self.0.get(name).map(Vec::as_slice) {
            Some([value]) => Some(value),
            _ => None,
        }
    }

    /// Returns an attribute that counts, as `pwdLastSet` does; 0 if it is not there.
    pub fn number(&self, name: &str) -> i64 {
        self.one(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    }

    /// Returns a time in steps of 100 ns since 1601 as seconds since 1970 (`FILETIME`).
    pub fn unix_time(&self, name: &str) -> f64 {
        let since_1970 = self.number(name) - 116_444_736_000_000_000;
        #[expect(clippy::cast_precision_loss, reason = "exact to a microsecond")]
        let steps = since_1970 as f64;
        steps / 1e7
    }

    /// Returns it without what every logon moves.
    pub fn without_logons(mut self) -> Self {
        for name in ["lastLogon", "logonCount"] {
            self.0.remove(name);
        }
        self
    }
}
