//! The audit trail of the real binary over a lab: who, from where, against whom, with which
//! credential, on which rung; also after a kill; and what was changed in it is told.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use fleetmend_lab::machine::Restarts;
use fleetmend_lab::{LabOptions, Mix, Pace, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_tests::{Ended, Site, finish, scripts, with};
use serde_json::Value;

/// No PC uses it.
const CREDENTIALS: &str = "version: 1\ncredentials: {laps: {laps: {}}}\n";
const SHA256: &str = "d7c9c89d98fdadd396db2301db890be5f5ff5e53ede68ca9aed5e118d7300e79";

async fn site(plan: Vec<PcPlan>, pace: f64) -> Site {
    let site = Site::start(LabOptions {
        mix: Mix::Plan(plan),
        pace: Pace { scale: pace },
        ..LabOptions::new(0, scripts())
    })
    .await;
    for pc in site.lab.pcs() {
        pc.sim.machine().restarts = Restarts {
            down_for: Duration::from_millis(150),
            servicing_for: Duration::from_millis(50),
            logon_ready_after: Duration::from_millis(50),
            ..Restarts::default()
        };
    }
    site
}

/// As somebody who came over SSH and took on another account.
fn command(site: &Site, arguments: Vec<OsString>) -> tokio::process::Command {
    let mut command = site.command(arguments);
    command
        .env("FLEETMEND_RESTART_PACE", "0.02")
        .env("SUDO_USER", "情報 太郎")
        .env("SSH_CONNECTION", "2001:db8::7 50022 2001:db8::1 22")
        // What is made up in the environment is not who runs it.
        .env("USER", "somebody-else");
    command
}

async fn audit(site: &Site, words: &[&str]) -> Ended {
    let mut arguments: Vec<OsString> = vec!["audit".into()];
    arguments.extend(words.iter().map(OsString::from));
    arguments.extend(["--data-dir".into(), site.data().into()]);
    site.run(arguments).await
}

async fn entries(site: &Site, words: &[&str]) -> Vec<Value> {
    let mut all = vec!["list", "--output", "json"];
    all.extend(words);
    let ended = audit(site, &all).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    ended.json().as_array().unwrap().clone()
}

fn of_kind<'a>(entries: &'a [Value], kind: &str) -> Vec<&'a Value> {
    entries
        .iter()
        .filter(|entry| entry["kind"] == kind)
        .collect()
}

