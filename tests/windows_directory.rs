//! Windows PCs repaired with the directory: the real binary over WinRM and SSH, and LDAPS to the
//! lab's controllers. No domain credential is there to reach a PC.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fleetmend_lab::domain::{AccountState, PasswordId};
use fleetmend_lab::machine::MachineSecret;
use fleetmend_lab::{LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::{Credential, TransportKind};
use fleetmend_tests::{Ended, Site, scripts, with};
use serde_json::Value;

async fn site(scenarios: &[Scenario]) -> Site {
    let transports = [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ];
    let transports = transports.into_iter().cycle();
    let plan = scenarios.iter().zip(transports);
    let plan = plan.map(|(scenario, transport)| PcPlan::new(*scenario).over(transport));
    Site::start(LabOptions {
        mix: Mix::Plan(plan.collect()),
        ..LabOptions::new(0, scripts())
    })
    .await
}

fn password_file(site: &Site, name: &str, credential: &Credential) -> PathBuf {
    let path = site.path(name);
    std::fs::write(&path, credential.password.reveal()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    path
}

fn arguments(site: &Site, credential: &Credential) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["run".into(), "trust-repair".into(), "--yes".into()];
    all.extend(site.logon_arguments());
    all.extend(["--directory", "corp.example.jp", "--directory-user"].map(OsString::from));
    all.push(credential.user.clone().into());
    all.push("--directory-password-file".into());
    all.push(password_file(site, "directory.pw", credential).into());
    all.extend(["--directory-ca".into(), site.path("lab-ca.pem").into()]);
    for controller in site.lab.controllers() {
        all.push("--directory-server".into());
        all.push(controller.ldaps().to_string().into());
    }
    with(all, ["--output", "json"])
}

async fn run(site: &Site, more: &[&str]) -> Ended {
    let credential = site.lab.directory_credential().clone();
    let arguments = arguments(site, &credential);
    site.run(with(arguments, more.iter().copied())).await
}

fn account(pc: &LabPc) -> String {
    pc.name.split('.').next().unwrap().to_uppercase()
}

/// What a PC and the directory hold about it: its secret, the account's password and state.
type Held = (Option<MachineSecret>, Option<(PasswordId, AccountState)>);

fn held(site: &Site) -> BTreeMap<String, Held> {
    let domain = site.lab.shared().domain();
    let pcs = site.lab.pcs().iter();
    pcs.map(|pc| {
        let account = domain.computer(&account(pc));
        let account = account.map(|account| (account.current, account.state));
        (pc.name.clone(), (pc.sim.machine().secret, account))
    })
    .collect()
}

fn host<'r>(report: &'r Value, name: &str) -> &'r Value {
    let hosts = report["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["host"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_ends_as_the_table_says() {
    let site = site(&Scenario::ALL).await;
    let before = held(&site);
    let ended = run(&site, &[]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    let outcomes = ended.outcomes();
    let report = ended.json();
    let after = held(&site);
    let mut wrong = Vec::new();
    for pc in site.lab.pcs() {
        let expected = pc.scenario.expected_with_directory(pc.transport);
        if outcomes[&pc.name] != expected.to_string() {
            let got = &outcomes[&pc.name];
            wrong.push(format!("{:?}: {got}, not {expected}", pc.scenario));
        }
        let same = before[&pc.name] == after[&pc.name];
        match pc.scenario {
            // Both halves were written, or the first of them.
            Scenario::PasswordMismatch
            | Scenario::MismatchWithoutNltest
            | Scenario::LostSecret
            | Scenario::StoreCutShort
            | Scenario::RepairCutShort
            | Scenario::RepairLies => assert!(!same, "{:?}", pc.scenario),
            _ => assert!(same, "{:?} was changed", pc.scenario),
        }
        if expected.to_string() == "repaired(machine-password-reset)" {
            let (secret, account) = &after[&pc.name];
            let ours = secret.map(|secret| secret.current);
            assert_eq!(ours, account.map(|(password, _)| password));
            let evidence = &host(&report, &pc.name)["evidence"];
            assert_eq!(evidence["found"], true, "{:?}: {evidence}", pc.scenario);
            let set = |name: &str| evidence[name].as_str().map(str::to_owned);
            assert!(
                set("pwd_last_set") > set("pwd_last_set_before"),
                "{evidence}"
            );
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), ended.err());
    let domain = site.lab.shared().domain();
    let repair = domain.user(&site.lab.domain_credential().user).unwrap();
    assert_eq!(repair.bad_passwords_total, 0);
    let directory = domain.user(&site.lab.directory_credential().user).unwrap();
    assert_eq!(directory.bad_passwords_total, 0);
}

/// Event 5823 is Netlogon's word for a password that it changed itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_pc_changes_its_password_unless_told_not_to() {
    for (more, changes) in [(vec![], 1), (vec!["--set", "rotate_afterwards=false"], 0)] {
        let site = site(&[Scenario::PasswordMismatch, Scenario::LostSecret]).await;
        let rotations = |pc: &LabPc| {
            let machine = pc.sim.machine();
            machine
                .events
                .iter()
                .filter(|event| event.id == 5823)
                .count()
        };
        let before: Vec<_> = site.lab.pcs().iter().map(rotations).collect();
        let ended = run(&site, &more).await;
        assert_eq!(ended.code, Some(0), "{}", ended.err());
        for (pc, before) in site.lab.pcs().iter().zip(before) {
            assert_eq!(rotations(pc) - before, changes, "{:?}", pc.scenario);
        }
        let mended = held(&site);
        let again = run(&site, &[]).await;
        assert_eq!(again.code, Some(0), "{}", again.err());
        assert!(
            again
                .outcomes()
                .values()
                .all(|outcome| outcome == "healthy")
        );
        assert_eq!(held(&site), mended, "healthy PCs are left alone");
    }
}

