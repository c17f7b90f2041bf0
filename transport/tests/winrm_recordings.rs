//! Every recorded WinRS session and fault of real Windows hosts, replayed to our client through
//! a TLS server that answers as the host did, and compared with what the recording holds.
//!
//! The recordings stand beside the checkout; without them the test says that it is skipped.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod replay;

use std::time::Duration;

use base64::prelude::*;
use fleetmend_model::{Credential, Secret, TlsVerification, WinrmAuth, WinrmScheme, WinrmSettings};
use fleetmend_transport::winrm::{self, Endpoint, WinrmWire};
use fleetmend_transport::{CommandLine, ConnectError, DeniedWhy, Limits, SessionError, Wire};
use replay::{Exchange, Server, recordings, sessions};
use tokio_util::sync::CancellationToken;

/// What a session came to.
#[derive(Debug, Default, PartialEq)]
struct Ran {
    stdout: usize,
    stderr: usize,
    exit_code: Option<i64>,
    fault: Option<u64>,
}

#[tokio::test]
async fn reads_every_recorded_session_right() {
    let Some(sessions) = sessions() else { return };
    let mut shells = 0;
    let mut bytes = 0;
    for (name, exchanges) in sessions {
        // Sessions of Get only are about resources that we do not use.
        if !exchanges
            .iter()
            .any(|exchange| exchange.operation == "Create")
        {
            continue;
        }
        let server = Server::start(exchanges.clone()).await;
        for shell in shells_of(&exchanges) {
            let wire = connect(&server, 20)
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            let ran = drive(Box::new(wire), shell, &name).await;
            assert_eq!(ran, expected(shell), "{name}");
            shells += 1;
            bytes += ran.stdout + ran.stderr;
        }
        server.finish(&name);
    }
    assert!(
        shells > 25 && bytes > 500_000,
        "{shells} shells, {bytes} bytes"
    );
}

#[tokio::test]
async fn reads_every_recorded_fault_right() {
    let (Some(faults), Some(sessions)) = (recordings("faults"), sessions()) else {
        return;
    };
    let constructed = recordings("constructed").unwrap();
    let inside = sessions.into_values().flatten();
    let mut read = 0;
    for exchange in faults.into_iter().chain(constructed).chain(inside) {
        if exchange.seen["fault"].is_null() {
            continue;
        }
        read += 1;
        check_at_create(&exchange).await;
        check_at_receive(&exchange).await;
    }
    assert!(read > 20, "{read} faults");
}

/// As the answer to a Create a fault decides between waiting, giving up and naming a right.
async fn check_at_create(exchange: &Exchange) {
    let name = &exchange.name;
    let (code, subcode) = numbers(exchange);
    let server = Server::start(vec![exchange.as_operation("Create"); 3]).await;
    let error = connect(&server, 1)
        .await
        .err()
        .unwrap_or_else(|| panic!("{name}: connected"));
    let kind = match &error {
        ConnectError::Busy { .. } => "busy",
        ConnectError::AccessDenied {
            why: DeniedWhy::Authorization,
            ..
        } => "denied",
        ConnectError::Protocol { .. } => "refused",
        other => panic!("{name}: {other}"),
    };
    let wanted = match (code, subcode.as_deref()) {
        (Some(2_150_859_173 | 2_150_859_174), _) => "busy",
        (Some(5), _) | (_, Some("AccessDenied")) => "denied",
        _ => "refused",
    };
    assert_eq!(kind, wanted, "{name}: {error}");
    let text = error.to_string();
    if let Some(code) = code {
        assert!(text.contains(&format!("fault {code} ")), "{name}: {text}");
    }
    if let Some(subcode) = subcode {
        assert!(text.contains(&subcode), "{name}: {text}");
    }
}

/// As the answer to a Receive only a timeout means to ask again.
async fn check_at_receive(exchange: &Exchange) {
    let (code, _) = numbers(exchange);
    let server = Server::start(vec![exchange.as_operation("Receive")]).await;
    let mut wire = connect(&server, 10).await.unwrap();
    wire.start(&program(), &limits(10)).await.unwrap();
    match wire.receive(&limits(10)).await {
        Ok(nothing) => {
            assert_eq!(code, Some(2_150_858_793), "{}", exchange.name);
            assert_eq!(nothing, fleetmend_transport::Received::default());
        }
        Err(SessionError::Unknown { detail }) => {
            assert_ne!(code, Some(2_150_858_793), "{}: {detail}", exchange.name);
        }
        Err(other) => panic!("{}: {other}", exchange.name),
    }
    Box::new(wire).close().await;
}

#[tokio::test]
async fn reads_single_answers_right() {
    let Some(singles) = recordings("single") else {
        return;
    };
    let mut read = 0;
    for exchange in singles {
        match exchange.operation.as_str() {
            "CreateResponse" => {
                let server = Server::start(vec![exchange.as_operation("Create")]).await;
                let wire = connect(&server, 10).await;
                let wire = wire.unwrap_or_else(|error| panic!("{}: {error}", exchange.name));
                Box::new(wire).close().await;
                // The server checks that the Delete names the shell as the host named it.
                server.finish(&exchange.name);
            }
            "ReceiveResponse" => {
                let server = Server::start(vec![exchange.as_operation("Receive")]).await;
                let mut wire = connect(&server, 10).await.unwrap();
                wire.start(&program(), &limits(10)).await.unwrap();
                let received = wire.receive(&limits(10)).await.unwrap();
                let code = exchange.seen["exit_code"].as_i64();
                assert_eq!(received.exit_code.map(i64::from), code, "{}", exchange.name);
                Box::new(wire).close().await;
            }
            _ => continue,
        }
        read += 1;
    }
    assert!(read >= 4, "{read} answers");
}

