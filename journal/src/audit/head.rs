//! The end of the chain: its number and hash stand for everything before.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The fewest digits of a hash by which an end can be named.
const FEWEST: usize = 16;
/// All digits of a hash.
const ALL: usize = 64;

/// An entry's number and hash. With the chain whole, no entry up to it can be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The entry's number, counted from 1.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Head {
    /// What lies before the first entry.
    pub(crate) const NONE: Self = Self {
        number: 0,
        hash: [0; 32],
    };

    /// Returns the short form, for a line on the screen: the first 16 digits of the hash.
    #[must_use]
    pub fn short(&self) -> String {
        let digits = hex(&self.hash);
        format!(
            "{}:{}",
            self.number,
            digits.get(..FEWEST).unwrap_or(&digits)
        )
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, hex(&self.hash))
    }
}

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An end of the chain as somebody noted it elsewhere, perhaps in its short form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadClaim {
    number: u64,
    digits: String,
}

/// It is not written as an end of the chain is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an end of the trail is written NUMBER:HASH, with 16 to 64 hexadecimal digits")]
pub struct HeadParseError;

impl HeadClaim {
    /// Returns the number of the entry.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Tells whether an entry of this number with this hash is meant.
    pub(crate) fn fits(&self, head: &Head) -> bool {
        self.number == head.number && hex(&head.hash).starts_with(&self.digits)
    }
}

impl From<&Head> for HeadClaim {
    fn from(head: &Head) -> Self {
        Self {
            number: head.number,
            digits: hex(&head.hash),
        }
    }
}

impl FromStr for HeadClaim {
    type Err = HeadParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, digits) = text.trim().split_once(':').ok_or(HeadParseError)?;
        let number = number.parse().map_err(|_| HeadParseError)?;
        let digits = digits.to_ascii_lowercase();
        let is_hash = (FEWEST..=ALL).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if number == 0 || !is_hash {
            return Err(HeadParseError);
        }
        Ok(Self { number, digits })
    }
}

impl fmt::Display for HeadClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.digits)
    }
}

/// Returns bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_it_and_no_other() {
        let head = Head {
            number: 128,
            hash: [0xA5; 32],
        };
        for text in [
            head.to_string(),
            head.short(),
            head.to_string().to_uppercase(),
        ] {
            let claim: HeadClaim = text.parse().unwrap();
            assert!(claim.fits(&head), "{text}");
            assert!(!claim.fits(&Head {
                number: 129,
                ..head
            }));
            assert!(!claim.fits(&Head {
                hash: [0xA4; 32],
                ..head
            }));
        }
        assert_eq!(head.short(), "128:a5a5a5a5a5a5a5a5");
    }

    #[test]
    fn what_is_too_short_or_none_is_refused() {
        for text in [
            "",
            "128",
            "0:a5a5a5a5a5a5a5a5",
            "128:a5a5a5a5a5a5a5a",
            "128:a5a5a5a5a5a5a5ag",
            "x:a5a5a5a5a5a5a5a5",
            &format!("1:{}", "a".repeat(65)),
        ] {
            assert_eq!(text.parse::<HeadClaim>(), Err(HeadParseError), "{text}");
        }
    }
}
