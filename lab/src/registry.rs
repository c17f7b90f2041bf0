//! Which scripts the lab knows, by content.

use std::collections::HashMap;

use fleetmend_transport::Script;
use sha2::{Digest, Sha256};

/// Maps the exact text of a script to the name under which the simulation knows it.
#[derive(Clone, Debug, Default)]
pub struct ScriptRegistry {
    names: HashMap<String, String>,
}

impl ScriptRegistry {
    /// Returns a registry of these scripts.
    pub fn new<'s>(scripts: impl IntoIterator<Item = &'s Script>) -> Self {
        let names = scripts
            .into_iter()
            .map(|script| (digest(script.text.as_bytes()), script.name.clone()))
            .collect();
        Self { names }
    }

    /// Returns the name of the script with this SHA-256.
    pub fn name_of(&self, digest: &str) -> Option<&str> {
        self.names.get(digest).map(String::as_str)
    }

    /// Returns how many scripts are known.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Tells whether no script is known.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Returns the SHA-256 of a script's UTF-8 text, in lower-case hex.
pub fn digest(text: &[u8]) -> String {
    Sha256::digest(text)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_script_by_its_exact_text_only() {
        let script = Script {
            name: "a/b.ps1".into(),
            text: "param($Params)\n".into(),
        };
        let registry = ScriptRegistry::new([&script]);
        assert_eq!(
            registry.name_of(&digest(b"param($Params)\n")),
            Some("a/b.ps1")
        );
        assert_eq!(registry.name_of(&digest(b"param($Params)")), None);
    }
}
