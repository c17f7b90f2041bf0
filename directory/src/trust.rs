//! Which certificates of controllers are accepted.

use std::path::PathBuf;
use std::str::FromStr;

/// Which certificates of controllers are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those that the system's trusted roots vouch for, with the controller's name.
    System,
    /// Those that a CA of this PEM file vouches for, with the controller's name.
    CaFile(PathBuf),
    /// Exactly those with one of these SHA-256 fingerprints, whatever they name.
    Pinned(Vec<[u8; 32]>),
}

/// The text is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not sha256: and 64 hex digits")]
pub struct TrustError(String);

impl Trust {
    /// Reads pins: `sha256:` and 64 hex digits, between which colons, blanks and dashes are let
    /// pass.
    ///
    /// # Errors
    /// The text that is no fingerprint.
    pub fn pinned<S: AsRef<str>>(pins: impl IntoIterator<Item = S>) -> Result<Self, TrustError> {
        let pins = pins
            .into_iter()
            .map(|pin| fingerprint(pin.as_ref()).ok_or_else(|| TrustError(pin.as_ref().to_owned())))
            .collect::<Result<_, _>>()?;
        Ok(Self::Pinned(pins))
    }
}

impl FromStr for Trust {
    type Err = TrustError;

    /// Reads one pin.
    fn from_str(text: &str) -> Result<Self, TrustError> {
        Self::pinned([text])
    }
}

fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let hex = text
        .strip_prefix("sha256:")
        .or_else(|| text.strip_prefix("SHA256:"))?;
    let digits: Vec<u8> = hex
        .chars()
        .filter(|character| !matches!(character, ':' | ' ' | '-'))
        .map(|character| u8::try_from(character.to_digit(16)?).ok())
        .collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    rest.is_empty().then(|| bytes.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_pins() {
        let pin = format!("sha256:{}ff", "00".repeat(31));
        let mut expected = [0; 32];
        expected[31] = 0xff;
        assert_eq!(pin.parse(), Ok(Trust::Pinned(vec![expected])));
        let colons = format!("sha256:{}:FF", vec!["00"; 31].join(":"));
        assert_eq!(
            Trust::pinned([&pin, &colons]),
            Ok(Trust::Pinned(vec![expected; 2]))
        );
        for bad in [
            "",
            "sha256:",
            "sha256:0",
            &pin[7..],
            &pin[..70],
            "sha1:00",
            "sha256:日本",
        ] {
            assert!(bad.parse::<Trust>().is_err(), "{bad}");
        }
    }
}
