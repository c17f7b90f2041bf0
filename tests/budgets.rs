//! A wrong password of a PC's own account is shown to each PC once, over all transports; one of a
//! domain is shown to one PC, whoever else works on this machine.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::ffi::OsString;
#[cfg(unix)]
use std::net::SocketAddr;
#[cfg(unix)]
use std::sync::Arc;
#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering};
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use fleetmend_engine::{AccountBudget as _, AccountName, Leave};
#[cfg(unix)]
use fleetmend_journal::SqliteBudget;
use fleetmend_lab::{LabOptions, LabPorts};
#[cfg(unix)]
use fleetmend_lab::{Mix, PcPlan, Scenario};
#[cfg(unix)]
use fleetmend_model::TransportKind;
use fleetmend_tests::{Ended, Site, finish, scripts, with};
#[cfg(unix)]
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
#[cfg(unix)]
use tokio::net::{TcpListener, TcpStream};

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

#[tokio::test(flavor = "multi_thread")]
async fn in_batches_as_well_the_end_says_whom_a_refused_account_left_out() {
    let site = wrong_domain_account(40).await;
    let more = ["--batches", "1,5,10%,rest", "--output", "json"];
    let ended = site.run(check(&site, &more)).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert_eq!(logons(&site), (0, 1), "{}", ended.err());
    let left = ended.json()["account_closed"]["not_reached"]
        .as_array()
        .unwrap()
        .len();
    let outcomes = ended.outcomes();
    let reached = outcomes.values().filter(|outcome| {
        !["blocked(credential-refused)", "skipped(error-budget)"].contains(&outcome.as_str())
    });
    assert_eq!(left, outcomes.len() - reached.count(), "{outcomes:?}");
    assert!(left >= 30, "{left}");
    let said = format!("not reached for that: {left} PCs: ");
    assert!(ended.err().contains(&said), "{}", ended.err());
}

/// What stands between and does with the answer to a logon.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
enum Between {
    /// Closes the connection instead of handing it on.
    Cuts,
    /// Keeps it.
    Holds,
    /// Says that the service is not available.
    Refuses,
}

/// The beginning of NTLM's third message in base64: its signature and its type.
#[cfg(unix)]
const THIRD: &[u8] = b"TlRMTVNTUAADAAAA";

/// As many PCs as ports at this machine, all of them one PC of the lab, with something between.
/// Returns how many third messages came to the PC and were answered there.
#[cfg(unix)]
async fn with_something_between(site: &Site, pcs: usize, what: Between) -> Arc<AtomicUsize> {
    let mut over_http = site.lab.pcs().iter();
    let pc = over_http
        .find(|pc| pc.transport == TransportKind::WinrmHttp)
        .unwrap();
    let address = pc.address;
    let judged = Arc::new(AtomicUsize::new(0));
    let mut hosts = String::new();
    for index in 0..pcs {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        hosts +=
            &format!("    端末-{index:02}: {{ansible_host: 127.0.0.1, ansible_port: {port}}}\n");
        let judged = judged.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(between(client, address, what, judged.clone()));
            }
        });
    }
    let text = format!(
        "all:\n  vars:\n    ansible_connection: winrm\n    ansible_winrm_scheme: http\n    \
         ansible_user: 'CORP\\nobody'\n  hosts:\n{hosts}"
    );
    std::fs::write(site.path("lab.yaml"), text).unwrap();
    judged
}

#[cfg(unix)]
async fn between(
    mut client: TcpStream,
    address: SocketAddr,
    what: Between,
    judged: Arc<AtomicUsize>,
) {
    let mut pc = TcpStream::connect(address).await.unwrap();
    let mut said = Vec::new();
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => match read {
                Ok(count) if count > 0 => {
                    let bytes = up.get(..count).unwrap();
                    said.extend_from_slice(bytes);
                    pc.write_all(bytes).await.unwrap();
                }
                _ => return,
            },
            read = pc.read(&mut down) => match read {
                Ok(count) if count > 0 => {
                    if said.windows(THIRD.len()).any(|window| window == THIRD) {
                        judged.fetch_add(1, Ordering::SeqCst);
                        match what {
                            Between::Cuts => return,
                            Between::Holds => break,
                            Between::Refuses => {
                                let answer = "HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n";
                                client.write_all(answer.as_bytes()).await.unwrap();
                                break;
                            }
                        }
                    }
                    let bytes = down.get(..count).unwrap();
                    client.write_all(bytes).await.unwrap();
                }
                _ => return,
            },
        }
    }
    // Until the client goes.
    while client.read(&mut up).await.is_ok_and(|count| count > 0) {}
}

#[cfg(unix)]
async fn healthy() -> Site {
    let mut options = LabOptions::new(4, scripts());
    options.mix = Mix::All(PcPlan::new(Scenario::Healthy));
    let site = Site::start(options).await;
    std::fs::write(site.path("local.pw"), "違う").unwrap();
    site
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_password_whose_answer_never_comes_is_sent_to_three_pcs_at_most() {
    for what in [Between::Cuts, Between::Refuses] {
        let site = healthy().await;
        let judged = with_something_between(&site, 12, what).await;
        for sent in [3, 0] {
            let ended = site.run(check(&site, &["--output", "json"])).await;
            assert_eq!(ended.code, Some(3), "{what:?}: {}", ended.err());
            assert_eq!(judged.load(Ordering::SeqCst), 3, "{what:?}");
            assert_eq!(logons(&site), (0, 3), "the PC has refused each");
            let closed = &ended.json()["account_closed"];
            assert_eq!(closed["not_reached"].as_array().unwrap().len(), 12 - sent);
            let outcomes = ended.outcomes();
            let lost = outcomes.values();
            let lost = lost.filter(|outcome| *outcome == "unreachable(unanswered)");
            assert_eq!(lost.count(), sent, "{outcomes:?}");
            let words = match sent {
                0 => "nobody knows the answer",
                _ => "nothing came back after the password was sent",
            };
            assert!(ended.err().contains(words), "{}", ended.err());
        }
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn who_stops_the_first_logon_again_and_again_sends_three_passwords_at_most() {
    let site = healthy().await;
    let judged = with_something_between(&site, 12, Between::Holds).await;
    // Once, twice, and until the process just ends.
    for (nth, presses) in [(1, 1), (2, 2), (3, 3)] {
        let child = site.spawn(check(&site, &[]));
        let id = child.id().unwrap().to_string();
        let sent = async {
            while judged.load(Ordering::SeqCst) < nth {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), sent)
            .await
            .unwrap();
        for _ in 0..presses {
            let kill = tokio::process::Command::new("kill")
                .args(["-INT", &id])
                .status()
                .await;
            // It may have ended already.
            let _ = kill.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let ended = finish(child).await;
        assert_eq!(ended.code, Some(130), "{}", ended.err());
    }
    let ended = site.run(check(&site, &[])).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert_eq!(judged.load(Ordering::SeqCst), 3, "{}", ended.err());
    assert!(ended.err().contains("nobody knows"), "{}", ended.err());
}
