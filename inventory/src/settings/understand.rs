//! All settings of one host.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use fleetmend_model::{
    CredentialRef, Host, Platform, TlsVerification, TransportChoice, WinrmAuth, WinrmScheme,
};
use fleetmend_yaml::Tag;
use unicode_normalization::UnicodeNormalization as _;

use super::password::{self, Password};
use super::reader::Reader;
use super::tolerate::tolerate;
use super::{ignored, ssh, winrm};
use crate::error::{InventoryError, Problem};
use crate::graph::RawHost;
use crate::vars::Vars;
use crate::vaults::{Opener, VAULTED};
use crate::{Options, Warning};

/// The names of the address, the strongest first; those of a plugin count for its connection.
pub(crate) const ADDRESS_NAMES: [&str; 5] = [
    "ansible_winrm_host",
    "ansible_psrp_host",
    "ansible_ssh_host",
    "ansible_host",
    "address",
];

/// What a host's variables came to.
pub(crate) struct Understood {
    /// The settings; name, groups and variables are the caller's.
    pub(crate) host: Host,
    /// Whether a run can reach it over WinRM or SSH.
    pub(crate) reachable: bool,
    /// The variables that are settings.
    pub(crate) used: BTreeSet<Arc<str>>,
    /// The variables that hold secrets in the clear.
    pub(crate) secret: BTreeSet<Arc<str>>,
    pub(crate) errors: Vec<InventoryError>,
    pub(crate) warnings: Vec<Warning>,
}

/// How Ansible or we would connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Auto,
    Winrm,
    Psrp,
    Ssh,
    Elsewhere,
}

/// Reads every setting of a host.
pub(crate) fn understand(
    raw: &RawHost,
    vars: &Vars,
    options: &Options,
    opener: &Opener<'_>,
) -> Understood {
    let mut reader = Reader::new(&raw.name, vars, opener);
    let (connection, ansible) = connection(&mut reader);
    let mut host = Host::new(&raw.name);
    if let Some(address) = address(&mut reader, connection, raw) {
        host.address = address;
    }
    host.port = reader
        .port(&names(connection, "port"))
        .map(|port| port.value);
    host.user = reader
        .text(&names(connection, "user"))
        .map(|user| user.value);
    host.credential = reader
        .text(&["credential"])
        // The same credential, whichever way its name was typed.
        .map(|credential| CredentialRef(credential.value.nfc().collect()));
    match password::read(&mut reader, options) {
        Some(Password::Plain(password)) => host.password = Some(password),
        Some(Password::Sealed(password)) => host.sealed_password = Some(password),
        None => {}
    }
    host.transport = transport(connection, host.port);
    let windows_remoting = ansible && matches!(connection, Connection::Winrm | Connection::Psrp);
    host.winrm = winrm::read(&mut reader, host.port, windows_remoting);
    host.ssh = ssh::read(&mut reader);
    host.platform = platform(&mut reader);
    unverified(&mut reader, &host);
    leftovers(&mut reader);
    tolerate(&mut reader);
    reader.conceal();
    let reachable = connection != Connection::Elsewhere;
    let Reader {
        used,
        secret,
        errors,
        warnings,
        ..
    } = reader;
    Understood {
        host,
        reachable,
        used,
        secret,
        errors,
        warnings,
    }
}

/// Reads how to connect, and whether Ansible's name said so.
fn connection(reader: &mut Reader<'_>) -> (Connection, bool) {
    let Some(setting) = reader.text(&["ansible_connection", "transport"]) else {
        return (Connection::Auto, false);
    };
    if setting.value == VAULTED {
        return (Connection::Auto, false);
    }
    if setting.name == "transport" {
        let words = [
            ("auto", Connection::Auto),
            ("winrm", Connection::Winrm),
            ("ssh", Connection::Ssh),
        ];
        let chosen = reader.word_of(setting, &words);
        return (
            chosen.map_or(Connection::Auto, |chosen| chosen.value),
            false,
        );
    }
    let short = setting
        .value
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_lowercase();
    let connection = match short.as_str() {
        "winrm" => Connection::Winrm,
        "psrp" => Connection::Psrp,
        "ssh" | "paramiko" | "paramiko_ssh" | "smart" => Connection::Ssh,
        _ => {
            let text = format!(
                "hosts with `ansible_connection: {}` are left out of runs: only WinRM and SSH are spoken",
                setting.value
            );
            reader.warn(&setting.place, text);
            Connection::Elsewhere
        }
    };
    (connection, true)
}

/// Returns the names of a setting that count for a connection, the strongest first.
fn names(connection: Connection, what: &str) -> Vec<&'static str> {
    let all: [&'static str; 5] = match what {
        "port" => [
            "ansible_winrm_port",
            "ansible_psrp_port",
            "ansible_ssh_port",
            "ansible_port",
            "port",
        ],
        "user" => [
            "ansible_winrm_user",
            "ansible_psrp_user",
            "ansible_ssh_user",
            "ansible_user",
            "user",
        ],
        _ => ADDRESS_NAMES,
    };
    let skipped = |name: &str| match connection {
        Connection::Winrm => name.contains("_psrp_") || name.contains("_ssh_"),
        Connection::Psrp => name.contains("_winrm_") || name.contains("_ssh_"),
        Connection::Ssh => name.contains("_winrm_") || name.contains("_psrp_"),
        Connection::Auto | Connection::Elsewhere => false,
    };
    all.into_iter().filter(|name| !skipped(name)).collect()
}