/// The headers of recorded 401s decide whether there is a way to log on.
#[tokio::test]
async fn reads_recorded_offers_right() {
    let Some(offers) = recordings("http-auth") else {
        return;
    };
    for exchange in offers.iter().filter(|exchange| exchange.status == 401) {
        let server = Server::start(vec![exchange.as_operation("Create")]).await;
        let error = connect(&server, 5).await.err().unwrap().to_string();
        assert!(error.contains("HTTP 401"), "{}: {error}", exchange.name);
    }
    assert!(
        offers
            .iter()
            .filter(|exchange| exchange.status == 401)
            .count()
            >= 3
    );
}

/// Runs one recorded shell's exchanges with our client.
async fn drive(mut wire: Box<WinrmWire>, shell: &[Exchange], name: &str) -> Ran {
    let mut ran = Ran::default();
    let limits = limits(30);
    let of = |operation: &'static str| shell.iter().filter(move |e| e.operation == operation);
    let receives = of("Receive").count();
    if receives > 0 || of("Command").next().is_some() {
        wire.start(&program(), &limits)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for send in of("Send") {
        let (bytes, end) = send.standard_input();
        wire.send(&bytes, end, &limits).await.unwrap();
    }
    for _ in 0..receives {
        match wire.receive(&limits).await {
            Ok(received) => {
                ran.stdout += received.stdout.len();
                ran.stderr += received.stderr.len();
                ran.exit_code = received.exit_code.map(i64::from);
            }
            Err(SessionError::Unknown { detail }) => {
                let digits = detail
                    .trim_start_matches("fault ")
                    .split(' ')
                    .next()
                    .unwrap();
                ran.fault = digits.parse().ok();
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
    if ran.exit_code.is_none() && of("Signal").next().is_some() {
        wire.terminate(&limits).await.unwrap();
    }
    wire.close().await;
    ran
}

fn expected(shell: &[Exchange]) -> Ran {
    let mut ran = Ran::default();
    for exchange in shell
        .iter()
        .filter(|exchange| exchange.operation == "Receive")
    {
        let code = numbers(exchange).0;
        ran.fault = code.filter(|code| *code != 2_150_858_793);
        for stream in exchange.seen["stream_elements"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let bytes = usize::try_from(stream["bytes"].as_u64().unwrap()).unwrap();
            match stream["name"].as_str().unwrap() {
                "stdout" => ran.stdout += bytes,
                _ => ran.stderr += bytes,
            }
        }
        ran.exit_code = exchange.seen["exit_code"].as_i64();
    }
    ran
}

/// Cuts a session at each Create.
fn shells_of(exchanges: &[Exchange]) -> Vec<&[Exchange]> {
    let starts: Vec<_> = exchanges
        .iter()
        .enumerate()
        .filter(|(_, exchange)| exchange.operation == "Create")
        .map(|(index, _)| index)
        .chain([exchanges.len()])
        .collect();
    starts
        .windows(2)
        .map(|pair| &exchanges[pair[0]..pair[1]])
        .collect()
}

fn numbers(exchange: &Exchange) -> (Option<u64>, Option<String>) {
    let fault = &exchange.seen["fault"];
    let code = fault["wsman_code"]
        .as_u64()
        .or(fault["wmi_error_code"].as_u64());
    let subcode = fault["subcode"]
        .as_str()
        .and_then(|name| name.rsplit(':').next());
    (code, subcode.map(str::to_owned))
}

fn program() -> CommandLine {
    CommandLine::Windows {
        program: "powershell.exe".to_owned(),
        arguments: "-x".to_owned(),
    }
}

fn limits(seconds: u64) -> Limits {
    Limits::within(Duration::from_secs(seconds), &CancellationToken::new())
}

async fn connect(server: &Server, seconds: u64) -> Result<WinrmWire, ConnectError> {
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: server.port,
        scheme: WinrmScheme::Https,
    };
    let settings = WinrmSettings {
        auth: WinrmAuth::Basic,
        tls: TlsVerification::Fingerprint(server.fingerprint.clone()),
        ..WinrmSettings::default()
    };
    let credential = Credential {
        user: "vagrant".to_owned(),
        password: Secret::new("vagrant".to_owned()),
        ssh: None,
    };
    winrm::connect(&endpoint, None, &credential, &settings, &limits(seconds)).await
}

#[test]
fn the_replay_takes_standard_input_out_of_requests() {
    let request = format!(
        "<rsp:Stream End=\"True\" Name=\"stdin\">{}</rsp:Stream>",
        BASE64_STANDARD.encode("hi")
    );
    let exchange = Exchange {
        request,
        ..Exchange::default()
    };
    assert_eq!(exchange.standard_input(), (b"hi".to_vec(), true));
}
