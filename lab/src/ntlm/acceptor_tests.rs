//! Logons of a client written here from the specification, and recorded ones.

use std::path::PathBuf;

use super::super::keys::Key;
use super::super::test_client::{ASKED, PASSWORD, Shape, USER, authenticate, negotiate};
use super::super::{channel_binding_value, endpoint_binding};
use super::*;

struct One;
impl Accounts for One {
    fn password_of(&self, _: &str, user: &str) -> Option<String> {
        (user == USER).then(|| PASSWORD.to_owned())
    }
}

fn acceptor() -> Acceptor {
    let names = TargetNames {
        computer: "PC-001".to_owned(),
        domain: None,
    };
    Acceptor::new(names, None, false)
}

fn logon(acceptor: &mut Acceptor, shape: &Shape) -> Result<Step, LogonError> {
    let Ok(Step::Continue(challenge)) = acceptor.accept(&negotiate(), &One) else {
        panic!()
    };
    acceptor.accept(&authenticate(&challenge, shape).0, &One)
}

#[test]
fn accepts_the_right_password_and_seals() {
    let mut acceptor = acceptor();
    let Ok(Step::Continue(challenge)) = acceptor.accept(&negotiate(), &One) else {
        panic!()
    };
    let (message, session) = authenticate(&challenge, &Shape::default());
    let Ok(Step::Done {
        token: None,
        identity,
        sealing,
    }) = acceptor.accept(&message, &One)
    else {
        panic!()
    };
    assert_eq!(identity.user, USER);
    let mut client = Sealing::for_client(&session, ASKED);
    let mut bytes = "封筒".as_bytes().to_vec();
    let signature = client.seal(&mut bytes);
    sealing.unwrap().unseal(&signature, &mut bytes).unwrap();
    assert_eq!(bytes, "封筒".as_bytes());
}

#[test]
fn refuses_each_wrong_thing_by_name() {
    type Refusal = fn(String) -> LogonError;
    let cases: [(Shape, Refusal); 4] = [
        (
            Shape {
                password: Some("wrong"),
                ..Shape::default()
            },
            |user| LogonError::WrongPassword { user },
        ),
        (
            Shape {
                user: Some("nobody"),
                ..Shape::default()
            },
            |user| LogonError::NoAccount { user },
        ),
        (
            Shape {
                spoil_mic: true,
                ..Shape::default()
            },
            |user| LogonError::Mic { user },
        ),
        (
            Shape {
                version_1: true,
                ..Shape::default()
            },
            |user| LogonError::NotV2 { user },
        ),
    ];
    for (shape, expected) in cases {
        let user = shape.user.unwrap_or(USER).to_owned();
        assert_eq!(logon(&mut acceptor(), &shape).unwrap_err(), expected(user));
    }
    let (message, _) = authenticate(
        &write_challenge(&acceptor().names, &[0; 8], ASKED, 0),
        &Shape::default(),
    );
    assert_eq!(
        acceptor().accept(&message, &One).unwrap_err(),
        LogonError::OutOfTurn
    );
}

#[test]
fn takes_a_client_without_mic_as_windows_does() {
    let shape = Shape {
        no_mic: true,
        ..Shape::default()
    };
    assert!(matches!(
        logon(&mut acceptor(), &shape),
        Ok(Step::Done { .. })
    ));
}

#[test]
fn a_challenge_serves_once() {
    let mut acceptor = acceptor();
    let Ok(Step::Continue(challenge)) = acceptor.accept(&negotiate(), &One) else {
        panic!()
    };
    let (message, _) = authenticate(&challenge, &Shape::default());
    assert!(acceptor.accept(&message, &One).is_ok());
    assert_eq!(
        acceptor.accept(&message, &One).unwrap_err(),
        LogonError::OutOfTurn
    );
}

#[test]
fn compares_channel_bindings() {
    let own = channel_binding_value(&endpoint_binding(b"certificate"));
    let other = channel_binding_value(&endpoint_binding(b"another"));
    let result = |required, given| {
        let names = TargetNames {
            computer: "PC-001".to_owned(),
            domain: None,
        };
        let mut acceptor = Acceptor::new(names, Some(own), required);
        logon(
            &mut acceptor,
            &Shape {
                binding: given,
                ..Shape::default()
            },
        )
        .is_ok()
    };
    assert!(result(true, Some(own)));
    assert!(result(false, None));
    assert!(result(false, Some([0; 16])));
    assert!(!result(true, None));
    assert!(!result(true, Some([0; 16])));
    assert!(!result(false, Some(other)));
}

