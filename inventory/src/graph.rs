//! Groups and hosts as Ansible joins them: all sources add to one graph.

use std::collections::{BTreeSet, HashMap};

use fleetmend_yaml::{Node, Position, Value};

use crate::DirectorySource;
use crate::error::{ErrorList, InventoryError, Problem};
use crate::settings::ADDRESS_NAMES;
use crate::vars::{self, Vars};
use crate::{Place, Warning};

/// The group that holds every host.
pub(crate) const ALL: &str = "all";
/// The group of the hosts that are in no other.
pub(crate) const UNGROUPED: &str = "ungrouped";

/// Index of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupId(usize);

/// Index of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostId(pub(crate) usize);

/// One group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// Where it appeared first.
    pub(crate) place: Place,
    pub(crate) vars: Vars,
    pub(crate) children: Vec<GroupId>,
    pub(crate) parents: Vec<GroupId>,
    pub(crate) hosts: Vec<HostId>,
    /// `ansible_group_priority`: among groups of one depth the higher wins.
    pub(crate) priority: i64,
    /// The longest way down from `all`; deeper wins.
    pub(crate) depth: u32,
}

/// One host before its variables are joined.
#[derive(Clone, Debug)]
pub(crate) struct RawHost {
    pub(crate) name: String,
    /// Where it appeared first.
    pub(crate) place: Place,
    pub(crate) vars: Vars,
    /// The groups that name it themselves.
    pub(crate) groups: Vec<GroupId>,
    address: Option<(String, Place)>,
}

impl RawHost {
    /// Returns the address that was set for the host itself.
    pub(crate) fn address(&self) -> Option<&str> {
        self.address.as_ref().map(|(address, _)| address.as_str())
    }
}

/// All groups and hosts, and what was found wrong on the way.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    groups: Vec<Group>,
    group_ids: HashMap<String, GroupId>,
    hosts: Vec<RawHost>,
    host_ids: HashMap<String, HostId>,
    /// Directories that are part of the inventory.
    pub(crate) sources: Vec<DirectorySource>,
    pub(crate) errors: ErrorList,
    pub(crate) warnings: BTreeSet<Warning>,
}

impl Graph {
    /// Returns the graph of `all` and `ungrouped` alone.
    pub(crate) fn new() -> Self {
        let mut graph = Self {
            groups: Vec::new(),
            group_ids: HashMap::new(),
            hosts: Vec::new(),
            host_ids: HashMap::new(),
            sources: Vec::new(),
            errors: ErrorList::default(),
            warnings: BTreeSet::new(),
        };
        let nowhere = Place {
            file: "".into(),
            at: None,
        };
        let all = graph.add_group(ALL, &nowhere);
        let ungrouped = graph.add_group(UNGROUPED, &nowhere);
        graph.add_child(all, ungrouped, &nowhere);
        graph
    }