/// The head in a farewell: `audit head 55:5f2f1aef8e16e712`.
fn head(ended: &Ended) -> String {
    let err = ended.err();
    let head = err.split("audit head ").nth(1).unwrap_or_default();
    head.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_leaves_who_what_whom_and_with_which_credential() {
    let mismatch = PcPlan::new(Scenario::PasswordMismatch);
    let site = site(
        vec![
            PcPlan::new(Scenario::IsolationEnforced),
            mismatch,
            mismatch.over(TransportKind::Ssh).japanese(),
            PcPlan::new(Scenario::Healthy),
        ],
        0.0,
    )
    .await;
    let credentials = site.path("credentials.yaml");
    std::fs::write(&credentials, CREDENTIALS).unwrap();
    let mut arguments = with(
        site.run_arguments(),
        [
            "--max-reboots",
            "3",
            "--output",
            "json",
            "--batches",
            "1,rest",
        ],
    );
    arguments = with(arguments, ["--max-errors", "50%", "--expect", "any"]);
    arguments = with(arguments, ["--max-per-site", "7", "--max-per-dc", "8"]);
    arguments = with(arguments, ["--ramp", "50/s", "--try-again", "花子@corp"]);
    arguments.extend(["--credentials".into(), credentials.clone().into()]);
    let ended = finish(command(&site, arguments).spawn().unwrap()).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out(), ended.err());
    let repaired = ended.outcomes();

    let all = entries(&site, &[]).await;
    let begun = of_kind(&all, "run-begun");
    assert_eq!(begun.len(), 1);
    let what = &begun[0]["what"];
    let operator = &what["operator"];
    assert_ne!(operator["account"], "somebody-else");
    assert!(!operator["account"].as_str().unwrap().is_empty());
    assert_eq!(operator["behind"], "情報 太郎");
    assert_eq!(operator["from"], "2001:db8::7");
    assert!(!operator["controller"].as_str().unwrap().is_empty());
    assert_eq!((&what["mode"], &what["pcs"]), (&"repair".into(), &4.into()));
    assert_eq!(what["subject"], "trust-repair");
    assert_eq!(what["digest"].as_str().unwrap().len(), 64);
    assert_eq!(what["terms"]["max_reboots"], 3);
    assert_eq!(what["terms"]["allow_credential_on_pcs"], true);
    let domain_user = site.lab.domain_credential().user.clone();
    assert_eq!(what["terms"]["domain_user"], domain_user.as_str());
    for (name, value) in [
        ("batches", "1,rest".into()),
        ("max_errors", "50%".into()),
        ("expect", serde_json::json!(["any"])),
        ("max_per_site", 7.into()),
        ("max_per_dc", 8.into()),
        ("ramp", "50/s".into()),
        ("try_again", serde_json::json!(["花子@corp"])),
        ("credentials_file", credentials.to_str().unwrap().into()),
        ("credentials_file_sha256", SHA256.into()),
    ] {
        assert_eq!(what["terms"][name], value, "{name}");
    }

    for (pc, outcome) in &repaired {
        let of_pc = entries(&site, &["--host", pc]).await;
        assert_eq!(of_kind(&of_pc, "run-begun").len(), 1, "{pc} was part of it");
        let rungs = of_kind(&of_pc, "rung-ended");
        if outcome == "healthy" {
            assert_eq!(rungs.len(), 0);
        } else {
            let last = &rungs.last().unwrap()["what"];
            assert_eq!(last["verified"], true);
            assert_eq!(
                *outcome,
                format!("repaired({})", last["rung"].as_str().unwrap())
            );
            let begun = of_kind(&of_pc, "step-begun").len();
            assert!(begun > 0 && begun == of_kind(&of_pc, "step-ended").len());
        }
    }
    let pcs = site.lab.pcs().iter();
    let restarts: u32 = pcs.map(|pc| pc.sim.machine().boot.restarts).sum();
    assert!(restarts > 0);
    assert_eq!(of_kind(&all, "restart-ordered").len(), restarts as usize);
    let text = audit(&site, &["list"]).await.out();
    assert!(text.contains("(behind it 情報 太郎)"), "{text}");
    for words in [
        "up to 3 restarts of each",
        "; 花子@corp tried again;",
        "; --batches 1,rest; --max-errors 50%; --expect any; --max-per-site 7; --max-per-dc 8; \
         --ramp 50/s; credentials of ",
        &format!("credentials.yaml (SHA-256 {}…)", &SHA256[..16]),
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let lines = audit(&site, &["list", "--output", "jsonl"]).await.out();
    assert_eq!(lines.lines().count(), all.len());

    let whole = audit(&site, &["verify"]).await;
    assert_eq!(whole.code, Some(0), "{}{}", whole.out(), whole.err());
    let last = audit(&site, &["head"]).await.out();
    let short = head(&ended);
    assert!(
        last.starts_with(&short) && short.len() > 16,
        "{short} {last}"
    );
    let proven = audit(&site, &["verify", "--head", &short]).await;
    assert_eq!(proven.code, Some(0));
    nothing_secret(&site, &all);
    changes_are_told(&site, &short).await;
}

fn nothing_secret(site: &Site, all: &[Value]) {
    let text = serde_json::to_string(all).unwrap();
    for credential in [site.lab.local_credential(), site.lab.domain_credential()] {
        assert!(!text.contains(credential.password.reveal()));
    }
}

/// With nothing but what every administrator has: an editor of bytes.
async fn changes_are_told(site: &Site, noted: &str) {
    let path = site.data().join("journal.sqlite");
    let whole = std::fs::read(&path).unwrap();
    let replace = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = whole.clone();
        let mut changed = 0;
        let mut at = 0;
        while let Some(found) = position(&bytes[at..], from.as_bytes()) {
            at += found;
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            changed += 1;
        }
        assert!(changed > 0, "{from}");
        std::fs::write(&path, bytes).unwrap();
    };
    // In entry and event alike.
    replace("情報 太郎", "庶務 花子");
    let told = audit(site, &["verify"]).await;
    assert_eq!(told.code, Some(1), "{}", told.out());
    assert!(
        told.out().contains("- entry 2 is not what was stored"),
        "{}",
        told.out()
    );
    assert!(
        told.out().contains("entry 2 as it stands now:\n"),
        "{}",
        told.out()
    );
    assert!(told.err().contains("hint: copy "), "{}", told.err());

    // The journal of before the run put in place, and the file of its end gone.
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(site.data().join("journal.sqlite.head")).unwrap();
    let mut other: Vec<OsString> = vec!["check".into(), "trust-repair".into(), "--yes".into()];
    other.extend(site.logon_arguments());
    assert!(site.run(other.clone()).await.code.is_some());
    let told = audit(site, &["verify"]).await;
    assert_eq!(told.code, Some(0), "alone it is whole: {}", told.out());
    let told = audit(site, &["verify", "--head", noted]).await;
    assert_eq!(told.code, Some(1), "{}", told.out());
    let words = ["the trail was cut", "is another than the one"];
    assert!(
        words.iter().any(|word| told.out().contains(word)),
        "{}",
        told.out()
    );
    assert_eq!(
        audit(site, &["verify", "--head", "nonsense"]).await.code,
        Some(2)
    );

    // Only the file of the end gone: the next run writes it anew, and says so for ever.
    std::fs::remove_file(site.data().join("journal.sqlite.head")).unwrap();
    assert!(site.run(other).await.code.is_some());
    let told = audit(site, &["verify"]).await;
    assert_eq!(told.code, Some(1), "{}", told.out());
    let words = "the file that keeps the end of the trail was gone";
    assert!(told.out().contains(words), "{}", told.out());
    assert!(told.out().contains("head-missing"), "{}", told.out());
    let err = told.err();
    let known = err.split("--head ").nth(1).unwrap_or_default().trim();
    let told = audit(site, &["verify", "--head", known]).await;
    assert_eq!(told.code, Some(0), "{known}: {}", told.out());
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_says_who_went_on_with_it() {
    let mismatch = PcPlan::new(Scenario::PasswordMismatch);
    let site = site(vec![mismatch; 6], 0.3).await;
    let credentials = site.path("credentials.yaml");
    std::fs::write(&credentials, CREDENTIALS).unwrap();
    let mut arguments = site.run_arguments();
    arguments.extend(["--credentials".into(), credentials.clone().into()]);
    let mut child = command(&site, arguments).spawn().unwrap();
    let journal = site.data().join("journal.sqlite");
    wait_for(&journal, "rung-started").await;
    child.kill().await.unwrap();
    let told = audit(&site, &["verify"]).await;
    assert_eq!(told.code, Some(0), "{}{}", told.out(), told.err());

    std::fs::write(
        &credentials,
        CREDENTIALS.replace("laps: {laps", "other: {laps"),
    )
    .unwrap();
    let mut resume: Vec<OsString> = vec!["resume".into(), "--yes".into()];
    resume.extend(["--try-again".into(), "花子@corp".into()]);
    resume.extend(["--data-dir".into(), site.data().into()]);
    let ended = finish(command(&site, resume).spawn().unwrap()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    let changed = "credentials.yaml has changed since the run was begun; what it says now counts";
    assert!(ended.err().contains(changed), "{}", ended.err());
    let all = entries(&site, &[]).await;
    let resumed = of_kind(&all, "run-resumed");
    assert_eq!(resumed.len(), 1);
    assert_eq!(
        resumed[0]["what"]["terms"]["operator"]["behind"],
        "情報 太郎"
    );
    let terms = &resumed[0]["what"]["terms"];
    assert_eq!(terms["try_again"], serde_json::json!(["花子@corp"]));
    let begun = &of_kind(&all, "run-begun")[0]["what"]["terms"];
    assert_eq!(begun["credentials_file_sha256"], SHA256);
    assert_eq!(begun["credentials_file"], terms["credentials_file"]);
    assert_eq!(terms["credentials_file_sha256"].as_str().unwrap().len(), 64);
    assert_ne!(terms["credentials_file_sha256"], SHA256);
    assert_eq!(of_kind(&all, "run-ended").len(), 1);
    let told = audit(&site, &["verify"]).await;
    assert_eq!(told.code, Some(0), "{}{}", told.out(), told.err());
    assert!(!told.err().contains("not proven yet"), "{}", told.err());
}

/// Waits until an event of this kind is in the journal or its log.
async fn wait_for(journal: &Path, kind: &str) {
    let log = journal.with_file_name("journal.sqlite-wal");
    for _ in 0..2_000 {
        let found = [journal, &log].into_iter().any(|path| {
            std::fs::read(path).is_ok_and(|bytes| position(&bytes, kind.as_bytes()).is_some())
        });
        if found {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    unreachable!("no {kind} came");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_use_of_a_credential_names_it() {
    let plan = vec![
        PcPlan::new(Scenario::IsolationEnforced),
        PcPlan::new(Scenario::Healthy),
    ];
    let site = site(plan, 0.0).await;
    let arguments = with(site.run_arguments(), ["--max-reboots", "3"]);
    let ended = finish(command(&site, arguments).spawn().unwrap()).await;
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out(), ended.err());
    for pc in site.lab.pcs() {
        let of_pc = entries(&site, &["--host", &pc.name]).await;
        let used = of_kind(&of_pc, "credential-used");
        let logon = used
            .iter()
            .filter(|entry| entry["what"]["for"]["use"] == "logon");
        assert!(
            logon.count() > 0,
            "{} was logged on to with something",
            pc.name
        );
        for entry in &used {
            assert!(!entry["what"]["credential"].as_str().unwrap().is_empty());
        }
    }
    let domain_user = site.lab.domain_credential().user.clone();
    let domain = entries(&site, &["--credential", &domain_user]).await;
    assert_eq!(of_kind(&domain, "run-begun").len(), 1);
    let domain = of_kind(&domain, "credential-used");
    assert!(!domain.is_empty());
    for entry in domain {
        assert_eq!(entry["what"]["for"]["use"], "rung", "{entry}");
        assert_eq!(entry["host"], site.lab.pcs()[0].name.as_str());
    }

    let mut exec: Vec<OsString> = vec!["exec".into()];
    exec.extend(site.logon_arguments());
    exec = with(
        exec,
        [
            "--ramp",
            "30/s",
            "--try-again",
            "花子@corp",
            "--",
            "hostname",
        ],
    );
    let ended = finish(command(&site, exec).spawn().unwrap()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    let all = entries(&site, &[]).await;
    let begun = of_kind(&all, "run-begun");
    let what = &begun.last().unwrap()["what"];
    assert_eq!(what["mode"], "exec");
    assert_eq!(what["terms"]["ramp"], "30/s");
    assert_eq!(what["terms"]["try_again"], serde_json::json!(["花子@corp"]));
}
