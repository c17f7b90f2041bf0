//! The inventory that a lab writes: shaped as Ansible's, with Japanese words where people put
//! them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fleetmend_model::TransportKind;
use russh::keys::PublicKey;

use crate::lab::LabPc;
use crate::scenario::Scenario;

/// The files that an inventory refers to, relative to itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryFiles {
    /// The PEM file with the lab's authority.
    pub ca: String,
    /// The known-hosts file.
    pub known_hosts: String,
}

impl Default for InventoryFiles {
    fn default() -> Self {
        Self {
            ca: "lab-ca.pem".to_owned(),
            known_hosts: "known_hosts".to_owned(),
        }
    }
}

/// The departments over which the PCs are spread.
const DEPARTMENTS: [(&str, &str); 3] = [
    ("経理部", "経理部の端末"),
    ("営業部", "営業部の端末"),
    ("情報システム部", "サーバーと検証機"),
];

/// Returns the inventory.
pub(crate) fn yaml(pcs: &[LabPc], user: &str, files: &InventoryFiles) -> String {
    yaml_with(pcs, user, files, &|_| None)
}

/// Returns the inventory with the encrypted passwords of some PCs.
pub(crate) fn yaml_with(
    pcs: &[LabPc],
    user: &str,
    files: &InventoryFiles,
    sealed: &dyn Fn(&LabPc) -> Option<String>,
) -> String {
    let mut text = String::from(
        "# fleetmend の検証環境 (シミュレーション)。This lab is simulated; nothing here is real.\n\
         all:\n  vars:\n",
    );
    let _ = writeln!(text, "    ansible_user: {}", quoted(user));
    let known_hosts = quoted(&files.known_hosts);
    let _ = writeln!(text, "    ssh:\n      known_hosts: {known_hosts}");
    text.push_str("  children:\n");
    let mut groups: BTreeMap<usize, Vec<(usize, &LabPc)>> = BTreeMap::new();
    for (index, pc) in pcs.iter().enumerate() {
        groups
            .entry(department(pc.scenario, pc.japanese, index))
            .or_default()
            .push((index, pc));
    }
    for (department, members) in groups {
        let Some((name, comment)) = DEPARTMENTS.get(department) else {
            continue;
        };
        let _ = writeln!(
            text,
            "    {name}:  # {comment}\n      vars:\n        部署: {name}"
        );
        text.push_str("      hosts:\n");
        for (index, pc) in members {
            host(&mut text, index, pc, files);
            if let Some(sealed) = sealed(pc) {
                text.push_str("          ansible_password: !vault |\n");
                for line in sealed.lines() {
                    let _ = writeln!(text, "            {line}");
                }
            }
        }
    }
    text
}

/// Servers are with the IT department, Japanese PCs with accounting, the rest takes turns.
fn department(scenario: Scenario, japanese: bool, index: usize) -> usize {
    match (scenario, japanese) {
        (Scenario::DomainController, _) => 2,
        (_, true) => 0,
        _ => index % 2,
    }
}

/// Returns the department that a PC belongs to.
pub(crate) fn department_of(scenario: Scenario, japanese: bool, index: usize) -> &'static str {
    let department = DEPARTMENTS.get(department(scenario, japanese, index));
    department.map_or("", |(name, _)| name)
}

/// Returns where a PC stands.
pub(crate) fn place(index: usize) -> String {
    format!("本社{}階", index % 7 + 2)
}

fn host(text: &mut String, index: usize, pc: &LabPc, files: &InventoryFiles) {
    let _ = writeln!(text, "        {}:", pc.name);
    let _ = writeln!(text, "          ansible_host: {}", pc.address.ip());
    let _ = writeln!(text, "          ansible_port: {}", pc.address.port());
    let connection = match pc.transport {
        TransportKind::Ssh => "ssh",
        TransportKind::WinrmHttp | TransportKind::WinrmHttps => "winrm",
    };
    let _ = writeln!(text, "          ansible_connection: {connection}");
    match pc.transport {
        TransportKind::Ssh => {}
        TransportKind::WinrmHttp => text.push_str("          ansible_winrm_scheme: http\n"),
        // Our own name, because its path is relative to the inventory.
        TransportKind::WinrmHttps => {
            let _ = writeln!(text, "          tls: {}", quoted(&files.ca));
        }
    }
    if pc.japanese {
        let _ = writeln!(text, "          設置場所: {}", place(index));
    }
}

/// Returns a known-hosts file with every PC that offers SSH.
pub(crate) fn known_hosts(pcs: &[LabPc], key: &PublicKey) -> String {
    let Ok(key) = key.to_openssh() else {
        return String::new();
    };
    let mut text = String::new();
    let ports = pcs.iter().flat_map(|pc| {
        let off = (pc.transport, pc.address);
        let none = pc.ports.is_empty();
        pc.ports.iter().copied().chain(none.then_some(off))
    });
    for (_, address) in ports.filter(|(transport, _)| *transport == TransportKind::Ssh) {
        let (ip, port) = (address.ip(), address.port());
        let host = if port == 22 {
            ip.to_string()
        } else {
            format!("[{ip}]:{port}")
        };
        let _ = writeln!(text, "{host} {}", key.trim_end());
    }
    text
}

/// Puts a text between single quotes, as YAML reads without escapes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
