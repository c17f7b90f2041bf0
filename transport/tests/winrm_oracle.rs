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

const fn case(name: &'static str, server: &'static str, end: &'static str, ran: u64) -> Case {
    Case {
        name,
        server,
        trust: Trust::Http,
        act: Do::Hello,
        end,
        ran,
        left: 0,
    }
}

const fn tls(mut case: Case, trust: Trust) -> Case {
    case.trust = trust;
    case
}

const fn act(mut case: Case, act: Do) -> Case {
    case.act = act;
    case
}

/// A shell is left where the server itself makes its deletion impossible.
const fn leaves(mut case: Case, shells: usize) -> Case {
    case.left = shells;
    case
}

/// What works.
const PLAIN: &[Case] = &[
    case("http", "", "ok", 1),
    case(
        "http keep-alive offers",
        "--first-401 keep-alive --combine-offers",
        "ok",
        1,
    ),
    case(
        "more offers",
        "--offer Negotiate,Kerberos --reason-phrases --activity-id",
        "ok",
        1,
    ),
    case(
        "japanese machine, cp932 asked for nothing",
        "--default-codepage 932",
        "ok",
        1,
    ),
    tls(case("https ca", "--tls ca", "ok", 1), Trust::Ca),
    tls(
        case("https self-signed as ca", "--tls self-signed", "ok", 1),
        Trust::Ca,
    ),
    tls(case("https pin", "--tls self-signed", "ok", 1), Trust::Pin),
    tls(
        case("https pin, wrong name", "--tls wrong-name", "ok", 1),
        Trust::Pin,
    ),
    tls(
        case("https unverified", "--tls expired", "ok", 1),
        Trust::Nothing,
    ),
    tls(
        case("https cbt rsa", "--tls ca --require-cbt", "ok", 1),
        Trust::Ca,
    ),
    tls(
        case(
            "https cbt ecdsa",
            "--tls ca --tls-key ecdsa --require-cbt",
            "ok",
            1,
        ),
        Trust::Ca,
    ),
    tls(
        case(
            "https cbt sha384",
            "--tls ca --tls-digest sha384 --require-cbt",
            "ok",
            1,
        ),
        Trust::Ca,
    ),
    tls(
        case(
            "https cbt sha512 ecdsa",
            "--tls-key ecdsa --tls-digest sha512 --require-cbt",
            "ok",
            1,
        ),
        Trust::Pin,
    ),
    tls(
        case("https 1.2", "--tls ca --tls-max 1.2 --require-cbt", "ok", 1),
        Trust::Ca,
    ),
    tls(
        act(case("basic in tls", "--tls ca --basic", "ok", 1), Do::Basic),
        Trust::Ca,
    ),
    act(case("10 MB out", "", "ok", 1), Do::Big),
    tls(
        act(case("10 MB out in tls", "--tls ca", "ok", 1), Do::Big),
        Trust::Ca,
    ),
    act(case("stdin and back", "", "ok", 1), Do::Echo),
    act(
        case(
            "stdin and back, 150 KB envelopes",
            "--max-envelope-kb 150",
            "ok",
            1,
        ),
        Do::Echo,
    ),
    act(case("output over time", "", "ok", 1), Do::Slow),
    case("receive timeouts", "--receive-timeouts 4", "ok", 1),
    case("small receives", "--receive-max-bytes 3", "ok", 1),
    case("quota for a while", "--quota-fault 2", "ok", 1),
    case("busy once", "--busy 1", "ok", 1),
    case("chunked", "--inject chunked,times=inf", "ok", 1),
    case(
        "lower-case headers",
        "--inject lowercase-headers,times=inf",
        "ok",
        1,
    ),
    case("no length", "--inject no-length,times=inf", "ok", 1),
    case(
        "exchange framing",
        "--inject exchange-mime,times=inf",
        "ok",
        1,
    ),
    case(
        "close after each",
        "--inject close-after,times=inf",
        "ok",
        1,
    ),
    case("delays", "--inject delay,seconds=0.3,times=inf", "ok", 1),
    case("drips", "--slow 0.0005", "ok", 1),
    case(
        "first connection dropped",
        "--inject drop,action=auth",
        "ok",
        1,
    ),
    case(
        "first connection reset",
        "--inject drop,action=connect,rst=1",
        "ok",
        1,
    ),
    case(
        "503 at logon",
        "--inject status,action=auth,code=503",
        "ok",
        1,
    ),
    tls(
        case(
            "close after each in tls",
            "--tls ca --inject close-after,times=inf",
            "ok",
            1,
        ),
        Trust::Ca,
    ),
];

