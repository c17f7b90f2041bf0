//! The doctor against the lab: each thing that it looks at, sound and broken.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::fs;

use fleetmend_lab::ldap::LdapFault;
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_tests::{Ended, Site, scripts};
use serde_json::Value;

const SOUND: &str = r"
version: 1
directory: 読み手
credentials:
  local-admin: {laps: {}}
  読み手: {user: 'CORP\svc-laps', password: {file: laps.pw}}
";

async fn site(credentials: &str) -> Site {
    let mut options = LabOptions::new(0, scripts());
    let plan = vec![PcPlan::new(Scenario::Healthy).japanese(); 4];
    options.mix = Mix::Plan(plan);
    options.own_local_passwords = true;
    let site = Site::start(options).await;
    write(
        &site,
        "laps.pw",
        site.lab.laps_credential().password.reveal(),
    );
    write(&site, "credentials.yaml", credentials);
    site
}

fn write(site: &Site, name: &str, text: &str) {
    let path = site.path(name);
    fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

async fn doctor(site: &Site) -> Ended {
    let mut all: Vec<OsString> = ["doctor", "trust-repair", "-o", "json", "-i"]
        .map(OsString::from)
        .into();
    all.push(site.path("lab.yaml").into());
    all.extend(["--data-dir".into(), site.data().into()]);
    all.extend(["--credentials".into(), site.path("credentials.yaml").into()]);
    all.extend(["--directory", "corp.example.jp", "--connect-timeout", "2s"].map(OsString::from));
    all.extend(["--directory-ca".into(), site.path("lab-ca.pem").into()]);
    for controller in site.lab.controllers() {
        let address = controller.ldaps().to_string();
        all.extend(["--directory-server".into(), address.into()]);
    }
    let ended = site.run(all).await;
    // It logs on to no PC, whatever it finds.
    let counts = site.lab.counts();
    assert_eq!((counts.logons_accepted, counts.logons_refused), (0, 0));
    ended
}

/// Returns the lines on one thing: how it stands, what was found, and what to do.
fn lines(ended: &Ended, what: &str) -> Vec<String> {
    let told = ended.json();
    let all = told["findings"].as_array().unwrap().iter();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
    all.filter(|finding| finding["what"] == what)
        .map(|finding| {
            let [level, found, next] = ["level", "found", "next"].map(|name| text(finding, name));
            assert!(level != "failed" || !next.is_empty(), "{found}: what now?");
            format!("{level}: {found} → {next}")
        })
        .collect()
}

#[track_caller]
fn told(ended: &Ended, what: &str, expected: &str) {
    let lines = lines(ended, what);
    let holds = lines.iter().any(|line| line.contains(expected));
    assert!(holds, "{what}: {lines:#?}, not {expected}\n{}", ended.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_fleet_is_told_to_be_so() {
    let site = site(SOUND).await;
    let ended = doctor(&site).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.out(), ended.err());
    told(&ended, "inventory", "ok: 4 of 4 PCs");
    told(&ended, "journal", "will be made");
    told(&ended, "names", "ok: ");
    told(&ended, "ports", "ok: of 4 PCs asked");
    told(&ended, "credentials", "ok: a source for each");
    told(&ended, "accounts", r"accepts CORP\svc-laps, and every");
    told(&ended, "controllers", "ok: 2 of 2 answer");
    told(&ended, "clock", "ok: within 0 s of every controller");
    told(&ended, "computers", "ok: 4 of 4");
    told(&ended, "LAPS", "ok: readable for 4 of 4");
    told(&ended, "repairs", "netlogon-rediscover");
    told(&ended, "secrets", "");
    assert!(lines(&ended, "programs").is_empty());
    // Nothing of it was a run; what was tried stands in the journal.
    let again = doctor(&site).await;
    told(&again, "journal", "its audit trail is whole");
}

/// One thing that is wrong hides no other: each is told in one look, with what to do about it.
#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_is_told_at_once() {
    let text = SOUND.replace("{laps: {}}", "{user: a, password: {file: 無い.pw}}");
    let site = site(&text).await;
    let inventory = fs::read_to_string(site.path("lab.yaml")).unwrap();
    let named = inventory.replacen("hosts:\n", "hosts:\n        no-such-pc.invalid: {}\n", 1);
    assert_ne!(inventory, named);
    write(&site, "lab.yaml", &named);
    site.lab.controllers()[1].set_fault(LdapFault::Hangs);
    let ended = doctor(&site).await;
    assert_eq!(ended.code, Some(1), "{}{}", ended.out(), ended.err());
    told(
        &ended,
        "names",
        "warning: do not resolve, of 1: 1 PC: no-such-pc.invalid",
    );
    told(&ended, "ports", "warning: ");
    told(&ended, "ports", "ok: of 5 PCs asked");
    told(&ended, "credentials", "無い.pw");
    told(&ended, "accounts", "; others were not tried");
    told(&ended, "repairs", "skipped: credentials are missing");
    told(&ended, "controllers", "ok: 1 of 2 answer");
    told(&ended, "controllers", "does not answer");
    told(&ended, "LAPS", "readable for 4 of 5");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_its_password_is_told_with_what_to_do() {
    let site = site(SOUND).await;
    fs::remove_file(site.path("laps.pw")).unwrap();
    let ended = doctor(&site).await;
    assert_eq!(ended.code, Some(1), "{}{}", ended.out(), ended.err());
    told(&ended, "accounts", "laps.pw");
    told(&ended, "ports", "ok: ");
    told(&ended, "directory", "could not be opened, see above");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_account_is_tried_once_and_the_rest_is_told() {
    let site = site(SOUND).await;
    write(&site, "laps.pw", "wrong");
    for (time, spent) in [(1, 1), (2, 1)] {
        let ended = doctor(&site).await;
        assert_eq!(ended.code, Some(3), "{time}: {}", ended.err());
        told(&ended, "accounts", "failed: ");
        told(&ended, "repairs", "skipped: see accounts");
        told(&ended, "directory", "could not be opened, see above");
        told(&ended, "ports", "ok: ");
        let domain = site.lab.shared().domain();
        let account = domain.user("svc-laps").unwrap();
        assert_eq!(account.bad_passwords_total, spent, "time {time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_for_passwords_are_looked_for_and_not_run() {
    let canary = "touch 動いた; echo pw";
    for (words, expected) in [
        (
            format!("[/bin/sh, -c, '{canary}']"),
            "ok: 1 for passwords, found",
        ),
        ("[./無い, read]".to_owned(), "failed: not found: "),
    ] {
        let password = format!("{{user: a, password: {{command: {words}}}}}");
        let site = site(&SOUND.replace("{laps: {}}", &password)).await;
        let ended = doctor(&site).await;
        told(&ended, "programs", expected);
        assert!(!site.path("動いた").exists(), "it was run");
    }
}
