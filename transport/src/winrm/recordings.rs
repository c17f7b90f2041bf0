//! Recorded bytes of Windows hosts and the published vectors of [MS-NLMP], read by what lies
//! below a session. They stand beside the checkout; without them each test says that it is
//! skipped.

use std::path::{Path, PathBuf};

use base64::prelude::*;
use fleetmend_model::Secret;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use serde_json::Value;

use super::account::Account;
use super::multipart;
use super::ntlm::NtlmContext;
use crate::tls;

/// Returns a recording, or says that the test is skipped.
fn recording(path: &str) -> Option<Value> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("FLEETMEND_SHARED")
        .map(PathBuf::from)
        .or_else(|| {
            here.ancestors()
                .map(|folder| folder.join("../shared"))
                .find(|folder| folder.is_dir())
        });
    let text = shared
        .and_then(|shared| std::fs::read_to_string(shared.join("recordings").join(path)).ok());
    if text.is_none() {
        println!("SKIPPED: {path} was not read, because there is no shared folder with it");
    }
    Some(serde_json::from_str(&text?).unwrap())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} in {value}"))
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Md5>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// RC4, whose state runs on from message to message.
struct Rc4(Vec<u8>, u8, u8);

impl Rc4 {
    fn new(key: &[u8]) -> Self {
        let mut state: Vec<u8> = (0..=255).collect();
        let mut j = 0_u8;
        for i in 0..256 {
            j = j.wrapping_add(state[i]).wrapping_add(key[i % key.len()]);
            state.swap(i, usize::from(j));
        }
        Self(state, 0, 0)
    }

    fn apply(&mut self, data: &[u8]) -> Vec<u8> {
        let Self(state, i, j) = self;
        let step = |byte: &u8| {
            *i = i.wrapping_add(1);
            *j = j.wrapping_add(state[usize::from(*i)]);
            state.swap(usize::from(*i), usize::from(*j));
            let sum = state[usize::from(*i)].wrapping_add(state[usize::from(*j)]);
            byte ^ state[usize::from(sum)]
        };
        data.iter().map(step).collect()
    }
}

/// The fields of a third message ([MS-NLMP] 2.2.1.3).
struct Third<'a>(&'a [u8]);

impl<'a> Third<'a> {
    fn field(&self, at: usize) -> &'a [u8] {
        let length = usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]));
        let from = u32::from_le_bytes(self.0[at + 4..at + 8].try_into().unwrap()) as usize;
        &self.0[from..from + length]
    }

    fn proof(&self) -> (&'a [u8], &'a [u8]) {
        self.field(20).split_at(16)
    }

    fn av_pair(&self, wanted: u16) -> Option<&'a [u8]> {
        let mut rest = &self.proof().1[28..];
        loop {
            let id = u16::from_le_bytes([rest[0], rest[1]]);
            let length = usize::from(u16::from_le_bytes([rest[2], rest[3]]));
            match id {
                0 => return None,
                id if id == wanted => return Some(&rest[4..4 + length]),
                _ => rest = &rest[4 + length..],
            }
        }
    }

    fn has_mic(&self) -> bool {
        self.av_pair(6).is_some_and(|flags| flags[0] & 2 != 0)
    }
}

/// Checks a third message by the formulas of [MS-NLMP] 3.3.2 and 3.1.5.1.2 and returns the
/// exported session key.
fn verify(ntowfv2: &[u8], first: &[u8], challenge: &[u8], third: &[u8]) -> Vec<u8> {
    let message = Third(third);
    let (proof, blob) = message.proof();
    assert_eq!(
        proof,
        hmac_md5(ntowfv2, &[&challenge[24..32], blob]),
        "NTProofStr"
    );
    let base = hmac_md5(ntowfv2, &[proof]);
    let encrypted = message.field(52);
    let key = if encrypted.is_empty() {
        base
    } else {
        Rc4::new(&base).apply(encrypted)
    };
    if message.has_mic() && !first.is_empty() {
        let mut bare = third.to_vec();
        bare[72..88].fill(0);
        assert_eq!(
            third[72..88],
            hmac_md5(&key, &[first, challenge, &bare]),
            "MIC"
        );
    }
    key
}

/// Derives a key of [MS-NLMP] 3.4.5 for the client or the server.
fn derived(key: &[u8], from: &str, what: &str) -> Vec<u8> {
    let magic = format!(
        "session key to {from}-to-{} {what} key magic constant\0",
        other(from)
    );
    Md5::new()
        .chain_update(key)
        .chain_update(magic)
        .finalize()
        .to_vec()
}

