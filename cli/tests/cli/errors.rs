//! Bad usage, inventories, playbooks and credentials: exit code 2, a place, a hint, and nothing
//! touched.

use std::path::{Path, PathBuf};

use crate::support::{Out, command, fleetmend, run};

/// A folder with a sound inventory, a password file, and no journal.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(
            "pcs.yaml",
            "all:\n  hosts:\n    pc-[001:003].corp.example.jp:\n",
        );
        folder.write("admin.pw", "canary-passwort-7\n");
        private(&folder.path("admin.pw"), 0o600);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs in the folder; the journal would come to be here.
    fn run(&self, args: &[&str]) -> Out {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Out {
        let out = run(command()
            .args(args)
            .current_dir(self.0.path())
            .env("FLEETMEND_DATA_DIR", self.path("data"))
            .envs(variables.iter().copied()));
        assert!(!out.stdout.contains("canary") && !out.stderr.contains("canary"));
        out
    }

    fn was_touched(&self) -> bool {
        self.path("data").join("journal.sqlite").exists()
    }

    /// Runs `run trust-repair` with these arguments; it must fail before anything is touched.
    fn refused(&self, args: &[&str]) -> String {
        self.refused_with(args, &[])
    }

    fn refused_with(&self, args: &[&str], variables: &[(&str, &str)]) -> String {
        let args = [&["run", "trust-repair"], args].concat();
        let out = self.run_with(&args, variables);
        assert_eq!(out.code, 2, "{}", out.text());
        assert!(!self.was_touched(), "a journal was begun");
        out.masked(self.0.path())
    }
}

