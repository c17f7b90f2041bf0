//! Our WinRM client against a server whose NTLM and sealing nobody here wrote (pyspnego), which
//! checks every request and misbehaves on request. Each case is one row: how the server is
//! started, what we do, how it must end. After every row the server's log must show no
//! violation, every command executed as often as we asked for it, and no shell left open.
//!
//! The server lies in the project's shared folder; without it, or without a Python that has its
//! packages, the test says that it is skipped.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod oracle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_model::{Credential, Secret, TlsVerification, WinrmAuth, WinrmScheme, WinrmSettings};
use fleetmend_transport::winrm::{self, Endpoint, WinrmWire};
use fleetmend_transport::{CommandLine, ConnectError, Limits, SessionError, Wire};
use oracle::{Log, Oracle};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "Lab-pässwörd-ひみつ-9";

/// How the certificate is judged in a row.
#[derive(Clone, Copy, PartialEq)]
enum Trust {
    /// No TLS.
    Http,
    /// Against the file that the server wrote.
    Ca,
    /// Against the system's roots, which do not know it.
    System,
    /// By its true fingerprint.
    Pin,
    /// By another fingerprint.
    WrongPin,
    /// Not at all.
    Nothing,
}

/// What is done in a row.
#[derive(Clone, Copy, PartialEq)]
enum Do {
    /// One program, its output read to the end.
    Hello,
    /// Ten megabytes of output.
    Big,
    /// Several megabytes through standard input and back.
    Echo,
    /// A program that never ends is ended, then another runs in the same shell.
    Terminate,
    /// A program that never ends meets the step's deadline.
    Deadline,
    /// A program that never ends is cancelled in a poll.
    Cancel,
    /// The wire is dropped while a program runs.
    Drop,
    /// The future of a poll is dropped, then the wire.
    DropPoll,
    /// The future of the connect is dropped while the shell is being made.
    DropConnect,
    /// Output over time, past several polls.
    Slow,
    /// Basic instead of NTLM.
    Basic,
    /// A wrong password.
    WrongPassword,
}

/// One row.
struct Case {
    name: &'static str,
    server: &'static str,
    trust: Trust,
    act: Do,
    /// `ok`, or where it ended and how.
    end: &'static str,
    /// How often the program ran.
    ran: u64,
    /// Shells that the server still holds at the end.
    left: usize,
}

/// Reads the rows of one section of the table.
fn cases(section: &str) -> Vec<Case> {
    let table = include_str!("oracle/cases.txt");
    let (_, rest) = table
        .split_once(&format!("[{section}]\n"))
        .expect("the section");
    let lines = rest.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.is_empty())
        .map(Case::parse)
        .collect()
}

impl Case {
    fn parse(line: &'static str) -> Self {
        let columns: Vec<_> = line.split('|').map(str::trim).collect();
        let [name, server, trust, act, end, ran, left] = columns[..] else {
            panic!("seven columns: {line}");
        };
        Self {
            name,
            server,
            trust: Trust::parse(trust),
            act: Do::parse(act),
            end,
            ran: ran.parse().unwrap(),
            left: left.parse().unwrap(),
        }
    }
}

impl Trust {
    fn parse(word: &str) -> Self {
        match word {
            "http" => Self::Http,
            "ca" => Self::Ca,
            "system" => Self::System,
            "pin" => Self::Pin,
            "wrong-pin" => Self::WrongPin,
            "nothing" => Self::Nothing,
            other => panic!("no such trust: {other}"),
        }
    }
}