fn other(side: &str) -> &str {
    if side == "client" { "server" } else { "client" }
}

#[test]
fn the_checking_formulas_agree_with_the_published_vectors() {
    let Some(vectors) = recording("ntlm/ms-nlmp-4.2-vectors.json") else {
        return;
    };
    let vector = vectors["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|vector| vector["section"] == "4.2.4")
        .unwrap();
    let ntowfv2 = hex(text(vector, "ntowfv2"));
    let challenge = hex(text(vector, "challenge_message"));
    let third = hex(text(vector, "authenticate_message"));
    let key = verify(&ntowfv2, &[], &challenge, &third);
    assert_eq!(key, hex(text(&vectors["common"], "random_session_key")));
    let sealed = &vector["gss_wrapex"];
    let magic = |what| format!("session key to client-to-server {what} key magic constant\0");
    let derive = |what| {
        Md5::new()
            .chain_update(&key)
            .chain_update(magic(what))
            .finalize()
            .to_vec()
    };
    assert_eq!(derive("sealing"), hex(text(sealed, "client_seal_key")));
    assert_eq!(derive("signing"), hex(text(sealed, "client_sign_key")));
    let cipher = Rc4::new(&derive("sealing")).apply(&hex(text(sealed, "plaintext")));
    assert_eq!(cipher, hex(text(sealed, "sealed")));
}

#[test]
fn recorded_logons_verify_and_ours_verify_alike() {
    for file in ["captured-winrm-handshake-2024", "captured-handshake-2016"] {
        let Some(captured) = recording(&format!("ntlm/{file}.json")) else {
            return;
        };
        let ntowfv2 = hex(text(&captured["keys"], "ntowfv2"));
        let challenge = hex(text(&captured, "challenge_message"));
        let recorded = hex(text(&captured, "authenticate_message"));
        let first = hex(text(&captured, "negotiate_message"));
        let key = verify(&ntowfv2, &first, &challenge, &recorded);
        assert_eq!(
            key,
            hex(text(&captured["keys"], "exported_session_key")),
            "{file}"
        );

        let fields = &captured["fields"];
        let account = Account {
            user: text(fields, "user").to_owned(),
            domain: fields["domain"].as_str().unwrap_or_default().to_owned(),
        };
        let password = Secret::new(text(&captured["keys"], "password").to_owned());
        let (mut context, first) = NtlmContext::begin(None).unwrap();
        let third = context.answer(&challenge, &account, &password).unwrap();
        let key = verify(&ntowfv2, &first, &challenge, &third);
        assert!(Third(&third).has_mic(), "{file}: a MIC");

        // Each seal opens with the keys derived here, in order.
        let mut rc4 = Rc4::new(&derived(&key, "client", "sealing"));
        for number in 0_u32..3 {
            let plain = format!("<message n='{number}'>日本</message>");
            let body = context.seal(plain.clone().into_bytes()).unwrap();
            let sealed = multipart::unframe(&body).unwrap();
            assert_eq!(rc4.apply(sealed.data), plain.as_bytes());
            let sign = derived(&key, "client", "signing");
            let sum = hmac_md5(&sign, &[&number.to_le_bytes(), plain.as_bytes()]);
            assert_eq!(
                sealed.signature[4..12],
                rc4.apply(&sum[..8]),
                "{file}: signature"
            );
        }

        // And what a server seals with them is read; once.
        let mut rc4 = Rc4::new(&derived(&key, "server", "sealing"));
        let mut seal = |number: u32, plain: &[u8]| {
            let data = rc4.apply(plain);
            let sign = derived(&key, "server", "signing");
            let sum = hmac_md5(&sign, &[&number.to_le_bytes(), plain]);
            let checksum = rc4.apply(&sum[..8]);
            let signature = [&1_u32.to_le_bytes()[..], &checksum, &number.to_le_bytes()].concat();
            multipart::frame(&signature.try_into().unwrap(), &data)
        };
        let bodies = [seal(0, b"one"), seal(1, b"two")];
        assert_eq!(context.unseal(&bodies[0]).unwrap(), b"one");
        assert!(context.unseal(&bodies[0]).is_err(), "{file}: replayed");
        assert!(
            context.unseal(&bodies[1]).is_err(),
            "{file}: out of step for good"
        );
    }
}

#[test]
fn a_challenge_without_sealing_is_refused() {
    let Some(captured) = recording("ntlm/captured-ntlmv2-cbt-2008r2.json") else {
        return;
    };
    let challenge = hex(text(&captured, "challenge_message"));
    let (mut context, _) = NtlmContext::begin(None).unwrap();
    let account = Account {
        user: "x".into(),
        domain: String::new(),
    };
    assert!(
        context
            .answer(&challenge, &account, &Secret::new("x".into()))
            .is_err()
    );
}

#[test]
fn channel_bindings_are_those_of_recorded_certificates() {
    let Some(recorded) = recording("ntlm/channel-binding-certificates.json") else {
        return;
    };
    let Some(captured) = recording("ntlm/captured-winrm-handshake-2024.json") else {
        return;
    };
    let challenge = hex(text(&captured, "challenge_message"));
    let certificates = recorded["certificates"].as_array().unwrap();
    assert!(certificates.len() >= 8);
    for certificate in certificates {
        let name = text(certificate, "test");
        let der = BASE64_STANDARD
            .decode(text(certificate, "certificate_der_base64"))
            .unwrap();
        let token = tls::channel_binding(&der).unwrap_or_else(|| panic!("{name}: no binding"));
        let hash = hex(text(certificate, "tls_server_end_point_hash"));
        assert_eq!(
            token,
            [b"tls-server-end-point:", &hash[..]].concat(),
            "{name}"
        );
        let (mut context, _) = NtlmContext::begin(Some(&token)).unwrap();
        let account = Account {
            user: "x".into(),
            domain: String::new(),
        };
        let third = context
            .answer(&challenge, &account, &Secret::new("x".into()))
            .unwrap();
        let expected = hex(text(certificate, "gss_channel_bindings_md5"));
        assert_eq!(Third(&third).av_pair(10), Some(&expected[..]), "{name}");
    }
}

#[test]
fn framing_is_read_as_recorded() {
    let file = "winrs/encrypted/framing-variants-handwritten.json";
    let Some(variants) = recording(file) else {
        return;
    };
    for case in variants["cases"].as_array().unwrap() {
        let name = text(case, "name");
        let body = BASE64_STANDARD.decode(text(case, "body_base64")).unwrap();
        // Their cipher text is a placeholder of 19 bytes, longer than the length they name;
        // NTLM's is always just as long.
        let at = body
            .windows(9)
            .position(|window| window == b"Length=9\r")
            .unwrap()
            + 7;
        let body = [&body[..at], b"19", &body[at + 1..]].concat();
        match multipart::unframe(&body) {
            Ok(sealed) => {
                assert!(name.contains("spnego"), "{name} was to be refused");
                assert_eq!(sealed.signature, hex(text(case, "token_hex")), "{name}");
                assert_eq!(sealed.data, b"plaintext-encrypted", "{name}");
            }
            // Kerberos is another protocol; a wrong length is no answer.
            Err(_) => assert!(
                name.contains("kerberos") || name.contains("mismatch"),
                "{name}"
            ),
        }
    }
    let Some(observed) = recording("winrs/encrypted/framing-observed.json") else {
        return;
    };
    let ours = text(&observed["ntlm_header_sample"], "content_type");
    assert_eq!(
        ours,
        multipart::CONTENT_TYPE,
        "the header as Windows sends it"
    );
    // Windows' lengths: ours differ by the tabs, the names of protocol and charset, the token.
    for message in observed["observations"].as_array().unwrap() {
        let plain = message["original_content_length"].as_u64().unwrap();
        let http = message["http_content_length"].as_u64().unwrap();
        let body = multipart::frame(&[0; 16], &vec![0; usize::try_from(plain).unwrap()]);
        let tabs = 3;
        let names = 2 * ("Kerberos".len() - "SPNEGO".len()) - "-".len() + "UTF-16".len();
        let same = body.len() - 16 - tabs + 60 + names + "-".len() - "UTF-8".len();
        assert!(
            same.abs_diff(usize::try_from(http).unwrap()) <= 2,
            "{same} {http}"
        );
    }
}

#[test]
fn identities_are_read_as_recorded() {
    for (file, version) in [
        ("identify-unauthenticated", "OS: 0.0.0 SP: 0.0 Stack: 3.0"),
        (
            "identify-authenticated-2012r2",
            "OS: 6.3.9600 SP: 0.0 Stack: 3.0",
        ),
    ] {
        let Some(recorded) = recording(&format!("winrs/identify/{file}.json")) else {
            return;
        };
        let identity = super::identify::read(text(&recorded, "response").as_bytes()).unwrap();
        assert_eq!(identity.vendor, "Microsoft Corporation", "{file}");
        assert_eq!(identity.version, version, "{file}");
        assert_eq!(identity.protocol, super::xml::WSMAN, "{file}");
    }
}
