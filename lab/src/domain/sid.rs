//! Security identifiers.

use std::fmt;

/// A security identifier of the NT authority ([MS-DTYP] 2.4.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sid(Vec<u32>);

impl Sid {
    /// `BUILTIN\Administrators`.
    pub fn administrators() -> Self {
        Self(vec![32, 544])
    }

    /// Returns a domain's own identifier: `S-1-5-21-…`.
    pub(super) fn domain([a, b, c]: [u32; 3]) -> Self {
        Self(vec![21, a, b, c])
    }

    /// Returns the identifier of the account with this number in the domain.
    pub fn account(&self, rid: u32) -> Self {
        let mut parts = self.0.clone();
        parts.push(rid);
        Self(parts)
    }

    /// Returns its binary form ([MS-DTYP] 2.4.2.2).
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u8::try_from(self.0.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![1, count, 0, 0, 0, 0, 0, 5];
        for part in &self.0 {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
        bytes
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S-1-5")?;
        self.0.iter().try_for_each(|part| write!(f, "-{part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_forms_that_windows_gives_it() {
        let administrators = Sid::administrators();
        assert_eq!(administrators.to_string(), "S-1-5-32-544");
        let bytes = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0];
        assert_eq!(administrators.to_bytes(), bytes);
        let account = Sid::domain([1, 2, 3]).account(1105);
        assert_eq!(account.to_string(), "S-1-5-21-1-2-3-1105");
    }
}
