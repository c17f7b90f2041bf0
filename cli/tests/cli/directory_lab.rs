//! The directory commands against the lab's domain controllers, over real LDAPS.

use std::path::{Path, PathBuf};

use fleetmend_lab::domain::Domain;
use fleetmend_lab::ldap::LdapCounts;
use fleetmend_lab::{Lab, LabOptions};
use fleetmend_model::{Credential, Secret};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::{Out, command, no_run_was_begun, run};

/// A running lab, and a folder with what it takes to ask its directory.
struct Site {
    lab: Lab,
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Site {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let lab = runtime
            .block_on(Lab::start(LabOptions::new(4, Vec::new())))
            .unwrap();
        let site = Self {
            lab,
            folder: tempfile::tempdir().unwrap(),
            runtime,
        };
        std::fs::write(site.path("ca.pem"), site.lab.ca_pem()).unwrap();
        site.password("wrong.pw", &Secret::new("canary-wrong".to_owned()));
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn domain<R>(&self, change: impl FnOnce(&mut Domain) -> R) -> R {
        change(&mut self.lab.shared().domain())
    }

    fn password(&self, name: &str, password: &Secret) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, password.reveal()).unwrap();
        private(&path);
        path
    }

    fn counts(&self) -> LdapCounts {
        self.lab
            .controllers()
            .iter()
            .fold(LdapCounts::default(), |sum, one| {
                let counts = one.counts();
                LdapCounts {
                    connections: sum.connections + counts.connections,
                    binds: sum.binds + counts.binds,
                    binds_refused: sum.binds_refused + counts.binds_refused,
                    searches: sum.searches + counts.searches,
                    writes: sum.writes + counts.writes,
                }
            })
    }

    /// Runs with the directory at every controller, as this account.
    fn run_as(&self, account: &Credential, args: &[&str]) -> Out {
        let file = self.password("account.pw", &account.password);
        let mut command = command();
        command.args(args).current_dir(self.folder.path());
        command.args([
            "--directory",
            "corp.example.jp",
            "--directory-user",
            &account.user,
        ]);
        command.arg("--directory-password-file").arg(file);
        for controller in self.lab.controllers() {
            command.args(["--directory-server", &controller.ldaps().to_string()]);
        }
        if !args.contains(&"--directory-pin") {
            command.args(["--directory-ca", "ca.pem"]);
        }
        let out = run(command.env("FLEETMEND_DATA_DIR", self.path("data")));
        assert!(!out.stderr.contains(account.password.reveal()));
        assert!(!out.text().contains("canary"), "{}", out.text());
        out
    }

    fn run(&self, args: &[&str]) -> Out {
        self.run_as(&self.lab.directory_credential().clone(), args)
    }

    /// An account whose name is right and whose password is not.
    fn wrong(&self, account: &Credential) -> Credential {
        Credential {
            user: account.user.clone(),
            password: Secret::new("canary-wrong".to_owned()),
            ssh: None,
        }
    }

    fn wrong_passwords(&self, account: &Credential) -> u32 {
        self.domain(|domain| domain.user(&account.user).unwrap().bad_passwords_total)
    }

    /// Returns the entries of this kind on the audit trail.
    fn trail(&self, kind: &str) -> Vec<Value> {
        let mut command = command();
        command.args(["audit", "list", "-o", "json", "--data-dir"]);
        let out = run(command.arg(self.path("data")));
        let all: Vec<Value> = serde_json::from_str(&out.stdout).unwrap();
        all.into_iter()
            .filter(|entry| entry["kind"] == kind)
            .collect()
    }

    fn nothing_was_touched(&self) {
        no_run_was_begun(&self.path("data"));
        assert_eq!(
            self.lab.counts().logons_accepted + self.lab.counts().logons_refused,
            0
        );
        assert_eq!(self.counts().writes, 0);
    }

    fn down(self) {
        self.runtime.block_on(self.lab.shutdown());
    }
}

#[cfg(unix)]
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn private(_: &Path) {}