impl Do {
    fn parse(word: &str) -> Self {
        match word {
            "hello" => Self::Hello,
            "big" => Self::Big,
            "echo" => Self::Echo,
            "terminate" => Self::Terminate,
            "deadline" => Self::Deadline,
            "cancel" => Self::Cancel,
            "drop" => Self::Drop,
            "drop-poll" => Self::DropPoll,
            "drop-connect" => Self::DropConnect,
            "slow" => Self::Slow,
            "basic" => Self::Basic,
            "wrong-password" => Self::WrongPassword,
            other => panic!("nothing to do: {other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn works_where_it_should() {
    run("works").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_and_never_repeats() {
    run("refused").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_what_it_started() {
    run("ended").await;
}

/// Create, Command, Send, Receive, Delete and two legs of logon; a further step is one Send and
/// one Receive.
#[tokio::test(flavor = "multi_thread")]
async fn makes_as_few_exchanges_as_possible() {
    let Some(server) = Oracle::start("counts", "", PASSWORD).await else {
        return;
    };
    let mut wire = connect(&server, Trust::Http, Do::Hello, &limits(30))
        .await
        .unwrap();
    wire.start(&program("sort.exe", "/x"), &limits(30))
        .await
        .unwrap();
    wire.send(b"one line\n", true, &limits(30)).await.unwrap();
    let first = wire.receive(&limits(30)).await.unwrap();
    assert_eq!(
        (first.stdout.as_slice(), first.exit_code),
        (&b"one line\n"[..], Some(0))
    );
    Box::new(wire).close().await;
    let log = server.finish();
    assert_eq!(
        log.operations(),
        ["Create", "Command", "Send", "Receive", "Delete"]
    );
    assert_eq!(log.events("auth").len(), 2, "two legs of logon");
    assert_eq!(log.events("conn_open").len(), 1, "one connection");
    log.assert_clean();
}

/// Each host has a connection and a context of its own, however many there are and however
/// large their answers.
#[tokio::test(flavor = "multi_thread")]
async fn serves_many_hosts_at_once() {
    let server = Oracle::start("many", "--bind 127.0.0.1-127.0.0.60", PASSWORD).await;
    let Some(server) = server else { return };
    let mut tasks = Vec::new();
    for last in 1..=60_u8 {
        let endpoint = Endpoint {
            host: format!("127.0.0.{last}"),
            port: server.http,
            scheme: WinrmScheme::Http,
        };
        tasks.push(tokio::spawn(async move {
            let credential = Credential {
                user: "管理者".into(),
                password: Secret::new(PASSWORD.into()),
                ssh: None,
            };
            let (settings, limits) = (WinrmSettings::default(), limits(90));
            let wire = winrm::connect(&endpoint, None, &credential, &settings, &limits).await;
            let mut wire = wire.unwrap();
            wire.start(&program("medium.exe", ""), &limits)
                .await
                .unwrap();
            let mut total = 0;
            loop {
                let received = wire.receive(&limits).await.unwrap();
                total += received.stdout.len();
                if received.exit_code.is_some() {
                    break;
                }
            }
            Box::new(wire).close().await;
            total
        }));
    }
    for task in tasks {
        assert_eq!(task.await.unwrap(), 500_000);
    }
    let log = server.finish();
    log.assert_clean();
    log.assert_once();
    assert_eq!(log.events("conn_open").len(), 60, "one connection a host");
    assert_eq!(log.executions("medium"), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn identifies_without_a_credential() {
    let Some(server) = Oracle::start("identify", "--tls ca", PASSWORD).await else {
        return;
    };
    let http = endpoint(&server, false);
    let settings = WinrmSettings::default();
    let identity = winrm::identify(&http, None, &settings, &limits(20))
        .await
        .unwrap();
    assert_eq!(identity.vendor, "Microsoft Corporation");
    let settings = WinrmSettings {
        tls: TlsVerification::CaFile(server.trust()),
        ..WinrmSettings::default()
    };
    let https = endpoint(&server, true);
    assert_eq!(
        winrm::identify(&https, None, &settings, &limits(20))
            .await
            .unwrap(),
        identity
    );
    // A path that is not WinRM's is said to be so.
    let settings = WinrmSettings {
        path: "/other".into(),
        ..WinrmSettings::default()
    };
    let error = winrm::identify(&http, None, &settings, &limits(20))
        .await
        .unwrap_err();
    assert_eq!(connect_end(&error), "connect:protocol");
    let log = server.finish();
    assert_eq!(log.events("auth").len(), 0);
    assert_eq!(log.summary()["errors"], serde_json::json!({"http-path": 1}));
}

/// What the prober has opened is used; one that has gone stale is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn takes_over_the_connection_of_a_prober() {
    let Some(server) = Oracle::start("prober", "", PASSWORD).await else {
        return;
    };
    let endpoint = endpoint(&server, false);
    let credential = Credential {
        user: "管理者".into(),
        password: Secret::new(PASSWORD.into()),
        ssh: None,
    };
    let settings = WinrmSettings::default();
    let probed = tokio::net::TcpStream::connect(("127.0.0.1", server.http))
        .await
        .unwrap();
    let wire = winrm::connect(&endpoint, Some(probed), &credential, &settings, &limits(20)).await;
    Box::new(wire.unwrap()).close().await;
    let mut stale = tokio::net::TcpStream::connect(("127.0.0.1", server.http))
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut stale)
        .await
        .unwrap();
    let wire = winrm::connect(&endpoint, Some(stale), &credential, &settings, &limits(20)).await;
    Box::new(wire.unwrap()).close().await;
    let log = server.finish();
    assert_eq!(
        log.events("conn_open").len(),
        3,
        "the probed one, the stale one, its successor"
    );
    log.assert_clean();
}

/// A local name is the same under every form.
#[tokio::test(flavor = "multi_thread")]
async fn logs_on_under_every_form_of_the_name() {
    let users =
        format!("--user CORP\\svc:{PASSWORD} --user upn@corp.example:{PASSWORD} --machine PC-01");
    let Some(server) = Oracle::start("forms", &users, PASSWORD).await else {
        return;
    };
    for user in [
        "管理者",
        r".\管理者",
        r"PC-01\管理者",
        r"CORP\svc",
        "upn@corp.example",
    ] {
        let wire = connect_as(&server, user, &limits(20)).await;
        let wire = wire.unwrap_or_else(|error| panic!("{user}: {error}"));
        Box::new(wire).close().await;
    }
    let log = server.finish();
    log.assert_clean();
    assert_eq!(log.summary()["auth_successes"], 5);
}

async fn run(section: &str) {
    let cases = cases(section);
    if !Oracle::is_there() {
        return;
    }
    let all = cases.len();
    // Each server is a Python process; a few at once keep two cores busy.
    let permits = Arc::new(Semaphore::new(4));
    let mut tasks = Vec::new();
    for case in cases {
        let permits = Arc::clone(&permits);
        tasks.push(tokio::spawn(async move {
            let _permit = permits.acquire_owned().await;
            check(&case).await;
        }));
    }
    let mut failed = 0;
    for task in tasks {
        failed += usize::from(task.await.is_err());
    }
    assert_eq!(failed, 0, "{failed} of {all} rows failed, see above");
}

async fn check(case: &Case) {
    let begun = Instant::now();
    let server = Oracle::start(case.name, case.server, PASSWORD)
        .await
        .expect("it is there");
    let end = carry_out(case, &server).await;
    // Deletions of dropped wires run in tasks of their own.
    if end == "dropped" || case.left > 0 || end.starts_with("connect") {
        tokio::time::sleep(Duration::from_millis(if end == "dropped" {
            2_500
        } else {
            200
        }))
        .await;
    }
    let log = server.finish();
    println!(
        "{:<40} {end:<32} {:>6} ms",
        case.name,
        begun.elapsed().as_millis()
    );
    assert_eq!(end, case.end, "{}: the end\n{}", case.name, log.tail());
    assert_eq!(
        log.summary()["errors"],
        serde_json::json!({}),
        "{}\n{}",
        case.name,
        log.tail()
    );
    let ran = log.executions("hello") + log.executions("big") + log.executions("sort");
    if !matches!(case.act, Do::Terminate | Do::Slow) {
        assert_eq!(ran, case.ran, "{}: executions\n{}", case.name, log.tail());
    }
    log.assert_once();
    let left = log.summary()["shells_left_open"].as_array().unwrap().len();
    assert_eq!(
        left,
        case.left,
        "{}: shells left open\n{}",
        case.name,
        log.tail()
    );
    if case.left == 0 {
        let running = &log.summary()["commands_left_running"];
        assert!(
            running.as_array().unwrap().is_empty(),
            "{}: {running}",
            case.name
        );
    }
    if case.act == Do::WrongPassword {
        assert_eq!(
            log.summary()["auth_failures"],
            1,
            "the password was spent once"
        );
    }
}

async fn carry_out(case: &Case, server: &Oracle) -> String {
    if case.act == Do::DropConnect {
        let short = Duration::from_millis(600);
        let limits = limits(20);
        let connecting = connect(server, case.trust, case.act, &limits);
        assert!(
            tokio::time::timeout(short, connecting).await.is_err(),
            "it was to be dropped"
        );
        return "dropped".to_owned();
    }
    let connect_time = match case.end {
        "connect:unreachable:timed-out" | "connect:busy" => 4,
        _ => 30,
    };
    let mut wire = match connect(server, case.trust, case.act, &limits(connect_time)).await {
        Ok(wire) => wire,
        Err(error) => return connect_end(&error),
    };
    let end = match case.act {
        Do::Big => big(&mut wire).await,
        Do::Echo => echo(&mut wire).await,
        Do::Terminate => terminate(&mut wire).await,
        Do::Deadline | Do::Cancel => cut(&mut wire, case.act).await,
        Do::Slow => slow(&mut wire).await,
        Do::Drop => {
            wire.start(&program("hang.exe", ""), &limits(20))
                .await
                .unwrap();
            drop(wire);
            return "dropped".to_owned();
        }
        Do::DropPoll => {
            wire.start(&program("hang.exe", ""), &limits(20))
                .await
                .unwrap();
            let limits = limits(20);
            let _ = wire.receive(&limits).await;
            let poll = tokio::time::timeout(Duration::from_millis(300), wire.receive(&limits));
            assert!(poll.await.is_err(), "the poll was to be dropped");
            drop(wire);
            return "dropped".to_owned();
        }
        _ => hello(&mut wire, case.end.ends_with("deadline")).await,
    };
    Box::new(wire).close().await;
    end
}

/// Runs the program `hello`, gives it input and reads what it says.
async fn hello(wire: &mut WinrmWire, hasty: bool) -> String {
    let limits = limits(if hasty { 3 } else { 40 });
    if let Err(error) = wire
        .start(&program("hello.exe", "\"a b\" <日本>"), &limits)
        .await
    {
        return session_end("start", &error);
    }
    if let Err(error) = wire.send("入力\n".as_bytes(), true, &limits).await {
        return session_end("send", &error);
    }
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = loop {
        match wire.receive(&limits).await {
            Ok(received) => {
                stdout.extend(received.stdout);
                stderr.extend(received.stderr);
                if let Some(code) = received.exit_code {
                    break code;
                }
            }
            Err(error) => return session_end("receive", &error),
        }
    };
    assert_eq!(String::from_utf8(stdout).unwrap(), "こんにちは\r\n");
    assert_eq!(String::from_utf8(stderr).unwrap(), "警告\r\n");
    assert_eq!(code, 3);
    "ok".to_owned()
}

async fn big(wire: &mut WinrmWire) -> String {
    let limits = limits(120);
    wire.start(&program("big.exe", ""), &limits).await.unwrap();
    let mut total = 0;
    loop {
        let received = wire.receive(&limits).await.unwrap();
        total += received.stdout.len();
        if let Some(code) = received.exit_code {
            assert_eq!((total, code), (10 * 1024 * 1024, 0));
            return "ok".to_owned();
        }
    }
}

async fn echo(wire: &mut WinrmWire) -> String {
    let limits = limits(120);
    let input: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    wire.start(&program("sort.exe", ""), &limits).await.unwrap();
    wire.send(&input[..1_000_000], false, &limits)
        .await
        .unwrap();
    wire.send(&input[1_000_000..], false, &limits)
        .await
        .unwrap();
    wire.send(b"", true, &limits).await.unwrap();
    let mut output = Vec::new();
    loop {
        let received = wire.receive(&limits).await.unwrap();
        output.extend(received.stdout);
        if received.exit_code.is_some() {
            assert!(
                output == input,
                "{} bytes came back, not the same",
                output.len()
            );
            return "ok".to_owned();
        }
    }
}

async fn terminate(wire: &mut WinrmWire) -> String {
    let limits = limits(30);
    wire.start(&program("hang.exe", ""), &limits).await.unwrap();
    assert_eq!(wire.receive(&limits).await.unwrap().stdout, b"started\r\n");
    assert!(
        wire.start(&program("hello.exe", ""), &limits)
            .await
            .is_err(),
        "one at a time"
    );
    wire.terminate(&limits).await.unwrap();
    hello(wire, false).await
}

/// Ends a poll by deadline or cancel; afterwards the process is ended, within seconds, and the
/// shell still serves.
async fn cut(wire: &mut WinrmWire, how: Do) -> String {
    let cancel = CancellationToken::new();
    let limits = Limits::within(Duration::from_secs(3), &cancel);
    wire.start(&program("hang.exe", ""), &limits).await.unwrap();
    if how == Do::Cancel {
        let cancel = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(700)).await;
            cancel.cancel();
        });
    }
    let end = loop {
        if let Err(error) = wire.receive(&limits).await {
            break session_end("receive", &error);
        }
    };
    let begun = Instant::now();
    wire.terminate(&limits).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "ending took {:?}",
        begun.elapsed()
    );
    let fresh = self::limits(20);
    wire.start(&program("late.exe", ""), &fresh).await.unwrap();
    assert_eq!(wire.receive(&fresh).await.unwrap().stdout, b"x\r\n");
    end
}

async fn slow(wire: &mut WinrmWire) -> String {
    let limits = limits(60);
    wire.start(&program("steps.exe", ""), &limits)
        .await
        .unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    loop {
        let received = wire.receive(&limits).await.unwrap();
        stdout.push_str(std::str::from_utf8(&received.stdout).unwrap());
        stderr.push_str(std::str::from_utf8(&received.stderr).unwrap());
        if let Some(code) = received.exit_code {
            assert_eq!(
                (stdout.as_str(), stderr.as_str(), code),
                ("one\r\ntwo\r\n", "警告\r\n", -5)
            );
            return "ok".to_owned();
        }
    }
}

fn limits(seconds: u64) -> Limits {
    Limits::within(Duration::from_secs(seconds), &CancellationToken::new())
}

fn program(name: &str, arguments: &str) -> CommandLine {
    CommandLine::Windows {
        program: format!(r"C:\Lab\{name}"),
        arguments: arguments.to_owned(),
    }
}

async fn connect(
    server: &Oracle,
    trust: Trust,
    act: Do,
    limits: &Limits,
) -> Result<WinrmWire, ConnectError> {
    let https = trust != Trust::Http;
    let endpoint = endpoint(server, https);
    let wrong_password = act == Do::WrongPassword || (act == Do::Basic && trust == Trust::WrongPin);
    let settings = WinrmSettings {
        auth: if act == Do::Basic {
            WinrmAuth::Basic
        } else {
            WinrmAuth::Ntlm
        },
        tls: match trust {
            Trust::Http | Trust::System => TlsVerification::System,
            Trust::Ca => TlsVerification::CaFile(server.trust()),
            Trust::Pin => TlsVerification::Fingerprint(server.fingerprint().await),
            Trust::WrongPin if act == Do::Basic => TlsVerification::None,
            Trust::WrongPin => TlsVerification::Fingerprint("ab".repeat(32)),
            Trust::Nothing => TlsVerification::None,
        },
        ..WinrmSettings::default()
    };
    let credential = Credential {
        user: "管理者".to_owned(),
        password: Secret::new(if wrong_password {
            "wrong".into()
        } else {
            PASSWORD.into()
        }),
        ssh: None,
    };
    winrm::connect(&endpoint, None, &credential, &settings, limits).await
}

fn endpoint(server: &Oracle, https: bool) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".to_owned(),
        port: if https { server.https } else { server.http },
        scheme: if https {
            WinrmScheme::Https
        } else {
            WinrmScheme::Http
        },
    }
}

