//! Shells and processes, over real sockets.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;

use super::reply::CMD;
use super::test_client::*;
use super::test_pc::{Act, ScriptPc};
use super::xml::Element;
use super::*;

#[tokio::test]
async fn a_command_costs_one_exchange_of_each_kind() {
    let lab = lab(vec![Act::Echo, exit(3)], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, "echo 日本").await;
    assert_eq!(code(&client.write(&shell, &command, "入力", true).await), 0);
    let answer = client.receive(&shell, &command).await;
    assert_eq!(received(&answer), ("入力".to_owned(), Some(3)));
    assert_eq!(find(&answer, "RelatesTo").unwrap().text, "uuid:1");
    assert_eq!(code(&client.delete(&shell).await), 0);
    assert_eq!(lab.pc.lines.lock().unwrap()[0].line, "echo 日本");
    let counters = lab.winrm.counters();
    for action in [
        Action::Create,
        Action::Command,
        Action::Send,
        Action::Receive,
        Action::Delete,
    ] {
        assert_eq!(counters.exchanges(action), 1, "{action:?}");
    }
    let values = counters.values();
    assert_eq!(
        (
            values.connections,
            values.logons_accepted,
            values.http_requests
        ),
        (1, 1, 7)
    );
    assert_eq!(
        (
            values.shells_created,
            values.shells_open,
            values.faults_sent
        ),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn less_than_an_administrator_gets_fault_5() {
    let pc = ScriptPc {
        lesser: true,
        ..ScriptPc::default()
    };
    let options = WinrmOptions {
        language: Language::Japanese,
        ..WinrmOptions::default()
    };
    let lab = lab_of(pc, options).await;
    let mut client = Client::logged_on(&lab).await;
    let answer = client.soap(&envelope("Create", None, CREATE)).await;
    assert_eq!(code(&answer), 5);
    assert_eq!(
        find(&answer, "Text").unwrap().text,
        "アクセスが拒否されました。 "
    );
    let subcode = find(find(&answer, "Subcode").unwrap(), "Value").unwrap();
    assert_eq!(subcode.text, "w:AccessDenied");
}

#[tokio::test]
async fn a_receive_waits_and_loses_nothing() {
    let acts = vec![
        out("first"),
        Act::Sleep(Duration::from_millis(400)),
        out("second"),
        exit(0),
    ];
    let lab = lab(acts, WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, "x").await;
    assert_eq!(
        received(&client.receive(&shell, &command).await),
        ("first".to_owned(), None)
    );
    let begun = Instant::now();
    let short = within("Receive", Some(&shell), &desired(&command), "PT0.1S", "");
    assert_eq!(code(&client.soap(&short).await), 2_150_858_793);
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let answer = client.receive(&shell, &command).await;
    assert_eq!(received(&answer), ("second".to_owned(), Some(0)));
}

#[tokio::test]
async fn answers_fit_the_envelope() {
    let text = "あ".repeat(200_000);
    let lab = lab(vec![out(&text), exit(0)], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, "x").await;
    let (mut bytes, mut answers) = (Vec::new(), 0);
    loop {
        let request = envelope("Receive", Some(&shell), &desired(&command));
        let answer = client.raw(&request).await.unwrap();
        let xml = client.open(&answer).unwrap();
        assert!(xml.len() <= 153_600, "{}", xml.len());
        answers += 1;
        let root = Element::parse(&xml).unwrap();
        let streams = find(&root, "ReceiveResponse").unwrap();
        bytes.extend(
            streams
                .named("Stream")
                .flat_map(|s| STANDARD.decode(&s.text).unwrap()),
        );
        if find(&root, "ExitCode").is_some() {
            break;
        }
        assert!(
            xml.len() > 140_000,
            "a poor use of an exchange: {}",
            xml.len()
        );
    }
    assert!(bytes == text.as_bytes());
    assert_eq!(answers, 6);
}

#[tokio::test]
async fn quotas_hold_and_free_up() {
    for quota_form in [QuotaForm::WsManFault, QuotaForm::WmiError] {
        let options = WinrmOptions {
            max_shells_per_user: 1,
            max_processes_per_shell: 1,
            quota_form,
            faults: WinrmFaults {
                quota_faults: 2,
                ..WinrmFaults::default()
            },
            ..WinrmOptions::default()
        };
        let lab = lab(vec![Act::Hang], options).await;
        let mut client = Client::logged_on(&lab).await;
        let create = envelope("Create", None, CREATE);
        for _ in 0..2 {
            assert_eq!(code(&client.soap(&create).await), 2_150_859_173);
        }
        let shell = client.create().await;
        let refused = client.soap(&create).await;
        assert_eq!(code(&refused), 2_150_859_173);
        let related = find(&refused, "RelatesTo").is_some();
        assert_eq!(related, quota_form == QuotaForm::WsManFault);
        client.command(&shell, "x").await;
        let body = "<r:CommandLine><r:Command>y</r:Command></r:CommandLine>";
        let second = client.soap(&envelope("Command", Some(&shell), body)).await;
        assert_eq!(code(&second), 2_150_859_174);
        client.delete(&shell).await;
        client.create().await;
    }
}

#[tokio::test]
async fn idle_shells_and_their_processes_end() {
    let options = WinrmOptions {
        shell_idle: Duration::from_millis(100),
        ..WinrmOptions::default()
    };
    let lab = lab(vec![Act::Hang], options).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, "x").await;
    assert_eq!(lab.winrm.counters().values().shells_open, 1);
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(lab.winrm.counters().values().shells_open, 0);
    assert_eq!(*lab.pc.killed.lock().unwrap(), 1);
    assert_eq!(code(&client.receive(&shell, &command).await), 2_150_858_843);
}

#[tokio::test]
async fn a_deleted_shell_ends_a_waiting_receive() {
    let lab = lab(vec![Act::Hang], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, "x").await;
    let mut other = Client::logged_on(&lab).await;
    let (waiting, ()) = tokio::join!(client.receive(&shell, &command), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        other.delete(&shell).await;
    });
    assert_eq!(code(&waiting), 995);
    assert_eq!(code(&other.delete(&shell).await), 2_150_858_843);
    assert_eq!(*lab.pc.killed.lock().unwrap(), 1);
}

