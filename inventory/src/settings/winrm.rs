//! WinRM's details, under our names and those of Ansible's `winrm` and `psrp`.

use fleetmend_model::{TlsVerification, WinrmAuth, WinrmScheme, WinrmSettings};
use fleetmend_yaml::Value;

use super::reader::{Reader, Setting};
use super::tls;

const KNOWN: &[&str] = &["scheme", "path", "auth"];
const SCHEMES: [(&str, WinrmScheme); 2] =
    [("http", WinrmScheme::Http), ("https", WinrmScheme::Https)];

/// Reads everything about WinRM. `port` decides the scheme where Ansible's connection is named
/// and nothing else does: anything but 5985 is HTTPS there.
pub(super) fn read(reader: &mut Reader<'_>, port: Option<u16>, ansible: bool) -> WinrmSettings {
    let mut winrm = WinrmSettings::default();
    own(reader, &mut winrm);
    scheme(reader, &mut winrm);
    if winrm.scheme.is_none() && ansible {
        winrm.scheme = port.map(|port| match port {
            5985 => WinrmScheme::Http,
            _ => WinrmScheme::Https,
        });
    }
    if winrm.scheme.is_none() && port == Some(5985) {
        winrm.scheme = Some(WinrmScheme::Http);
    }
    certificates(reader, &mut winrm);
    tls::own(reader, &mut winrm);
    path(reader, &mut winrm);
    auth(reader, &mut winrm);
    winrm
}

fn own(reader: &mut Reader<'_>, winrm: &mut WinrmSettings) {
    let Some((name, var)) = reader.pick(&["winrm"]) else {
        return;
    };
    let Value::Map(map) = &var.node.value else {
        return reader.bad(&name, &var.node, &var.place(), "a mapping");
    };
    let inner = reader.within("winrm", map, &var.place(), KNOWN);
    let words = [("ntlm", WinrmAuth::Ntlm), ("basic", WinrmAuth::Basic)];
    reader.over(&inner, |reader| {
        winrm.scheme = reader
            .word(&["winrm.scheme"], &SCHEMES)
            .map(|setting| setting.value);
        if let Some(path) = reader.text(&["winrm.path"]) {
            winrm.path = rooted(&path.value);
        }
        if let Some(auth) = reader.word(&["winrm.auth"], &words) {
            winrm.auth = auth.value;
        }
    });
}

fn scheme(reader: &mut Reader<'_>, winrm: &mut WinrmSettings) {
    let names = ["ansible_winrm_scheme", "ansible_psrp_protocol"];
    if let Some(scheme) = reader.word(&names, &SCHEMES) {
        winrm.scheme = Some(scheme.value);
    }
}

fn path(reader: &mut Reader<'_>, winrm: &mut WinrmSettings) {
    if let Some(path) = reader.text(&["ansible_winrm_path", "ansible_psrp_path"]) {
        winrm.path = rooted(&path.value);
    }
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

fn certificates(reader: &mut Reader<'_>, winrm: &mut WinrmSettings) {
    let words = [("validate", true), ("ignore", false)];
    let names = [
        "ansible_winrm_server_cert_validation",
        "ansible_psrp_cert_validation",
    ];
    let validated = reader.word(&names, &words);
    let names = [
        "ansible_winrm_ca_trust_path",
        "ansible_psrp_ca_cert",
        "ansible_psrp_cert_trust_path",
    ];
    let file = reader
        .text(&names)
        .filter(|file| file.value != "legacy_requests");
    if let Some(file) = file {
        winrm.tls = TlsVerification::CaFile(reader.path(&file.value, None));
    }
    if validated.is_some_and(|setting| !setting.value) {
        winrm.tls = TlsVerification::None;
    }
}

/// Ansible's name for how to log on, of which a list gives the ones to try.
fn auth(reader: &mut Reader<'_>, winrm: &mut WinrmSettings) {
    let Some((name, var)) = reader.pick(&["ansible_winrm_transport", "ansible_psrp_auth"]) else {
        return;
    };
    let words: Vec<String> = match &var.node.value {
        Value::String(_) => match reader.text_of(&name, &var) {
            Some(text) => text
                .value
                .split(',')
                .map(|word| word.trim().to_lowercase())
                .collect(),
            None => return,
        },
        Value::Seq(items) => items
            .iter()
            .filter_map(|item| item.as_str().map(str::to_lowercase))
            .collect(),
        _ => {
            let expected = "a text or a list of texts";
            return reader.bad(&name, &var.node, &var.place(), expected);
        }
    };
    let place = var.place();
    let word = |value| Setting {
        name: name.to_string(),
        value,
        place: place.clone(),
    };
    if words
        .iter()
        .any(|word| matches!(word.as_str(), "ntlm" | "negotiate"))
    {
        winrm.auth = WinrmAuth::Ntlm;
        return;
    }
    let Some(first) = words.into_iter().next() else {
        return;
    };
    match first.as_str() {
        "basic" | "ssl" | "plaintext" => {
            if first == "ssl" {
                winrm.scheme = winrm.scheme.or(Some(WinrmScheme::Https));
            }
            if first == "plaintext" || winrm.scheme == Some(WinrmScheme::Http) {
                winrm.auth = WinrmAuth::Ntlm;
                let text = format!(
                    "`{name}: {first}` would send the password in the clear over HTTP: NTLM is used"
                );
                reader.warn(&place, text);
            } else {
                winrm.auth = WinrmAuth::Basic;
            }
        }
        "kerberos" | "credssp" | "certificate" => {
            winrm.auth = WinrmAuth::Ntlm;
            reader.warn(
                &place,
                format!("`{name}: {first}` is not available: NTLM is used"),
            );
        }
        _ => {
            let known = [
                ("ntlm", ()),
                ("negotiate", ()),
                ("basic", ()),
                ("ssl", ()),
                ("kerberos", ()),
                ("credssp", ()),
                ("certificate", ()),
            ];
            reader.word_of(word(first), &known);
        }
    }
}