async fn connect_as(
    server: &Oracle,
    user: &str,
    limits: &Limits,
) -> Result<WinrmWire, ConnectError> {
    let endpoint = endpoint(server, false);
    let credential = Credential {
        user: user.into(),
        password: Secret::new(PASSWORD.into()),
        ssh: None,
    };
    winrm::connect(
        &endpoint,
        None,
        &credential,
        &WinrmSettings::default(),
        limits,
    )
    .await
}

fn connect_end(error: &ConnectError) -> String {
    println!("    {error}");
    match error {
        ConnectError::Unreachable { why, .. } => format!("connect:unreachable:{}", why.code()),
        ConnectError::AccessDenied { why, .. } => format!("connect:denied:{}", why.code()),
        ConnectError::Identity { .. } => "connect:identity".to_owned(),
        ConnectError::Busy { .. } => "connect:busy".to_owned(),
        ConnectError::Protocol { .. } => "connect:protocol".to_owned(),
        other => format!("connect:{other}"),
    }
}

fn session_end(at: &str, error: &SessionError) -> String {
    println!("    {error}");
    let kind = match error {
        SessionError::NotRun { .. } => "not-run",
        SessionError::Unknown { .. } => "unknown",
        SessionError::Deadline { .. } => "deadline",
        SessionError::Cancelled { sent: true } => "cancelled",
        _ => "cancelled-unsent",
    };
    format!("{at}:{kind}")
}

#[test]
fn logs_are_read_as_they_are() {
    let log = Log::parse(r#"{"event":"summary","errors":{"x":1},"executions":{}}"#);
    assert_eq!(log.summary()["errors"]["x"], 1);
}
