//! The playbook of a run and its siblings for hosts of other platforms.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmend_model::{Host, Platform};
use fleetmend_playbooks::{Playbook, PlaybookErrors};
use serde_json::{Map, Value};

use crate::args::Setting;
use crate::error::CliError;

/// The playbook that was named, and those for hosts of other platforms.
pub(crate) struct Playbooks {
    /// The one that was named.
    pub(crate) main: Arc<Playbook>,
    /// Its siblings.
    pub(crate) also: Vec<Arc<Playbook>>,
    /// What the operator set.
    set: Map<String, Value>,
}

impl Playbooks {
    /// Loads a playbook and its siblings.
    ///
    /// # Errors
    /// One is not there or wrong.
    pub(crate) fn load(name_or_path: &str) -> Result<Self, CliError> {
        let main = playbook(name_or_path)?;
        let also = main.load_also(name_or_path).map_err(|error| {
            CliError::user(format!("{}, for hosts of another platform", main.name)).because(error)
        })?;
        Ok(Self {
            main,
            also: also.into_iter().map(Arc::new).collect(),
            set: Map::new(),
        })
    }

    /// Keeps what the operator set.
    pub(crate) fn with(mut self, set: &[Setting]) -> Self {
        let values = set.iter();
        let values = values.map(|set| (set.name.clone(), Value::from(set.value.as_str())));
        self.set = values.collect();
        self
    }

    /// Tells whether a parameter is true: as set, else as a host's variable or the default has it.
    pub(crate) fn is_on(&self, playbook: &Playbook, name: &str, hosts: &[Arc<Host>]) -> bool {
        let set = meant_for(playbook, self, &self.set);
        let is_true = |vars: &BTreeMap<String, Value>| {
            let values = playbook.resolve_params(&set, vars);
            values.is_ok_and(|values| values.get(name) == Some(&Value::Bool(true)))
        };
        let mut with_it = hosts.iter().filter(|host| host.vars.contains_key(name));
        is_true(&BTreeMap::new()) || with_it.any(|host| is_true(&host.vars))
    }

    /// Returns all of them, the one that was named first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Playbook> {
        let all = std::iter::once(&self.main).chain(&self.also);
        all.map(|playbook| &**playbook)
    }

    /// Returns the one for a platform.
    pub(crate) fn on(&self, platform: Platform) -> Option<&Playbook> {
        self.all().find(|playbook| playbook.platform == platform)
    }
}

/// Loads a playbook.
///
/// # Errors
/// It is not there or wrong.
pub(crate) fn playbook(name_or_path: &str) -> Result<Arc<Playbook>, CliError> {
    Playbook::load(name_or_path).map(Arc::new).map_err(|error| {
        let not_shipped = matches!(error, PlaybookErrors::NotShipped { .. });
        let error = CliError::user(error.to_string()).because(error);
        if not_shipped {
            error.hint("list those that are shipped: fleetmend playbook list")
        } else {
            error
        }
    })
}

/// What was set without what only a sibling knows; what nobody knows is an error of the first.
pub(crate) fn meant_for(
    playbook: &Playbook,
    playbooks: &Playbooks,
    values: &Map<String, Value>,
) -> Map<String, Value> {
    let knows = |playbook: &Playbook, name: &str| {
        let mut all = playbook.parameters.iter();
        all.any(|parameter| parameter.name == name)
    };
    let known = |name: &str| playbooks.all().any(|playbook| knows(playbook, name));
    values
        .iter()
        .filter(|(name, _)| knows(playbook, name) || !known(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
