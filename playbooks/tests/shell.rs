//! Every shipped script for hosts with `sh` is POSIX sh, in every shell that is at hand, and hands
//! its secrets to nobody.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use fleetmend_playbooks::library_scripts;
use regex::Regex;

/// What travels: every shipped script with what it includes, by its name.
fn scripts() -> Vec<(String, String)> {
    library_scripts()
        .unwrap()
        .iter()
        .filter(|script| script.name.ends_with(".sh"))
        .map(|script| (script.name.clone(), script.text.clone()))
        .collect()
}

/// Runs a checker with a script on its standard input. `None`: there is no such program; else
/// what it complains of, empty if of nothing.
fn complaints(command: &[&str], text: &str) -> Option<String> {
    let (program, arguments) = command.split_first().unwrap();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => panic!("{program}: {error}"),
    };
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    // In a thread, for the checker may print before it has read all.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    drop(writer.join().unwrap());
    if output.status.success() {
        return Some(String::new());
    }
    let said = [output.stdout, output.stderr].concat();
    Some(format!(
        "{}\n{}",
        output.status,
        String::from_utf8_lossy(&said)
    ))
}

/// Holds every script against a checker, after that was seen to complain of a bad one.
fn hold_against(test: &str, command: &[&str], bad: &str) {
    match complaints(command, bad) {
        None => {
            let program = command.first().unwrap();
            println!("SKIPPED: {test}, because there is no {program}");
            return;
        }
        Some(said) => assert!(!said.is_empty(), "{command:?} lets pass: {bad}"),
    }
    for (name, text) in scripts() {
        let said = complaints(command, &text).unwrap();
        assert!(said.is_empty(), "{name}: {said}");
    }
}

#[test]
fn dash_reads_every_script() {
    hold_against("dash_reads_every_script", &["dash", "-n"], "if true; fi\n");
}

#[test]
fn busybox_reads_every_script() {
    let command = ["busybox", "sh", "-n"];
    hold_against("busybox_reads_every_script", &command, "if true; fi\n");
}

#[test]
fn shellcheck_finds_nothing() {
    let command = ["shellcheck", "--norc", "--shell=sh", "-"];
    let bad = "if [[ $1 == a ]]; then echo $1; fi\n";
    hold_against("shellcheck_finds_nothing", &command, bad);
}

/// Messages of programs are looked through for words, so no script may be of another code page.
#[test]
fn every_script_speaks_the_c_locale_first() {
    for (name, text) in scripts() {
        assert!(!text.contains("#include"), "{name}");
        let code = text.lines().find(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        assert_eq!(code, Some("LC_ALL=C"), "{name}");
    }
}

/// Finds lines that use a secret otherwise than through a pipe from `printf`, which is built
/// into `sh`, or to look whether it is empty.
fn leaks(text: &str) -> Vec<String> {
    let secret = r#"\$\{?(password|secret|blob|PARAMS)\b"#;
    let kept = [
        // Into a pipe, perhaps with a line end.
        r#"printf '%s(\\n)?' "\$\{?(password|secret|blob|PARAMS)\}?" \|"#,
        r#"\[ -[nz] "\$\{?(password|secret|blob|PARAMS)\}?" \]"#,
    ];
    let secret = Regex::new(secret).unwrap();
    let kept = kept.map(|pattern| Regex::new(pattern).unwrap());
    let mut leaks = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
    {
        let mut rest = line.to_owned();
        for pattern in &kept {
            rest = pattern.replace_all(&rest, "").into_owned();
        }
        if secret.is_match(&rest) || rest.contains("set -x") {
            leaks.push(line.trim().to_owned());
        }
    }
    leaks
}

#[test]
fn no_script_hands_a_secret_out() {
    for bad in [
        "net ads join -U \"$user%$password\"",
        "export PASSWD=$password",
        "printf '%s' \"$blob\" >/tmp/blob",
        "echo \"${password}\" | net join",
        "printf '{\"p\":\"%s\"}' \"$secret\"",
        "printf '%s' \"$PARAMS\" >&2",
        "set -x",
    ] {
        assert_eq!(leaks(bad).len(), 1, "{bad}");
    }
    for good in [
        "printf '%s' \"$password\" | bounded 30 net changesecretpw -f -i",
        "[ -n \"$blob\" ] || exit 94",
        "password=$(param .password)",
        "password=",
        "# printf \"$password\"",
    ] {
        assert!(leaks(good).is_empty(), "{good}");
    }
    for (name, text) in scripts() {
        let found = leaks(&text);
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
}