#[cfg(unix)]
fn private(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn private(_: &Path, _: u32) {}

const GOOD: [&str; 6] = [
    "-i",
    "pcs.yaml",
    "--user",
    "fleetadmin",
    "--password-file",
    "admin.pw",
];

#[test]
fn without_a_terminal_and_without_yes_nothing_happens() {
    insta::assert_snapshot!(Folder::new().refused(&GOOD), @"
    exit 2
    --- stderr
    error: nobody can be asked: standard input is not a terminal
    hint: add --yes to go ahead without a question; nothing was touched
    ");
}

#[test]
fn an_inventory_that_is_missing() {
    let args = ["-i", "nowhere.yaml", "--user", "x", "--yes"];
    insta::assert_snapshot!(Folder::new().refused(&args), @"
    exit 2
    --- stderr
    error: nowhere.yaml: no such file
    ");
}

#[test]
fn an_inventory_that_is_wrong_names_every_place() {
    let folder = Folder::new();
    folder.write(
        "bad.yaml",
        "all:\n  hosts:\n    pc-[009:001]:\n    pc-1:\n    pc-1:\n",
    );
    let args = ["-i", "bad.yaml", "--user", "x", "--yes"];
    insta::assert_snapshot!(folder.refused(&args), @"
    exit 2
    --- stderr
    error: bad.yaml:5:5: duplicate key `pc-1`, first used at line 4, column 5
    hint: YAML would keep only the last of them; join the two or rename one
    ");
}

#[test]
fn a_limit_that_matches_nothing() {
    let args = [&GOOD[..], &["--yes", "--limit", "pc-0O1*"]].concat();
    insta::assert_snapshot!(Folder::new().refused(&args), @"
    exit 2
    --- stderr
    error: --limit: `pc-0O1*` matches no host and no group
    hint: see names and groups: fleetmend inventory graph -i FILE
    ");
}

#[test]
fn a_playbook_that_does_not_exist() {
    let out = Folder::new().run(&["run", "trust-repare", "-i", "pcs.yaml", "--yes"]);
    insta::assert_snapshot!(out.text(), @"
    exit 2
    --- stderr
    error: failed to find a shipped playbook named `trust-repare`, did you mean `trust-repair`?
    hint: list those that are shipped: fleetmend playbook list
    ");
}

#[test]
fn a_playbook_file_that_is_missing_says_why() {
    let out = Folder::new().run(&["run", "./nope.yaml", "-i", "pcs.yaml", "--yes"]);
    assert_eq!(out.code, 2);
    assert!(
        out.stderr
            .starts_with("error: failed to read the playbook ./nope.yaml: "),
        "{}",
        out.stderr
    );
    assert!(out.stderr.contains("os error 2"), "{}", out.stderr);
    assert!(!out.stderr.contains("shipped"), "{}", out.stderr);
}

#[test]
fn basic_without_a_verified_certificate() {
    let folder = Folder::new();
    let inventory = "all:\n  vars: {tls: none, winrm: {auth: basic}}\n  hosts:\n    pc-[1:3]:\n";
    folder.write("pcs.yaml", inventory);
    let text = folder.refused(&[&GOOD[..], &["--yes"]].concat());
    assert!(
        text.contains("error: Basic without a verified certificate"),
        "{text}"
    );
    assert!(text.contains("3 PCs: pc-[1:3]"), "{text}");
}

/// The statement names them, and in a check the repairs that a run could not do.
#[test]
fn a_statement_tells_unverified_certificates_and_missing_repairs() {
    let folder = Folder::new();
    folder.write(
        "pcs.yaml",
        "all:\n  vars: {tls: none}\n  hosts:\n    pc-1:\n      address: 127.0.0.1\n      port: 1\n",
    );
    let out = folder.run(&[&["check", "trust-repair"][..], &GOOD, &["--yes"]].concat());
    let text = &out.stderr;
    assert!(
        text.contains("certificates are not verified on 1 PC: pc-1"),
        "{text}"
    );
    assert!(text.contains("(needs --domain-user USER)"), "{text}");
}

#[test]
fn a_parameter_that_does_not_exist() {
    let args = [&GOOD[..], &["--yes", "--set", "domain_controler=dc1"]].concat();
    insta::assert_snapshot!(Folder::new().refused(&args), @"
    exit 2
    --- stderr
    error: --set does not fit the playbook: the playbook has no parameter `domain_controler`, did you mean `domain_controller`?
    hint: see what it takes: fleetmend playbook show trust-repair
    ");
}

#[test]
fn a_credential_set_in_words() {
    let args = [&GOOD[..], &["--yes", "--set", "domain_credential=canary"]].concat();
    insta::assert_snapshot!(Folder::new().refused(&args), @"
    exit 2
    --- stderr
    error: domain_credential is a credential and cannot be set in words
    hint: give the account instead: --domain-user USER
    ");
}

#[test]
fn an_account_for_no_credential_of_the_playbook() {
    let args = [&GOOD[..], &["--yes", "--credential", "rescue=admin"]].concat();
    let text = Folder::new().refused(&args);
    assert!(
        text.contains("the playbook has no credential of this name"),
        "{text}"
    );
    assert!(text.contains("domain_credential"), "{text}");
}

#[test]
fn hours_that_are_none() {
    let args = [&GOOD[..], &["--yes", "--reboot-window", "22-5"]].concat();
    let text = Folder::new().refused(&args);
    assert!(text.contains("write it as 22:00-05:00"), "{text}");
}

#[test]
fn no_account() {
    let args = ["-i", "pcs.yaml", "--password-file", "admin.pw", "--yes"];
    insta::assert_snapshot!(Folder::new().refused(&args), @"
    exit 2
    --- stderr
    error: no account is given for pc-001.corp.example.jp
    hint: name the PCs' local administrator: --user NAME, or `user` in the inventory
    ");
}

#[test]
fn no_password_and_nobody_to_ask() {
    let args = ["-i", "pcs.yaml", "--user", "fleetadmin", "--yes"];
    insta::assert_snapshot!(Folder::new().refused(&args), @"
    exit 2
    --- stderr
    error: the password of fleetadmin (local-admin) is missing and there is no terminal to ask
    hint: name a file that holds it: --password-file FILE, or FLEETMEND_PASSWORD_FILE=FILE
    ");
}

/// One variable would hand the password of one site to the PCs of another.
#[test]
fn two_credentials_never_share_a_variable() {
    let folder = Folder::new();
    let inventory =
        "all:\n  hosts:\n    pc-1:\n      credential: 経理\n    pc-2:\n      credential: 営業\n";
    folder.write("pcs.yaml", inventory);
    let args = ["-i", "pcs.yaml", "--user", "x", "--yes"];
    let variable = [("FLEETMEND____PASSWORD_FILE", "admin.pw")];
    insta::assert_snapshot!(folder.refused_with(&args, &variable), @"
    exit 2
    --- stderr
    error: pc-1: the credentials 営業 and 経理 would both take their password from FLEETMEND____PASSWORD_FILE
    hint: unset it and say in credentials.yaml where their passwords are, or rename one of them: whatever is not a letter from A to Z or a digit is `_` in a variable
    ");
    // Not set, it harms nobody: the first is asked for.
    assert!(folder.refused(&args).contains("no terminal to ask"));
    // One of them alone may have it.
    let alone = folder.run_with(
        &[&["check", "trust-repair", "--limit", "pc-1"], &args[..]].concat(),
        &variable,
    );
    assert!(!alone.stderr.contains("FLEETMEND____"), "{}", alone.stderr);
}

/// Who puts the password itself into the variable does not see it again.
#[test]
fn what_a_variable_names_by_mistake_is_not_shown() {
    let args = ["-i", "pcs.yaml", "--user", "x", "--yes"];
    for name in [
        "FLEETMEND_PASSWORD_FILE",
        "FLEETMEND_LOCAL_ADMIN_PASSWORD_FILE",
    ] {
        let text = Folder::new().refused_with(&args, &[(name, "canary-itself")]);
        let told = format!("failed to read the file that {name} names: ");
        assert!(text.contains(&told), "{text}");
    }
}

/// These names give an account to the playbook, not to PCs.
#[test]
fn a_name_that_means_another_account_reaches_no_pc() {
    let folder = Folder::new();
    let named = |name: &str, options: &[&str]| {
        folder.write(
            "pcs.yaml",
            &format!("all:\n  hosts:\n    pc-1:\n      credential: {name}\n"),
        );
        let args = [&["-i", "pcs.yaml", "--user", "x", "--yes"], options].concat();
        folder.refused(&args)
    };
    let domain = [
        "--domain-user",
        r"CORP\svc",
        "--domain-password-file",
        "admin.pw",
    ];
    insta::assert_snapshot!(named("domain", &domain), @"
    exit 2
    --- stderr
    error: pc-1: the credential name domain means the account of --domain-user
    hint: give the credential another name
    ");
    let rescue = [
        "--credential",
        "rescue_admin=rescue",
        "--credential-password-file",
        "rescue_admin=admin.pw",
    ];
    insta::assert_snapshot!(named("rescue_admin", &rescue), @"
    exit 2
    --- stderr
    error: pc-1: the credential name rescue_admin means the account of --credential rescue_admin
    hint: give the credential another name
    ");
    assert!(named("domain", &[]).contains("no terminal to ask"));
    // `exec` takes no domain account, and the variable may be set for `run`.
    folder.write(
        "pcs.yaml",
        "all:\n  hosts:\n    pc-1:\n      credential: Domain\n",
    );
    let args = ["exec", "-i", "pcs.yaml", "--user", "x", "--", "hostname"];
    let variable = [("FLEETMEND_DOMAIN_PASSWORD_FILE", "admin.pw")];
    let out = folder.run_with(&args, &variable);
    assert_eq!(out.code, 2, "{}", out.text());
    let told = "the credential name Domain means the account of --domain-user";
    assert!(out.stderr.contains(told), "{}", out.stderr);
}

/// The default password on these PCs would be a wrong one.
#[test]
fn a_named_credential_takes_no_other_password() {
    let folder = Folder::new();
    let inventory = "all:\n  hosts:\n    pc-009:\n      credential: site-b\n";
    folder.write("pcs.yaml", inventory);
    insta::assert_snapshot!(folder.refused(&[&GOOD[..], &["--yes"]].concat()), @"
    exit 2
    --- stderr
    error: the password of fleetadmin (site-b) is missing and there is no terminal to ask
    hint: name a file that holds it: FLEETMEND_SITE_B_PASSWORD_FILE=FILE
    ");
}

#[cfg(unix)]
#[test]
fn a_password_file_that_others_can_read() {
    let folder = Folder::new();
    private(&folder.path("admin.pw"), 0o644);
    insta::assert_snapshot!(folder.refused(&[&GOOD[..], &["--yes"]].concat()), @"
    exit 2
    --- stderr
    error: admin.pw holds a password and can be read by others (mode 0644)
    hint: chmod 600 admin.pw
    ");
}

#[test]
fn a_webhook_that_is_no_address() {
    let args = [&GOOD[..], &["--yes", "--notify-webhook", "chat.example.jp"]].concat();
    insta::assert_snapshot!(Folder::new().refused(&args), @"
    exit 2
    --- stderr
    error: --notify-webhook: relative URL without a base
    hint: give an address such as https://chat.example.jp/hooks/…
    ");
}

#[cfg(unix)]
#[test]
fn a_data_folder_that_cannot_be() {
    let folder = Folder::new();
    let args = [&GOOD[..], &["--yes", "--data-dir", "pcs.yaml/data"]].concat();
    insta::assert_snapshot!(folder.refused(&args), @"
    exit 2
    --- stderr
    error: failed to create pcs.yaml/data: Not a directory (os error 20)
    hint: name another folder: --data-dir DIR
    ");
}

#[test]
fn usage_errors_have_the_same_code() {
    for args in [
        &["run"][..],
        &["run", "trust-repair"],
        &["run", "trust-repair", "-i", "x", "--max-concurrency", "0"],
        &[
            "run",
            "trust-repair",
            "-i",
            "x",
            "--connect-timeout",
            "soon",
        ],
        &["exec", "-i", "x"],
        &["nonsense"],
        &[],
    ] {
        let out = fleetmend(args);
        assert_eq!(out.code, 2, "{args:?}: {}", out.text());
        assert!(out.stdout.is_empty() && !out.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_past_run_without_a_journal() {
    let folder = Folder::new();
    for args in [&["show"][..], &["runs"]] {
        let out = folder.run(args);
        assert_eq!(out.code, 2);
        assert!(out.stderr.contains("there is no journal"), "{}", out.stderr);
    }
}