/// A repair over the lab's PCs.
const RUN: [&str; 10] = [
    "run",
    "trust-repair",
    "-i",
    "pcs.yaml",
    "--user",
    r".\x",
    "--password-file",
    "wrong.pw",
    "--yes",
    "--quiet",
];

#[test]
fn a_refused_account_is_spent_once_and_nothing_is_touched() {
    let site = Site::new();
    std::fs::write(
        site.path("pcs.yaml"),
        "all: {hosts: {pc-1: {address: 127.0.0.1}}}\n",
    )
    .unwrap();
    let account = site.lab.directory_credential().clone();
    let again = ["--try-again", &account.user];
    for (args, more) in [
        (&RUN[..], &[][..]),
        (&["directory", "probe"], &again),
        (&["directory", "show", "PC-001"], &again),
    ] {
        let args = &[args, more].concat();
        let before = (site.wrong_passwords(&account), site.counts().binds);
        let out = site.run_as(&site.wrong(&account), args);
        assert_eq!(out.code, 3, "{}", out.text());
        assert!(
            out.stderr.contains("tried once and is not tried again"),
            "{}",
            out.stderr
        );
        let after = (site.wrong_passwords(&account), site.counts().binds);
        assert_eq!(
            after,
            (before.0 + 1, before.1 + 1),
            "two controllers, one logon"
        );
        // Until the window is over, it is not even tried.
        let out = site.run_as(&site.wrong(&account), &RUN);
        assert_eq!(out.code, 3, "{}", out.text());
        assert!(out.stderr.contains("is spared"), "{}", out.stderr);
        assert!(out.stderr.contains("Win32 1326"), "{}", out.stderr);
        assert!(out.stderr.contains("--try-again"), "{}", out.stderr);
        let spared = (site.wrong_passwords(&account), site.counts().binds);
        assert_eq!(spared, after);
    }
    // Who tried it; one that is spared is not tried.
    let tried = site.trail("account-tried");
    let again: Vec<_> = tried
        .iter()
        .map(|entry| {
            assert_eq!(entry["what"]["account"], account.user.as_str());
            assert!(entry["what"]["operator"]["account"].is_string());
            entry["what"]["try_again"].as_bool().unwrap()
        })
        .collect();
    assert_eq!(again, [false, true, true]);
    site.nothing_was_touched();
    site.down();
}

#[test]
fn the_hint_s_own_name_has_the_account_tried_again() {
    let site = Site::new();
    let whole = site.lab.directory_credential().clone();
    let name = whole.user.split(['@', '\\']).next().unwrap();
    // As an operator writes it who has named the domain already.
    let bare = Credential {
        user: name.to_owned(),
        ..whole.clone()
    };
    let show = |account: &Credential, more: &[&str]| {
        let args = [&["directory", "show", "PC-001"][..], more].concat();
        site.run_as(account, &args)
    };
    let hinted = |text: &str| {
        let (_, rest) = text.split_once("--try-again '").unwrap();
        rest.split('\'').next().unwrap().to_owned()
    };
    let wrong = show(&site.wrong(&bare), &[]);
    assert_eq!(wrong.code, 3, "{}", wrong.text());
    let spared = show(&bare, &[]);
    assert_eq!(spared.code, 3, "{}", spared.text());
    let again = show(&bare, &["--try-again", &hinted(&spared.stderr)]);
    assert!(!again.stderr.contains("is spared"), "{}", again.text());
    assert!(!again.stderr.contains("waives nothing"), "{}", again.text());
    // Nor does it matter whether the domain is said again.
    show(&site.wrong(&bare), &[]);
    let again = show(&bare, &["--try-again", name]);
    assert!(!again.stderr.contains("is spared"), "{}", again.text());
    // A name against which there is nothing is told.
    show(&site.wrong(&bare), &[]);
    let other = show(&bare, &["--try-again", r"OTHER\nobody"]);
    assert_eq!(other.code, 3, "{}", other.text());
    assert!(other.stderr.contains("waives nothing"), "{}", other.text());
    assert!(other.stderr.contains(r"OTHER\nobody"), "{}", other.text());
    site.down();
}

