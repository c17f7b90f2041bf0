//! Which secret reaches how many PCs, as it is told before a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmend_model::Host;

use super::{Passwords, has_key, name_of};

/// What is told of the secrets of a run that has a file of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The file.
    pub(crate) file: String,
    /// Each secret with its kind, and the number of PCs that are logged on to with it.
    pub(crate) logons: Vec<(String, usize)>,
    /// What the file gives the playbook: parameter, credential and kind.
    pub(crate) playbook: Vec<(String, String)>,
}

impl Passwords {
    /// Returns which secret reaches how many of these PCs; nothing without a file of
    /// credentials.
    pub(crate) fn reach(&self, hosts: &[Arc<Host>]) -> Option<Reach> {
        let file = self.file.as_ref()?;
        let mut logons: BTreeMap<String, usize> = BTreeMap::new();
        for host in hosts {
            *logons.entry(self.source_of(host)).or_default() += 1;
        }
        let kept = self.kept.iter();
        let playbook = kept.map(|(parameter, (name, _))| {
            let kinds = file.store().kinds(name);
            (parameter.clone(), format!("{name} ({kinds})"))
        });
        Some(Reach {
            file: file.told(),
            logons: logons.into_iter().collect(),
            playbook: playbook.collect(),
        })
    }

    fn source_of(&self, host: &Host) -> String {
        let name = name_of(host);
        if host.brings_password() {
            return "the inventory's own passwords".to_owned();
        }
        if let Some(known) = self.by_name.get(&name) {
            return format!("{name} ({})", known.kind());
        }
        match &self.file {
            Some(file) if file.store().knows(&name) => {
                format!("{name} ({})", file.store().kinds(&name))
            }
            _ if has_key(host) => "SSH keys of the inventory".to_owned(),
            _ => name.to_string(),
        }
    }
}

impl Reach {
    /// Returns what is told, each with its label.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let logons = self.logons.iter().map(|(source, pcs)| {
            let pcs = match pcs {
                1 => "1 PC".to_owned(),
                several => format!("{several} PCs"),
            };
            format!("{source}: {pcs}")
        });
        let playbook = self.playbook.iter();
        let playbook = playbook.map(|(parameter, source)| format!("{source}: {parameter}"));
        let all: Vec<String> = logons.chain(playbook).collect();
        vec![("kept in", self.file.clone()), ("used for", all.join("; "))]
    }
}