#[tokio::test]
async fn signals_end_processes() {
    let lab = lab(vec![Act::Hang], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, "x").await;
    client.signal(&shell, &command, "ctrl_c").await;
    let answer = client.receive(&shell, &command).await;
    assert_eq!(received(&answer), (String::new(), Some(-1_073_741_510)));
    let command = client.command(&shell, "x").await;
    assert_eq!(code(&client.signal(&shell, &command, "terminate").await), 0);
    assert_eq!(code(&client.receive(&shell, &command).await), 2_150_858_843);
    assert_eq!(code(&client.signal(&shell, &command, "nonsense").await), 87);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(*lab.pc.killed.lock().unwrap(), 2);
}

#[tokio::test]
async fn input_for_an_ended_process_is_refused() {
    let lab = lab(vec![exit(0)], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, "x").await;
    assert_eq!(received(&client.receive(&shell, &command).await).1, Some(0));
    assert_eq!(
        code(&client.write(&shell, &command, "late", false).await),
        232
    );
}

#[tokio::test]
async fn a_program_without_a_shell_needs_its_full_path() {
    let lab = lab(vec![exit(0)], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let skip = "<w:Option Name=\"WINRS_SKIP_CMD_SHELL\">TRUE</w:Option>";
    let body = |program: &str| {
        format!(
            "<r:CommandLine><r:Command>{program}</r:Command><r:Arguments>-a  b</r:Arguments></r:CommandLine>"
        )
    };
    for (program, expected) in [("powershell.exe", 2_147_942_402), ("C:\\Windows\\x.exe", 0)] {
        let request = within("Command", Some(&shell), &body(program), "PT5S", skip);
        assert_eq!(code(&client.soap(&request).await), expected, "{program}");
    }
    let lines = lab.pc.lines.lock().unwrap();
    assert_eq!(lines[0].line, "C:\\Windows\\x.exe -a  b");
    assert!(!lines[0].through_shell);
}

#[tokio::test]
async fn long_command_lines_fail_as_on_windows() {
    let lab = lab(vec![exit(0)], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let shell = client.create().await;
    let command = client.command(&shell, &"x".repeat(8192)).await;
    let answer = client.receive(&shell, &command).await;
    assert_eq!(received(&answer).1, Some(1));
    let body = format!(
        "<r:CommandLine><r:Command>{}</r:Command></r:CommandLine>",
        "x".repeat(32_768)
    );
    let answer = client.soap(&envelope("Command", Some(&shell), &body)).await;
    assert_eq!(code(&answer), 2_147_942_606);
    assert!(lab.pc.lines.lock().unwrap().is_empty());
}

#[tokio::test]
async fn rubbish_gets_a_fault_not_a_crash() {
    let lab = lab(vec![], WinrmOptions::default()).await;
    let mut client = Client::logged_on(&lab).await;
    let cases = [
        ("not xml".to_owned(), 2_150_858_817),
        (
            envelope("Create", None, CREATE).replace(CMD, "urn:x"),
            2_150_858_752,
        ),
        (envelope("Fly", None, ""), 2_150_858_754),
        (within("Create", None, CREATE, "PT-1S", ""), 2_150_858_767),
        (envelope("Create", None, "<r:Wrong/>"), 2_150_858_817),
        (envelope("Command", Some("nope"), CREATE), 2_150_858_843),
        (envelope("Receive", None, ""), 2_150_858_843),
    ];
    for (request, expected) in cases {
        assert_eq!(code(&client.soap(&request).await), expected, "{request}");
    }
    client.create().await;
}

/// 300 logons, 300 shells, 300 Receives that wait at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_at_once() {
    let acts = vec![Act::Sleep(Duration::from_millis(300)), out("here"), exit(0)];
    let options = WinrmOptions {
        max_shells_per_user: 300,
        ..WinrmOptions::default()
    };
    let lab = lab(acts, options).await;
    let one = || async {
        let mut client = Client::logged_on(&lab).await;
        let shell = client.create().await;
        let command = client.command(&shell, "x").await;
        let answer = client.receive(&shell, &command).await;
        client.delete(&shell).await;
        received(&answer)
    };
    let all = join_all((0..300).map(|_| one())).await;
    assert!(all.iter().all(|got| *got == ("here".to_owned(), Some(0))));
    let values = lab.winrm.counters().values();
    assert_eq!(
        (
            values.connections,
            values.shells_created,
            values.shells_open
        ),
        (300, 300, 0)
    );
}
