//! How the certificate of an HTTPS endpoint is judged.

use fleetmend_model::{TlsVerification, WinrmScheme, WinrmSettings};
use fleetmend_yaml::Value;

use super::reader::{Reader, Setting};
use crate::error::{InventoryError, Problem};
use crate::vaults::VAULTED;

const KNOWN: &[&str] = &["verify", "ca_file", "fingerprint", "server_name"];
const EXPECTED: &str =
    "`system`, `none`, a fingerprint, the path of a PEM file, `true`, `false` or a mapping";

/// Reads `tls` in its short and long forms into the settings.
pub(super) fn own(reader: &mut Reader<'_>, winrm: &mut WinrmSettings) {
    let Some((name, var)) = reader.pick(&["tls"]) else {
        return;
    };
    let place = var.place();
    match &var.node.value {
        Value::Bool(https) => {
            winrm.scheme = Some(if *https {
                WinrmScheme::Https
            } else {
                WinrmScheme::Http
            });
            return;
        }
        Value::Map(map) => {
            let inner = reader.within("tls", map, &place, KNOWN);
            reader.over(&inner, |reader| long(reader, winrm));
        }
        Value::String(_) => {
            let Some(setting) = reader.text_of(&name, &var) else {
                return;
            };
            let Some(tls) = short(reader, setting) else {
                return;
            };
            winrm.tls = tls;
        }
        _ => return reader.bad(&name, &var.node, &place, EXPECTED),
    }
    winrm.scheme = winrm.scheme.or(Some(WinrmScheme::Https));
}

fn short(reader: &mut Reader<'_>, setting: Setting<String>) -> Option<TlsVerification> {
    let text = setting.value.as_str();
    if text == VAULTED {
        return None;
    }
    match text.to_lowercase().as_str() {
        "system" => return Some(TlsVerification::System),
        "none" => return Some(TlsVerification::None),
        _ => {}
    }
    if let Some(hex) = fingerprint(text) {
        return Some(TlsVerification::Fingerprint(hex));
    }
    let lower = text.to_lowercase();
    if [".pem", ".crt", ".cer"]
        .iter()
        .any(|ending| lower.ends_with(ending))
    {
        return Some(TlsVerification::CaFile(
            reader.path(text, Some(&setting.place)),
        ));
    }
    let found = format!("`{text}`");
    let (name, expected) = (setting.name, EXPECTED.to_owned());
    let problem = Problem::BadValue {
        name,
        expected,
        found,
    };
    reader
        .errors
        .push(InventoryError::new(setting.place, problem));
    None
}

fn long(reader: &mut Reader<'_>, winrm: &mut WinrmSettings) {
    if let Some((name, var)) = reader.pick(&["tls.verify"]) {
        winrm.tls = match &var.node.value {
            Value::Bool(true) => TlsVerification::System,
            Value::Bool(false) => TlsVerification::None,
            _ => {
                let words = [("system", false), ("none", true)];
                let setting = reader.text_of(&name, &var);
                match setting.and_then(|setting| reader.word_of(setting, &words)) {
                    Some(Setting { value: true, .. }) => TlsVerification::None,
                    _ => TlsVerification::System,
                }
            }
        };
    }
    if let Some(file) = reader.text(&["tls.ca_file"]) {
        winrm.tls = TlsVerification::CaFile(reader.path(&file.value, Some(&file.place)));
    }
    if let Some(setting) = reader.text(&["tls.fingerprint"]) {
        match fingerprint(&setting.value) {
            Some(hex) => winrm.tls = TlsVerification::Fingerprint(hex),
            None if setting.value == VAULTED => {}
            None => {
                let problem = Problem::BadValue {
                    name: setting.name,
                    expected: "a SHA-256 fingerprint of 64 hex digits".to_owned(),
                    found: format!("`{}`", setting.value),
                };
                reader
                    .errors
                    .push(InventoryError::new(setting.place, problem));
            }
        }
    }
    winrm.tls_server_name = reader
        .text(&["tls.server_name"])
        .map(|setting| setting.value);
}

/// Returns the 64 hex digits of a SHA-256 fingerprint, colons and `sha256:` aside.
fn fingerprint(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let digits = lower
        .strip_prefix("sha256:")
        .unwrap_or(&lower)
        .replace([':', ' '], "");
    let is_hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then_some(digits)
}
