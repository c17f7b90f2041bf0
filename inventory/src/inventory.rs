//! What was read: hosts ready for a run, and the groups and variables behind them.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmend_model::Host;

use crate::graph::{Graph, GroupId, HostId, RawHost};
use crate::vars::Vars;
use crate::{DirectorySource, Place, Vaults, Warning};

/// The hosts of all sources, checked, with everything that was said about them.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The PCs that a run can reach, in the order of the inventory. Hosts that are not reached
    /// over WinRM or SSH (`ansible_connection: local`) are listed but not in here.
    pub hosts: Vec<Host>,
    /// What was not understood, once for each kind.
    pub warnings: Vec<Warning>,
    /// Directories whose computers belong to the inventory; they are hosts only if
    /// [`crate::load_with`] was given their listings.
    pub sources: Vec<DirectorySource>,
    /// Where something encrypted was left closed ([`crate::Vaults::Leave`]). If there is any,
    /// these hosts are for showing and not for a run.
    pub vaulted: Vec<Place>,
    /// How encrypted passwords of these hosts are opened for logging on
    /// ([`crate::Vaults::Open`]).
    pub vaults: Vaults,
    pub(crate) shared: Arc<Shared>,
    /// The hosts that a limit left; none: all.
    pub(crate) selected: Option<BTreeSet<HostId>>,
}

/// The part that limits do not change.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) graph: Graph,
    /// The joined variables of each host by the names that the files use, without secrets.
    pub(crate) variables: Vec<Vars>,
}

/// One group, for showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView<'a> {
    /// Its name.
    pub name: &'a str,
    /// The groups directly in it.
    pub children: Vec<&'a str>,
    /// The hosts directly in it; empty for `all`, whose hosts stand in its groups.
    pub hosts: Vec<&'a str>,
}

impl Inventory {
    /// Returns the groups from `all` downwards, each once, in the order of the inventory.
    pub fn groups(&self) -> Vec<GroupView<'_>> {
        let graph = &self.shared.graph;
        let mut seen = BTreeSet::new();
        let mut views = Vec::new();
        let mut todo: Vec<GroupId> = graph.group_id(crate::graph::ALL).into_iter().collect();
        while let Some(id) = todo.pop() {
            if !seen.insert(id) {
                continue;
            }
            let Some(group) = graph.group(id) else {
                continue;
            };
            let children = group.children.iter().filter_map(|id| graph.group(*id));
            views.push(GroupView {
                name: &group.name,
                children: children.map(|group| group.name.as_str()).collect(),
                hosts: self
                    .direct_hosts(id)
                    .map(|(_, host)| host.name.as_str())
                    .collect(),
            });
            todo.extend(group.children.iter().rev());
        }
        views
    }

    /// Returns how near a group is to its hosts, the nearer being the greater: by depth, then
    /// `ansible_group_priority`. Of two that are equally near neither outweighs the other but by
    /// its name, as Ansible has it for variables.
    pub fn nearness(&self, group: &str) -> Option<(u32, i64)> {
        let graph = &self.shared.graph;
        let group = graph.group(graph.group_id(group)?)?;
        Some((group.depth, group.priority))
    }

    /// Returns the selected hosts that a group names itself; `all` has none of its own.
    pub(crate) fn direct_hosts(&self, id: GroupId) -> impl Iterator<Item = (HostId, &RawHost)> {
        let graph = &self.shared.graph;
        let group = graph
            .group(id)
            .filter(|group| group.name != crate::graph::ALL);
        let hosts = group.map_or(&[][..], |group| &group.hosts);
        hosts
            .iter()
            .filter(|id| self.is_selected(**id))
            .filter_map(|id| Some((*id, graph.host(*id)?)))
    }

    pub(crate) fn is_selected(&self, id: HostId) -> bool {
        self.selected
            .as_ref()
            .is_none_or(|selected| selected.contains(&id))
    }
}
