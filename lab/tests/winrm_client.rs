//! Our own WinRM client against the lab's server: two implementations of the same pages.

#![expect(clippy::unwrap_used, reason = "tests")]

mod winrm_support;

use std::time::Duration;

use fleetmend_lab::winrm::{
    Action, Drop, DropPoint, Language, MimeForm, Nth, QuotaForm, WinrmFaults, WinrmOptions,
};
use fleetmend_model::{Credential, Secret, TlsVerification, WinrmAuth, WinrmScheme, WinrmSettings};
use fleetmend_transport::winrm::{self, Endpoint, WinrmWire, finish_cleanups};
use fleetmend_transport::{CommandLine, ConnectError, DeniedWhy, Limits, SessionError, Wire};
use tokio_util::sync::CancellationToken;
use winrm_support::{LESSER, Lab, PASSWORD, USER};

/// How a client comes in.
#[derive(Clone, Debug)]
struct Way {
    https: bool,
    settings: WinrmSettings,
    user: String,
    password: String,
}

fn http() -> Way {
    Way {
        https: false,
        settings: WinrmSettings::default(),
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
    }
}

fn https(tls: TlsVerification, auth: WinrmAuth) -> Way {
    let settings = WinrmSettings {
        tls,
        auth,
        ..WinrmSettings::default()
    };
    Way {
        https: true,
        settings,
        ..http()
    }
}

fn limits() -> Limits {
    Limits::within(Duration::from_secs(20), &CancellationToken::new())
}

async fn connect(lab: &Lab, way: &Way) -> Result<WinrmWire, ConnectError> {
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: if way.https { lab.https } else { lab.http },
        scheme: if way.https {
            WinrmScheme::Https
        } else {
            WinrmScheme::Http
        },
    };
    let credential = Credential {
        user: way.user.clone(),
        password: Secret::new(way.password.clone()),
        ssh: None,
    };
    winrm::connect(&endpoint, None, &credential, &way.settings, &limits()).await
}