#[test]
fn a_domain_account_that_may_reach_pcs_is_tried_here_first() {
    let site = Site::new();
    std::fs::write(
        site.path("pcs.yaml"),
        "all: {hosts: {pc-1: {address: 127.0.0.1}}}\n",
    )
    .unwrap();
    let joiner = site.lab.domain_credential().clone();
    let with_joiner = |more: &[&str]| {
        let own = [
            "--domain-user",
            &joiner.user,
            "--domain-password-file",
            "wrong.pw",
        ];
        site.run(&[&RUN[..], &own, more].concat())
    };
    let out = with_joiner(&["--allow-credential-on-pcs"]);
    assert_eq!(out.code, 3, "{}", out.text());
    assert!(
        out.stderr.contains("refuses the domain account"),
        "{}",
        out.stderr
    );
    assert!(out.stderr.contains("1326"), "{}", out.stderr);
    assert_eq!(site.wrong_passwords(&joiner), 1);
    site.nothing_was_touched();
    // Near its lockout it is not tried at all.
    site.domain(|domain| {
        let threshold = domain.lockout_threshold;
        domain.user_mut(&joiner.user).unwrap().bad_passwords = threshold - 1;
        domain.user_mut(&joiner.user).unwrap().bad_password_at = Some(Timestamp::now());
    });
    let out = with_joiner(&["--allow-credential-on-pcs"]);
    assert_eq!(out.code, 3, "{}", out.text());
    assert!(out.stderr.contains("is spared"), "{}", out.stderr);
    assert_eq!(site.wrong_passwords(&joiner), 1);
    site.nothing_was_touched();
    site.down();
}

#[test]
fn a_certificate_that_is_not_trusted_can_be_pinned() {
    let site = Site::new();
    let zeros = format!("sha256:{}", "0".repeat(64));
    let out = site.run(&["directory", "probe", "--directory-pin", &zeros]);
    assert_eq!(out.code, 2, "{}", out.text());
    assert_eq!(site.counts().binds, 0);
    let shown = out.stderr.split("sha256:").nth(1).unwrap();
    let pin = format!("sha256:{}", &shown[..64]);
    assert!(
        out.stderr.contains("--directory-pin sha256:HEX"),
        "{}",
        out.stderr
    );
    let out = site.run(&["directory", "probe", "--directory-pin", &pin]);
    assert_eq!(out.code, 0, "{}", out.text());
    assert_eq!(site.counts().binds_refused, 0);
    site.down();
}

#[test]
fn a_computer_is_shown_as_every_controller_has_it() {
    let site = Site::new();
    let out = site.run(&["directory", "show", "pc-001", "--json"]);
    let answer: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(
        (out.code, &answer["found"]),
        (0, &Value::Bool(true)),
        "{}",
        out.text()
    );
    let controllers = answer["controllers"].as_array().unwrap();
    assert_eq!(controllers.len(), site.lab.controllers().len());
    let text = site.run(&["directory", "show", "pc-001"]).stdout;
    assert!(text.starts_with("PC-001$  CN=PC-001,OU="), "{text}");
    for controller in site.lab.controllers() {
        let mut lines = text.lines();
        assert!(
            lines.any(|line| line.starts_with(controller.name()) && line.contains("yes")),
            "{text}"
        );
    }
    assert_eq!(site.run(&["directory", "show", "nobody"]).code, 1);
    assert_eq!(site.counts().writes, 0);
    site.down();
}

