//! One secret with its name.

use std::fmt;
use std::str::FromStr;

use fleetmend_model::Secret;
use jiff::Timestamp;
use unicode_normalization::UnicodeNormalization as _;

/// No name is longer, in characters.
const NAME_LIMIT: usize = 200;

/// The name of an entry: `local-admin`, `pc/営業-012`.
///
/// Kept in Unicode's composed form (NFC), so that `が` is one name however a system writes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

/// This text is no name of an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryNameError {
    /// Nothing, or blanks around it.
    #[error("the name of an entry is empty or has blanks around it")]
    Blank,
    /// It has a line end or another control character.
    #[error("the name of an entry has a control character")]
    Control,
    /// It is too long.
    #[error("the name of an entry is longer than {limit} characters")]
    Long {
        /// How long it may be.
        limit: usize,
    },
}

/// What a vault keeps under a name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: EntryName,
    /// The account that the password belongs to.
    pub user: Option<String>,
    /// The password, byte for byte as it was given.
    pub password: Secret,
    /// The operator's note; hidden like a password, for people write such things into notes.
    pub note: Option<Secret>,
    /// When the entry was last set.
    pub updated: Timestamp,
}

/// An entry without what is secret about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: EntryName,
    /// The account that the password belongs to.
    pub user: Option<String>,
    /// When the entry was last set.
    pub updated: Timestamp,
}

impl EntryName {
    /// Returns the name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EntryName {
    type Err = EntryNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name: String = text.nfc().collect();
        if name.is_empty() || name.trim() != name {
            return Err(EntryNameError::Blank);
        }
        if name.chars().any(char::is_control) {
            return Err(EntryNameError::Control);
        }
        if name.chars().count() > NAME_LIMIT {
            return Err(EntryNameError::Long { limit: NAME_LIMIT });
        }
        Ok(Self(name))
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Entry {
    /// Returns the entry without its secrets.
    pub fn listed(&self) -> Listed {
        Listed {
            name: self.name.clone(),
            user: self.user.clone(),
            updated: self.updated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_composed_and_sound() {
        let decomposed: EntryName = "\u{304b}\u{3099}".parse().unwrap();
        assert_eq!(decomposed, "が".parse().unwrap());
        assert_eq!(
            "pc/営業 012".parse::<EntryName>().unwrap().as_str(),
            "pc/営業 012"
        );
        for (text, error) in [
            ("", EntryNameError::Blank),
            (" a", EntryNameError::Blank),
            ("a\u{3000}", EntryNameError::Blank),
            ("a\nb", EntryNameError::Control),
            (&"あ".repeat(201), EntryNameError::Long { limit: 200 }),
        ] {
            assert_eq!(text.parse::<EntryName>(), Err(error), "{text:?}");
        }
    }
}
