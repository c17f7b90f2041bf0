//! The scripts of `playbooks/library/logon-black-screen/`, by the schemas beside them. What they read
//! and write stands in the PC's registry under the names below, as tests set it.

use serde_json::{Value, json};

use super::{StepContext, StepOutcome};
use crate::machine::Machine;
use crate::win32;

const WINLOGON: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\";
const DEBUGGERS: &str =
    r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Image File Execution Options\";
const SERVICES: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\";
/// Below it: how many of those who are logged on lack a package, by its family name.
const UNREGISTERED: &str = r"lab\unregistered\";
/// Whether a task registers the packages at every logon.
const AT_LOGON: &str = r"lab\register-at-logon";

const SHELL: &str = "explorer.exe";
const USERINIT: &str = r"C:\Windows\system32\userinit.exe,";
const PROGRAMS: [&str; 3] = ["explorer.exe", "sihost.exe", "userinit.exe"];
/// With the start that Windows comes with.
const STARTS: [(&str, u64); 5] = [
    ("AppReadiness", 3),
    ("AppXSvc", 3),
    ("ProfSvc", 2),
    ("StateRepository", 3),
    ("UserManager", 2),
];
const PACKAGES: [&str; 3] = [
    "MicrosoftWindows.Client.CBS_cw5n1h2txyewy",
    "Microsoft.UI.Xaml.CBS_8wekyb3d8bbwe",
    "MicrosoftWindows.Client.Core_cw5n1h2txyewy",
];

/// Returns a value of the registry.
fn value(pc: &Machine, folder: &str, name: &str) -> Option<Value> {
    pc.registry.get(&format!("{folder}{name}")).cloned()
}

/// Returns a text of the registry, or what Windows comes with.
fn text(pc: &Machine, name: &str, default: &str) -> String {
    let found = value(pc, WINLOGON, name);
    let found = found.as_ref().and_then(Value::as_str);
    found.unwrap_or(default).to_owned()
}