#[test]
fn laps_is_shown_and_its_password_only_when_asked_for() {
    let site = Site::new();
    let reader = site.lab.laps_credential().clone();
    let password = site.lab.local_credential().password.reveal().to_owned();
    let mut readable = 0;
    for pc in ["pc-001", "pc-002", "pc-003", "pc-004"] {
        let hidden = site.run_as(&reader, &["directory", "laps", pc]);
        assert!(!hidden.text().contains(&password), "{}", hidden.text());
        let json = site.run_as(&reader, &["directory", "laps", pc, "--json"]);
        assert!(!json.text().contains(&password), "{}", json.text());
        let shown = site.run_as(&reader, &["directory", "laps", pc, "--reveal"]);
        assert_eq!(
            shown.stdout.contains(&password),
            shown.code == 0,
            "{}",
            shown.text()
        );
        assert_eq!((hidden.code, json.code), (shown.code, shown.code));
        if shown.code == 0 {
            readable += 1;
            assert!(hidden.stdout.contains("; expires 2"), "{}", hidden.stdout);
        } else {
            assert!(shown.stdout.contains("encrypted"), "{}", shown.stdout);
        }
    }
    assert_eq!(readable, 3, "one of the lab's four is encrypted");
    let told = site.trail("password-shown");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|entry| {
        entry["what"]["operator"]["account"].is_string() && entry["host"].is_string()
    }));
    assert_eq!(site.trail("account-tried").len(), 4 * 3);
    let out = site.run(&["directory", "laps", "pc-001", "--reveal"]);
    assert_eq!(
        out.code, 1,
        "the account that resets passwords may not read them"
    );
    assert!(!out.text().contains(&password));
    site.down();
}

#[test]
fn an_imported_inventory_is_the_one_that_names_the_directory() {
    let site = Site::new();
    let import = [
        "inventory",
        "import",
        "--output",
        "pcs.yaml",
        "--ou",
        "OU=端末,DC=corp,DC=example,DC=jp",
    ];
    let out = site.run(&import);
    assert_eq!(out.code, 0, "{}", out.text());
    assert!(
        out.stderr.contains("4 of 4 computers written to pcs.yaml"),
        "{}",
        out.stderr
    );
    let first = std::fs::read_to_string(site.path("pcs.yaml")).unwrap();
    assert_eq!(site.run(&import).code, 2, "it is there already");
    assert_eq!(
        std::fs::read_to_string(site.path("pcs.yaml")).unwrap(),
        first
    );
    assert_eq!(site.run(&[&import[..], &["--overwrite"]].concat()).code, 0);
    let source = "directory: {domain: corp.example.jp, ou: 'OU=端末,DC=corp,DC=example,DC=jp'}\n";
    std::fs::write(site.path("ad.yaml"), source).unwrap();
    let list = |file: &str| {
        let out = site.run(&["inventory", "list", "--json", "-i", file]);
        assert_eq!(out.code, 0, "{}", out.text());
        serde_json::from_str::<Value>(&out.stdout).unwrap()
    };
    let listed = list("pcs.yaml");
    assert_eq!(list("ad.yaml"), listed);
    assert_eq!(listed["_meta"]["hostvars"].as_object().unwrap().len(), 4);
    site.down();
}

#[test]
fn ten_thousand_computers_are_imported() {
    let site = Site::new();
    site.domain(|domain| {
        for number in 0..10_000 {
            domain.create_computer(&format!("MASS-{number:05}"), Timestamp::now());
        }
    });
    let out = site.run(&[
        "inventory",
        "import",
        "--filter",
        "(sAMAccountName=MASS-*)",
        "--output",
        "many.yaml",
    ]);
    assert_eq!(out.code, 0, "{}", out.text());
    assert!(site.counts().searches >= 20, "pages of at most 500");
    let listed = site.run(&["inventory", "list", "-i", "many.yaml"]);
    assert_eq!(listed.stdout.lines().count(), 1 + 10_000);
    let units = site.run(&[
        "inventory",
        "import",
        "--ou",
        "OU=無い,DC=corp,DC=example,DC=jp",
    ]);
    assert_eq!(units.code, 2, "{}", units.text());
    assert!(
        units.stderr.contains("is the unit's name right?"),
        "{}",
        units.stderr
    );
    site.down();
}
