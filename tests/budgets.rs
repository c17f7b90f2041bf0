//! A wrong password of a PC's own account is shown to each PC once, over all transports; one of a
//! domain is shown to one PC, whoever else works on this machine.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::ffi::OsString;
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use fleetmend_engine::{AccountBudget as _, AccountName, Leave};
#[cfg(unix)]
use fleetmend_journal::SqliteBudget;
use fleetmend_lab::{LabOptions, LabPorts};
use fleetmend_tests::{Ended, Site, finish, scripts, with};

/// A site whose password file is wrong, with every PC reachable over all transports that it has.
async fn wrong(pcs: usize) -> Site {
    let site = Site::start(LabOptions::new(pcs, scripts())).await;
    std::fs::write(site.path("local.pw"), "違う").unwrap();
    site
}

/// The same, where every PC is logged on to as an account of the domain.
async fn wrong_domain_account(pcs: usize) -> Site {
    let site = wrong(pcs).await;
    let path = site.path("lab.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text
        .lines()
        .map(|line| match line.split_once("ansible_user:") {
            Some((before, _)) => format!("{before}ansible_user: 'CORP\\nobody'\n"),
            None => format!("{line}\n"),
        });
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    site
}

fn check(site: &Site, more: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["check".into(), "trust-repair".into(), "--yes".into()];
    arguments.extend(site.logon_arguments());
    with(arguments, more.iter().copied())
}

fn logons(site: &Site) -> (u64, u64) {
    let counts = site.lab.counts();
    (counts.logons_accepted, counts.logons_refused)
}

/// How many PCs answer at all.
fn reachable(ended: &Ended) -> usize {
    let outcomes = ended.outcomes();
    let denied = outcomes
        .values()
        .filter(|outcome| *outcome == "access-denied(logon)");
    denied.count()
}

/// Every PC with all its ports where Windows has them; SSH's only where this user may.
async fn all_ports(pcs: usize) -> Site {
    let may = std::net::TcpListener::bind("127.77.0.1:22").is_ok();
    let mut options = LabOptions::new(pcs, scripts());
    options.ports = LabPorts {
        http: 5985,
        https: 5986,
        ssh: if may { 22 } else { 10022 },
    };
    let site = Site::start(options).await;
    std::fs::write(site.path("local.pw"), "違う").unwrap();
    let path = site.path("lab.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let left_out = [
        "ansible_port:",
        "ansible_connection:",
        "ansible_winrm_scheme:",
    ];
    let lines = text.lines().filter(|line| {
        let line = line.trim_start();
        !left_out.iter().any(|word| line.starts_with(word))
    });
    let lines: Vec<&str> = lines.collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_pcs_see_one_attempt_each() {
    let site = wrong(500).await;
    let ended = site.run(check(&site, &["--output", "json"])).await;
    let denied = reachable(&ended);
    assert!(denied > 400, "{denied}: {}", ended.err());
    let (accepted, refused) = logons(&site);
    assert_eq!(accepted, 0);
    assert_eq!(refused, denied as u64, "one attempt a PC");
    for host in ended.json()["hosts"].as_array().unwrap() {
        let denied = host["outcome"]["why"] == "logon";
        let reason = host["reason"].as_str().unwrap();
        assert_eq!(
            denied,
            reason.contains("LocalAccountTokenFilterPolicy"),
            "{host}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_domain_password_is_refused_by_one_pc_of_two_hundred() {
    let site = wrong_domain_account(200).await;
    let more = ["--output", "json"];
    let ended = site.run(check(&site, &more)).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert_eq!(logons(&site), (0, 1), "{}", ended.err());
    assert!(
        ended.err().contains("first tried on one PC"),
        "{}",
        ended.err()
    );
    let closed = &ended.json()["account_closed"];
    assert_eq!(closed["account"], r"CORP\nobody");
    let left = closed["not_reached"].as_array().unwrap().len();
    let outcomes = ended.outcomes();
    let blocked = outcomes
        .values()
        .filter(|outcome| *outcome == "blocked(credential-refused)");
    assert_eq!(left, blocked.count());
    assert!(left > 150, "{left}");
    assert!(
        ended.err().contains(&format!("{left} PCs: ")),
        "{}",
        ended.err()
    );
    // The next run does not even try, unless it is told to, and then once.
    let ended = site.run(check(&site, &more)).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert_eq!(logons(&site), (0, 1));
    assert!(ended.err().contains("--try-again"), "{}", ended.err());
    let again = [&more[..], &["--try-again", r"CORP\nobody"]].concat();
    let ended = site.run(check(&site, &again)).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert_eq!(logons(&site), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_at_once_spend_one() {
    let site = wrong_domain_account(40).await;
    let more = ["--output", "json"];
    let both = [(); 2].map(|()| site.spawn(check(&site, &more)));
    let [one, other] = both;
    let (one, other) = tokio::join!(finish(one), finish(other));
    for ended in [&one, &other] {
        assert_eq!(ended.code, Some(3), "{}", ended.err());
    }
    assert_eq!(logons(&site), (0, 1), "{}\n{}", one.err(), other.err());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_amid_a_try_blocks_no_other_for_ever() {
    let site = wrong(1).await;
    // A PC that takes the connection and says nothing: the try is under way until it is killed.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let pc = format!(
        "all: {{hosts: {{pc-1: {{address: 127.0.0.1, port: {port}, transport: winrm}}}}}}\n"
    );
    std::fs::write(site.path("lab.yaml"), pc).unwrap();
    let account = AccountName::of(r"CORP\nobody");
    let mut child = site.spawn(check(&site, &["--user", r"CORP\nobody"]));
    let journal = site.data().join("journal.sqlite");
    let under_way = async {
        loop {
            let watch = SqliteBudget::new(&journal);
            if journal.exists() {
                match watch.leave(&account).await.unwrap() {
                    Leave::Busy => break,
                    _ => watch.untold(&account).await.unwrap(),
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), under_way)
        .await
        .unwrap();
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    let next = SqliteBudget::new(&journal);
    assert_eq!(next.leave(&account).await.unwrap(), Leave::Granted);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_all_ports_at_once_it_is_still_one_attempt() {
    let site = all_ports(60).await;
    let open = site
        .lab
        .pcs()
        .iter()
        .filter(|pc| pc.ports.len() > 1)
        .count();
    let ended = site.run(check(&site, &["--output", "json"])).await;
    let denied = reachable(&ended);
    assert!(
        denied > 40,
        "{denied}, {open} with several ports: {}",
        ended.err()
    );
    let (_, refused) = logons(&site);
    assert_eq!(refused, denied as u64, "{}", ended.err());
}
