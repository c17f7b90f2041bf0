//! `credentials.yaml` with the real binary against the lab: every PC is logged on to with the
//! password that is meant for it, and with nothing else.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::fs;

use fleetmend_credentials::vault::{Entry, Keys, Lock, Unlock, Vault};
use fleetmend_lab::{LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::{Secret, TransportKind};
use fleetmend_tests::{Ended, Site, scripts, with};

const ADMIN: &str = "fleetadmin";

/// PCs that are well, each with a password of its own for the same account.
async fn site(passwords: &[&str]) -> Site {
    let kinds = [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ];
    let plans = passwords.iter().zip(kinds.iter().cycle());
    let plans = plans.map(|(_, kind)| PcPlan::new(Scenario::Healthy).over(*kind).japanese());
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(plans.collect());
    let site = Site::start(options).await;
    for (pc, password) in site.lab.pcs().iter().zip(passwords) {
        assert_eq!(pc.sim.machine().set_password(ADMIN, password), 0);
    }
    // The account is the credentials' business here.
    let inventory = fs::read_to_string(site.path("lab.yaml")).unwrap();
    let lines = inventory
        .lines()
        .filter(|line| !line.contains("ansible_user"));
    fs::write(site.path("lab.yaml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
    fs::create_dir(site.path("host_vars")).unwrap();
    site
}

fn vars(site: &Site, pc: &LabPc, text: &str) {
    let file = site.path("host_vars").join(format!("{}.yaml", pc.name));
    fs::write(file, text).unwrap();
}

fn private(site: &Site, name: &str, text: &str) {
    let path = site.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// A vault that opens with the key `vault.key`.
fn vault(site: &Site, entries: &[(&str, &str)]) {
    let keys = Keys::make(&site.path("vault.key")).unwrap();
    let path = site.path("fleet.vault");
    Vault::create(&path, &Lock::Recipients(keys.recipients())).unwrap();
    let by = Unlock::Keys(keys);
    let mut editor = Vault::open(&path, by.clone()).unwrap().edit(&by).unwrap();
    for (name, password) in entries {
        editor.set(Entry {
            name: name.parse().unwrap(),
            user: Some(ADMIN.to_owned()),
            password: Secret::new((*password).to_owned()),
            note: None,
            updated: "2026-01-31T09:00:00Z".parse().unwrap(),
        });
    }
    editor.save().unwrap();
}

fn arguments(site: &Site) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["exec".into(), "-i".into()];
    arguments.push(site.path("lab.yaml").into());
    arguments.extend(["--data-dir".into(), site.data().into()]);
    arguments.extend(["--connect-timeout", "3s", "--output", "json"].map(OsString::from));
    arguments.extend(["--credentials".into(), site.path("credentials.yaml").into()]);
    arguments
}

async fn exec(site: &Site, options: &[&str]) -> Ended {
    let arguments = with(arguments(site), options);
    site.run(with(
        arguments,
        ["--", "nltest", "/sc_query:corp.example.jp"],
    ))
    .await
}

/// Wrong passwords that any PC has seen.
fn refused(site: &Site) -> u32 {
    let accounts = site.lab.pcs().iter();
    let wrong = accounts.map(|pc| {
        let machine = pc.sim.machine();
        machine.account(ADMIN).unwrap().bad_passwords_total
    });
    wrong.sum()
}

fn assert_all_in(site: &Site, ended: &Ended) {
    for host in ended.json()["hosts"].as_array().unwrap() {
        assert!(
            host["exec"]["exit_code"].is_i64(),
            "{host}\n{}",
            ended.err()
        );
    }
    assert_eq!(refused(site), 0, "a password went to another's PC");
    let wanted = u64::try_from(site.lab.pcs().len()).unwrap();
    assert!(site.lab.counts().logons_accepted >= wanted);
}

/// Fails if anybody was connected to.
fn assert_untouched(site: &Site, ended: &Ended) {
    assert_eq!(ended.code, Some(2), "{}", ended.err());
    let counts = site.lab.counts();
    assert_eq!((counts.logons_accepted, counts.logons_refused), (0, 0));
    assert_eq!(refused(site), 0);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn each_pc_gets_the_password_that_is_meant_for_it() {
    let site = site(&[
        "金庫のpw",
        "pw-of-大阪",
        "printed pw",
        "group pw",
        "own-entry",
    ])
    .await;
    let pcs = site.lab.pcs();
    vault(
        &site,
        &[
            ("local-admin", "金庫のpw"),
            (&format!("pc/{}", pcs[4].name), "own-entry"),
        ],
    );
    private(&site, "pw/大阪.txt", "pw-of-大阪\n");
    private(&site, "group.pw", "group pw");
    // The name of the PC, as it came to the program, is the name of the file that it prints.
    private(&site, &format!("printed/{}", pcs[2].name), "printed pw\n");
    private(
        &site,
        "credentials.yaml",
        r#"
version: 1
vaults: {default: {file: fleet.vault, key_file: vault.key}}
credentials:
  local-admin: {password: {vault: local-admin}}
  branch: {user: '.\fleetadmin', password: {file: "pw/{{ 拠点 }}.txt"}}
  printed: {user: fleetadmin, password: {command: [cat, "printed/{{ name }}"], timeout: 10s}}
  group: {user: fleetadmin, password: {file: group.pw}}
  per-pc: {password: {vault: "pc/{{ inventory_hostname }}"}}
groups: {ガレージ: group, 営業: group}
"#,
    );
    vars(&site, &pcs[1], "credential: branch\n拠点: 大阪\n");
    vars(&site, &pcs[2], "credential: printed\n");
    vars(&site, &pcs[4], "credential: per-pc\n");
    let inventory = fs::read_to_string(site.path("lab.yaml")).unwrap();
    // As a Mac keeps it.
    let garage = "カ\u{3099}レーシ\u{3099}";
    let garage = format!("    {garage}:\n      hosts: {{{}: {{}}}}\n", pcs[3].name);
    fs::write(site.path("lab.yaml"), format!("{inventory}\n{garage}")).unwrap();

    let ended = exec(&site, &[]).await;
    assert_all_in(&site, &ended);
    let told = ended.err();
    assert!(told.contains("credentials.yaml"), "{told}");
    for part in [
        "local-admin (vault): 1 PC",
        "branch (file): 1 PC",
        "printed (command): 1 PC",
        "credentials.yaml:10:23: the inventory has no group `営業`",
    ] {
        assert!(told.contains(part), "{told}");
    }
    for secret in ["金庫のpw", "printed pw", "own-entry"] {
        assert!(!told.contains(secret) && !ended.out().contains(secret));
    }
}

/// A list in which the first password stands three times, for one account in other words.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_other_words_costs_no_attempt_and_ends_no_list() {
    let site = site(&["right", "right", "right"]).await;
    private(&site, "old.pw", "of last year");
    private(&site, "right.pw", "right");
    private(
        &site,
        "credentials.yaml",
        r"
version: 1
credentials:
  local-admin:
    attempts: 2
    from:
      - {user: '.\fleetadmin', password: {file: old.pw}}
      - {user: fleetadmin, password: {file: old.pw}}
      - {user: '{{ inventory_hostname }}\FleetAdmin', password: {file: old.pw}}
      - {user: fleetadmin, password: {file: right.pw}}
",
    );
    let ended = exec(&site, &[]).await;
    for host in ended.json()["hosts"].as_array().unwrap() {
        let code = &host["exec"]["exit_code"];
        assert!(code.is_i64(), "{host}\n{}", ended.err());
    }
    assert_eq!(refused(&site), 3, "one wrong password on each PC");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_connected_to_while_something_is_missing() {
    let site = site(&["a", "b"]).await;
    let pcs = site.lab.pcs();
    private(&site, "a.pw", "a");
    let file = |local: &str| {
        let text = format!(
            "version: 1\ncredentials:\n  local-admin: {local}\n  \
             branch: {{user: fleetadmin, password: {{file: 'pw/{{{{ 拠点 }}}}.txt'}}}}\n"
        );
        private(&site, "credentials.yaml", &text);
    };
    let good = "{user: fleetadmin, password: {file: a.pw}}";

    vars(&site, &pcs[1], "credential: branch\n");
    file(good);
    let ended = exec(&site, &[]).await;
    assert_untouched(&site, &ended);
    let (told, name) = (ended.err(), &pcs[1].name);
    assert!(
        told.contains(name.as_str()) && told.contains("variable `拠点`"),
        "{told}"
    );

    vars(&site, &pcs[1], "credential: branch\n拠点: 大阪\n");
    let ended = exec(&site, &[]).await;
    assert_untouched(&site, &ended);
    assert!(ended.err().contains("大阪.txt"), "{}", ended.err());

    file("{user: fleetadmin, password: Kanaria-7}");
    let ended = exec(&site, &[]).await;
    assert_untouched(&site, &ended);
    let told = ended.err();
    assert!(
        told.contains("credentials.yaml:3:45: `password` holds"),
        "{told}"
    );
    assert!(!told.contains("Kanaria"), "{told}");

    file("{usr: fleetadmin, password: {file: a.pw}}");
    let ended = exec(&site, &[]).await;
    assert_untouched(&site, &ended);
    assert!(
        ended.err().contains("did you mean `user`?"),
        "{}",
        ended.err()
    );

    file("{laps: {}}");
    fs::remove_dir_all(site.path("host_vars")).unwrap();
    let ended = exec(&site, &[]).await;
    assert_untouched(&site, &ended);
    assert!(
        ended.err().contains("--directory DOMAIN"),
        "{}",
        ended.err()
    );

    file(good);
    pcs[1].sim.machine().set_password(ADMIN, "a");
    assert_all_in(&site, &exec(&site, &[]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_outweigh_the_file_and_one_attempt_is_one() {
    let site = site(&["right", "right"]).await;
    private(&site, "wrong.pw", "wrong");
    private(&site, "right.pw", "right");
    private(
        &site,
        "credentials.yaml",
        "version: 1\ncredentials:\n  local-admin:\n    user: fleetadmin\n    \
         from: [{password: {file: none.pw}}, {password: {file: wrong.pw}}, {password: {file: right.pw}}]\n",
    );
    let right = site.path("right.pw");
    let ended = exec(&site, &["--password-file", right.to_str().unwrap()]).await;
    assert_all_in(&site, &ended);

    // `none.pw` is not there and costs nothing; `wrong.pw` is the one attempt.
    let ended = exec(&site, &[]).await;
    assert_ne!(ended.code, Some(0), "{}", ended.err());
    assert_eq!(refused(&site), 2, "each PC saw one wrong password");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_asked_once_before_anything_begins() {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    if Command::new("script").arg("--version").output().is_err() {
        println!("SKIPPED: a prompt on a terminal because script is not installed");
        return;
    }
    let site = site(&["typed pw", "typed pw", "typed pw"]).await;
    private(
        &site,
        "credentials.yaml",
        "version: 1\ncredentials: {local-admin: {user: fleetadmin, password: prompt}}\n",
    );
    let words = with(
        arguments(&site),
        ["--", "nltest", "/sc_query:corp.example.jp"],
    );
    let words = words
        .into_iter()
        .map(|word| format!("'{}'", word.to_str().unwrap()));
    let command = words.collect::<Vec<_>>().join(" ");
    let program = fleetmend_tests::binary();
    let home = site.path("");
    let shown = tokio::task::spawn_blocking(move || {
        let mut child = Command::new("script")
            .args([
                "-qefc",
                &format!("'{}' {command}", program.display()),
                "/dev/null",
            ])
            .env("HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut shown = Vec::new();
        let mut part = [0; 1_024];
        let mut answered = false;
        while let Ok(count @ 1..) = output.read(&mut part) {
            shown.extend_from_slice(&part[..count]);
            let asked = String::from_utf8_lossy(&shown).contains("the password of fleetadmin");
            if asked && !answered {
                answered = true;
                // The echo goes off only after the question stands there.
                std::thread::sleep(std::time::Duration::from_millis(700));
                input.write_all(b"typed pw\n").unwrap();
            }
        }
        assert!(child.wait().unwrap().code().is_some());
        String::from_utf8_lossy(&shown).into_owned()
    });
    let shown = shown.await.unwrap();
    assert_eq!(
        shown.matches("the password of fleetadmin").count(),
        1,
        "{shown}"
    );
    assert!(!shown.contains("typed pw"), "{shown}");
    assert_eq!(refused(&site), 0);
    assert_eq!(site.lab.counts().logons_refused, 0, "{shown}");
    assert!(site.lab.counts().logons_accepted >= 3, "{shown}");
}
