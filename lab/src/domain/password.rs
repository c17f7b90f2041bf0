//! Machine passwords as ids: the same text has the same id, and the text itself is kept nowhere.

use std::collections::HashMap;
use std::fmt;

use sha2::{Digest as _, Sha256};

/// Stands for one machine password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PasswordId(pub u64);

/// Gives out ids. Of a text only a digest is kept, under a key drawn for each domain.
#[derive(Clone)]
pub(super) struct Passwords {
    key: [u8; 32],
    known: HashMap<[u8; 32], PasswordId>,
    next: u64,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self {
            key: rand::random(),
            known: HashMap::new(),
            next: 1,
        }
    }

    /// Returns an id that no text has.
    pub(super) fn draw(&mut self) -> PasswordId {
        let id = PasswordId(self.next);
        self.next += 1;
        id
    }

    /// Returns the id of this text.
    pub(super) fn of(&mut self, text: &str) -> PasswordId {
        let digest = Sha256::new()
            .chain_update(self.key)
            .chain_update(text.as_bytes())
            .finalize();
        if let Some(id) = self.known.get(digest.as_slice()) {
            return *id;
        }
        let id = self.draw();
        self.known.insert(digest.into(), id);
        id
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_id_and_leaves_no_trace() {
        let mut passwords = Passwords::new();
        let drawn = passwords.draw();
        let (one, other) = (passwords.of("ひみつ-1"), passwords.of("ひみつ-2"));
        assert_eq!(passwords.of("ひみつ-1"), one);
        assert!(one != other && one != drawn && other != drawn);
        assert_eq!(format!("{passwords:?}"), "Passwords(…)");
    }
}
