//! Who runs fleetmend, and from where.

use std::net::IpAddr;

use fleetmend_model::Operator;
use serde_json::{Value, json};

/// Variables in which the tool that gave another account says whose it was before.
const BEHIND: [&str; 2] = ["SUDO_USER", "DOAS_USER"];
/// The longest name that is kept; Windows' longest is 256 with its domain.
const LONGEST: usize = 300;

/// Returns who runs this process, as the system tells it. The account is the process's own; who is
/// behind it and from where they came stands in the environment, and is as true as that.
pub(crate) fn current() -> Operator {
    let account = account();
    let variable = |name: &str| std::env::var(name).ok();
    let behind = BEHIND.iter().find_map(|name| variable(name));
    Operator {
        behind: behind
            .map(|name| plain(&name))
            .filter(|name| !name.is_empty() && *name != account),
        controller: whoami::hostname().map_or_else(|_| UNKNOWN.to_owned(), |name| plain(&name)),
        from: from(variable),
        account,
    }
}

/// Returns the same for the audit trail.
pub(crate) fn terms() -> Value {
    json!({ "operator": current() })
}

/// What stands where the system tells nothing.
const UNKNOWN: &str = "unknown";

/// The account of the process; on Windows with its domain, where it has one.
fn account() -> String {
    let name = whoami::account().or_else(|_| whoami::username());
    let name = name.map(|name| plain(&name)).unwrap_or_default();
    if name.is_empty() { number() } else { name }
}

/// An account without a name, as in many containers.
#[cfg(target_os = "linux")]
fn number() -> String {
    use std::os::unix::fs::MetadataExt as _;
    // The folder of a process belongs to the account that it works as.
    std::fs::metadata("/proc/self").map_or_else(
        |_| UNKNOWN.to_owned(),
        |about| format!("uid {}", about.uid()),
    )
}

#[cfg(not(target_os = "linux"))]
fn number() -> String {
    UNKNOWN.to_owned()
}

/// The operator's own computer: the client of SSH, or of a remote desktop.
fn from(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let ssh = variable("SSH_CONNECTION").or_else(above);
    if let Some(client) = ssh.as_deref().and_then(client) {
        return Some(client);
    }
    let session = variable("SESSIONNAME")?;
    if !session.starts_with("RDP-") {
        return None;
    }
    let client = plain(&variable("CLIENTNAME")?);
    (!client.is_empty()).then_some(client)
}

/// `client port server port`, as sshd sets it.
fn client(connection: &str) -> Option<String> {
    let address = connection.split(' ').next()?;
    // An address that is bound to an interface has it behind a percent sign.
    let bare = address.split('%').next()?;
    bare.parse::<IpAddr>().ok()?;
    Some(plain(address))
}

/// The same of the process from which this one came: `sudo` takes the variable away.
#[cfg(target_os = "linux")]
fn above() -> Option<String> {
    /// fleetmend, sudo, a shell or two, a terminal that shares itself.
    const GENERATIONS: usize = 8;
    let mut process = "self".to_owned();
    for _ in 0..GENERATIONS {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
        parent.trim().clone_into(&mut process);
        if process == "0" || process == "1" {
            return None;
        }
        let Ok(environment) = std::fs::read(format!("/proc/{process}/environ")) else {
            continue;
        };
        let found = environment
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(b"SSH_CONNECTION="));
        if let Some(found) = found {
            return String::from_utf8(found.to_vec()).ok();
        }
    }
    None
}

#[cfg(not(target_os = "linux"))]
fn above() -> Option<String> {
    None
}

/// Takes what would do something to a terminal out of a name, and bounds it.
fn plain(name: &str) -> String {
    let name = name.trim().chars().filter(|c| !c.is_control());
    name.take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_that_of_the_process_and_never_empty() {
        let operator = current();
        assert!(!operator.account.is_empty());
        assert!(!operator.controller.is_empty());
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::fs::MetadataExt as _;
            let uid = std::fs::metadata("/proc/self").unwrap().uid();
            let names = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            let line = names
                .lines()
                .find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
            if let Some(name) = line.and_then(|line| line.split(':').next()) {
                assert_eq!(operator.account, name);
            }
        }
    }

    #[test]
    fn the_client_is_taken_from_ssh_and_from_a_remote_desktop() {
        let with = |set: &'static [(&str, &str)]| {
            from(move |name| {
                let found = set.iter().find(|(of, _)| *of == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(
            with(&[("SSH_CONNECTION", "192.0.2.7 50022 192.0.2.1 22")]).as_deref(),
            Some("192.0.2.7")
        );
        assert_eq!(
            with(&[("SSH_CONNECTION", "fe80::1%eth0 1 fe80::2%eth0 22")]).as_deref(),
            Some("fe80::1%eth0")
        );
        let desktop = with(&[
            ("SSH_CONNECTION", "nonsense"),
            ("SESSIONNAME", "RDP-Tcp#3"),
            ("CLIENTNAME", "情報室\u{1b}[2J"),
        ]);
        assert_eq!(desktop.as_deref(), Some("情報室[2J"));
        let console = with(&[
            ("SSH_CONNECTION", ""),
            ("SESSIONNAME", "Console"),
            ("CLIENTNAME", "x"),
        ]);
        assert_eq!(console, None);
    }
}
