//! Steps that the controller takes in the directory.

use std::sync::Arc;

use fleetmend_model::DirectoryAction;
use fleetmend_yaml::{Map, Node, Position};

use crate::actions::action_file;
use crate::consult::DIRECTORY;
use crate::error::Problem;
use crate::read::kinds::{Run, gives_made};
use crate::read::names::{Giver, Visible};
use crate::read::reader::Reader;
use crate::read::steps::{DEADLINE, StepContext};
use crate::{Consult, Need, ScriptFile, Step, StepKind};

/// The words for the actions, in the order of [`DirectoryAction::ALL`].
const NAMES: [&str; 6] = [
    "read-computer",
    "reset-computer-password",
    "enable-computer",
    "unlock-computer",
    "restore-computer",
    "provision-offline-join",
];

/// The action whose answer stands as `facts.directory`: the only one that changes nothing.
const ASKING: DirectoryAction = DirectoryAction::ReadComputer;

impl Reader<'_> {
    /// Reads the name of an action.
    pub(crate) fn action(
        &mut self,
        node: &Node,
        step: &str,
    ) -> Option<(DirectoryAction, Arc<ScriptFile>)> {
        let action = self.word(node, step, "action", &NAMES, &DirectoryAction::ALL)?;
        let file = self.action_file(action, node.at, step)?;
        Some((action, file))
    }

    /// Reads `directory` of diagnose or verify: the question that goes with it.
    pub(crate) fn consult(
        &mut self,
        parent: &Map,
        phase: &'static str,
        context: &mut StepContext<'_>,
    ) -> Option<Consult> {
        let node = parent.get("directory")?;
        let step = format!("{phase}/{DIRECTORY}");
        let map = self.map(node, &step, &["action"], &["when", "with", "deadline"])?;
        let when = map
            .get("when")
            .map(|node| self.condition(node, &step, context.visible));
        let with = self.with(map, &step, context.visible);
        let deadline = self.deadline(map, &step, DEADLINE);
        let name = map.get("action")?;
        let (action, script) = self.action(name, &step)?;
        if action.changes() {
            let action = action.name();
            self.error(name.at, &step, Problem::MustOnlyAsk { phase, action });
        }
        self.check_taken(map, &step, &script);
        self.check_passed(map, node.at, &step, &script);
        Some(Consult {
            step: Step {
                name: DIRECTORY.to_owned(),
                script,
                kind: StepKind::Action(action),
                when: None,
                makes: None,
                with: with?,
                secrets: Vec::new(),
                deadline: deadline?,
                changes: false,
            },
            when: match when {
                Some(when) => Some(when?),
                None => None,
            },
        })
    }

    /// Returns who gives facts or evidence: the script, and the directory if it is asked as well.
    pub(crate) fn giver(&mut self, parent: &Map, phase: &str, script: &Arc<ScriptFile>) -> Giver {
        let mut giver = Giver {
            script: Arc::clone(script),
            directory: None,
        };
        if let Some(node) = parent.get("directory") {
            let step = format!("{phase}/{DIRECTORY}");
            let fields = script.gives.get("properties");
            if fields.is_some_and(|fields| fields.get(DIRECTORY).is_some()) {
                let giver = script.name.clone();
                self.error(node.at, &step, Problem::GivesDirectory { giver });
            }
            giver.directory = self.action_file(ASKING, node.at, &step);
        }
        giver
    }

    /// Reads `makes`: the name of the secret that a step makes.
    pub(crate) fn makes(
        &mut self,
        map: &Map,
        at: Position,
        step: &str,
        phase: Option<&'static str>,
        (script, run): (&ScriptFile, &Run),
        visible: &Visible<'_>,
    ) -> Option<String> {
        let maker = match run {
            Run::Action(action) => Some(action).filter(|action| action.makes_secret()),
            Run::Script | Run::Reboot | Run::Logon => None,
        };
        let Some(node) = map.get("makes") else {
            if let Some(action) = maker.filter(|_| phase.is_none()) {
                let action = action.name();
                self.error(at, step, Problem::MakesNameless { action });
            }
            return None;
        };
        if matches!(run, Run::Reboot | Run::Logon) {
            // That the key has no meaning here is told already.
            return None;
        }
        if phase.is_some() {
            self.error(node.at, step, Problem::MakesInPreflight);
            return None;
        }
        let name = self.text(node, step)?;
        let name = self.variable(name, node.at, step, "name of a secret")?;
        if matches!(run, Run::Script) {
            if !gives_made(script) {
                let script = script.name.clone();
                self.error(node.at, step, Problem::MadeNotGiven { script });
            }
        } else if maker.is_none() {
            let what = map.get("action").and_then(Node::as_str);
            let what = what.unwrap_or("the step").to_owned();
            let makers = DirectoryAction::ALL.into_iter();
            let makers = makers.filter(|action| action.makes_secret());
            let makers = makers.map(DirectoryAction::name).collect();
            self.error(node.at, step, Problem::MakesNothing { name: what, makers });
            return None;
        }
        if visible.is_param(name) {
            let name = name.to_owned();
            self.error(node.at, step, Problem::AmbiguousSecret { name });
        }
        Some(name.to_owned())
    }

    /// Checks that a rung says that it needs what its action needs.
    pub(crate) fn check_action_needs(
        &mut self,
        action: DirectoryAction,
        at: Position,
        step: &str,
        needs: &[Need],
    ) {
        let (need, word) = match action {
            DirectoryAction::ProvisionOfflineJoin => (Need::OfflineJoin, "offline-join"),
            DirectoryAction::ReadComputer
            | DirectoryAction::ResetComputerPassword
            | DirectoryAction::EnableComputer
            | DirectoryAction::UnlockComputer
            | DirectoryAction::RestoreComputer => (Need::Directory, "directory"),
        };
        if !needs.contains(&need) {
            let (action, need) = (action.name(), word);
            self.error(at, step, Problem::UndeclaredNeed { action, need });
        }
    }

    fn action_file(
        &mut self,
        action: DirectoryAction,
        at: Position,
        step: &str,
    ) -> Option<Arc<ScriptFile>> {
        action_file(action)
            .map_err(|error| {
                let side = error.side;
                let path = format!("{action}.{side}.json");
                let detail = error.detail;
                self.error(at, step, Problem::BadSchema { side, path, detail });
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_actions() {
        assert_eq!(NAMES, DirectoryAction::ALL.map(DirectoryAction::name));
    }
}
