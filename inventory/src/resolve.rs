//! Joins each host's variables in Ansible's order and turns them into a [`Host`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fleetmend_model::{Host, HostName};

use crate::error::InventoryErrors;
use crate::graph::{ALL, Graph, GroupId, RawHost};
use crate::inventory::{Inventory, Shared};
use crate::settings::{self, Understood};
use crate::vars::{self, Var, Vars};
use crate::vars_files::VarsFiles;
use crate::vaults::{Opener, holds_sealed};
use crate::{Options, Place, Warning, check};

/// Finishes an inventory whose sources were all read.
pub(crate) fn resolve(
    mut graph: Graph,
    files: &[VarsFiles],
    options: &Options,
    opener: Opener<'_>,
) -> Result<Inventory, InventoryErrors> {
    let mut errors = std::mem::take(&mut graph.errors);
    let mut notes = Notes::default();
    for warning in std::mem::take(&mut graph.warnings) {
        notes.add(warning);
    }
    let mut joiner = Joiner {
        graph: &graph,
        files,
        cache: HashMap::new(),
    };
    let mut hosts = Vec::with_capacity(graph.hosts().len());
    let mut variables = Vec::with_capacity(graph.hosts().len());
    let mut secrets: BTreeSet<Arc<str>> = BTreeSet::new();
    for raw in graph.hosts() {
        let (mut joined, groups) = joiner.join(raw);
        let understood = settings::understand(raw, &joined, options, &opener);
        errors.extend(understood.errors.iter().cloned());
        understood
            .warnings
            .iter()
            .cloned()
            .for_each(|warning| notes.add(warning));
        secrets.extend(understood.secret.iter().cloned());
        if understood.reachable {
            hosts.push(host(raw, &joined, groups, understood));
        }
        for var in joined.values_mut() {
            *var = var.for_showing();
        }
        variables.push(joined);
    }
    hide(&secrets, &mut hosts, &mut variables);
    if errors.is_empty() {
        errors.extend(check::same_names(&hosts, &graph));
        errors.extend(check::shared_addresses(&hosts, &graph, &variables));
    }
    graph.forget_variables();
    match errors.into_errors() {
        Some(errors) => Err(errors),
        None => Ok(Inventory {
            hosts,
            warnings: notes.into_warnings(),
            sources: std::mem::take(&mut graph.sources),
            vaulted: opener.into_waiting(),
            vaults: options.vaults.clone(),
            shared: Arc::new(Shared { graph, variables }),
            selected: None,
        }),
    }
}

/// Takes variables that hold a password of any host out of all of them: a group's variable
/// reaches hosts that do not use it.
fn hide(secrets: &BTreeSet<Arc<str>>, hosts: &mut [Host], variables: &mut [Vars]) {
    for name in secrets {
        hosts.iter_mut().for_each(|host| {
            host.vars.remove(&**name);
        });
        variables.iter_mut().for_each(|vars| {
            vars.remove(name);
        });
    }
}

fn host(raw: &RawHost, joined: &Vars, groups: Vec<String>, understood: Understood) -> Host {
    let vars = joined
        .iter()
        .filter(|(name, _)| !understood.used.contains(*name))
        .filter(|(name, var)| !is_closed(name, var))
        .map(|(name, var)| (name.to_string(), var.node.to_json()))
        .collect();
    Host {
        name: HostName(raw.name.clone()),
        groups,
        vars,
        ..understood.host
    }
}

/// Tells whether a variable was or is encrypted: a run must not write it anywhere, and templates
/// must not see ciphertext. The account's name in the directory is no secret.
fn is_closed(name: &str, var: &Var) -> bool {
    (var.vaulted && name != "computer_name") || holds_sealed(&var.node)
}

/// One warning for each text, at its first place.
#[derive(Default)]
struct Notes(BTreeMap<String, Place>);

impl Notes {
    fn add(&mut self, warning: Warning) {
        match self.0.get_mut(&warning.text) {
            Some(place) if *place <= warning.place => {}
            Some(place) => *place = warning.place,
            None => {
                self.0.insert(warning.text, warning.place);
            }
        }
    }

    fn into_warnings(self) -> Vec<Warning> {
        let mut warnings: Vec<Warning> = self
            .0
            .into_iter()
            .map(|(text, place)| Warning { place, text })
            .collect();
        warnings.sort();
        warnings
    }
}

/// Joins variables; hosts in the same groups share the groups' part.
struct Joiner<'a> {
    graph: &'a Graph,
    files: &'a [VarsFiles],
    cache: HashMap<Vec<GroupId>, (Vars, Vec<String>)>,
}

impl Joiner<'_> {
    /// Returns a host's variables and groups. Ansible's order, the later winning: variables in
    /// the inventory of `all`, then of the other groups; `group_vars` files of `all`, then of
    /// the other groups; the host's in the inventory; its `host_vars` file.
    fn join(&mut self, raw: &RawHost) -> (Vars, Vec<String>) {
        let mut key = raw.groups.clone();
        key.sort();
        let (mut vars, groups) = match self.cache.get(&key) {
            Some(found) => found.clone(),
            None => {
                let joined = self.join_groups(&key);
                self.cache.insert(key, joined.clone());
                joined
            }
        };
        vars::merge(&mut vars, &raw.vars);
        for files in self.files {
            if let Some(found) = files.hosts.get(&raw.name) {
                vars::merge(&mut vars, found);
            }
        }
        (vars, groups)
    }

    fn join_groups(&self, direct: &[GroupId]) -> (Vars, Vec<String>) {
        let ancestry = self.graph.ancestry(direct);
        let groups: Vec<_> = ancestry
            .iter()
            .filter_map(|id| self.graph.group(*id))
            .collect();
        let mut vars = Vars::new();
        for group in &groups {
            vars::merge(&mut vars, &group.vars);
        }
        for only_all in [true, false] {
            for files in self.files {
                for group in groups
                    .iter()
                    .filter(|group| (group.name == ALL) == only_all)
                {
                    if let Some(found) = files.groups.get(&group.name) {
                        vars::merge(&mut vars, found);
                    }
                }
            }
        }
        (
            vars,
            groups.iter().map(|group| group.name.clone()).collect(),
        )
    }
}
