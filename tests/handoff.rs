//! PCs that nobody reaches are handed off, repaired with a stick, and handed in again.
//!
//! The stick's C# is taken out of the very script that `fleetmend handoff` writes and run by Mono;
//! behind its step channel a stand-in answers what simulated PCs answered in the run. Only the thin
//! PowerShell around it stays for Windows to prove (docs/unproven.md).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_playbooks::{Playbook, handoff};
use fleetmend_tests::{Site, scripts, with};
use fleetmend_transport::{CommandLine, powershell};
use serde_json::{Value, json};

/// A domain password of the person at the PC: it may stand nowhere.
const CANARY: &str = "canary-Domain-Pw-1";

async fn site() -> Site {
    let mut options = LabOptions::new(0, scripts());
    let pc = PcPlan::new;
    options.mix = Mix::Plan(vec![
        pc(Scenario::Healthy),
        pc(Scenario::PasswordMismatch),
        pc(Scenario::Off),
        pc(Scenario::WrongLocalPassword),
        pc(Scenario::Workgroup).japanese(),
        pc(Scenario::AccountDeleted),
        pc(Scenario::Off),
    ]);
    Site::start(options).await
}

fn names(site: &Site) -> Vec<String> {
    site.lab.pcs().iter().map(|pc| pc.name.clone()).collect()
}

async fn events(site: &Site) -> Vec<Value> {
    let all: Vec<OsString> = vec!["show".into(), "-o".into(), "jsonl".into()];
    let ended = site
        .run(with(with(all, ["--data-dir"]), [site.data()]))
        .await;
    let text = ended.out();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn hand_off(site: &Site, folder: &Path, more: &[&str]) -> fleetmend_tests::Ended {
    let all: Vec<OsString> = vec!["handoff".into(), "--output".into(), folder.into()];
    let all = with(with(all, ["--data-dir"]), [site.data()]);
    site.run(with(all, more)).await
}

async fn hand_in(site: &Site, data: &Path, named: &Path) -> fleetmend_tests::Ended {
    let all: Vec<OsString> = vec!["handoff".into(), "import".into(), named.into()];
    site.run(with(with(all, ["--data-dir"]), [data])).await
}

async fn shown(site: &Site) -> Value {
    let all: Vec<OsString> = vec!["show".into(), "-o".into(), "json".into()];
    site.run(with(with(all, ["--data-dir"]), [site.data()]))
        .await
        .json()
}

/// What the PC calls itself.
fn computer(name: &str) -> String {
    name.split('.').next().unwrap().to_uppercase()
}

fn host<'a>(report: &'a Value, name: &str) -> &'a Value {
    let hosts = report["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["host"] == name).unwrap()
}

/// The texts that stand in here-strings of the script, by the variable or command before them.
fn here_strings(script: &str) -> BTreeMap<String, String> {
    let text = script.replace("\r\n", "\n");
    let mut found = BTreeMap::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("@'\n") {
        let name = before.rsplit('\n').next().unwrap().trim();
        let name = name.split(' ').next().unwrap().trim_start_matches('$');
        let (body, after) = after.split_once("\n'@").unwrap();
        found.insert(name.to_lowercase(), body.to_owned());
        rest = after;
    }
    found
}

/// What a PC answered in the run, by the digest of the script, in order.
fn answers(events: &[Value], name: &str) -> Value {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    let mut steps: BTreeMap<(String, String), &str> = BTreeMap::new();
    for rung in &playbook.ladder {
        for step in &rung.steps {
            steps.insert((rung.id.clone(), step.name.clone()), &step.script.text);
        }
    }
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in events {
        let what = &event["what"];
        if event["host"] != name || what["what"] != "step-ended" {
            continue;
        }
        let step = &what["step"];
        let text = match step["phase"].as_str().unwrap() {
            "diagnose" => playbook.diagnose.script.text.as_str(),
            "verify" => playbook.verify.step.script.text.as_str(),
            _ => {
                let rung = step["rung"].as_str().unwrap_or_default().to_owned();
                let name = step["step"].as_str().unwrap().to_owned();
                match steps.get(&(rung, name)) {
                    Some(text) => text,
                    // The engine's own.
                    None => continue,
                }
            }
        };
        let answer = what["end"]["answer"].clone();
        all.entry(handoff::digest(text)).or_default().push(answer);
    }
    json!(all)
}