/// What must not work, or only so far.
const REFUSED: &[Case] = &[
    tls(
        case("unknown ca", "--tls ca", "connect:identity", 0),
        Trust::System,
    ),
    tls(
        case("wrong pin", "--tls ca", "connect:identity", 0),
        Trust::WrongPin,
    ),
    tls(
        case("wrong name", "--tls wrong-name", "connect:identity", 0),
        Trust::Ca,
    ),
    tls(
        case("expired", "--tls expired", "connect:identity", 0),
        Trust::Ca,
    ),
    act(
        case("wrong password", "", "connect:denied:logon", 0),
        Do::WrongPassword,
    ),
    tls(
        act(
            case(
                "wrong password, basic",
                "--tls ca --basic",
                "connect:denied:logon",
                0,
            ),
            Do::Basic,
        ),
        Trust::WrongPin,
    ),
    case(
        "access denied",
        "--access-denied",
        "connect:denied:authorization",
        0,
    ),
    case("quota for ever", "--max-shells 0", "connect:busy", 0),
    case(
        "redirect at logon",
        "--redirect-initial 307",
        "connect:protocol",
        0,
    ),
    case(
        "redirect of the first",
        "--redirect 308",
        "connect:protocol",
        0,
    ),
    case(
        "redirect of a command",
        "--inject redirect,action=Command,code=302",
        "start:unknown",
        0,
    ),
    case(
        "silent from the start",
        "--never-answer",
        "connect:unreachable:timed-out",
        0,
    ),
    case(
        "closed at once, always",
        "--inject drop,action=connect,times=inf",
        "connect:unreachable:closed",
        0,
    ),
    leaves(
        case(
            "big header",
            "--inject big-header,action=Create",
            "connect:protocol",
            0,
        ),
        1,
    ),
    leaves(
        case(
            "many headers",
            "--inject many-headers,action=Create",
            "connect:protocol",
            0,
        ),
        1,
    ),
    case(
        "endless header",
        "--inject endless-header,action=Command",
        "start:unknown",
        1,
    ),
    case(
        "endless body",
        "--inject endless-body,action=Receive",
        "receive:unknown",
        1,
    ),
    case(
        "big body",
        "--inject big-body,action=Receive",
        "receive:unknown",
        1,
    ),
    case(
        "garbage",
        "--inject garbage,action=Command",
        "start:unknown",
        1,
    ),
    case("bomb billion", "--xml-bomb billion", "receive:unknown", 1),
    case(
        "bomb quadratic",
        "--xml-bomb quadratic",
        "receive:unknown",
        1,
    ),
    case("bomb external", "--xml-bomb external", "receive:unknown", 1),
    case("bomb dtd", "--xml-bomb dtd", "receive:unknown", 1),
    case("bomb internal", "--xml-bomb internal", "receive:unknown", 1),
    case("bomb deep", "--xml-bomb deep", "receive:unknown", 1),
    case(
        "bomb attributes",
        "--xml-bomb attributes",
        "receive:unknown",
        1,
    ),
    tls(
        case(
            "bomb in tls",
            "--tls ca --xml-bomb external",
            "receive:unknown",
            1,
        ),
        Trust::Ca,
    ),
    case(
        "bad xml",
        "--inject bad-xml,action=Receive",
        "receive:unknown",
        1,
    ),
    case("html", "--inject html,action=Command", "start:unknown", 1),
    case(
        "bad base64",
        "--inject bad-base64,action=Receive",
        "receive:unknown",
        1,
    ),
    case(
        "wrong relates-to",
        "--inject wrong-relates-to,action=Command",
        "start:unknown",
        1,
    ),
    case(
        "wrong action",
        "--inject wrong-action,action=Command",
        "start:unknown",
        1,
    ),
    case(
        "wrong command",
        "--inject wrong-command-id,action=Receive",
        "receive:unknown",
        1,
    ),
    case(
        "bad signature",
        "--inject bad-signature,action=Command",
        "start:unknown",
        1,
    ),
    case(
        "bad cipher text",
        "--inject bad-ciphertext,action=Receive",
        "receive:unknown",
        1,
    ),
    case(
        "bad length",
        "--inject bad-length,action=Receive",
        "receive:unknown",
        1,
    ),
    case(
        "plain answer",
        "--inject plaintext,action=Command",
        "start:unknown",
        1,
    ),
    case(
        "replayed answer",
        "--inject replay,action=Receive",
        "receive:unknown",
        1,
    ),
    case(
        "answer to a command lost",
        "--drop-response Command",
        "start:unknown",
        1,
    ),
    case(
        "command reset",
        "--inject drop-before,action=Command,rst=1",
        "start:unknown",
        1,
    ),
    case(
        "command cut in the middle",
        "--inject drop-mid,action=Command",
        "start:unknown",
        1,
    ),
    case(
        "command dropped unread",
        "--inject drop,action=Command",
        "start:unknown",
        0,
    ),
    case(
        "answer to a send lost",
        "--drop-response Send",
        "send:unknown",
        1,
    ),
    case("output lost", "--drop-mid-receive", "receive:unknown", 1),
    case(
        "401 to a command",
        "--inject 401,action=Command",
        "start:unknown",
        0,
    ),
    case(
        "503 to a command",
        "--inject status,action=Command",
        "start:unknown",
        0,
    ),
    case(
        "401 to a receive",
        "--inject 401,action=Receive",
        "receive:unknown",
        1,
    ),
    case(
        "fault to a command",
        "--inject fault,name=access-denied,action=Command",
        "start:not-run",
        0,
    ),
    case(
        "aborted command",
        "--inject fault,name=aborted,action=Command",
        "start:unknown",
        0,
    ),
    case(
        "fault to a receive",
        "--inject fault,name=aborted,action=Receive",
        "receive:unknown",
        1,
    ),
    leaves(
        case(
            "answer to a create lost",
            "--drop-response Create",
            "connect:unreachable:closed",
            0,
        ),
        1,
    ),
    case(
        "hanging command",
        "--inject hang,action=Command",
        "start:deadline",
        0,
    ),
    case(
        "hanging receive",
        "--inject hang-mid,action=Receive",
        "receive:deadline",
        1,
    ),
    case(
        "deletion fails once",
        "--inject drop,action=Delete",
        "ok",
        1,
    ),
];

