//! `fleetmend vault`: from the first passphrase to the last rekey.

use std::fs;
use std::path::{Path, PathBuf};

use fleetmend_credentials::vault::{Entry, Keys, Lock, Unlock, Vault, Work};
use fleetmend_model::Secret;

use crate::support::{Out, command, run};

const PASSPHRASE: &str = "canary 合言葉 ガギグ";

struct Folder(tempfile::TempDir);

impl Folder {
    /// A vault that a passphrase opens at hardly any cost, with one entry, and its passphrase file.
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.private("pass", PASSPHRASE);
        let passphrase = Secret::new(PASSPHRASE.into());
        let lock = Lock::Passphrase(passphrase.clone(), Work::new(1).unwrap());
        Vault::create(&folder.path("v"), &lock).unwrap();
        let by = Unlock::Passphrase(passphrase);
        let mut editor = folder.vault(&by).edit(&by).unwrap();
        editor.set(Entry {
            name: "local-admin".parse().unwrap(),
            user: Some("管理者".into()),
            password: Secret::new("canary-\u{1b}[31m-ひみつ".into()),
            note: Some(Secret::new("canary note".into())),
            updated: "2026-01-31T09:00:00Z".parse().unwrap(),
        });
        editor.save().unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn vault(&self, by: &Unlock) -> Vault {
        Vault::open(&self.path("v"), by.clone()).unwrap()
    }

    fn private(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        mode(&self.path(name), 0o600);
    }

    /// Runs `fleetmend vault` on the vault `v` with its passphrase file.
    fn run(&self, args: &[&str]) -> Out {
        let with = [args, &["--passphrase-file", "pass"]].concat();
        self.bare(&with)
    }

    /// Runs `fleetmend vault` on the vault `v`.
    fn bare(&self, args: &[&str]) -> Out {
        run(command()
            .arg("vault")
            .args(args)
            .current_dir(self.0.path())
            .env("FLEETMEND_DATA_DIR", self.path("data"))
            .env("FLEETMEND_VAULT", "v"))
    }

    /// Runs it; it must do as it is told and show no secret.
    fn quietly(&self, args: &[&str]) -> String {
        let out = self.run(args);
        assert_eq!(out.code, 0, "{}", out.text());
        assert!(!out.text().contains("canary"), "{}", out.text());
        out.text()
    }

    fn password(&self, name: &str) -> String {
        let out = self.run(&["get", name]);
        assert_eq!((out.code, out.stderr.as_str()), (0, ""), "{}", out.text());
        out.stdout.strip_suffix('\n').unwrap().to_owned()
    }

    /// Runs it; it must fail with exit code 2, change nothing and show no secret.
    fn refused(&self, args: &[&str]) -> String {
        let before = fs::read(self.path("v")).unwrap();
        let out = self.bare(args);
        assert_eq!(out.code, 2, "{}", out.text());
        assert!(!out.text().contains("canary"), "{}", out.text());
        assert_eq!(fs::read(self.path("v")).unwrap(), before);
        out.text()
    }
}

#[cfg(unix)]
fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn mode(_: &Path, _: u32) {}

