//! One PC as the inventory describes it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CredentialRef, SealedPassword, Secret};

/// The name by which the inventory knows a PC; unique in a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostName(pub String);

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How to reach a PC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportChoice {
    /// Whatever answers first, in the order of preference (5986, 5985, 22).
    #[default]
    Auto,
    /// WinRM only.
    Winrm,
    /// SSH only.
    Ssh,
}

/// Which kind of commands a PC understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Windows: steps are PowerShell.
    #[default]
    Windows,
    /// Linux and its kin: steps are `sh`.
    Posix,
}

/// Whether WinRM runs over HTTP (message sealing) or HTTPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WinrmScheme {
    /// Port 5985; every SOAP body is sealed by NTLM.
    Http,
    /// Port 5986.
    Https,
}

/// How WinRM logs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WinrmAuth {
    /// NTLMv2 under the scheme Negotiate.
    #[default]
    Ntlm,
    /// Basic, only inside TLS.
    Basic,
}

/// How the certificate of an HTTPS endpoint is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsVerification {
    /// Against the system's roots.
    #[default]
    System,
    /// Against the roots in this PEM file only.
    CaFile(PathBuf),
    /// The certificate's SHA-256 fingerprint must be this (hex, colons allowed).
    Fingerprint(String),
    /// Not at all; the handshake signature is still checked.
    None,
}

/// What WinRM needs to know beyond address and account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WinrmSettings {
    /// HTTP or HTTPS; unset: by port (5985 HTTP, 5986 HTTPS), else by probing.
    pub scheme: Option<WinrmScheme>,
    /// The URL's path.
    pub path: String,
    /// How to log on.
    pub auth: WinrmAuth,
    /// How to judge the certificate.
    pub tls: TlsVerification,
    /// The name the certificate must carry, if it is not the address.
    pub tls_server_name: Option<String>,
}

impl Default for WinrmSettings {
    fn default() -> Self {
        Self {
            scheme: None,
            path: "/wsman".to_owned(),
            auth: WinrmAuth::default(),
            tls: TlsVerification::default(),
            tls_server_name: None,
        }
    }
}

/// What SSH needs to know beyond address and account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSettings {
    /// Private key file to try before the password.
    pub key_file: Option<PathBuf>,
    /// Known-hosts file; unset: the user's own.
    pub known_hosts: Option<PathBuf>,
    /// Learn an unknown host key instead of refusing it. A changed key is always refused.
    pub accept_new_host_keys: bool,
    /// Ask the SSH agent for keys.
    pub use_agent: bool,
}

/// One PC, checked and complete: everything needed to connect except the secret's text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Its inventory name.
    pub name: HostName,
    /// What to connect to: a DNS name or an address; the name itself unless told.
    pub address: String,
    /// Explicit port; unset: the transport's own.
    pub port: Option<u16>,
    /// The account; unset: the credential's or the command line's.
    pub user: Option<String>,
    /// Which credential holds the password; unset: the run's default (`local-admin`).
    pub credential: Option<CredentialRef>,
    /// A password that stood in the inventory in plain text and was allowed by the operator.
    #[serde(skip)]
    pub password: Option<Secret>,
    /// A password that stood in the inventory encrypted; as strong as `password`, which is unset.
    #[serde(skip)]
    pub sealed_password: Option<SealedPassword>,
    /// Windows or posix.
    pub platform: Platform,
    /// WinRM, SSH or whatever answers.
    pub transport: TransportChoice,
    /// WinRM details.
    pub winrm: WinrmSettings,
    /// SSH details.
    pub ssh: SshSettings,
    /// The groups it belongs to, from `all` inwards.
    pub groups: Vec<String>,
    /// Variables after precedence, without those understood above.
    pub vars: BTreeMap<String, Value>,
}

impl Host {
    /// Returns a host of this name with every setting at its default.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            address: name.clone(),
            name: HostName(name),
            port: None,
            user: None,
            credential: None,
            password: None,
            sealed_password: None,
            platform: Platform::default(),
            transport: TransportChoice::default(),
            winrm: WinrmSettings::default(),
            ssh: SshSettings::default(),
            groups: Vec::new(),
            vars: BTreeMap::new(),
        }
    }

    /// Tells whether the inventory itself gives the password, in the clear or encrypted: it then
    /// outweighs every credential.
    pub fn brings_password(&self) -> bool {
        self.password.is_some() || self.sealed_password.is_some()
    }
}