fn program(name: &str, arguments: &str) -> CommandLine {
    CommandLine::Windows {
        program: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

async fn run(
    wire: &mut WinrmWire,
    command: &CommandLine,
    input: Option<&[u8]>,
) -> Result<(Vec<u8>, Vec<u8>, i32), SessionError> {
    wire.start(command, &limits()).await?;
    if let Some(input) = input {
        wire.send(input, true, &limits()).await?;
    }
    let (mut out, mut error) = (Vec::new(), Vec::new());
    loop {
        let received = wire.receive(&limits()).await?;
        out.extend(received.stdout);
        error.extend(received.stderr);
        if let Some(code) = received.exit_code {
            return Ok((out, error, code));
        }
    }
}

#[tokio::test]
async fn every_way_in_costs_the_fewest_exchanges() {
    for mime_form in [MimeForm::Tab, MimeForm::Plain] {
        let options = WinrmOptions {
            basic: true,
            channel_binding_required: true,
            mime_form,
            ..WinrmOptions::default()
        };
        let lab = Lab::new(options).await;
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &lab.ca).unwrap();
        let pinned = TlsVerification::Fingerprint(lab.fingerprint.clone());
        let ways = [
            http(),
            https(TlsVerification::CaFile(ca), WinrmAuth::Ntlm),
            https(pinned.clone(), WinrmAuth::Ntlm),
            https(pinned, WinrmAuth::Basic),
        ];
        for (done, way) in (1..).zip(ways) {
            let mut wire = connect(&lab, &way).await.unwrap();
            let got = run(
                &mut wire,
                &program("cat.exe", ""),
                Some("標準入力".as_bytes()),
            )
            .await;
            assert_eq!(
                got.unwrap(),
                ("標準入力".as_bytes().to_vec(), vec![], 0),
                "{way:?}"
            );
            Box::new(wire).close().await;
            let counters = lab.winrm.counters();
            for action in [
                Action::Create,
                Action::Command,
                Action::Send,
                Action::Receive,
                Action::Delete,
            ] {
                assert_eq!(counters.exchanges(action), done, "{action:?} of {way:?}");
            }
            assert_eq!(counters.all_exchanges(), 5 * done);
            let values = counters.values();
            assert_eq!((values.connections, values.logons_accepted), (done, done));
            assert_eq!((values.shells_open, values.faults_sent), (0, 0));
            assert_eq!((values.unsealed_refused, values.unseal_failures), (0, 0));
        }
    }
}

#[tokio::test]
async fn carries_megabytes_both_ways() {
    let lab = Lab::new(WinrmOptions::default()).await;
    let mut wire = connect(&lab, &http()).await.unwrap();
    let (out, _, code) = run(&mut wire, &program("big.exe", "5000000"), None)
        .await
        .unwrap();
    assert_eq!((out.len(), code), (5_000_000, 0));
    Box::new(wire).close().await;
    let mut wire = connect(&lab, &http()).await.unwrap();
    let input: Vec<u8> = (0..200_000u32)
        .flat_map(|number| number.to_le_bytes())
        .collect();
    wire.start(&program("cat.exe", ""), &limits())
        .await
        .unwrap();
    let mut back = Vec::new();
    for piece in input.chunks(100_000) {
        wire.send(
            piece,
            piece.as_ptr_range().end == input.as_ptr_range().end,
            &limits(),
        )
        .await
        .unwrap();
        while back.len() < piece.len() {
            let received = wire.receive(&limits()).await.unwrap();
            back.extend(received.stdout);
            if received.exit_code.is_some() {
                break;
            }
        }
        assert!(back == piece);
        back.clear();
    }
    Box::new(wire).close().await;
    assert_eq!(lab.winrm.counters().values().shells_open, 0);
}

#[tokio::test]
async fn reads_exit_codes_both_streams_and_falls_back_to_cmd() {
    let lab = Lab::new(WinrmOptions::default()).await;
    let mut wire = connect(&lab, &http()).await.unwrap();
    let got = run(&mut wire, &program("both.exe", ""), None)
        .await
        .unwrap();
    assert_eq!(got, (b"out\r\n".to_vec(), b"err\r\n".to_vec(), 1));
    let got = run(&mut wire, &program("exit.exe", "-1073741502"), None)
        .await
        .unwrap();
    assert_eq!(got.2, -1_073_741_502);
    let got = run(&mut wire, &program("echo", "日本"), None)
        .await
        .unwrap();
    assert_eq!(got.0, "日本\r\n".as_bytes());
    Box::new(wire).close().await;
    let lines = lab.pc.lines.lock().unwrap();
    let through: Vec<bool> = lines.iter().map(|command| command.through_shell).collect();
    assert_eq!(through, [false, false, true]);
}

#[tokio::test]
async fn a_wrong_password_is_spent_once() {
    let lab = Lab::new(WinrmOptions::default()).await;
    for always_401 in [false, true] {
        let faults = WinrmFaults {
            always_401,
            ..WinrmFaults::default()
        };
        let refusing = Lab::new(WinrmOptions {
            faults,
            ..WinrmOptions::default()
        })
        .await;
        let (lab, way) = if always_401 {
            (&refusing, http())
        } else {
            (
                &lab,
                Way {
                    password: "wrong".to_owned(),
                    ..http()
                },
            )
        };
        let Err(ConnectError::AccessDenied { why, .. }) = connect(lab, &way).await else {
            unreachable!()
        };
        assert_eq!(why, DeniedWhy::Logon);
        assert_eq!(lab.winrm.counters().values().logons_refused, 1);
    }
    assert_eq!(*lab.pc.logons.lock().unwrap(), [(USER.to_owned(), false)]);
}

#[tokio::test]
async fn tells_a_missing_right_from_a_wrong_password_in_any_language() {
    for language in [Language::English, Language::Japanese] {
        let lab = Lab::new(WinrmOptions {
            language,
            ..WinrmOptions::default()
        })
        .await;
        let way = Way {
            user: LESSER.to_owned(),
            ..http()
        };
        let Err(ConnectError::AccessDenied { why, .. }) = connect(&lab, &way).await else {
            unreachable!()
        };
        assert_eq!(why, DeniedWhy::Authorization);
    }
}

#[tokio::test]
async fn logs_on_under_every_local_form_of_the_name() {
    let domain = Some(("CORP".to_owned(), "corp.example.jp".to_owned()));
    let lab = Lab::new(WinrmOptions {
        domain,
        ..WinrmOptions::default()
    })
    .await;
    for form in [
        USER.to_owned(),
        format!(".\\{USER}"),
        format!("PC-001\\{USER}"),
    ] {
        let way = Way {
            user: form.clone(),
            ..http()
        };
        let wire = connect(&lab, &way)
            .await
            .unwrap_or_else(|error| panic!("{form}: {error}"));
        Box::new(wire).close().await;
    }
    for form in [format!("CORP\\{USER}"), format!("{USER}@corp.example.jp")] {
        let way = Way {
            user: form.clone(),
            ..http()
        };
        assert!(
            matches!(
                connect(&lab, &way).await,
                Err(ConnectError::AccessDenied { .. })
            ),
            "{form}"
        );
    }
}

#[tokio::test]
async fn waits_out_a_full_host() {
    for quota_form in [QuotaForm::WsManFault, QuotaForm::WmiError] {
        let faults = WinrmFaults {
            quota_faults: 2,
            ..WinrmFaults::default()
        };
        let lab = Lab::new(WinrmOptions {
            quota_form,
            faults,
            ..WinrmOptions::default()
        })
        .await;
        let wire = connect(&lab, &http()).await.unwrap();
        Box::new(wire).close().await;
        assert_eq!(
            lab.winrm.counters().exchanges(Action::Create),
            3,
            "{quota_form:?}"
        );
    }
}

fn at(action: Action) -> Nth {
    Nth { action, number: 1 }
}

fn cut(action: Action, point: DropPoint) -> WinrmFaults {
    WinrmFaults {
        drops: vec![Drop {
            at: at(action),
            point,
        }],
        ..WinrmFaults::default()
    }
}

/// Whatever is lost after bytes of it left may have run: it is `Unknown`, and nothing is ever
/// started twice.
#[tokio::test]
async fn what_may_have_run_is_never_sent_again() {
    let spoilt = WinrmFaults {
        wrong_signature: Some(at(Action::Command)),
        ..WinrmFaults::default()
    };
    let clear = WinrmFaults {
        unsealed_answer: Some(at(Action::Command)),
        ..WinrmFaults::default()
    };
    let cases = [
        (
            "command lost",
            cut(Action::Command, DropPoint::BeforeRunning),
            0,
        ),
        (
            "answer lost",
            cut(Action::Command, DropPoint::BeforeAnswering),
            1,
        ),
        ("input lost", cut(Action::Send, DropPoint::BeforeRunning), 1),
        (
            "output lost",
            cut(Action::Receive, DropPoint::BeforeAnswering),
            1,
        ),
        ("wrong signature", spoilt, 1),
        ("answer in clear", clear, 1),
    ];
    for (name, faults, started) in cases {
        let lab = Lab::new(WinrmOptions {
            faults,
            ..WinrmOptions::default()
        })
        .await;
        let mut wire = connect(&lab, &http()).await.unwrap();
        let got = run(&mut wire, &program("cat.exe", ""), Some(b"x")).await;
        assert!(
            matches!(got, Err(SessionError::Unknown { .. })),
            "{name}: {got:?}"
        );
        assert_eq!(
            lab.winrm.counters().values().commands_started,
            started,
            "{name}"
        );
        Box::new(wire).close().await;
        finish_cleanups(Duration::from_secs(5)).await;
        assert_eq!(lab.winrm.counters().values().shells_open, 0, "{name}");
    }
}

#[tokio::test]
async fn a_dropped_wire_leaves_no_shell() {
    let lab = Lab::new(WinrmOptions::default()).await;
    let mut wire = connect(&lab, &http()).await.unwrap();
    wire.start(&program("sleep.exe", "60000"), &limits())
        .await
        .unwrap();
    drop(wire);
    finish_cleanups(Duration::from_secs(5)).await;
    assert_eq!(lab.winrm.counters().values().shells_open, 0);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(*lab.pc.killed.lock().unwrap(), 1);
}