#[test]
fn from_the_first_passphrase_to_the_last_rekey() {
    let folder = Folder::new();
    fs::remove_file(folder.path("v")).unwrap();
    folder.private("new", "canary-パスワード\n");
    folder.private("pass2", "canary もう一つの合言葉");
    insta::assert_snapshot!(folder.quietly(&["init"]), @r"
    exit 0
    --- stderr
    made v, locked by its passphrase
    ");
    insta::assert_snapshot!(folder.quietly(&["set", "営業/pc-01", "--user", "admin", "--password-file", "new"]), @r"
    exit 0
    --- stderr
    added 営業/pc-01 in v
    ");
    assert_eq!(folder.password("営業/pc-01"), "canary-パスワード");
    assert_eq!(
        folder.run(&["get", "営業/pc-01", "--user"]).stdout,
        "admin\n"
    );
    insta::assert_snapshot!(folder.quietly(&["rekey", "--new-passphrase-file", "pass2"]), @r"
    exit 0
    --- stderr
    v is now locked by its passphrase
    ");
    insta::assert_snapshot!(folder.refused(&["list", "--passphrase-file", "pass"]), @r"
    exit 2
    --- stderr
    error: failed to open the vault v: wrong passphrase, or its header is damaged
    ");
    let out = folder.bare(&["get", "営業/pc-01", "--passphrase-file", "pass2"]);
    assert_eq!(out.stdout, "canary-パスワード\n");
}

#[test]
fn entries_come_change_and_go() {
    let folder = Folder::new();
    assert_eq!(folder.password("local-admin"), "canary-\u{1b}[31m-ひみつ");
    assert_eq!(
        folder.run(&["get", "local-admin", "--note"]).stdout,
        "canary note\n"
    );
    // A new password keeps the account and the note.
    folder.quietly(&["set", "local-admin", "--generate"]);
    let made = folder.password("local-admin");
    assert_eq!(made.len(), 24);
    assert_eq!(
        folder.run(&["get", "local-admin", "--user"]).stdout,
        "管理者\n"
    );
    assert_eq!(
        folder.run(&["get", "local-admin", "--note"]).stdout,
        "canary note\n"
    );
    folder.quietly(&[
        "set",
        "local-admin",
        "--generate=40",
        "--user",
        "",
        "--note",
        "",
    ]);
    let longer = folder.password("local-admin");
    assert_eq!(longer.len(), 40);
    assert!(
        folder
            .refused(&["get", "local-admin", "--user", "--passphrase-file", "pass"])
            .contains("has no user")
    );
    assert!(
        folder
            .refused(&["get", "local-admin", "--note", "--passphrase-file", "pass"])
            .contains("has no note")
    );
    // Decomposed, as a script on macOS may write it.
    folder.quietly(&["set", "カ\u{3099}", "--generate"]);
    folder.password("ガ");
    insta::assert_snapshot!(folder.quietly(&["rm", "ガ"]), @r"
    exit 0
    --- stderr
    removed ガ from v
    ");
    insta::assert_snapshot!(folder.refused(&["rm", "ガ", "--passphrase-file", "pass"]), @r"
    exit 2
    --- stderr
    error: v has no entry ガ
    hint: see what it has: fleetmend vault list
    ");
    let everything = format!(
        "{}{}",
        folder.quietly(&["list"]),
        folder.quietly(&["list", "--json"])
    );
    assert!(!everything.contains(&longer) && !everything.contains(&made));
}

#[test]
fn the_list_shows_names_users_and_dates() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.quietly(&["list"]), @r"
    exit 0
    --- stdout
    local-admin  管理者  2026-01-31 09:00:00Z
    ");
    insta::assert_snapshot!(folder.quietly(&["list", "--json"]), @r#"
    exit 0
    --- stdout
    [
      {
        "name": "local-admin",
        "updated": "2026-01-31T09:00:00Z",
        "user": "管理者"
      }
    ]
    "#);
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_changed() {
    let folder = Folder::new();
    folder.private("short", "seven77");
    let pass = ["--passphrase-file", "pass"];
    insta::assert_snapshot!(folder.refused(&["init", "v"]), @r"
    exit 2
    --- stderr
    error: failed to create the vault v: something is there already
    hint: name another file; nothing was changed
    ");
    insta::assert_snapshot!(folder.refused(&["init", "w", "--passphrase-file", "short"]), @r"
    exit 2
    --- stderr
    error: the passphrase has less than 8 characters
    hint: several words that do not belong together are long and easy to remember
    ");
    insta::assert_snapshot!(folder.refused(&["list"]), @r"
    exit 2
    --- stderr
    error: passphrase of v is missing and there is no terminal to ask
    hint: --passphrase-file FILE
    ");
    insta::assert_snapshot!(folder.refused(&["list", "--vault", "nowhere"]), @r"
    exit 2
    --- stderr
    error: failed to open the vault nowhere: there is no such file
    hint: make it: fleetmend vault init nowhere; or name another: --vault FILE
    ");
    let prompt = folder.refused(&[&["set", "x"], &pass[..]].concat());
    insta::assert_snapshot!(prompt, @r"
    exit 2
    --- stderr
    error: password of x is missing and there is no terminal to ask
    hint: --password-file FILE or --generate
    ");
    let secret = "AGE-SECRET-KEY-1CANARY";
    let out = folder.bare(&["rekey", "--recipient", secret]);
    assert_eq!(out.code, 2);
    assert!(
        out.stderr.contains("this is a secret key"),
        "{}",
        out.stderr
    );
    let whole = fs::read(folder.path("v")).unwrap();
    fs::write(folder.path("v"), &whole[..whole.len() - 1]).unwrap();
    let cut = folder.refused(&[&["set", "x", "--generate"], &pass[..]].concat());
    insta::assert_snapshot!(cut, @r"
    exit 2
    --- stderr
    error: failed to open the vault v: it is cut or damaged
    hint: take it from a backup; nothing was changed
    ");
    let text = String::from_utf8_lossy(&whole[..80]).into_owned();
    let end = text.match_indices('\n').nth(1).unwrap().0;
    fs::write(
        folder.path("v"),
        [&whole[..end - 1], b"30", &whole[end..]].concat(),
    )
    .unwrap();
    let costly = folder.refused(&[&["list"], &pass[..]].concat());
    insta::assert_snapshot!(costly, @r"
    exit 2
    --- stderr
    error: failed to open the vault v: its scrypt work factor is 30, more than the 20 that are allowed; opening it would take minutes and much memory
    ");
    assert!(!folder.path("w").exists());
}

#[test]
fn a_key_opens_a_vault_without_a_passphrase() {
    let folder = Folder::new();
    fs::remove_file(folder.path("v")).unwrap();
    let out = folder.bare(&["init", "--key-file", "ops.key"]);
    assert_eq!(out.code, 0, "{}", out.text());
    let keys = Keys::read(&folder.path("ops.key")).unwrap();
    let public = keys.recipients()[0].to_string();
    insta::assert_snapshot!(out.text().replace(&public, "age1…"), @r"
    exit 0
    --- stderr
    made the key file ops.key; keep a copy elsewhere: without it nobody opens the vault
    made v, locked to age1…
    ");
    insta::assert_snapshot!(folder.refused(&["list"]), @r"
    exit 2
    --- stderr
    error: v is locked to age keys
    hint: name the file with your key: --key-file FILE
    ");
    let key = ["--key-file", "ops.key"];
    assert_eq!(
        folder
            .bare(&[&["set", "x", "--generate"], &key[..]].concat())
            .code,
        0
    );
    // Another key instead; the old one opens it no more.
    let rekeyed = folder.bare(&[&["rekey", "--new-key-file", "next.key"], &key[..]].concat());
    assert_eq!(rekeyed.code, 0, "{}", rekeyed.text());
    insta::assert_snapshot!(folder.refused(&[&["get", "x"], &key[..]].concat()), @r"
    exit 2
    --- stderr
    error: failed to open the vault v: none of the keys in ops.key opens it, or its header is damaged
    ");
    assert_eq!(
        folder
            .bare(&["get", "x", "--key-file", "next.key"])
            .stdout
            .len(),
        25
    );
    #[cfg(unix)]
    {
        mode(&folder.path("next.key"), 0o640);
        insta::assert_snapshot!(folder.refused(&["get", "x", "--key-file", "next.key"]), @r"
        exit 2
        --- stderr
        error: failed to use the key file next.key: it can be read by others (mode 0640); chmod 600 it
        ");
    }
}

/// Processes, not threads: each has its own lock.
#[test]
fn processes_wait_for_each_other() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for process in 0..6 {
            let folder = &folder;
            scope.spawn(move || {
                for entry in 0..3 {
                    folder.quietly(&["set", &format!("{process}-{entry}"), "--generate"]);
                }
            });
        }
    });
    assert_eq!(folder.quietly(&["list"]).matches("-0 ").count(), 6);
    assert_eq!(
        folder
            .quietly(&["list", "--json"])
            .matches("\"name\"")
            .count(),
        6 * 3 + 1
    );
}

#[cfg(target_os = "linux")]
#[test]
fn the_usual_vault_lies_in_the_config_folder() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let usual = |args: &[&str]| {
        let args = [&["vault"], args, &["--passphrase-file", "pass"]].concat();
        run(command()
            .args(args)
            .current_dir(folder.0.path())
            .env("FLEETMEND_DATA_DIR", folder.path("data"))
            .env("XDG_CONFIG_HOME", folder.path("config")))
    };
    assert_eq!(usual(&["init"]).code, 0);
    let mode = |name: &str| {
        fs::metadata(folder.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("config/fleetmend"), 0o700);
    assert_eq!(mode("config/fleetmend/fleetmend.vault"), 0o600);
    let list = usual(&["list"]);
    assert_eq!(
        (list.code, list.stdout.as_str()),
        (0, ""),
        "{}",
        list.text()
    );
    assert!(
        list.stderr.contains("fleetmend vault set"),
        "{}",
        list.stderr
    );
}

#[cfg(unix)]
#[test]
fn a_vault_that_others_read_is_told_and_a_passphrase_that_others_read_is_refused() {
    let folder = Folder::new();
    mode(&folder.path("v"), 0o644);
    let out = folder.run(&["list"]);
    assert_eq!(out.code, 0);
    insta::assert_snapshot!(
        out.stderr,
        @"warning: v can be read by others (mode 0644): they can guess at its passphrase; chmod 600 v"
    );
    mode(&folder.path("pass"), 0o644);
    let refused = folder.refused(&["list", "--passphrase-file", "pass"]);
    assert!(
        refused.contains("pass holds a password and can be read by others"),
        "{refused}"
    );
}

#[test]
fn who_changed_it_and_who_was_shown_what_is_on_the_audit_trail() {
    let folder = Folder::new();
    folder.private("new", "canary-パスワード\n");
    folder.private("pass2", "canary もう一つの合言葉");
    folder.quietly(&["init", "w"]);
    folder.quietly(&[
        "set",
        "営業/pc-01",
        "--user",
        "管理者",
        "--password-file",
        "new",
    ]);
    folder.quietly(&["list"]);
    folder.password("営業/pc-01");
    assert_eq!(folder.run(&["get", "local-admin", "--user"]).code, 0);
    folder.quietly(&["rm", "営業/pc-01"]);
    folder.quietly(&["rekey", "--new-passphrase-file", "pass2"]);
    // What was not done is not told: no such entry, and a passphrase that does not open.
    let with = ["--passphrase-file", "pass2"];
    assert_eq!(
        folder.bare(&[&["get", "nobody"], &with[..]].concat()).code,
        2
    );
    assert_eq!(
        folder.bare(&[&["rm", "nobody"], &with[..]].concat()).code,
        2
    );
    assert_eq!(folder.run(&["get", "local-admin"]).code, 2);

    let audit = |args: &[&str]| {
        let all = command()
            .arg("audit")
            .args(args)
            .current_dir(folder.0.path())
            .env("FLEETMEND_DATA_DIR", folder.path("data"))
            .output()
            .unwrap();
        assert!(
            all.status.success(),
            "{}",
            String::from_utf8_lossy(&all.stderr)
        );
        String::from_utf8(all.stdout).unwrap()
    };
    let text = audit(&["list", "--output", "json"]);
    assert!(!text.contains("canary"), "{text}");
    let entries: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let told: Vec<_> = entries
        .iter()
        .skip(1)
        .map(|entry| {
            let what = &entry["what"];
            assert!(!what["operator"]["account"].as_str().unwrap().is_empty());
            let vault = Path::new(what["vault"].as_str().unwrap());
            assert!(vault.is_absolute(), "{vault:?}");
            let name = vault.file_name().unwrap().to_str().unwrap().to_owned();
            let field = |name: &str| what[name].as_str().unwrap_or_default().to_owned();
            let more = [
                field("entry"),
                field("account"),
                field("shown"),
                field("lock"),
            ];
            (
                entry["kind"].as_str().unwrap().to_owned(),
                name,
                more.join("|"),
            )
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(kind, vault, more)| (kind.as_str(), vault.as_str(), more.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("vault-init", "w", "|||passphrase"),
            ("vault-set", "v", "営業/pc-01|管理者||"),
            ("vault-get", "v", "営業/pc-01|管理者|password|"),
            ("vault-get", "v", "local-admin|管理者|user|"),
            ("vault-rm", "v", "営業/pc-01|||"),
            ("vault-rekey", "v", "|||passphrase"),
        ]
    );
    let lines = audit(&["list", "--credential", "営業/pc-01"]);
    assert_eq!(lines.lines().count(), 3, "{lines}");
    assert!(lines.contains("password of 営業/pc-01 in "), "{lines}");
    audit(&["verify"]);
}

#[test]
fn a_vault_opens_where_no_trail_can_be_written_and_that_is_said() {
    let folder = Folder::new();
    folder.private("data", "a file, and no folder");
    let out = folder.run(&["get", "local-admin", "--user"]);
    assert_eq!(
        (out.code, out.stdout.as_str()),
        (0, "管理者\n"),
        "{}",
        out.text()
    );
    assert!(
        out.stderr.starts_with("warning: not on the audit trail: "),
        "{}",
        out.stderr
    );
    let out = folder.run(&["rm", "local-admin"]);
    assert_eq!(out.code, 0, "{}", out.text());
    assert!(out.stderr.contains("removed local-admin"), "{}", out.stderr);
}

/// On a terminal, by `script` of util-linux; its `-c` is not that of macOS.
#[cfg(target_os = "linux")]
mod terminal {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    /// Runs `fleetmend vault ARGS` on a terminal and types an answer to each question; returns
    /// what the terminal showed, and whether the program was content.
    #[expect(clippy::print_stderr, reason = "says that it is skipped")]
    fn on_a_terminal(folder: &Folder, args: &str, answers: &[&str]) -> Option<(bool, String)> {
        if Command::new("script").arg("--version").output().is_err() {
            eprintln!("SKIPPED: the vault on a terminal because script is not installed");
            return None;
        }
        let program = env!("CARGO_BIN_EXE_fleetmend");
        let mut child = Command::new("script")
            .args(["-qefc", &format!("'{program}' vault {args}"), "/dev/null"])
            .current_dir(folder.0.path())
            .env("FLEETMEND_DATA_DIR", folder.path("data"))
            .env("FLEETMEND_VAULT", "v")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keyboard = child.stdin.take().unwrap();
        let mut screen = child.stdout.take().unwrap();
        let (told, shown) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                if told.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        let (mut seen, mut asked) = (Vec::new(), 0);
        let begun = Instant::now();
        loop {
            if let Ok(bytes) = shown.recv_timeout(Duration::from_millis(20)) {
                seen.extend(bytes);
            } else if child.try_wait().unwrap().is_some() {
                break;
            }
            // A question ends with `: ` and is only asked again after an answer.
            let questions = String::from_utf8_lossy(&seen).matches(": ").count();
            if questions > asked && asked < answers.len() && seen.ends_with(b": ") {
                // The echo is switched off right after the question.
                std::thread::sleep(Duration::from_millis(100));
                writeln!(keyboard, "{}", answers[asked]).unwrap();
                asked += 1;
            }
            if begun.elapsed() > Duration::from_secs(60) {
                child.kill().unwrap();
                panic!("no end: {}", String::from_utf8_lossy(&seen));
            }
        }
        let done = child.wait().unwrap().success();
        Some((done, String::from_utf8(seen).unwrap().replace('\r', "")))
    }

    #[test]
    fn a_password_is_not_put_on_a_terminal_unasked() {
        let folder = Folder::new();
        let get = "get local-admin --passphrase-file pass";
        let Some((done, shown)) = on_a_terminal(&folder, get, &[]) else {
            return;
        };
        assert!(!done && !shown.contains("canary"), "{shown}");
        assert!(shown.contains("add --show"), "{shown}");
        let (done, shown) = on_a_terminal(&folder, &format!("{get} --show"), &[]).unwrap();
        assert!(done && shown.contains("canary-"), "{shown}");
        let (done, shown) = on_a_terminal(&folder, &format!("{get} --user"), &[]).unwrap();
        assert!(
            done && shown.contains("管理者") && !shown.contains("canary"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_typed_is_asked_for_twice_and_never_shown() {
        let folder = Folder::new();
        let password = "canary-打つ";
        let set = |answers: &[&str]| on_a_terminal(&folder, "set typed --user 営業", answers);
        let Some((done, shown)) = set(&[PASSPHRASE, password, password]) else {
            return;
        };
        assert!(done && !shown.contains("canary"), "{shown}");
        assert!(shown.contains("password of typed, again: "), "{shown}");
        assert_eq!(folder.password("typed"), password);
        let before = fs::read(folder.path("v")).unwrap();
        let (done, shown) = set(&[PASSPHRASE, "canary-1", "canary-2"]).unwrap();
        assert!(!done && shown.contains("the two differ"), "{shown}");
        let (done, shown) = set(&["canary wrong"]).unwrap();
        assert!(!done && shown.contains("wrong passphrase"), "{shown}");
        assert_eq!(fs::read(folder.path("v")).unwrap(), before);
        // A new vault.
        let (done, shown) = on_a_terminal(
            &folder,
            "init w",
            &["長い合言葉 canary", "長い合言葉 canary"],
        )
        .unwrap();
        assert!(done && !shown.contains("canary"), "{shown}");
        let by = Unlock::Passphrase(Secret::new("長い合言葉 canary".into()));
        Vault::open(&folder.path("w"), by).unwrap();
    }
}