    pub(crate) fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id.0)
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    pub(crate) fn group_id(&self, name: &str) -> Option<GroupId> {
        self.group_ids.get(name).copied()
    }

    pub(crate) fn host(&self, id: HostId) -> Option<&RawHost> {
        self.hosts.get(id.0)
    }

    pub(crate) fn hosts(&self) -> &[RawHost] {
        &self.hosts
    }

    pub(crate) fn host_id(&self, name: &str) -> Option<HostId> {
        self.host_ids.get(name).copied()
    }

    pub(crate) fn error(&mut self, place: Place, problem: Problem) {
        self.errors.push(InventoryError::new(place, problem));
    }

    pub(crate) fn warn(&mut self, place: Place, text: String) {
        self.warnings.insert(Warning { place, text });
    }

    /// Returns the group of this name, new if need be.
    pub(crate) fn add_group(&mut self, name: &str, place: &Place) -> GroupId {
        if let Some(id) = self.group_id(name) {
            return id;
        }
        let id = GroupId(self.groups.len());
        self.groups.push(Group {
            name: name.to_owned(),
            place: place.clone(),
            vars: Vars::new(),
            children: Vec::new(),
            parents: Vec::new(),
            hosts: Vec::new(),
            priority: 1,
            depth: 0,
        });
        self.group_ids.insert(name.to_owned(), id);
        id
    }

    /// Puts a group into another; a cycle is an error and is left out.
    pub(crate) fn add_child(&mut self, parent: GroupId, child: GroupId, place: &Place) {
        if let Some(mut path) = self.path_down(child, parent) {
            path.push(child);
            let path = path
                .into_iter()
                .filter_map(|id| Some(self.group(id)?.name.clone()));
            let problem = Problem::GroupCycle {
                path: path.collect(),
            };
            self.error(place.clone(), problem);
            return;
        }
        if let Some(group) = self.groups.get_mut(parent.0)
            && !group.children.contains(&child)
        {
            group.children.push(child);
        }
        if let Some(group) = self.groups.get_mut(child.0)
            && !group.parents.contains(&parent)
        {
            group.parents.push(parent);
        }
    }

    /// Returns the groups on a way from one down to another, both ends with it.
    fn path_down(&self, from: GroupId, to: GroupId) -> Option<Vec<GroupId>> {
        let mut came_from: HashMap<GroupId, GroupId> = HashMap::new();
        let mut todo = vec![from];
        while let Some(id) = todo.pop() {
            if id == to {
                let mut path = vec![id];
                while let Some(above) = path.last().and_then(|id| came_from.get(id)) {
                    path.push(*above);
                }
                path.reverse();
                return Some(path);
            }
            for child in self.group(id).map_or(&[][..], |group| &group.children) {
                if *child != from && !came_from.contains_key(child) {
                    came_from.insert(*child, id);
                    todo.push(*child);
                }
            }
        }
        None
    }

    /// Sets a group's variables; `ansible_group_priority` is no variable but orders the group.
    pub(crate) fn set_group_vars(&mut self, id: GroupId, mut vars: Vars) {
        let priority = vars.remove("ansible_group_priority");
        let Some(group) = self.groups.get_mut(id.0) else {
            return;
        };
        vars::merge(&mut group.vars, &vars);
        let Some(var) = priority else { return };
        let number = match &var.node.value {
            Value::Int(number) => Some(*number),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => group.priority = number,
            None => self.error(
                var.place(),
                Problem::BadValue {
                    name: "ansible_group_priority".to_owned(),
                    expected: "a whole number".to_owned(),
                    found: if var.vaulted {
                        var.node.kind().to_owned()
                    } else {
                        found(&var.node)
                    },
                },
            ),
        }
    }

    /// Adds a host to a group, new if need be.
    pub(crate) fn add_host(&mut self, name: &str, group: GroupId, place: &Place) -> HostId {
        let id = match self.host_id(name) {
            Some(id) => id,
            None => {
                let id = HostId(self.hosts.len());
                self.hosts.push(RawHost {
                    name: name.to_owned(),
                    place: place.clone(),
                    vars: Vars::new(),
                    groups: Vec::new(),
                    address: None,
                });
                self.host_ids.insert(name.to_owned(), id);
                id
            }
        };
        self.join(id, group);
        id
    }

    fn join(&mut self, host: HostId, group: GroupId) {
        let (Some(raw), Some(members)) = (self.hosts.get_mut(host.0), self.groups.get_mut(group.0))
        else {
            return;
        };
        if !raw.groups.contains(&group) {
            raw.groups.push(group);
            members.hosts.push(host);
        }
    }

    /// Sets a host's own variables. A second, different address means that two PCs bear one
    /// name, which Ansible would settle silently in favour of the last.
    pub(crate) fn set_host_vars(&mut self, id: HostId, vars: &Vars) {
        let Some(host) = self.hosts.get_mut(id.0) else {
            return;
        };
        vars::merge(&mut host.vars, vars);
        let found = ADDRESS_NAMES.iter().find_map(|name| vars.get(*name));
        let Some((var, address)) = found.and_then(|var| Some((var, var.node.as_str()?))) else {
            return;
        };
        match &host.address {
            Some((first, first_place)) if first != address => {
                let problem = Problem::TwoAddresses {
                    host: host.name.clone(),
                    first: first.clone(),
                    second: address.to_owned(),
                    first_place: first_place.clone(),
                };
                self.errors.push(InventoryError::new(var.place(), problem));
            }
            Some(_) => {}
            None => host.address = Some((address.to_owned(), var.place())),
        }
    }

    /// Drops all variables once they are joined: among them are passwords, and what is kept for
    /// showing must hold none.
    pub(crate) fn forget_variables(&mut self) {
        self.groups.iter_mut().for_each(|group| group.vars.clear());
        self.hosts.iter_mut().for_each(|host| host.vars.clear());
    }

    /// Joins loose ends as Ansible does after the last source: groups without a parent go under
    /// `all`, hosts without a group into `ungrouped`; then measures depths.
    pub(crate) fn reconcile(&mut self) {
        let (Some(all), Some(ungrouped)) = (self.group_id(ALL), self.group_id(UNGROUPED)) else {
            return;
        };
        let orphans: Vec<GroupId> = (0..self.groups.len())
            .map(GroupId)
            .filter(|id| {
                *id != all
                    && self
                        .group(*id)
                        .is_some_and(|group| group.parents.is_empty())
            })
            .collect();
        for id in orphans {
            let place = self.group(id).map(|group| group.place.clone());
            if let Some(place) = place {
                self.add_child(all, id, &place);
            }
        }
        for index in 0..self.hosts.len() {
            self.settle(HostId(index), all, ungrouped);
        }
        self.measure_depths(all);
        self.warn_of_namesakes();
    }

    fn settle(&mut self, id: HostId, all: GroupId, ungrouped: GroupId) {
        let Some(host) = self.hosts.get_mut(id.0) else {
            return;
        };
        let grouped = host
            .groups
            .iter()
            .any(|group| *group != all && *group != ungrouped);
        if !grouped {
            self.join(id, ungrouped);
        } else if host.groups.contains(&ungrouped) {
            host.groups.retain(|group| *group != ungrouped);
            if let Some(group) = self.groups.get_mut(ungrouped.0) {
                group.hosts.retain(|member| *member != id);
            }
        }
    }

    /// The graph has no cycles, so that a group is final once all its parents are.
    fn measure_depths(&mut self, all: GroupId) {
        let mut waiting: HashMap<GroupId, usize> = (0..self.groups.len())
            .map(GroupId)
            .map(|id| (id, self.parent_count(id)))
            .collect();
        let mut ready = vec![all];
        while let Some(id) = ready.pop() {
            let Some(group) = self.group(id) else {
                continue;
            };
            let (depth, children) = (group.depth.saturating_add(1), group.children.clone());
            for child in children {
                if let Some(group) = self.groups.get_mut(child.0) {
                    group.depth = group.depth.max(depth);
                }
                if let Some(count) = waiting.get_mut(&child) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        ready.push(child);
                    }
                }
            }
        }
    }

    fn parent_count(&self, id: GroupId) -> usize {
        self.group(id).map_or(0, |group| group.parents.len())
    }

    fn warn_of_namesakes(&mut self) {
        let namesakes: Vec<Warning> = self
            .hosts
            .iter()
            .filter(|host| self.group_ids.contains_key(&host.name))
            .map(|host| Warning {
                place: host.place.clone(),
                text: format!("`{}` is the name of a host and of a group", host.name),
            })
            .collect();
        self.warnings.extend(namesakes);
    }

    /// Returns the groups above these and themselves, in the order in which their variables
    /// win: by depth, then priority, then name.
    pub(crate) fn ancestry(&self, groups: &[GroupId]) -> Vec<GroupId> {
        let mut found: BTreeSet<GroupId> = BTreeSet::new();
        let mut todo = groups.to_vec();
        while let Some(id) = todo.pop() {
            if found.insert(id) {
                todo.extend(self.group(id).map_or(&[][..], |group| &group.parents));
            }
        }
        found.extend(self.group_id(ALL));
        let mut sorted: Vec<GroupId> = found.into_iter().collect();
        sorted.sort_by_key(|id| {
            self.group(*id)
                .map(|group| (group.depth, group.priority, group.name.as_str()))
        });
        sorted
    }

    /// Returns the hosts of a group and of all groups in it.
    pub(crate) fn members(&self, id: GroupId) -> BTreeSet<HostId> {
        let mut seen = BTreeSet::new();
        let mut hosts = BTreeSet::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            if seen.insert(id)
                && let Some(group) = self.group(id)
            {
                hosts.extend(group.hosts.iter().copied());
                todo.extend(group.children.iter().copied());
            }
        }
        if self.group(id).is_some_and(|group| group.name == ALL) {
            hosts.extend((0..self.hosts.len()).map(HostId));
        }
        hosts
    }
}

/// Shows a value in an error: a short scalar itself, else its kind.
pub(crate) fn found(node: &Node) -> String {
    match &node.value {
        Value::Seq(_) | Value::Map(_) | Value::Null => node.kind().to_owned(),
        _ if node.tag.is_some() => node.kind().to_owned(),
        _ => {
            let text = node
                .as_str()
                .map_or_else(|| node.to_json().to_string(), str::to_owned);
            if text.chars().count() > 60 {
                node.kind().to_owned()
            } else {
                format!("`{text}`")
            }
        }
    }
}

/// Returns the first place of a file.
pub(crate) fn start(file: &Place) -> Place {
    file.with(Position::START)
}
