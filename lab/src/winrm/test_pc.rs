//! A PC whose processes follow a script, for the tests of this module.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::ntlm::test_client::{PASSWORD, USER};
use crate::process::{LabCommand, Output, Pc, Process};

/// What a process does next.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Write(Output),
    Sleep(Duration),
    /// Waits for one piece of standard input and writes it out again; at its end goes on.
    Echo,
    Hang,
}

/// The first process does what stands first, and so on; the last script serves all others.
#[derive(Default)]
pub(crate) struct ScriptPc {
    pub(crate) scripts: Vec<Vec<Act>>,
    pub(crate) lesser: bool,
    pub(crate) lines: Mutex<Vec<LabCommand>>,
    pub(crate) logons: Mutex<Vec<(String, bool)>>,
    pub(crate) killed: Arc<Mutex<u32>>,
}

impl ScriptPc {
    pub(crate) fn new(scripts: Vec<Vec<Act>>) -> Self {
        Self {
            scripts,
            ..Self::default()
        }
    }
}

impl Pc for ScriptPc {
    fn computer_name(&self) -> String {
        "PC-001".to_owned()
    }

    fn password_of(&self, user: &str) -> Option<String> {
        (user == USER).then(|| PASSWORD.to_owned())
    }

    fn note_logon(&self, user: &str, accepted: bool) {
        self.logons
            .lock()
            .unwrap()
            .push((user.to_owned(), accepted));
    }

    fn may_use_winrm(&self, _: &str) -> bool {
        !self.lesser
    }

    fn spawn(&self, command: LabCommand) -> Process {
        let mut lines = self.lines.lock().unwrap();
        let script = self
            .scripts
            .get(lines.len())
            .or_else(|| self.scripts.last());
        let acts = script.cloned().unwrap_or_default();
        lines.push(command);
        let (stdin, mut input) = mpsc::channel(2);
        let (output, receiver) = mpsc::channel(2);
        let kill = CancellationToken::new();
        let (stop, killed) = (kill.clone(), self.killed.clone());
        let run = async move {
            for act in acts {
                match act {
                    Act::Write(what) => drop(output.send(what).await),
                    Act::Sleep(time) => sleep(time).await,
                    Act::Echo => {
                        if let Some(bytes) = input.recv().await {
                            drop(output.send(Output::Stdout(bytes)).await);
                        }
                    }
                    Act::Hang => std::future::pending().await,
                }
            }
            // Standard input stays open until the end.
            drop(input);
        };
        tokio::spawn(async move {
            tokio::select! {
                () = run => {}
                () = stop.cancelled() => *killed.lock().unwrap() += 1,
            }
        });
        Process {
            stdin,
            output: receiver,
            kill,
        }
    }
}
