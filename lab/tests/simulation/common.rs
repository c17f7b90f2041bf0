//! A client of the step channel without any transport: what the tests here have in common.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmend_lab::{LabCommand, Output, Pc, Process};
use fleetmend_transport::{CommandLine, Script, powershell};
use serde_json::Value;

/// The scripts of trust-repair, by their names. The lab only compares texts, so any will do.
pub(crate) const SCRIPTS: [&str; 8] = [
    "trust-repair/diagnose.ps1",
    "trust-repair/ksetup-machine-password.ps1",
    "trust-repair/netlogon-rediscover.ps1",
    "trust-repair/rotate-machine-password.ps1",
    "trust-repair/sc-reset.ps1",
    "trust-repair/secure-channel-repair.ps1",
    "trust-repair/store-machine-password.ps1",
    "trust-repair/verify.ps1",
];

pub(crate) const MARKER: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn scripts() -> Vec<Script> {
    SCRIPTS
        .map(|name| Script {
            name: name.into(),
            text: text_of(name),
        })
        .to_vec()
}

pub(crate) fn text_of(name: &str) -> String {
    format!("# {name}\nparam($Params)\n")
}

pub(crate) fn start_line() -> String {
    match powershell::start_command() {
        CommandLine::Windows { program, arguments } => format!("{program} {arguments}"),
        CommandLine::Posix(line) => line,
    }
}

pub(crate) fn request(id: u64, script: &str, params: &Value) -> Vec<u8> {
    let params = STANDARD.encode(params.to_string());
    format!("{MARKER} {id} {} {params}\n", STANDARD.encode(script)).into_bytes()
}

/// A step channel to a PC without a network between.
pub(crate) struct Channel {
    process: Process,
    next: u64,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Channel {
    pub(crate) fn open(pc: &dyn Pc, user: &str) -> Self {
        let process = pc.spawn(LabCommand {
            user: user.into(),
            line: start_line(),
            through_shell: false,
            code_page: Some(65001),
        });
        Self {
            process,
            next: 1,
            stdout: Vec::new(),
            stderr: Vec::new(),
        }
    }

    /// Runs one step and returns the whole reply.
    pub(crate) async fn step(&mut self, script: &str, params: &Value) -> Value {
        let id = self.next;
        self.next += 1;
        self.process
            .stdin
            .send(request(id, script, params))
            .await
            .unwrap();
        let mark = format!("\n{MARKER} {id} ");
        let answered = async {
            loop {
                match self
                    .process
                    .output
                    .recv()
                    .await
                    .expect("an answer before the end")
                {
                    Output::Stdout(bytes) => self.stdout.extend(bytes),
                    Output::Stderr(bytes) => self.stderr.extend(bytes),
                    Output::Exit(code) => panic!("ended with {code} instead of an answer"),
                }
                let text = String::from_utf8_lossy(&self.stdout).into_owned();
                if let Some((_, rest)) = text.split_once(&mark)
                    && let Some((json, _)) = rest.split_once('\n')
                {
                    return serde_json::from_str(json).unwrap();
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), answered)
            .await
            .expect("an answer in time")
    }

    /// Runs a step of trust-repair that must answer.
    pub(crate) async fn answer(&mut self, name: &str, params: &Value) -> Value {
        let reply = self.step(&text_of(name), params).await;
        assert_eq!(reply["ok"], true, "{name}: {reply}");
        reply["answer"].clone()
    }

    /// Ends the input and returns the exit code.
    pub(crate) async fn end(self) -> i32 {
        let Process {
            stdin, mut output, ..
        } = self.process;
        drop(stdin);
        while let Some(output) = output.recv().await {
            if let Output::Exit(code) = output {
                return code;
            }
        }
        panic!("no exit code");
    }
}

/// Everything that a command prints, and its exit code.
pub(crate) async fn run(
    pc: Arc<dyn Pc>,
    command: LabCommand,
    input: &[u8],
) -> (Vec<u8>, Vec<u8>, i32) {
    let Process {
        stdin, mut output, ..
    } = pc.spawn(command);
    // A command that ended without reading is fine.
    let _ = stdin.send(input.to_vec()).await;
    drop(stdin);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(output) = output.recv().await {
        match output {
            Output::Stdout(bytes) => out.extend(bytes),
            Output::Stderr(bytes) => err.extend(bytes),
            Output::Exit(code) => return (out, err, code),
        }
    }
    panic!("no exit code");
}