/// The longest run of letters and digits; a machine password is one of 120.
fn longest_word(bytes: &[u8]) -> usize {
    let words = bytes.split(|byte| !byte.is_ascii_alphanumeric());
    words.map(<[u8]>::len).max().unwrap_or_default()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_that_was_made_is_written_nowhere() {
    let site = site(&[Scenario::PasswordMismatch, Scenario::StoreCutShort]).await;
    let ended = run(&site, &["--set", "rotate_afterwards=false", "-vvv"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert!(ended.stderr.len() > 1000, "nothing was told");
    let files = files_below(&site.data());
    assert!(!files.is_empty());
    let mut texts: Vec<(PathBuf, Vec<u8>)> = vec![
        ("stdout".into(), ended.stdout),
        ("stderr".into(), ended.stderr),
    ];
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        texts.push((file, bytes));
    }
    for (place, bytes) in texts {
        let longest = longest_word(&bytes);
        assert!(longest < 100, "{}: {longest}", place.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_comes_back_only_with_consent() {
    let scenarios = [Scenario::AccountDeleted, Scenario::AccountDisabled];
    let site = site(&scenarios).await;
    let credential = site.lab.domain_credential().clone();
    let consent = [
        "--set",
        "enable_accounts=true",
        "--set",
        "restore_accounts=true",
    ];
    let arguments = with(arguments(&site, &credential), consent);
    let ended = site.run(arguments).await;
    let outcomes = ended.outcomes();
    let outcomes: Vec<_> = outcomes.values().map(String::as_str).collect();
    let expected = ["repaired(restore-account)", "repaired(enable-account)"];
    assert_eq!(outcomes, expected, "{}", ended.err());
    for (_, account) in held(&site).values() {
        assert_eq!(account.unwrap().1, AccountState::Enabled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_was_restored_on_purpose_is_repaired() {
    let site = site(&[Scenario::PcNewerThanAd]).await;
    let ended = run(&site, &["--set", "accept_newer_pc=true"]).await;
    let outcomes = ended.outcomes();
    let outcome = outcomes.values().next().unwrap();
    assert_eq!(
        outcome,
        "repaired(machine-password-reset)",
        "{}",
        ended.err()
    );
}

/// ksetup needs a restart: the run says so, and the next one finds the PC healthy.
#[tokio::test(flavor = "multi_thread")]
async fn after_ksetup_and_a_restart_the_pc_is_healthy() {
    let site = site(&[Scenario::PasswordMismatch]).await;
    let pc = &site.lab.pcs()[0];
    let folder = site.path("own");
    std::fs::create_dir(&folder).unwrap();
    // A playbook in which the LSA is not tried.
    let ended = site
        .run([
            "playbook",
            "export",
            "trust-repair",
            "--to",
            folder.to_str().unwrap(),
        ])
        .await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    let path = folder.join("trust-repair.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let when = "    when: account is not none or params.domain_credential is none\n";
    assert!(text.contains(when));
    std::fs::write(&path, text.replace(when, "    when: \"false\"\n")).unwrap();
    let credential = site.lab.directory_credential().clone();
    let mut all = arguments(&site, &credential);
    all[1] = path.into();
    let all = with(all, ["--set", "ksetup=true"]);
    let ended = site.run(all.clone()).await;
    let outcome = ended.outcomes().remove(&pc.name).unwrap();
    assert_eq!(outcome, "reboot-pending", "{}", ended.err());
    let booted = pc.sim.machine().booted;
    pc.sim.machine().restart(booted);
    let ended = site.run(all).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert_eq!(ended.outcomes()[&pc.name], "healthy");
}

/// Who rules a PC can make it say anything. It is not handed the password of the PC that it names,
/// and that one keeps the password that it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_pc_cannot_choose_whose_password_it_is_given() {
    let site = site(&[Scenario::PasswordMismatch, Scenario::Healthy]).await;
    let [liar, victim] = site.lab.pcs() else {
        unreachable!("two PCs")
    };
    liar.sim.machine().name = account(victim);
    let before = held(&site);
    let ended = run(&site, &["--limit", &liar.name]).await;
    assert_eq!(
        ended.outcomes()[&liar.name],
        "blocked(own-name)",
        "{}",
        ended.err()
    );
    assert_eq!(held(&site), before);
    let report = ended.json();
    let reason = host(&report, &liar.name)["reason"]
        .as_str()
        .unwrap()
        .to_owned();
    for name in [account(victim), account(liar).to_lowercase()] {
        assert!(reason.contains(&name), "{name} is not in: {reason}");
    }
}

/// Where the inventory has another name for a PC, and its address is an IP address, a variable says
/// whose account it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_alias_needs_the_name_of_the_account() {
    let site = site(&[Scenario::PasswordMismatch]).await;
    let pc = &site.lab.pcs()[0];
    let path = site.path("lab.yaml");
    let inventory = std::fs::read_to_string(&path).unwrap();
    let named = format!("        {}:\n", pc.name);
    assert!(inventory.contains(&named), "{inventory}");
    for (variable, expected) in [
        (String::new(), "blocked(own-name)"),
        (
            "          computer_name: PC-999\n".to_owned(),
            "blocked(own-name)",
        ),
        (
            format!("          computer_name: {}\n", account(pc)),
            "repaired(machine-password-reset)",
        ),
    ] {
        let alias = format!("        受付-01:\n{variable}");
        std::fs::write(&path, inventory.replace(&named, &alias)).unwrap();
        let ended = run(&site, &[]).await;
        assert_eq!(ended.outcomes()["受付-01"], expected, "{}", ended.err());
    }
}
