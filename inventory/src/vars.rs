//! Variables with the place where each was set.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmend_yaml::Node;

use crate::Place;

/// The value of one variable; shared by all hosts that have it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Var {
    /// Where its key stands.
    pub(crate) key_at: Place,
    /// The value.
    pub(crate) node: Node,
}

impl Var {
    /// Returns the place of the value.
    pub(crate) fn place(&self) -> Place {
        self.key_at.with(self.node.at)
    }
}

/// Variables by name.
pub(crate) type Vars = BTreeMap<Arc<str>, Arc<Var>>;

/// Returns the variables of a mapping; `None` if the node is something else.
pub(crate) fn from_node(node: &Node, file: &Place) -> Option<Vars> {
    if node.is_null() {
        return Some(Vars::new());
    }
    let entries = node.as_map()?.iter().map(|entry| {
        let var = Var {
            key_at: file.with(entry.key.at),
            node: entry.value.clone(),
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