/// Reads the address; without one the host's name is it.
fn address(reader: &mut Reader<'_>, connection: Connection, raw: &RawHost) -> Option<String> {
    let setting = reader.text(&names(connection, "address"));
    if setting
        .as_ref()
        .is_some_and(|setting| setting.value == VAULTED)
    {
        return Some(VAULTED.to_owned());
    }
    let (text, place, what) = match setting {
        Some(setting) => (setting.value, setting.place, "an address"),
        None => (
            raw.name.clone(),
            raw.place.clone(),
            "an address, and no other is given",
        ),
    };
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(&text);
    match bad_address(bare) {
        None => Some(bare.to_owned()),
        Some(why) => {
            if connection != Connection::Elsewhere {
                let problem = Problem::BadName { what, text, why };
                reader.errors.push(InventoryError::new(place, problem));
            }
            None
        }
    }
}

fn bad_address(text: &str) -> Option<&'static str> {
    let without_zone = text.split('%').next().unwrap_or(text);
    if without_zone.parse::<Ipv6Addr>().is_ok() {
        return None;
    }
    if text.contains("://") {
        return Some("it is a URL; give the name, and `port` and the scheme apart");
    }
    let odd =
        |c: char| c.is_whitespace() || c.is_control() || "/\\@#?%&*\"'<>|,;()[]{}".contains(c);
    if text.contains(odd) {
        return Some("it holds a character that no host name has");
    }
    text.contains(':')
        .then_some("it holds a colon; give the port as `port`")
}

/// The port settles what would otherwise be probed, where it is one of the three known.
fn transport(connection: Connection, port: Option<u16>) -> TransportChoice {
    match (connection, port) {
        (Connection::Winrm | Connection::Psrp, _) | (Connection::Auto, Some(5985 | 5986)) => {
            TransportChoice::Winrm
        }
        (Connection::Ssh, _) | (Connection::Auto, Some(22)) => TransportChoice::Ssh,
        (Connection::Auto | Connection::Elsewhere, _) => TransportChoice::Auto,
    }
}

/// Reads the platform. A shell or an interpreter that only one of them has settles it too, as
/// inventories for Ansible say no more.
fn platform(reader: &mut Reader<'_>) -> Platform {
    let words = [
        ("windows", Platform::Windows),
        ("posix", Platform::Posix),
        ("linux", Platform::Posix),
    ];
    if let Some(platform) = reader.word(&["platform"], &words) {
        return platform.value;
    }
    if let Some((_, var)) = reader.pick(&["ansible_shell_type"]) {
        return match var.node.as_str() {
            Some("powershell" | "cmd") => Platform::Windows,
            Some(_) if var.node.tag == Some(Tag::Vault) => Platform::Windows,
            Some(_) => Platform::Posix,
            None => Platform::Windows,
        };
    }
    let python = reader
        .vars
        .get("ansible_python_interpreter")
        .and_then(|var| var.node.as_str());
    if python.is_some_and(|path| path.starts_with('/')) {
        Platform::Posix
    } else {
        Platform::Windows
    }
}

/// Warns of certificates that nobody looks at: whoever stands between may answer as the PC.
fn unverified(reader: &mut Reader<'_>, host: &Host) {
    let over_tls =
        host.transport != TransportChoice::Ssh && host.winrm.scheme != Some(WinrmScheme::Http);
    if host.winrm.tls != TlsVerification::None || !over_tls {
        return;
    }
    let names = [
        "tls",
        "ansible_winrm_server_cert_validation",
        "ansible_psrp_cert_validation",
    ];
    let Some(place) = names
        .iter()
        .find_map(|name| reader.vars.get(*name))
        .map(|var| var.place())
    else {
        return;
    };
    let text = match host.winrm.auth {
        WinrmAuth::Basic => {
            "the PC's certificate is not verified and Basic gives the password to whoever answers: \
             a run refuses this; verify the certificate or use NTLM"
        }
        WinrmAuth::Ntlm => {
            "the PC's certificate is not verified: whoever stands between can answer as the PC; \
             name its fingerprint or its authority (`tls: sha256:…`, `tls: ca.pem`)"
        }
    };
    reader.warn(&place, text.to_owned());
}

/// Names what was set for Ansible and was not used. The names of other connections are passed
/// over in silence, as Ansible does.
fn leftovers(reader: &mut Reader<'_>) {
    for what in ["port", "user", "address"] {
        for name in names(Connection::Auto, what) {
            if let Some((name, _)) = reader.vars.get_key_value(name) {
                reader.used.insert(Arc::clone(name));
            }
        }
    }
    for (name, var) in reader.vars {
        if !reader.used.contains(name)
            && let Some(text) = ignored::warning(name)
        {
            reader.warnings.push(Warning {
                place: var.key_at.clone(),
                text,
            });
        }
    }
}