/// What is ended by us.
const ENDED: &[Case] = &[
    act(case("terminate", "", "ok", 1), Do::Terminate),
    act(case("deadline", "", "receive:deadline", 0), Do::Deadline),
    act(case("cancel", "", "receive:cancelled", 0), Do::Cancel),
    act(case("drop", "", "dropped", 0), Do::Drop),
    act(case("drop of a poll", "", "dropped", 0), Do::DropPoll),
    act(
        case(
            "drop of a connect",
            "--inject delay,action=Create,seconds=1",
            "dropped",
            0,
        ),
        Do::DropConnect,
    ),
    tls(
        act(
            case("cancel in tls", "--tls ca", "receive:cancelled", 0),
            Do::Cancel,
        ),
        Trust::Ca,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn works_where_it_should() {
    run(PLAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_and_never_repeats() {
    run(REFUSED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_what_it_started() {
    run(ENDED).await;
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

async fn run(cases: &'static [Case]) {
    if !Oracle::is_there() {
        return;
    }
    // Each server is a Python process; a few at once keep two cores busy.
    let permits = Arc::new(Semaphore::new(4));
    let mut tasks = Vec::new();
    for case in cases {
        let permits = Arc::clone(&permits);
        tasks.push(tokio::spawn(async move {
            let _permit = permits.acquire_owned().await;
            check(case).await;
        }));
    }
    let mut failed = 0;
    for task in tasks {
        failed += usize::from(task.await.is_err());
    }
    assert_eq!(
        failed,
        0,
        "{failed} of {} rows failed, see above",
        cases.len()
    );
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
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: if https { server.https } else { server.http },
        scheme: if https {
            WinrmScheme::Https
        } else {
            WinrmScheme::Http
        },
    };
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
    };
    winrm::connect(&endpoint, None, &credential, &settings, limits).await
}

async fn connect_as(
    server: &Oracle,
    user: &str,
    limits: &Limits,
) -> Result<WinrmWire, ConnectError> {
    let endpoint = Endpoint {
        host: "127.0.0.1".into(),
        port: server.http,
        scheme: WinrmScheme::Http,
    };
    let credential = Credential {
        user: user.into(),
        password: Secret::new(PASSWORD.into()),
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
