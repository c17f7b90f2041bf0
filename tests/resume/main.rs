//! The real binary, killed at random, goes on with its run: every PC comes to its end, and nothing
//! is done to it twice.
//!
//! `FLEETMEND_KILLS=200` kills as often (20 otherwise); `FLEETMEND_SEED=N` kills at the same times again.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod refusals;
mod restarts;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmend_lab::{Counts, LabOptions, Mix, Pace, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_playbooks::Playbook;
use fleetmend_tests::{Ended, Site, binary, finish, scripts, with};
use serde_json::Value;
use tokio::process::Child;

/// More kills than this on one fleet would let none of its PCs come to an end.
const KILLS_A_FLEET: usize = 8;

fn fleet() -> Vec<PcPlan> {
    let pc = PcPlan::new;
    let mismatch = pc(Scenario::PasswordMismatch);
    vec![
        pc(Scenario::Healthy),
        mismatch,
        mismatch.over(TransportKind::WinrmHttps),
        mismatch.japanese(),
        mismatch.over(TransportKind::Ssh),
        pc(Scenario::NetlogonStopped),
        pc(Scenario::TimeSkew),
        pc(Scenario::AccountDeleted),
        pc(Scenario::AccountDisabled),
        pc(Scenario::WrongLocalPassword),
        pc(Scenario::Off),
        pc(Scenario::LostSecret),
        pc(Scenario::LostSecret).over(TransportKind::Ssh).japanese(),
        pc(Scenario::MismatchWithoutNltest),
        pc(Scenario::DomainController),
        mismatch,
    ]
}

async fn site(pace: f64) -> Site {
    site_of(fleet(), pace).await
}

async fn site_of(fleet: Vec<PcPlan>, pace: f64) -> Site {
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(fleet);
    options.pace = Pace { scale: pace };
    options.latency = Duration::from_millis(2);
    let site = Site::start(options).await;
    let file = site.path("directory.pw");
    let password = site.lab.directory_credential().password.clone();
    fs::write(&file, password.reveal()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    for pc in site.lab.pcs() {
        pc.sim.record();
    }
    site
}

/// A run with every rung at hand: the directory, and a domain account.
fn run_arguments(site: &Site) -> Vec<OsString> {
    let mut all = site.run_arguments();
    let user = site.lab.directory_credential().user.clone();
    all.extend(["--directory", "corp.example.jp", "--directory-user", &user].map(OsString::from));
    let password = site.path("directory.pw");
    all.extend(["--directory-password-file".into(), password.into()]);
    all.extend(["--directory-ca".into(), site.path("lab-ca.pem").into()]);
    for controller in site.lab.controllers() {
        let server = controller.ldaps().to_string();
        all.extend(["--directory-server".into(), server.into()]);
    }
    with(all, ["--max-concurrency", "6", "--output", "json"])
}

fn resume_arguments(site: &Site) -> Vec<OsString> {
    let all: Vec<OsString> = vec!["resume".into(), "--yes".into(), "--data-dir".into()];
    with(with(all, [site.data()]), ["--output", "json"])
}

/// The events of the newest run, as `show` tells them.
async fn events(site: &Site) -> Vec<Value> {
    let mut all: Vec<OsString> = vec!["show".into(), "-o".into(), "jsonl".into()];
    all.extend(["--data-dir".into(), site.data().into()]);
    let ended = site.run(all).await;
    let text = ended.out();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn what(event: &Value) -> &str {
    event["what"]["what"].as_str().unwrap_or_default()
}

fn finished(events: &[Value]) -> BTreeSet<String> {
    let ended = events.iter().filter(|event| what(event) == "finished");
    ended
        .map(|event| event["host"].as_str().unwrap().to_owned())
        .collect()
}

/// PCs on which a step that changes something was cut: nobody knows whether it ran, so it counts
/// as tried, and another rung may have to do its work.
fn cut_amid_a_change(events: &[Value]) -> BTreeSet<String> {
    let cut = events.iter().filter(|event| {
        let end = &event["what"]["end"];
        what(event) == "step-ended" && end["end"] == "unknown"
    });
    cut.map(|event| event["host"].as_str().unwrap().to_owned())
        .collect()
}

/// The scripts that a PC was sent, in order, each with whether it may change something.
fn sent(received: &[u8], scripts: &BTreeMap<String, (String, bool)>) -> Vec<(String, bool)> {
    let text = String::from_utf8_lossy(received);
    let lines = text.lines().filter(|line| line.split(' ').count() == 4);
    let texts = lines.filter_map(|line| STANDARD.decode(line.split(' ').nth(2)?).ok());
    texts
        .filter_map(|script| scripts.get(&String::from_utf8(script).ok()?).cloned())
        .collect()
}

/// Every script of the playbook by its text.
fn known() -> BTreeMap<String, (String, bool)> {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    let rungs = playbook.ladder.iter().flat_map(|rung| &rung.steps);
    let steps = rungs.chain([&playbook.diagnose, &playbook.verify.step]);
    let of_pcs = steps.filter(|step| step.action().is_none());
    of_pcs
        .map(|step| {
            let name = step.script.name.clone();
            (step.script.text.clone(), (name, step.changes))
        })
        .collect()
}

fn assert_nothing_twice(site: &Site, about: &str) {
    let scripts = known();
    let mut changes = 0;
    for pc in site.lab.pcs() {
        let sent = sent(&pc.sim.received(), &scripts);
        let mut since_diagnosis = BTreeSet::new();
        for (name, changing) in &sent {
            if name.contains("diagnose") {
                since_diagnosis.clear();
            } else if *changing {
                changes += 1;
                let first = since_diagnosis.insert(name);
                assert!(first, "{about}: {name} ran twice on {}: {sent:?}", pc.name);
            }
        }
    }
    assert!(
        changes > 5,
        "{about}: the lab's records show {changes} changes"
    );
}

struct Chance(u64);

impl Chance {
    /// A number below `end` (xorshift64).
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The seed of the kills, and how many there shall be.
#[expect(
    clippy::print_stdout,
    reason = "who wants the same kills again must know it"
)]
fn wanted_kills() -> (u64, usize) {
    let by_time = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(now.unwrap().as_nanos() % 1_000_000_007).unwrap()
    };
    let seed = number("FLEETMEND_SEED").unwrap_or_else(by_time).max(1);
    println!("FLEETMEND_SEED={seed}");
    let goal = number("FLEETMEND_KILLS").unwrap_or(20);
    (seed, usize::try_from(goal).unwrap())
}

/// What a fleet came to under so many kills.
struct Story {
    kills: usize,
    ended: Ended,
    events: Vec<Value>,
}

/// Starts the binary at a pace at which simulated restarts take no minutes.
fn spawn(site: &Site, arguments: Vec<OsString>) -> Child {
    let mut command = site.command(arguments);
    command.env("FLEETMEND_RESTART_PACE", "0.02");
    command.spawn().unwrap()
}

/// Runs over a fleet, kills the run again and again, and goes on with it until its end.
async fn killed(
    site: &Site,
    run: &[OsString],
    chance: &mut Chance,
    most: usize,
    span: u64,
) -> Story {
    let mut kills = 0;
    let mut begun = false;
    let mut untouchable: BTreeMap<String, usize> = BTreeMap::new();
    let ended = loop {
        let arguments = if begun {
            // More often than a PC is shown a password whose answers were cut.
            let user = site.lab.local_credential().user.clone();
            with(resume_arguments(site), ["--try-again", &user])
        } else {
            run.to_vec()
        };
        let mut child = spawn(site, arguments);
        if kills < most {
            let wait = Duration::from_millis(20 + chance.below(span));
            if tokio::time::timeout(wait, child.wait()).await.is_err() {
                child.kill().await.unwrap();
                kills += 1;
                let state = state(site).await;
                // A run that was killed before its first event never was.
                begun = state.is_some();
                if begun {
                    look(site, &mut untouchable).await;
                }
                match state.as_deref() {
                    None | Some("cut") => continue,
                    Some("ended") => break report(site).await,
                    Some(other) => panic!("a killed run is {other}"),
                }
            }
        }
        let ended = finish(child).await;
        let about = format!("after {kills} kills: {}", ended.err());
        assert_eq!(ended.code, Some(1), "{about}");
        break ended;
    };
    assert_untouched(site, &untouchable, &format!("after {kills} kills"));
    let events = events(site).await;
    Story {
        kills,
        ended,
        events,
    }
}

/// Where the newest run stands: `cut`, `ended`; nothing if there is none.
async fn state(site: &Site) -> Option<String> {
    if !site.data().join("journal.sqlite").exists() {
        return None;
    }
    let all: Vec<OsString> = vec!["runs".into(), "--json".into(), "--data-dir".into()];
    let ended = site.run(with(all, [site.data()])).await;
    if ended.code != Some(0) {
        // Killed while the journal itself was being made; the next run makes it.
        assert!(ended.err().contains("it is empty"), "{}", ended.err());
        return None;
    }
    let runs = ended.json();
    let newest = runs.as_array().unwrap().first()?;
    Some(newest["state"].as_str().unwrap().to_owned())
}

/// What a run came to that was killed after its end.
async fn report(site: &Site) -> Ended {
    let all: Vec<OsString> = vec!["show".into(), "-o".into(), "json".into()];
    site.run(with(with(all, ["--data-dir"]), [site.data()]))
        .await
}

/// Notes the PCs that have their result, with how much they were sent until then.
async fn look(site: &Site, untouchable: &mut BTreeMap<String, usize>) {
    assert_untouched(site, untouchable, "between two kills");
    let ended = finished(&events(site).await);
    for pc in site.lab.pcs().iter().filter(|pc| ended.contains(&pc.name)) {
        let length = pc.sim.received().len();
        untouchable.entry(pc.name.clone()).or_insert(length);
    }
}

fn assert_untouched(site: &Site, untouchable: &BTreeMap<String, usize>, about: &str) {
    for (name, length) in untouchable {
        let now = site.lab.pc(name).unwrap().sim.received().len();
        assert_eq!(now, *length, "{name} was touched after its end {about}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_it_comes_to_the_same_ends() {
    let wanted = site(0.05).await;
    let wanted = wanted.run(run_arguments(&wanted)).await.outcomes();
    let (seed, goal) = wanted_kills();
    let mut chance = Chance(seed);
    let (mut kills, mut fleets, mut amid, mut other) = (0, 0, 0, 0);
    while kills < goal {
        let site = site(0.05).await;
        let most = KILLS_A_FLEET.min(goal - kills);
        let run = run_arguments(&site);
        let story = killed(&site, &run, &mut chance, most, 900).await;
        let about = format!("seed {seed}, fleet {fleets}");
        let cut = cut_amid_a_change(&story.events);
        for (host, outcome) in story.ended.outcomes() {
            if outcome != wanted[&host] {
                assert!(
                    cut.contains(&host),
                    "{about}: {host}: {outcome}, not {}",
                    wanted[&host]
                );
                let honest = ["repaired(", "not-repaired(", "blocked("];
                let is = honest.iter().any(|class| outcome.starts_with(class));
                assert!(is, "{about}: {host}: {outcome}");
                other += 1;
            }
        }
        let ends = story
            .events
            .iter()
            .filter(|event| what(event) == "finished");
        assert_eq!(ends.count(), wanted.len(), "{about}: one result a PC");
        let numbers: Vec<u64> = story
            .events
            .iter()
            .map(|event| event["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(
            numbers,
            (1..=numbers.len() as u64).collect::<Vec<_>>(),
            "{about}"
        );
        assert_nothing_twice(&site, &about);
        kills += story.kills;
        amid += cut.len();
        fleets += 1;
    }
    println!(
        "{kills} kills on {fleets} fleets, {amid} PCs cut amid a change, {other} mended otherwise"
    );
    assert!(kills >= goal && amid > 0);
}
