//! Variables with the place where each was set.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmend_yaml::{Node, Value};

use crate::Place;
use crate::vaults::VAULTED;

/// The value of one variable; shared by all hosts that have it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Var {
    /// Where its key stands.
    pub(crate) key_at: Place,
    /// The value.
    pub(crate) node: Node,
    /// Whether it stood in a file that was encrypted as a whole.
    pub(crate) vaulted: bool,
}

impl Var {
    /// Returns the place of the value.
    pub(crate) fn place(&self) -> Place {
        self.key_at.with(self.node.at)
    }

    /// Returns it as it may be kept for showing: nothing of an encrypted file.
    pub(crate) fn for_showing(self: &Arc<Self>) -> Arc<Self> {
        if !self.vaulted {
            return Arc::clone(self);
        }
        Arc::new(Self {
            key_at: self.key_at.clone(),
            node: Node::new(self.node.at, Value::String(VAULTED.to_owned())),
            vaulted: true,
        })
    }
}

/// Variables by name.
pub(crate) type Vars = BTreeMap<Arc<str>, Arc<Var>>;

/// Returns the variables of a mapping; `None` if the node is something else.
pub(crate) fn from_node(node: &Node, file: &Place, vaulted: bool) -> Option<Vars> {
    if node.is_null() {
        return Some(Vars::new());
    }
    let entries = node.as_map()?.iter().map(|entry| {
        let var = Var {
            key_at: file.with(entry.key.at),
            node: entry.value.clone(),
            vaulted,
        };
        (Arc::from(entry.key.text.as_str()), Arc::new(var))
    });
    Some(entries.collect())
}

/// Lets later variables win over earlier ones, as a whole: mappings are not joined.
pub(crate) fn merge(into: &mut Vars, later: &Vars) {
    for (name, var) in later {
        into.insert(Arc::clone(name), Arc::clone(var));
    }
}