fn lacks(test: &str, programs: &[&str]) -> bool {
    let is_missing = |program: &&&str| Command::new(program).arg("--version").output().is_err();
    let missing = programs.iter().find(is_missing);
    if let Some(program) = missing {
        println!("SKIPPED: {test}, because {program} is not installed");
    }
    missing.is_some()
}

/// The stick of a script, ready for Mono.
struct Stick {
    folder: PathBuf,
}

impl Stick {
    fn of(script: &str, folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let parts = here_strings(script);
        for name in ["description", "scripts", "bootstrap"] {
            fs::write(folder.join(name), &parts[name]).unwrap();
        }
        let CommandLine::Windows { arguments, .. } = powershell::start_command() else {
            unreachable!("a constant")
        };
        let (switches, _) = arguments.rsplit_once(' ').unwrap();
        assert!(script.contains(&format!("ChannelArguments('{switches} ',")));
        fs::write(folder.join("switches"), format!("{switches} ")).unwrap();
        let source = folder.join("stick.cs");
        fs::write(&source, &parts["add-type"]).unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("handoff/run_stick.cs");
        let output = Command::new("mcs")
            .args(["-langversion:3", "-warnaserror"])
            .arg(format!("-out:{}", folder.join("stick.exe").display()))
            .args([source, own])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Runs it as this PC; returns what it says of the end, and all that it told the person.
    fn run(
        &self,
        computer: &str,
        chosen: &str,
        answers: &Value,
        account: &str,
    ) -> (String, String) {
        let recorded = self.folder.join("answers.json");
        fs::write(&recorded, answers.to_string()).unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("handoff/powershell.py");
        let log = self.folder.join("sent.log");
        let arguments = [&own, &recorded, &log].map(|path| path.display().to_string());
        let output = Command::new("mono")
            .arg(self.folder.join("stick.exe"))
            .arg(&self.folder)
            .args([computer, chosen, "ja", "python3"])
            .arg(arguments.join(" "))
            .arg(account)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (said.trim().to_owned(), told)
    }

    fn result(&self) -> PathBuf {
        self.folder.join("result.json")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pcs_that_nobody_reaches_are_handed_off_and_in_again() {
    let site = site().await;
    let ended = site.run(with(site.run_arguments(), ["-o", "json"])).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    let before = ended.outcomes();
    let [_, mismatch, off, locked, workgroup, deleted, other_off] =
        <[String; 7]>::try_from(names(&site)).unwrap();
    assert!(before[&mismatch].starts_with("repaired("), "{before:?}");

    let folder = site.path("handoff");
    let ended = hand_off(&site, &folder, &[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    for name in [&off, &locked, &workgroup, &other_off] {
        let page = fs::read_to_string(folder.join(format!("{name}.html"))).unwrap();
        let outcome = before[name].as_str();
        assert!(page.contains(outcome), "{name} {outcome}");
        for text in ["ワークグループ", "Workgroup: ", "\\Administrator", "□"] {
            assert!(page.contains(text), "{name}: {text}");
        }
        assert!(!page.contains("<script"), "{name}");
    }
    for name in [&mismatch, &deleted] {
        assert!(!folder.join(format!("{name}.html")).exists(), "{name}");
    }
    // What nobody could ask the PC, the others told.
    let page = fs::read_to_string(folder.join(format!("{off}.html"))).unwrap();
    assert!(page.contains("nltest /sc_query:corp.example.jp"), "{page}");
    let index = fs::read_to_string(folder.join("index.html")).unwrap();
    assert_eq!(index.matches("<tr><td>").count(), 4);

    let script = fs::read_to_string(folder.join("stick/fleetmend-handoff.ps1")).unwrap();
    assert_script(&site, &script);
    let bytes = fs::read(folder.join("stick/fleetmend-handoff.ps1")).unwrap();
    let digest = handoff::digest(std::str::from_utf8(&bytes).unwrap());
    let sums = fs::read_to_string(folder.join("stick/SHA256SUMS.txt")).unwrap();
    assert!(sums.starts_with(&digest), "{sums}");
    let grouped = digest.to_uppercase();
    assert!(page.contains(&grouped[..8]) && page.contains(&grouped[56..]));

    let list: Vec<OsString> = ["audit", "list", "-o", "json", "--data-dir"]
        .map(OsString::from)
        .into();
    let list = site.run(with(list, [site.data()])).await.json();
    let mut made = list.as_array().unwrap().iter();
    let made = made.find(|entry| entry["kind"] == "handoff-made").unwrap();
    assert_eq!(made["what"]["names"].as_array().unwrap().len(), 4);
    assert_eq!(made["what"]["folder"], folder.to_str().unwrap());
    assert!(made["what"]["operator"]["account"].is_string());

    let again = hand_off(&site, &folder, &[]).await;
    assert_eq!(again.code, Some(2), "what lies there is not overwritten");
    assert!(again.err().contains("is not empty"), "{}", again.err());

    let test = "pcs_that_nobody_reaches_are_handed_off_and_in_again";
    if lacks(test, &["mcs", "mono", "python3"]) {
        return;
    }
    let stick = Stick::of(&script, &site.path("stick"));
    let answers = answers(&events(&site).await, &mismatch);
    let (said, _) = stick.run("SOMEBODY-ELSE", "", &answers, "");
    assert_eq!(said, "not of the run");
    let (said, _) = stick.run(&computer(&deleted), "", &answers, "");
    assert_eq!(said, "not of the run", "it is not one that was handed off");

    repaired_by_hand(&site, &stick, &off, &answers).await;
    not_repaired_without_an_account(&site, &stick, &other_off, &answers).await;
    refusals(&site, &stick, &folder, (&off, &other_off)).await;

    // Nothing that was typed in stays.
    for file in [site.data().join("journal.sqlite"), stick.result()] {
        let bytes = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(CANARY), "{}", file.display());
    }
}

/// The script holds the very scripts of the playbook, and no secret.
fn assert_script(site: &Site, script: &str) {
    assert!(script.is_ascii(), "Windows PowerShell reads it as ANSI");
    let plain = script.replace("\r\n", "\n");
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    let held = handoff::scripts(&playbook);
    assert!(held.len() >= 4, "{:?}", held.keys());
    for (name, text) in held {
        let lines: Vec<String> = text.lines().map(|line| format!(" {line}")).collect();
        let whole = format!("== {name}\n{}\n", lines.join("\n"));
        assert!(plain.contains(&whole), "{name}");
    }
    for secret in [
        site.lab.local_credential().password.reveal().to_owned(),
        site.lab.domain_credential().password.reveal().to_owned(),
        site.lab.domain_credential().user.clone(),
    ] {
        assert!(!script.contains(&secret));
    }
}

async fn repaired_by_hand(site: &Site, stick: &Stick, off: &str, answers: &Value) {
    let (said, told) = stick.run(&computer(off), "", answers, CANARY);
    assert_eq!(said, "repaired(secure-channel-repair)", "{told}");
    assert!(told.contains("account? "), "{told}");
    assert!(told.contains("診断結果: password-mismatch"), "{told}");
    let start = fs::read_to_string(stick.folder.join("start")).unwrap();
    let CommandLine::Windows { arguments, .. } = powershell::start_command() else {
        unreachable!("a constant")
    };
    assert_eq!(start, arguments, "the channel is that of the network");
    let sent = fs::read_to_string(stick.folder.join("sent.log")).unwrap();
    assert!(sent.contains(CANARY), "the repair was given the account");

    let ended = hand_in(site, &site.data(), &stick.result()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    let report = shown(site).await;
    let now = host(&report, off);
    assert_eq!(
        now["outcome"],
        json!({"class": "repaired", "rung": "by-hand/secure-channel-repair"})
    );
    assert_eq!(now["well"], true);
    assert_eq!(now["by_hand"]["computer"], computer(off).as_str());
    assert_eq!(now["by_hand"]["credential_given"], true);
    let all: Vec<OsString> = vec!["show".into(), "--data-dir".into(), site.data().into()];
    let text = site.run(all).await.out();
    assert!(text.contains("Done by hand with a stick"), "{text}");
    assert!(
        text.contains("2 by-hand/secure-channel-repair")
            || text.contains("by-hand/secure-channel-repair")
    );

    let again = hand_in(site, &site.data(), &stick.result()).await;
    assert_eq!(again.code, Some(0), "{}", again.err());
    assert!(
        again.err().contains("is in the run already"),
        "{}",
        again.err()
    );
    let handed = events(site).await;
    let handed = handed
        .iter()
        .filter(|event| event["what"]["what"] == "handed-in");
    assert_eq!(handed.count(), 1);
    assert_eq!(host(&shown(site).await, off)["by_hand"], now["by_hand"]);
}

/// Whoever has no account ends as the controller would have ended it.
async fn not_repaired_without_an_account(site: &Site, stick: &Stick, off: &str, answers: &Value) {
    let kept = fs::read(stick.result()).unwrap();
    fs::write(stick.folder.join("first.json"), kept).unwrap();
    let (said, told) = stick.run(&computer(off), off, answers, "");
    assert!(said.starts_with("blocked("), "{said} {told}");
    let ended = hand_in(site, &site.data(), &stick.result()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    let report = shown(site).await;
    let now = host(&report, off);
    let class = now["outcome"]["class"].as_str().unwrap();
    let guard = now["outcome"]["guard"].as_str().unwrap();
    assert_eq!(format!("{class}({guard})"), said);
    assert!(
        now["reason"].as_str().unwrap().contains("tried: sc-reset"),
        "{now}"
    );
}

async fn refusals(site: &Site, stick: &Stick, folder: &Path, (off, other): (&str, &str)) {
    let good = fs::read_to_string(stick.folder.join("first.json")).unwrap();
    let results = site.path("results");
    fs::create_dir(&results).unwrap();
    let other_id = uuid_like(&good, "stick");
    let put = |name: &str, text: &str| fs::write(results.join(name), text).unwrap();
    put("changed.json", &good.replacen(off, other, 1));
    put(
        "verdict.json",
        &good.replace("\"connection_status\":5", "\"connection_status\":0"),
    );
    put(
        "other-stick.json",
        &good.replace(&other_id, "00000000-0000-4000-8000-000000000000"),
    );
    put("path.json", &good.replace(&other_id, "../../../etc/passwd"));
    put("cut.json", &good[..good.len() / 2]);
    put("else.json", "{\"a\": 1}");
    put("notes.txt", "not looked at");
    fs::copy(stick.folder.join("first.json"), results.join("good.json")).unwrap();
    let before = events(site).await.len();
    let ended = hand_in(site, &site.data(), &results).await;
    let err = ended.err();
    assert_eq!(ended.code, Some(1), "{err}");
    for (name, why) in [
        ("changed.json", "its seal does not fit"),
        ("verdict.json", "its seal does not fit"),
        (
            "other-stick.json",
            "its stick was not made by this controller",
        ),
        ("path.json", "its stick was not made by this controller"),
        ("cut.json", "it is no result of a stick"),
        ("else.json", "it is no result of a stick"),
        ("good.json", "is in the run already"),
    ] {
        let line = err.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {err}");
    }
    assert!(!err.contains("notes.txt"), "{err}");
    assert_eq!(events(site).await.len(), before, "nothing was added");

    // Another controller knows nothing of the stick.
    let elsewhere = site.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::copy(
        site.data().join("journal.sqlite"),
        elsewhere.join("journal.sqlite"),
    )
    .unwrap();
    let ended = hand_in(site, &elsewhere, &stick.result()).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    assert!(folder.exists());

    // While somebody works on the run nothing is added: the lease is a lock beside the journal.
    let run = uuid_like(&good, "run");
    let lock = site.data().join(format!("journal.sqlite-{run}.lock"));
    assert!(!lock.exists(), "a run that ended leaves no lease");
    let held = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock)
        .unwrap();
    held.lock().unwrap();
    let ended = hand_in(site, &site.data(), &stick.folder.join("first.json")).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    assert!(ended.err().contains("works on it"), "{}", ended.err());
}

/// The value of a text field in a result.
fn uuid_like(result: &str, field: &str) -> String {
    let result: Value = serde_json::from_str(result).unwrap();
    let value = result.get(field).or_else(|| result["body"].get(field));
    value.unwrap().as_str().unwrap().to_owned()
}

/// With a certificate of the organisation the script carries a signature that holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_signs_the_script() {
    let test = "a_certificate_signs_the_script";
    if lacks(test, &["openssl", "osslsigncode"]) {
        return;
    }
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(vec![PcPlan::new(Scenario::Off)]);
    let site = Site::start(options).await;
    let ended = site.run(with(site.run_arguments(), ["-o", "json"])).await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    let made = Command::new("openssl")
        .current_dir(site.path(""))
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem",
        ])
        .args(["-out", "cert.pem", "-days", "2", "-subj", "/CN=署名 test"])
        .args(["-addext", "extendedKeyUsage=codeSigning", "-utf8"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    fs::write(site.path("pfx.pw"), "geheim").unwrap();
    let made = Command::new("openssl")
        .current_dir(site.path(""))
        .args(["pkcs12", "-export", "-inkey", "key.pem", "-in", "cert.pem"])
        .args(["-out", "sign.pfx", "-passout", "file:pfx.pw"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let folder = site.path("signed");
    let all: Vec<OsString> = vec!["handoff".into(), "--output".into(), (&folder).into()];
    let all = with(with(all, ["--data-dir"]), [site.data()]);
    let all = with(with(all, ["--sign-with"]), [site.path("sign.pfx")]);
    let all = with(with(all, ["--sign-password-file"]), [site.path("pfx.pw")]);
    let mut command = site.command(all);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let ended = fleetmend_tests::finish(command.spawn().unwrap()).await;
    if ended.err().contains("did not sign") && old_osslsigncode() {
        println!("SKIPPED: {test}, because osslsigncode here is older than 2.8");
        return;
    }
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    let script = folder.join("stick/fleetmend-handoff.ps1");
    let verify = |file: &Path| {
        let output = Command::new("osslsigncode")
            .args(["verify", "-CAfile"])
            .arg(site.path("cert.pem"))
            .arg("-in")
            .arg(file)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).contains("Signature verification: ok")
    };
    assert!(verify(&script));
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.contains("# SIG # Begin signature block"));
    let sums = fs::read_to_string(folder.join("stick/SHA256SUMS.txt")).unwrap();
    assert!(
        sums.starts_with(&handoff::digest(&text)),
        "of the signed file"
    );
    let changed = site.path("changed.ps1");
    fs::write(&changed, text.replacen("exit 1", "exit 0", 1)).unwrap();
    assert!(!verify(&changed));
}

fn old_osslsigncode() -> bool {
    let output = Command::new("osslsigncode")
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let minor = version.trim_start_matches("2.").trim_end_matches(',');
    version.starts_with("2.") && minor.parse::<u32>().is_ok_and(|minor| minor < 8)
}
