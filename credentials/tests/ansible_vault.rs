//! ansible-vault: what the real one wrote is read, and nothing that was changed.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fleetmend_credentials::ansible_vault::{open, password_file};
use fleetmend_credentials::{AnsibleVault, AnsibleVaultError, SourceError};
use fleetmend_directory::Limit;
use fleetmend_model::Secret;
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "パスワード！鍵 x";
const PLAIN: &str = "Pa$$w0rd-ひみつ\"\\";
/// Written by ansible-vault of ansible-core 2.19.
const V11: &str = "\
$ANSIBLE_VAULT;1.1;AES256
62663132313665616439626438356530613039643434343835643462613563373837363332313930
3034316139663634343438316134643438336163373738610a643364306438383738636462626164
36333434646437633731633433343538306638666536633466383332653332336336303136313062
6336333838636430660a363833373932343761653330353037343138653866643233623861393862
35636130316661393964373132303337393530333036663730303536353833326638
";
const V12: &str = "\
$ANSIBLE_VAULT;1.2;AES256;本番
65643832643834623961333839626163623939373733623639323437626537373963666464363734
6662333765313763393330323966356664313232623031660a366137366537393235303337333733
35623764663461633730306438306362313466343730366535613231616536323964353932653063
3438646239356633370a356638623634323837393835646465646430646163303732313834643737
65396638623832343134663833373730316263616566646138316130363962383032
";

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn opened(text: &str) -> Result<String, AnsibleVaultError> {
    open(text, &secret(PASSWORD)).map(|secret| secret.reveal().to_owned())
}

#[test]
fn opens_both_versions_and_windows_line_ends() {
    for text in [V11, V12] {
        assert_eq!(opened(text).as_deref(), Ok(PLAIN));
        assert_eq!(opened(&text.replace('\n', "\r\n")).as_deref(), Ok(PLAIN));
        assert_eq!(opened(text.trim_end()).as_deref(), Ok(PLAIN));
        assert_eq!(opened(&format!("\u{feff}{text}")).as_deref(), Ok(PLAIN));
    }
}

#[test]
fn a_wrong_password_opens_nothing_and_is_not_told() {
    let error = open(V12, &secret("canary-鍵")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the password does not open it (its label is `本番`): wrong, or the text was changed since"
    );
    let vault = AnsibleVault::new(vec![
        (String::new(), secret("canary-1")),
        ("ops".to_owned(), secret("canary-2")),
    ]);
    let error = vault.unseal(V11).unwrap_err();
    assert_eq!(
        error.to_string(),
        "none of the passwords `default`, `ops` opens it (its label is `default`): wrong, or the text was changed since"
    );
    let told = format!("{vault:?} {error:?} {}", error.hint());
    assert!(!told.contains("canary"), "{told}");
}

#[test]
fn the_password_of_the_label_is_tried_and_then_the_others() {
    let labelled = |label: &str| (label.to_owned(), secret(PASSWORD));
    for passwords in [
        vec![labelled("本番")],
        vec![("x".to_owned(), secret("wrong")), labelled("other")],
        vec![("本番".to_owned(), secret("wrong")), labelled("本番")],
    ] {
        let vault = AnsibleVault::new(passwords);
        // The second time from the keys that were kept.
        for _ in 0..2 {
            assert_eq!(vault.unseal(V12).unwrap().reveal(), PLAIN);
        }
    }
    assert_eq!(AnsibleVault::check(V12).as_deref(), Ok("本番"));
}

#[test]
fn every_changed_digit_is_refused() {
    let body = V11.find('\n').unwrap() + 1;
    // A step that meets salt, HMAC and ciphertext, in both halves of the hex of hex.
    for at in (body..V11.len()).step_by(7) {
        let mut bytes = V11.as_bytes().to_vec();
        if bytes[at] == b'\n' {
            continue;
        }
        bytes[at] = if bytes[at] == b'6' { b'3' } else { b'6' };
        let text = String::from_utf8(bytes).unwrap();
        if text == V11 {
            continue;
        }
        let error = opened(&text).unwrap_err();
        assert!(
            matches!(
                error,
                AnsibleVaultError::Refused { .. } | AnsibleVaultError::Damaged { .. }
            ),
            "{at}: {error:?}"
        );
    }
}

