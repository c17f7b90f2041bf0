//! What the engine itself runs on PCs, whatever the playbook.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{Phase, StepRef};
use fleetmend_playbooks::Builtin;
use fleetmend_transport::Script;

use crate::program::{StepPlan, StepRun};

/// The step that holds a PC for this run. No step of a playbook may have this name.
pub(crate) const LOCK: &str = "lock";

/// How long each of the engine's own scripts may take: they read a few values, or give one order.
pub(crate) const OWN_DEADLINE: Duration = Duration::from_secs(60);

/// The engine's own scripts, one copy for all PCs.
#[derive(Clone, Debug)]
pub struct OwnScripts {
    /// Holds the PC for this run, so that no other controller repairs it at the same time.
    pub lock: StepPlan,
    /// Reads which boot it is, and whether Windows is ready.
    pub boot: Arc<Script>,
    /// Orders a restart.
    pub restart: Arc<Script>,
    /// Reads as which account it runs.
    pub account: Arc<Script>,
}

impl Default for OwnScripts {
    fn default() -> Self {
        Self {
            lock: StepPlan {
                name: LOCK.to_owned(),
                run: StepRun::Script(script(Builtin::Lock)),
                secrets: Vec::new(),
                makes: None,
                deadline: OWN_DEADLINE,
                changes: false,
            },
            boot: script(Builtin::Boot),
            restart: script(Builtin::Restart),
            account: script(Builtin::Account),
        }
    }
}

fn script(builtin: Builtin) -> Arc<Script> {
    let name = format!("engine/{builtin}.ps1");
    let text = match builtin.file() {
        Ok(file) => file.text.clone(),
        // A test rules it out; if it were so, an empty script must not pass for a good one.
        Err(_) => "throw 'this script of fleetmend is broken'".to_owned(),
    };
    Arc::new(Script { name, text })
}

/// Tells whether the step is the lock, which belongs to no rung although it stands before one.
pub(crate) fn is_lock(step: &StepRef) -> bool {
    step.phase == Phase::Repair && step.step == LOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_are_those_of_the_binary() {
        let own = OwnScripts::default();
        for (script, name) in [
            (&own.boot, "engine/boot.ps1"),
            (&own.restart, "engine/restart.ps1"),
            (&own.account, "engine/account.ps1"),
        ] {
            assert_eq!(script.name, name);
            assert!(!script.text.contains("is broken"), "{name}");
        }
    }
}
