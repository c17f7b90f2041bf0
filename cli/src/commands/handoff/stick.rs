//! The script for a stick, and what the controller remembers of it.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmend_model::{HostName, RunId};
use fleetmend_playbooks::{Playbook, Situation, handoff};
use fleetmend_transport::{CommandLine, powershell};
use ring::rand::SecureRandom as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::credentials;
use crate::data_dir::{create_private, data_dir, find_data_dir};
use crate::error::CliError;

/// The folder in the data folder where sticks are remembered.
const STICKS: &str = "sticks";

/// What the controller remembers of a stick, readable by its owner only.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stick {
    pub(super) stick: uuid::Uuid,
    pub(super) run: RunId,
    /// The playbook's digest.
    pub(super) digest: String,
    /// The PCs for which it was made.
    pub(super) hosts: Vec<HostName>,
    /// The key with which its script seals results, in hex. It opens nothing else.
    pub(super) seal: String,
}

impl Stick {
    /// Makes a new one for these PCs.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(super) fn new(run: RunId, digest: String, hosts: Vec<HostName>) -> Result<Self, CliError> {
        let mut key = [0; 32];
        ring::rand::SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| CliError::config("the system gives no random bytes"))?;
        Ok(Self {
            stick: uuid::Uuid::new_v4(),
            run,
            digest,
            hosts,
            seal: key.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Remembers it in the data folder.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn remember(&self, folder: Option<&Path>) -> Result<(), CliError> {
        let folder = data_dir(folder)?.join(STICKS);
        let path = folder.join(format!("{}.json", self.stick));
        let text = serde_json::to_string(self)?;
        create_private(&folder)
            .and_then(|()| write_private(&path, text.as_bytes()))
            .map_err(|error| {
                CliError::config(format!("failed to write {}", path.display())).because(error)
            })
    }

    /// Finds a stick by the id that a result names; none if this controller made no such one.
    pub(super) fn find(folder: Option<&Path>, id: &str) -> Result<Option<Self>, CliError> {
        // Only what is an id becomes a path.
        let Ok(id) = id.parse::<uuid::Uuid>() else {
            return Ok(None);
        };
        let path = find_data_dir(folder)?
            .join(STICKS)
            .join(format!("{id}.json"));
        let unreadable = || {
            CliError::config(format!(
                "failed to read what is known of a stick, {}",
                path.display()
            ))
        };
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| unreadable().because(error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable().because(error)),
        }
    }

    /// Tells whether a seal is that of this stick over a text.
    pub(super) fn sealed(&self, text: &str, seal: &str) -> bool {
        let (Some(key), Some(seal)) = (bytes(&self.seal), bytes(seal)) else {
            return false;
        };
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
        ring::hmac::verify(&key, text.as_bytes(), &seal).is_ok()
    }

    /// Returns the script.
    ///
    /// # Errors
    /// The playbook has an expression that the stick does not know.
    pub(super) fn script(
        &self,
        playbook: &Playbook,
        pcs: &[(HostName, Situation)],
    ) -> Result<String, CliError> {
        let trees = playbook
            .handoff()
            .map_err(|error| CliError::user("this playbook cannot go on a stick").because(error))?;
        let scripts = handoff::scripts(playbook);
        let sums: serde_json::Map<String, Value> = scripts
            .iter()
            .map(|(name, text)| ((*name).to_owned(), handoff::digest(text).into()))
            .collect();
        let pcs: Vec<Value> = pcs
            .iter()
            .map(|(name, known)| json!({"name": name, "host": known.host, "params": known.params}))
            .collect();
        let description = json!({
            "format": "fleetmend-handoff/1",
            "stick": self.stick,
            "run": self.run,
            "digest": self.digest,
            "seal": self.seal,
            "credential": credentials::DOMAIN,
            "playbook": trees,
            "scripts": sums,
            "pcs": pcs,
        });
        let (switches, bootstrap) = channel()?;
        let channel = handoff::Channel {
            switches: &switches,
            bootstrap: &bootstrap,
        };
        Ok(handoff::assemble(&description, &scripts, channel))
    }
}

/// Returns the switches of PowerShell and the far end of the step channel as text.
fn channel() -> Result<(String, String), CliError> {
    let odd = || CliError::internal("the start of the step channel is another than was thought");
    let CommandLine::Windows { arguments, .. } = powershell::start_command() else {
        return Err(odd());
    };
    let (switches, encoded) = arguments.rsplit_once(' ').ok_or_else(odd)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| odd())?;
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .filter_map(|pair| Some(u16::from_le_bytes(*pair.first_chunk()?)))
        .collect();
    let bootstrap = String::from_utf16(&units).map_err(|_| odd())?;
    Ok((format!("{switches} "), bootstrap))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let hex = hex.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| {
        let [high, low] = *pair.first_chunk::<2>()?;
        u8::try_from(digit(high)? * 16 + digit(low)?).ok()
    };
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    hex.chunks(2).map(pair).collect()
}

fn write_private(path: &PathBuf, text: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    std::io::Write::write_all(&mut options.open(path)?, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_fits_its_text_alone() {
        let stick = Stick {
            seal: "00ff".to_owned(),
            ..Stick::new(RunId(uuid::Uuid::now_v7()), String::new(), Vec::new()).unwrap()
        };
        // By openssl: printf '{"a":1}' | openssl dgst -sha256 -mac hmac -macopt hexkey:00ff
        let seal = "f8a6c24e8ccc42c62d873bcafd7b8c214f447b47f2a5252f81fd61796c4d624d";
        assert!(stick.sealed("{\"a\":1}", seal));
        assert!(!stick.sealed("{\"a\":2}", seal));
        assert!(!stick.sealed("{\"a\":1}", "zz") && !stick.sealed("{\"a\":1}", ""));
    }

    #[test]
    fn the_channel_is_that_of_the_network() {
        let (switches, bootstrap) = channel().unwrap();
        assert!(switches.ends_with("-EncodedCommand "), "{switches}");
        assert!(bootstrap.starts_with("if ($ExecutionContext") && bootstrap.ends_with("exit 0\n"));
    }
}