#[test]
fn every_cut_is_refused() {
    // The last line end may go.
    for length in (0..V11.trim_end().len()).step_by(5) {
        assert!(opened(&V11[..length]).is_err(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn never_panics(text in ".*", lines in "([0-9a-f]{0,80}\n){0,6}") {
        let _ = AnsibleVault::check(&text);
        let _ = AnsibleVault::check(&format!("$ANSIBLE_VAULT;1.1;AES256\n{lines}"));
        let _ = AnsibleVault::check(&format!("$ANSIBLE_VAULT;{text}\n{lines}"));
    }
}

fn limit() -> Limit {
    Limit::within(Duration::from_secs(20), &CancellationToken::new())
}

fn file(folder: &Path, name: &str, content: &[u8], mode: u32) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    #[cfg(not(unix))]
    let _ = mode;
    path
}

#[tokio::test]
async fn password_files_are_read_as_ansible_does() {
    let folder = tempfile::tempdir().unwrap();
    for content in ["  ひみつ 1\r\n\n", "ひみつ 1", "\tひみつ 1\x0c\n"] {
        let path = file(folder.path(), "pw", content.as_bytes(), 0o600);
        let password = password_file(&path, "default", &limit()).await.unwrap();
        assert_eq!(password.reveal(), "ひみつ 1");
    }
    for content in [
        &b""[..],
        b" \n",
        b"canary\xff",
        V11.as_bytes(),
        &[b'c'; 5000],
    ] {
        let path = file(folder.path(), "pw", content, 0o600);
        let error = password_file(&path, "default", &limit()).await.unwrap_err();
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        assert!(!format!("{error:?}").contains("ccc"), "{error:?}");
    }
    let missing = folder.path().join("none");
    let error = password_file(&missing, "ops", &limit()).await.unwrap_err();
    assert!(error.to_string().contains("entity not found"), "{error}");
    assert!(error.to_string().contains("`ops`"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn files_of_all_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o644, 0o640, 0o604] {
        let path = file(folder.path(), "pw", b"canary\n", mode);
        let error = password_file(&path, "default", &limit()).await.unwrap_err();
        assert!(error.next.starts_with("chmod 600 "), "{error:?}");
        assert!(error.why.contains("read by others"), "{error:?}");
    }
    let path = file(folder.path(), "pw.sh", b"#!/bin/sh\necho canary\n", 0o770);
    let error = password_file(&path, "default", &limit()).await.unwrap_err();
    assert!(error.why.contains("changed by others"), "{error:?}");
}

/// A test beside this one may have begun a program while the file was being written, and Linux
/// runs no file that somebody may still write.
#[cfg(unix)]
async fn run(path: &Path, label: &str, limit: &Limit) -> Result<Secret, SourceError> {
    loop {
        match password_file(path, label, limit).await {
            Err(error) if error.why.contains("busy") => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn programs_are_run_and_clients_are_given_the_label() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let script = file(
        folder,
        "pw.sh",
        b"#!/bin/sh\nprintf ' a %s\\r\\n' $#\n",
        0o755,
    );
    let password = run(&script, "ops", &limit()).await.unwrap();
    assert_eq!(password.reveal(), " a 0");
    let client = b"#!/bin/sh\n[ \"$2\" = none ] && exit 2\necho \"$1=$2\"\n";
    let client = file(folder, "pw-client.sh", client, 0o700);
    let password = run(&client, "本番", &limit()).await.unwrap();
    assert_eq!(password.reveal(), "--vault-id=本番");
    let unknown = run(&client, "none", &limit()).await.unwrap_err();
    assert!(
        unknown.why.contains("knows no password `none`"),
        "{unknown:?}"
    );
    let fails = file(folder, "fails", b"#!/bin/sh\necho canary\nexit 7\n", 0o700);
    let error = run(&fails, "default", &limit()).await.unwrap_err();
    assert_eq!(error.why, "the program ended with 7");
    let text = file(folder, "text", b"\x00canary\n", 0o700);
    let error = run(&text, "default", &limit()).await.unwrap_err();
    assert!(error.next.contains("chmod 600"), "{error:?}");
    let hangs = file(folder, "hangs", b"#!/bin/sh\nexec sleep 60\n", 0o700);
    let short = Limit::within(Duration::from_millis(300), &CancellationToken::new());
    let error = run(&hangs, "default", &short).await.unwrap_err();
    assert_eq!(error.why, "it gave no password in time");
}

/// Returns the program of the virtual environment that `tests/run` makes.
fn ansible_vault() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = root.join("target/venv/bin/ansible-vault");
    if !path.is_file() {
        println!(
            "SKIPPED: the real ansible-vault, because {} is not there",
            path.display()
        );
        return None;
    }
    Some(path)
}

/// The oracle: whatever the real one seals is read, in both versions.
#[test]
fn what_the_real_one_seals_is_read() {
    let Some(program) = ansible_vault() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let long = "長い値\n".repeat(400);
    let texts = [
        "x",
        "",
        "ansible_password: 'ひみつ'\r\nport: 5986\r\n",
        &long,
    ];
    for (number, (password, text)) in ["plain", PASSWORD, "ｶﾅ\"'$(x)"]
        .iter()
        .cycle()
        .zip(texts)
        .enumerate()
    {
        let password_file = file(folder, "pw", password.as_bytes(), 0o600);
        let plain = file(folder, "plain", text.as_bytes(), 0o600);
        let sealed = folder.join(format!("sealed{number}"));
        let id = if number % 2 == 0 {
            password_file.display().to_string()
        } else {
            format!("prod@{}", password_file.display())
        };
        let mut command = Command::new(&program);
        command.args(["encrypt", "--vault-id", &id, "--output"]);
        let done = command
            .args([&sealed, &plain])
            .env("HOME", folder)
            .env("LC_ALL", "C.UTF-8")
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        let read = std::fs::read_to_string(&sealed).unwrap();
        let version = if number % 2 == 0 { ";1.1;" } else { ";1.2;" };
        assert!(
            read.starts_with("$ANSIBLE_VAULT") && read.contains(version),
            "{read}"
        );
        assert_eq!(open(&read, &secret(password)).unwrap().reveal(), text);
        assert!(open(&read, &secret("wrong")).is_err());
    }
}
