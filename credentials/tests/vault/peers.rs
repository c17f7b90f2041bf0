//! The `age` program of another author opens our vaults, and we open its files.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use fleetmend_credentials::vault::{Keys, Lock, LockKind, Unlock, Vault, VaultError, Work};
use fleetmend_model::Secret;

use crate::bench::{Bench, PASSPHRASE, by, entry};

fn missing(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: the vault and the age program because {program} is not installed");
    }
    !found
}

/// Runs `age` and returns what it wrote.
fn age(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("age")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "age {args:?}");
    output.stdout
}

/// Runs `age` on a terminal, where it asks for the passphrase so many times.
fn age_asking(args: &str, passphrase: &str, times: usize) -> bool {
    let mut child = Command::new("script")
        .args(["-qec", &format!("age {args}"), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut terminal = child.stdin.take().unwrap();
    for _ in 0..times {
        // `age` drops what was typed before it asked.
        std::thread::sleep(std::time::Duration::from_millis(700));
        writeln!(terminal, "{passphrase}").unwrap();
    }
    let done = child.wait().unwrap().success();
    drop(terminal);
    done
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const DOCUMENT: &str = "{\"fleetmend_vault\":1}\n\
    {\"name\":\"営業\",\"user\":\"管理者\",\"password\":\"ひみつ\",\"updated\":\"2026-01-31T09:00:00Z\"}\n";

#[test]
fn age_opens_a_vault_locked_to_keys() {
    if missing("age") || missing("age-keygen") {
        return;
    }
    let bench = Bench::new();
    // One key is ours and one is `age-keygen`'s.
    let ours = Keys::make(&bench.join("ours.key")).unwrap();
    let theirs = bench.join("theirs.key");
    let made = Command::new("age-keygen")
        .arg("-o")
        .arg(&theirs)
        .output()
        .unwrap();
    assert!(made.status.success());
    let both = [ours.recipients(), Keys::read(&theirs).unwrap().recipients()].concat();
    Vault::create(&bench.path, &Lock::Recipients(both)).unwrap();
    bench.set(&Unlock::Keys(ours), "営業", "ひみつ");
    for key in ["ours.key", "theirs.key"] {
        let opened = age(
            &["-d", "-i", text(&bench.join(key)), text(&bench.path)],
            b"",
        );
        let opened = String::from_utf8(opened).unwrap();
        let mut lines = opened.lines();
        assert!(
            lines
                .next()
                .unwrap()
                .starts_with("{\"fleetmend_vault\":1,\"recipients\":[\"age1")
        );
        assert_eq!(
            lines.next().unwrap(),
            "{\"name\":\"営業\",\"user\":\"管理者\",\"password\":\"ひみつ\",\"updated\":\"1970-01-01T00:00:00Z\"}"
        );
    }
}

#[test]
fn a_file_of_age_is_a_vault() {
    if missing("age") {
        return;
    }
    let bench = Bench::new();
    let keys = Keys::make(&bench.join("k")).unwrap();
    let recipient = keys.recipients()[0].to_string();
    let document = DOCUMENT.replacen("1}", &format!("1,\"recipients\":[\"{recipient}\"]}}"), 1);
    fs::write(&bench.path, age(&["-r", &recipient], document.as_bytes())).unwrap();
    let unlock = Unlock::Keys(keys);
    assert_eq!(bench.password(&unlock, "営業").unwrap(), "ひみつ");
    // It is written again for the same recipient.
    bench.set(&unlock, "x", "1");
    assert_eq!(bench.password(&unlock, "営業").unwrap(), "ひみつ");
}

/// A key of another kind that `age` let in (here SSH's) counts, too: a change would lock it out.
#[test]
fn keys_of_other_kinds_are_not_locked_out() {
    if missing("age") || !has_ssh_keygen() {
        return;
    }
    let bench = Bench::new();
    let keys = Keys::make(&bench.join("k")).unwrap();
    let ssh = bench.join("ssh");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", text(&ssh)])
        .status();
    assert!(made.unwrap().success());
    let public = bench.join("ssh.pub");
    let recipient = keys.recipients()[0].to_string();
    let document = DOCUMENT.replacen("1}", &format!("1,\"recipients\":[\"{recipient}\"]}}"), 1);
    let both = ["-r", &recipient, "-R", text(&public)];
    fs::write(&bench.path, age(&both, document.as_bytes())).unwrap();
    let unlock = Unlock::Keys(keys);
    assert_eq!(bench.password(&unlock, "営業").unwrap(), "ひみつ");
    let error = crate::bench::edit(&bench.path, &unlock).save().unwrap_err();
    let refused = matches!(
        error,
        VaultError::Recipients {
            locked: 2,
            named: 1,
            ..
        }
    );
    assert!(refused, "{error}");
}

fn has_ssh_keygen() -> bool {
    // Without arguments it would ask on the terminal.
    let found = Command::new("ssh-keygen").arg("-?").output().is_ok();
    if !found {
        eprintln!("SKIPPED: vaults for SSH keys because ssh-keygen is not installed");
    }
    found
}

#[test]
fn passphrases_work_both_ways() {
    if missing("age") || missing("script") {
        return;
    }
    let bench = Bench::new();
    let plain = bench.join("plain");
    fs::write(&plain, DOCUMENT).unwrap();
    let command = format!("-p -o '{}' '{}'", text(&bench.path), text(&plain));
    assert!(age_asking(&command, PASSPHRASE, 2));
    assert_eq!(Vault::lock_of(&bench.path).unwrap(), LockKind::Passphrase);
    assert_eq!(bench.password(&by(PASSPHRASE), "営業").unwrap(), "ひみつ");

    let ours = bench.join("ours");
    let lock = Lock::Passphrase(Secret::new(PASSPHRASE.into()), Work::new(10).unwrap());
    Vault::create(&ours, &lock).unwrap();
    let mut editor = crate::bench::edit(&ours, &by(PASSPHRASE));
    editor.set(entry("営業", "ひみつ"));
    editor.save().unwrap();
    let out = bench.join("out");
    let command = format!("-d -o '{}' '{}'", text(&out), text(&ours));
    assert!(!age_asking(&command, "wrong", 1));
    assert!(age_asking(&command, PASSPHRASE, 1));
    assert!(
        fs::read_to_string(&out)
            .unwrap()
            .contains("\"password\":\"ひみつ\"")
    );
}
