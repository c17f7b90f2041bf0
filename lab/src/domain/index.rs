//! Which computers carry a DNS name or a service name.

use std::collections::{BTreeMap, HashMap};

use super::ComputerAccount;

/// Computers by their DNS and service names, built when it is first needed after a change.
#[derive(Clone, Debug, Default)]
pub(super) struct NameIndex {
    names: Option<HashMap<String, Vec<String>>>,
}

impl NameIndex {
    /// Something may have changed.
    pub(super) fn forget(&mut self) {
        self.names = None;
    }

    /// Returns the keys of the accounts with this DNS or service name, in lower case.
    pub(super) fn keys(
        &mut self,
        name: &str,
        computers: &BTreeMap<String, ComputerAccount>,
    ) -> &[String] {
        let names = self.names.get_or_insert_with(|| build(computers));
        names.get(name).map_or(&[], Vec::as_slice)
    }
}

fn build(computers: &BTreeMap<String, ComputerAccount>) -> HashMap<String, Vec<String>> {
    let mut names: HashMap<String, Vec<String>> = HashMap::new();
    for (key, computer) in computers {
        for name in computer.dns_host_name.iter().chain(&computer.spns) {
            let keys = names.entry(name.to_lowercase()).or_default();
            if keys.last() != Some(key) {
                keys.push(key.clone());
            }
        }
    }
    names
}