/// Tells of the program that a command line begins with: what has a file is there, what lies in a
/// folder of programs is signed as well.
fn file(pc: &Machine, command: &str) -> Value {
    let path = command.trim_end_matches(',');
    let exists = pc.files.contains_key(path);
    json!({ "exists": exists, "signed": exists && path.starts_with(r"C:\Program Files\") })
}

/// `logon-black-screen/diagnose.ps1`.
pub(super) fn diagnose(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    StepOutcome::Done(Ok(json!({
        "elevated": context.elevated,
        "os": {
            "build": pc.os.build, "ubr": pc.os.ubr, "server_core": false, "lcid": pc.lcid,
        },
        "winlogon": winlogon(pc),
        "kiosk": false,
        "debuggers": debuggers(pc),
        "files": [
            { "name": "explorer.exe", "size": 2_774_080 },
            { "name": r"System32\userinit.exe", "size": 45_056 },
            { "name": r"System32\sihost.exe", "size": 131_072 },
        ],
        "services": services(pc),
        "sessions": (1_u32..).zip(&pc.users)
            .map(|(id, _)| json!({ "id": id, "explorer": true })).collect::<Vec<_>>(),
        "packages": packages(pc),
        "crashes": crashes(pc),
        "deployment_errors": 0,
        "updates": updates(pc),
        "display_error_codes": [0],
        "probe_errors": [],
    })))
}

fn winlogon(pc: &Machine) -> Value {
    let shell = text(pc, "Shell", SHELL);
    let userinit = text(pc, "Userinit", USERINIT);
    let is_shell = shell.eq_ignore_ascii_case(SHELL);
    let own = |entry: &&str| entry.eq_ignore_ascii_case(USERINIT.trim_end_matches(','));
    let entries: Vec<&str> = userinit
        .split(',')
        .filter(|part| !part.is_empty())
        .collect();
    let there = entries.iter().filter(|entry| own(entry)).count();
    json!({
        "shell": shell,
        "shell_is_default": is_shell,
        "shell_file": (!is_shell).then(|| file(pc, &shell)),
        "userinit": userinit,
        "userinit_is_there": there > 0,
        "userinit_others": entries.len() - there,
        "userinit_file": (there == 0).then(|| file(pc, &userinit)),
        "policy_shell": null,
    })
}

fn debuggers(pc: &Machine) -> Vec<Value> {
    let found = PROGRAMS.iter().filter_map(|program| {
        let debugger = value(pc, DEBUGGERS, &format!(r"{program}\Debugger"))?;
        let file = file(pc, debugger.as_str().unwrap_or_default());
        Some(json!({ "program": program, "debugger": debugger, "file": file }))
    });
    found.collect()
}

/// Returns how a service starts.
fn start(pc: &Machine, name: &str, default: u64) -> u64 {
    let found = value(pc, SERVICES, &format!(r"{name}\Start"));
    found.and_then(|start| start.as_u64()).unwrap_or(default)
}

fn services(pc: &Machine) -> Vec<Value> {
    let all = STARTS.map(|(name, default)| {
        let start = start(pc, name, default);
        json!({ "name": name, "start": start, "status": if start == 2 { 4 } else { 1 } })
    });
    all.to_vec()
}

fn packages(pc: &Machine) -> Vec<Value> {
    // Older Windows do not have them.
    if pc.os.build < 22_000 {
        return Vec::new();
    }
    let all = PACKAGES.map(|family| {
        let missing = value(pc, UNREGISTERED, family).unwrap_or_else(|| json!(0));
        json!({ "family": family, "status": 0, "missing_for": missing })
    });
    all.to_vec()
}

fn crashes(pc: &Machine) -> Value {
    let ours = pc.events.iter();
    let ours = ours.filter(|event| event.provider == "Application Error" && event.id == 1000);
    let times: Vec<i64> = ours.map(|event| event.at.as_second()).collect();
    json!({ "count": times.len(), "first_unix": times.first(), "last_unix": times.last() })
}

fn updates(pc: &Machine) -> Vec<Value> {
    let newest_first = pc.updates.iter().rev().map(|update| {
        let day = update.installed.strftime("%Y-%m-%d").to_string();
        let unix = update.installed.as_second();
        json!({ "id": update.id, "installed_on": day, "installed_unix": unix - unix.rem_euclid(86_400) })
    });
    newest_first.take(20).collect()
}

fn refused(probe: &str) -> Value {
    let id = "System.Security.SecurityException";
    json!({ "probe": probe, "code": win32::ACCESS_DENIED, "error_id": id })
}

/// Returns the texts of a list among the parameters.
fn asked(context: &StepContext<'_>, name: &str) -> Vec<String> {
    let list = context.params.get(name).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

/// `logon-black-screen/set-winlogon.ps1`.
pub(super) fn set_winlogon(context: &mut StepContext<'_>) -> StepOutcome {
    let userinit = context.params.get("userinit") == Some(&json!(true));
    let (name, default) = if userinit {
        ("Userinit", USERINIT)
    } else {
        ("Shell", SHELL)
    };
    let before = text(context.pc, name, default);
    let mut errors = Vec::new();
    if context.elevated {
        let path = format!("{WINLOGON}{name}");
        context.pc.registry.insert(path, json!(default));
    } else {
        errors.push(refused("store"));
    }
    let stored = text(context.pc, name, default) == default;
    StepOutcome::Done(Ok(
        json!({ "before": before, "stored": stored, "probe_errors": errors }),
    ))
}

/// `logon-black-screen/clear-debuggers.ps1`.
pub(super) fn clear_debuggers(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let mut done = Vec::new();
    for program in asked(context, "programs") {
        let path = format!(r"{DEBUGGERS}{program}\Debugger");
        let before = context.pc.registry.get(&path).cloned();
        if context.elevated {
            context.pc.registry.remove(&path);
        } else {
            errors.push(refused("clear"));
        }
        done.push(json!({ "program": program, "before": before, "cleared": context.elevated }));
    }
    StepOutcome::Done(Ok(json!({ "programs": done, "probe_errors": errors })))
}

/// `logon-black-screen/enable-services.ps1`.
pub(super) fn enable_services(context: &mut StepContext<'_>) -> StepOutcome {
    let mut errors = Vec::new();
    let mut done = Vec::new();
    for service in asked(context, "services") {
        let default = STARTS.iter().find(|(name, _)| *name == service);
        let default = default.map_or(3, |(_, start)| *start);
        let before = start(context.pc, &service, default);
        if context.elevated {
            let path = format!(r"{SERVICES}{service}\Start");
            context.pc.registry.insert(path, json!(default));
        } else {
            errors.push(refused("enable"));
        }
        let now = start(context.pc, &service, default);
        done.push(json!({ "name": service, "start_before": before, "start": now }));
    }
    StepOutcome::Done(Ok(json!({ "services": done, "probe_errors": errors })))
}

/// `logon-black-screen/register-packages.ps1`.
pub(super) fn register_packages(context: &mut StepContext<'_>) -> StepOutcome {
    let sessions = context.params.get("sessions").and_then(Value::as_array);
    let sessions: Vec<Value> = sessions.into_iter().flatten().cloned().collect();
    let mut errors = Vec::new();
    let mut runs = Vec::new();
    if context.elevated {
        let registry = &mut context.pc.registry;
        if !sessions.is_empty() {
            registry.retain(|path, _| !path.starts_with(UNREGISTERED));
        }
        runs = sessions
            .iter()
            .map(|id| json!({ "session": id, "result": 0 }))
            .collect();
        if context.params.get("at_every_logon") == Some(&json!(true)) {
            registry.insert(AT_LOGON.to_owned(), json!(true));
        }
    } else {
        errors.push(refused("run"));
    }
    let left = context.pc.registry.contains_key(AT_LOGON);
    StepOutcome::Done(Ok(
        json!({ "runs": runs, "at_every_logon": left, "probe_errors": errors }),
    ))
}