#[test]
fn speaks_spnego_to_a_client_that_prefers_something_else() {
    const KERBEROS: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
    const NTLMSSP: &[u8] = &[6, 10, 0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10];
    let mut acceptor = acceptor();
    let init = spnego::write_init(&[KERBEROS, NTLMSSP], Some(b"a Kerberos ticket"));
    let Ok(Step::Continue(answer)) = acceptor.accept(&init, &One) else {
        panic!()
    };
    assert_eq!(
        spnego::read(&answer),
        Some(Token::Response {
            token: None,
            mic: None
        })
    );
    let leg = spnego::write(State::Incomplete, false, Some(&negotiate()), None);
    let Ok(Step::Continue(answer)) = acceptor.accept(&leg, &One) else {
        panic!()
    };
    let Some(Token::Response {
        token: Some(challenge),
        ..
    }) = spnego::read(&answer)
    else {
        panic!()
    };
    let (message, session) = authenticate(challenge, &Shape::default());
    let mut client = Sealing::for_client(&session, ASKED);
    let Some(Token::Init { mechanisms, .. }) = spnego::read(&init) else {
        panic!()
    };
    let mic = client.sign(mechanisms);
    let leg = spnego::write(State::Incomplete, false, Some(&message), Some(&mic));
    let Ok(Step::Done {
        token: Some(last),
        sealing: Some(mut sealing),
        ..
    }) = acceptor.accept(&leg, &One)
    else {
        panic!()
    };
    let Some(Token::Response {
        mic: Some(theirs), ..
    }) = spnego::read(&last)
    else {
        panic!()
    };
    client.verify(theirs, mechanisms).unwrap();
    client.reset_ciphers();
    let mut bytes = b"after the list".to_vec();
    let signature = client.seal(&mut bytes);
    sealing.unseal(&signature, &mut bytes).unwrap();
}

fn recording(name: &str) -> Option<serde_json::Value> {
    let shared = std::env::var_os("FLEETMEND_SHARED")
        .map(PathBuf::from)
        .or_else(|| {
            let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
            here.ancestors()
                .map(|up| up.join("../shared"))
                .find(|path| path.is_dir())
        });
    let Some(path) = shared.map(|shared| shared.join("recordings/ntlm").join(name)) else {
        println!("SKIPPED: {name} because the recordings are absent");
        return None;
    };
    Some(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

fn hex(value: &serde_json::Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
        .collect()
}

/// Real handshakes: the proof, the exported key and, where it was sent, the MIC hold.
#[test]
fn accepts_the_recorded_handshakes() {
    struct Password(String);
    impl Accounts for Password {
        fn password_of(&self, _: &str, _: &str) -> Option<String> {
            Some(self.0.clone())
        }
    }
    for name in [
        "captured-winrm-handshake-2024.json",
        "captured-handshake-2016.json",
    ] {
        let Some(recorded) = recording(name) else {
            return;
        };
        let challenge = hex(&recorded["challenge_message"]);
        let mut acceptor = acceptor();
        acceptor.exchange = Some(Exchange {
            negotiate: hex(&recorded["negotiate_message"]),
            nonce: challenge[24..32].try_into().unwrap(),
            challenge,
        });
        let message = hex(&recorded["authenticate_message"]);
        let password = recorded["keys"]["password"].as_str().unwrap().to_owned();
        let step = acceptor.accept(&message, &Password(password));
        let Ok(Step::Done {
            sealing: Some(mut sealing),
            ..
        }) = step
        else {
            panic!("{name}: {step:?}")
        };
        let session: Key = hex(&recorded["keys"]["exported_session_key"])
            .try_into()
            .unwrap();
        let mut client = Sealing::for_client(&session, ASKED);
        let mut bytes = b"text".to_vec();
        let signature = client.seal(&mut bytes);
        sealing.unseal(&signature, &mut bytes).unwrap();
    }
}

#[test]
fn binds_to_the_recorded_certificates() {
    use base64::Engine as _;
    let Some(recorded) = recording("channel-binding-certificates.json") else {
        return;
    };
    let mut seen = 0;
    for case in recorded["certificates"].as_array().unwrap() {
        if case["hash_used"] != "sha256" {
            continue;
        }
        let der = base64::engine::general_purpose::STANDARD
            .decode(case["certificate_der_base64"].as_str().unwrap())
            .unwrap();
        let value = channel_binding_value(&endpoint_binding(&der));
        assert_eq!(value.to_vec(), hex(&case["gss_channel_bindings_md5"]));
        seen += 1;
    }
    assert!(seen > 0);
}
