//! Requests that were sent to real Windows hosts, sent to the lab: the answers must be built
//! like the recorded ones, element for element, ids and addresses aside.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::exchange::exchange;
use super::operations::Caller;
use super::test_pc::{Act, ScriptPc};
use super::xml::Element;
use super::{Winrm, WinrmOptions};
use crate::process::Output;

/// Sessions whose Get and PSRP parts the lab does not have.
const NOT_HERE: &[&str] = &[
    "pypsrp-get-config",
    "pypsrp-get-deleted-shell",
    "pypsrp-get-shell",
];

fn sessions() -> Option<PathBuf> {
    let shared = std::env::var_os("FLEETMEND_SHARED")
        .map(PathBuf::from)
        .or_else(|| {
            let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            here.ancestors()
                .map(|up| up.join("../shared"))
                .find(|path| path.is_dir())
        });
    let folder = shared.map(|shared| shared.join("recordings/winrs/sessions"));
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("SKIPPED: recorded sessions, because the recordings are absent");
    }
    folder
}

fn load(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
        .collect()
}

fn parse(exchange: &Value, field: &str) -> Element {
    Element::parse(exchange[field].as_str().unwrap()).unwrap()
}

fn find<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    if element.name == name {
        return Some(element);
    }
    element.children.iter().find_map(|child| find(child, name))
}

/// Makes each process do what the recorded one did.
fn scripts(exchanges: &[Value]) -> Vec<Vec<Act>> {
    let mut scripts: Vec<Vec<Act>> = Vec::new();
    for exchange in exchanges {
        if exchange["operation"] == "Command" && exchange["status"] == 200 {
            scripts.push(Vec::new());
        }
        let Some(acts) = scripts.last_mut() else {
            continue;
        };
        if exchange["operation"] != "Receive" {
            continue;
        }
        let response = parse(exchange, "response");
        if exchange["status"] == 500 {
            let wait = find(&parse(exchange, "request"), "OperationTimeout")
                .unwrap()
                .text
                .clone();
            acts.push(Act::Sleep(super::duration::parse(&wait).unwrap()));
            continue;
        }
        acts.push(Act::Sleep(Duration::from_millis(100)));
        let receive = find(&response, "ReceiveResponse").unwrap();
        for stream in receive.named("Stream") {
            let text: String = stream.text.split_whitespace().collect();
            let bytes = STANDARD.decode(text).unwrap();
            if bytes.is_empty() {
                continue;
            }
            let error = stream.attribute("Name") == Some("stderr");
            acts.push(Act::Write(if error {
                Output::Stderr(bytes)
            } else {
                Output::Stdout(bytes)
            }));
        }
        if let Some(code) = find(receive, "ExitCode") {
            acts.push(Act::Write(Output::Exit(code.text.trim().parse().unwrap())));
        }
    }
    scripts
}

/// Takes out what differs from run to run.
fn normal(mut element: Element) -> Element {
    const OWN: &[&str] = &[
        "MessageID",
        "RelatesTo",
        "ShellId",
        "CommandId",
        "Owner",
        "ClientIP",
    ];
    const TIMES: &[&str] = &["Address", "ShellRunTime", "ShellInactivity"];
    let selector = element.name == "Selector";
    if OWN.contains(&element.name.as_str()) || TIMES.contains(&element.name.as_str()) || selector {
        element.text.clear();
    }
    element.text = element.text.trim().to_owned();
    if element.name == "Stream" {
        element.text.retain(|letter| !letter.is_whitespace());
    }
    for (name, value) in &mut element.attributes {
        if matches!(name.as_str(), "CommandId" | "Machine") {
            value.clear();
        }
    }
    if element.name == "Variable" {
        // The recorded name has lost a backslash, on the way through a YAML file or before.
        for (_, value) in &mut element.attributes {
            value.retain(|letter| letter != '\\');
        }
    }
    element.attributes.sort();
    element.children.retain(|child| child.name != "ActivityId");
    element.children = element.children.into_iter().map(normal).collect();
    element
}

/// Returns what was not as recorded.
async fn replay(name: &str, exchanges: &[Value]) -> Vec<String> {
    let mut differences = Vec::new();
    let pc = Arc::new(ScriptPc::new(scripts(exchanges)));
    let winrm = Winrm::new(pc, WinrmOptions::default());
    let address = "http://192.168.56.11:5985/wsman";
    let caller = Caller {
        user: "vagrant",
        address,
        client: "192.168.56.1",
    };
    let mut ids: HashMap<String, String> = HashMap::new();
    for (number, recorded) in exchanges.iter().enumerate() {
        let mut request = recorded["request"].as_str().unwrap().to_owned();
        for (theirs, ours) in &ids {
            request = request.replace(theirs, ours);
        }
        let answer = exchange(&winrm, caller, &request).await.unwrap();
        let at = format!("{name} {number} {}", recorded["operation"]);
        if answer.is_fault != (recorded["status"] == 500) {
            differences.push(format!("{at}: {}", answer.xml));
        }
        let (ours, theirs) = (
            Element::parse(&answer.xml).unwrap(),
            parse(recorded, "response"),
        );
        for id in ["ShellId", "CommandId"] {
            if let (Some(ours), Some(theirs)) = (find(&ours, id), find(&theirs, id)) {
                ids.insert(theirs.text.trim().to_owned(), ours.text.clone());
            }
        }
        let (ours, theirs) = (normal(ours), normal(theirs));
        if ours != theirs {
            differences.push(format!(
                "{at}:\n ours {}\n theirs {}",
                show(&ours),
                show(&theirs)
            ));
        }
    }
    differences
}

fn show(element: &Element) -> String {
    let inside: String = element.children.iter().map(show).collect();
    let Element {
        name,
        attributes,
        text,
        ..
    } = element;
    format!("{name}{attributes:?}({text}{inside})")
}

#[tokio::test(start_paused = true)]
async fn answers_are_built_as_recorded() {
    let Some(folder) = sessions() else { return };
    let (mut replayed, mut differences) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("pypsrp-") && !NOT_HERE.contains(&name.as_str()) {
            differences.extend(replay(&name, &load(&path)).await);
            replayed += 1;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(replayed >= 14, "only {replayed} sessions");
}
