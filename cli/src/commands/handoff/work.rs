//! A run's playbook and PCs again, from what its journal keeps.

use std::sync::Arc;

use fleetmend_engine::{Programs, RunPlan};
use fleetmend_model::{Host, HostName, Platform, RunId};
use fleetmend_playbooks::{Playbook, Situation};

use crate::error::CliError;
use crate::plan;
use crate::playbooks::Playbooks;
use crate::recipe::Recipe;

/// What a run was about.
pub(super) struct Work {
    pub(super) recipe: Recipe,
    pub(super) playbooks: Playbooks,
    pub(super) programs: Programs,
    pub(super) plan: RunPlan,
}

impl Work {
    /// Reads it back.
    ///
    /// # Errors
    /// The journal keeps no plan, or the playbook is not the same any more.
    pub(super) fn read(run: RunId, plan: Option<String>, digest: &str) -> Result<Self, CliError> {
        let text = plan.ok_or_else(|| {
            CliError::user(format!("the journal keeps no plan of the run {run}")).hint(
                "a command by hand, a demo, or a run of an older fleetmend cannot be handed off",
            )
        })?;
        let recipe = Recipe::read(&text)?;
        let playbooks = Playbooks::load(&recipe.playbook)?;
        let programs = Programs::of(Arc::clone(&playbooks.main), playbooks.also.iter().cloned());
        if programs.digest() != digest {
            return Err(CliError::user(format!(
                "the playbook {} has changed since the run {run}",
                playbooks.main.name
            ))
            .hint("use the fleetmend and the playbook of that run, or run again"));
        }
        let pcs = recipe.pcs(None);
        let plan = plan::of_playbook(
            &playbooks,
            recipe.mode,
            &pcs,
            &recipe.logon(),
            &recipe.domain(),
            &recipe.reboot()?,
        )?;
        Ok(Self {
            recipe,
            playbooks,
            programs,
            plan,
        })
    }

    /// Returns a PC of the run as the inventory had it.
    pub(super) fn host(&self, name: &HostName) -> Option<&Arc<Host>> {
        self.plan.hosts.iter().find(|host| host.name == *name)
    }

    /// Returns the playbook for Windows PCs.
    pub(super) fn windows(&self) -> Option<&Playbook> {
        self.playbooks.on(Platform::Windows)
    }

    /// Returns what a stick knows of a PC beside its facts: no directory, no restart, no
    /// credential, no secret.
    pub(super) fn situation(&self, host: &Host) -> Result<Situation, CliError> {
        let playbook = self.playbooks.on(host.platform);
        let whole = self.plan.situation(host).map_err(|error| {
            CliError::user(format!("the parameters do not fit for {}", host.name)).because(error)
        })?;
        let mut situation = Situation {
            params: whole.params,
            host: whole.host,
            language: whole.language,
            ..Situation::default()
        };
        let Some(playbook) = playbook else {
            return Ok(situation);
        };
        for parameter in &playbook.parameters {
            let credential = parameter.kind == fleetmend_playbooks::ParameterKind::Credential;
            if credential || parameter.secret {
                situation
                    .params
                    .insert(parameter.name.clone(), serde_json::Value::Null);
            }
        }
        let read = playbook.variables_read();
        if let Some(serde_json::Value::Object(vars)) = situation.host.get_mut("vars") {
            vars.retain(|name, _| read.contains(name));
        }
        Ok(situation)
    }

    /// Tells whether the inventory knows the PC by this name, or by no name at all.
    pub(super) fn is_called(&self, name: &HostName, computer: &str) -> bool {
        let situation = self
            .host(name)
            .and_then(|host| self.plan.situation(host).ok());
        let names = situation.and_then(|situation| situation.host.get("names").cloned());
        let names = names.as_ref().and_then(serde_json::Value::as_array);
        let computer = computer.to_lowercase();
        names.is_none_or(|names| {
            names.is_empty() || names.iter().any(|name| name.as_str() == Some(&computer))
        })
    }
}
