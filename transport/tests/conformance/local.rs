//! The `sh` bootstrap in the shells that there are, without any transport.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use fleetmend_transport::powershell::frame::{Marker, Request};
use fleetmend_transport::powershell::reader::AnswerReader;
use fleetmend_transport::{CommandLine, sh};
use serde_json::json;

/// Runs scripts through one shell's bootstrap and returns the answers.
fn answers(shell: &[&str], scripts: &[(&str, &str)]) -> Vec<serde_json::Value> {
    let CommandLine::Posix(line) = sh::start_command() else {
        panic!("posix")
    };
    let script = line
        .strip_prefix("exec sh -c '")
        .and_then(|line| line.strip_suffix('\''))
        .unwrap();
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let marker = Marker::random();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut given = Vec::new();
    for (id, (script, params)) in (1..).zip(scripts) {
        let request = Request {
            marker: marker.clone(),
            id,
            script: (*script).to_owned().into(),
            params: (*params).to_owned().into(),
        };
        stdin.write_all(&request.encode()).unwrap();
        let mut reader = AnswerReader::default();
        reader.await_answer(&marker, id);
        let json = loop {
            let mut bytes = [0; 4096];
            let count = stdout.read(&mut bytes).unwrap();
            assert!(count > 0, "{shell:?} ended");
            if let Some(json) = reader.push(&bytes[..count]).unwrap() {
                break json;
            }
        };
        given.push(match sh::decode(&json).unwrap().outcome {
            Ok(value) => value,
            Err(failure) => json!([failure.error_id, failure.code]),
        });
    }
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    given
}

#[test]
fn works_in_every_shell() {
    let shells: [&[&str]; 4] = [&["dash"], &["busybox", "sh"], &["bash", "--posix"], &["sh"]];
    let mut tried = 0;
    for shell in shells {
        if Command::new(shell[0])
            .arg("-c")
            .arg("true")
            .output()
            .is_err()
        {
            println!("SKIPPED: {} because it is not installed", shell[0]);
            continue;
        }
        tried += 1;
        let params = r#"{"p":"信頼'\"$x`"}"#;
        let given = answers(
            shell,
            &[
                ("cat", params),
                ("exit 3", "{}"),
                (":", "{}"),
                ("read -r x; printf '[\"%s\"]' \"${#x}\"", "{}"),
                ("echo '{\"a\":\n 1}'\n# the end", "{}"),
                ("kill -9 $$", "{}"),
            ],
        );
        let expected = json!([
            {"p": "信頼'\"$x`"},
            ["ExitCode", 3],
            null,
            ["2"],
            {"a": 1},
            ["ExitCode", 137]
        ]);
        assert_eq!(json!(given), expected, "{shell:?}");
    }
    assert!(tried > 0, "no shell at all");
}

/// Starts a command by hand as `shell` would run it.
fn by_hand(shell: &[&str], words: &[&str]) -> std::process::Child {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    let Some(CommandLine::Posix(line)) = sh::command_line(&words) else {
        panic!("posix")
    };
    let rest = line.strip_prefix("exec sh -c ").unwrap();
    Command::new(shell[0])
        .args(&shell[1..])
        .arg("-c")
        .arg(format!("exec {} -c {rest}", shell.join(" ")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

#[test]
fn commands_by_hand_end_when_told_and_have_no_input() {
    let shells: [&[&str]; 4] = [&["dash"], &["busybox", "sh"], &["bash", "--posix"], &["sh"]];
    for shell in shells {
        if Command::new(shell[0])
            .arg("-c")
            .arg("true")
            .output()
            .is_err()
        {
            println!("SKIPPED: {} because it is not installed", shell[0]);
            continue;
        }
        let script = "cat; printf %s \"$1\"; exit 7";
        let mut child = by_hand(shell, &["sh", "-c", script, "x", "信頼 'it"]);
        let stdin = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        assert_eq!(output.stdout, "信頼 'it".as_bytes(), "{shell:?}");
        assert_eq!(output.status.code(), Some(7), "{shell:?}");

        let began = std::time::Instant::now();
        let mut child = by_hand(shell, &["sleep", "60"]);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none(), "{shell:?}");
        child.stdin.take().unwrap().write_all(b"stop\n").unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(began.elapsed().as_secs() < 20, "{shell:?}");
    }
}
