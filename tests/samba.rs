//! The real domain itself: it is broken and whole when it should be, and leaves nothing behind.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fleetmend_tests::samba::{Account, Domain, Members, Watcher, changed, recipe};

const TWO: Members = Members {
    winbind: 2,
    adcli: 0,
};

const NODES: [&str; 4] = ["dc1", "ctl", "pc1", "pc2"];

/// Every namespace that a process of this machine is in, and every mount that we see.
fn traces() -> BTreeSet<String> {
    let mut traces = BTreeSet::new();
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        for kind in ["net", "mnt", "uts", "ipc", "pid"] {
            let link = std::fs::read_link(process.path().join("ns").join(kind));
            traces.extend(link.map(|link| link.display().to_string()));
        }
    }
    traces
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mounts").unwrap()
}

/// Waits for nothing to be left but what was there before. Others may start things meanwhile, so
/// only what is told by the domain's own directory or namespaces counts.
fn wait_for_none_of(namespaces: &BTreeSet<String>) {
    let until = Instant::now() + Duration::from_secs(20);
    while traces().intersection(namespaces).next().is_some() {
        assert!(Instant::now() < until, "a namespace was left behind");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The namespaces that the nodes of a domain live in.
fn namespaces_of(root: &Path, nodes: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for node in nodes {
        let pid = std::fs::read_to_string(root.join(node).join("pid")).unwrap();
        let pid = pid.split(' ').next().unwrap();
        let kinds: &[&str] = match *node {
            "ctl" => &["net", "mnt", "uts"],
            _ => &["net", "mnt", "uts", "ipc", "pid"],
        };
        for kind in kinds {
            let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
            found.insert(link.display().to_string());
        }
    }
    assert_eq!(found.len(), 5 * nodes.len() - 2, "{found:?}");
    found
}

#[test]
fn two_domains_side_by_side_are_apart_and_leave_nothing() {
    let before = mounts();
    let second = std::thread::spawn(|| Domain::up(TWO));
    let first = Domain::up(TWO);
    let (Some(first), Some(second)) = (first, second.join().unwrap()) else {
        return;
    };
    assert_ne!(first.setting("DC_ADDRESS"), second.setting("DC_ADDRESS"));
    let all = namespaces_of(&first.root(), &NODES);
    assert!(all.is_disjoint(&namespaces_of(&second.root(), &NODES)));
    let elsewhere = traces();
    assert!(all.is_subset(&elsewhere));

    what_is_broken_is_broken(&first);
    the_witnesses_see(&first);
    assert!(second.trust("pc1").is_healthy(), "the wrong one was broken");
    let sids = [&first, &second].map(|domain| {
        let account = domain.computer("pc1").unwrap();
        account.one("objectSid").unwrap().to_owned()
    });
    assert_ne!(sids[0], sids[1]);
    // Neither is seen from here.
    assert!(!Path::new("/sys/class/net/v-dc1").exists());
    assert_eq!(mounts(), before);

    // Something that goes on running on the controller ends with the domain, too.
    let mut left = Command::new(recipe())
        .arg("exec")
        .arg(first.root())
        .args(["ctl", "sleep", "1000"])
        .spawn()
        .unwrap();
    let (root, others) = (first.root(), namespaces_of(&second.root(), &NODES));
    std::thread::sleep(Duration::from_millis(300));
    first.down();
    assert!(!left.wait().unwrap().success(), "it was not ended");
    wait_for_none_of(&all);
    assert!(!root.exists());
    assert!(second.trust("pc2").is_healthy(), "the wrong one was ended");
    second.down();
    wait_for_none_of(&others);
    assert_eq!(mounts(), before);
}

#[test]
fn a_domain_ends_with_the_process_that_holds_it() {
    if !Domain::is_possible() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("domain");
    // Holds the other end of the domain's standard input, as a test does, and is killed as a test
    // may be.
    let mut holder = Command::new("sleep")
        .arg("1000")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keeper = Command::new(recipe())
        .args(["up", "--members", "0"])
        .arg(&root)
        .stdin(holder.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(keeper.stdout.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    assert_eq!(said, "ready\n");
    let namespaces = namespaces_of(&root, &["dc1", "ctl"]);
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_for_none_of(&namespaces);
    keeper.wait().unwrap();
    assert!(!root.exists());
}

fn what_is_broken_is_broken(domain: &Domain) {
    for how in ["password", "rollback", "disable", "clock", "delete"] {
        assert!(domain.trust("pc1").is_healthy(), "before {how}");
        domain.harm("pc1", how);
        let trust = domain.trust("pc1");
        assert_ne!(trust.secret, 0, "{how}: {trust:?}");
        if how == "clock" {
            domain.heal("pc1");
            continue;
        }
        if how == "disable" {
            domain.shell("dc1", "samba-tool user enable 'PC1$'");
        }
        let user = format!("Administrator%{}", domain.password(Account::Administrator));
        let join = [
            "net",
            "ads",
            "join",
            "--no-dns-updates",
            "createcomputer=端末",
            "-U",
        ];
        let said = domain.exec("pc1", &[&join[..], &[user.as_str()]].concat());
        assert_eq!(said.code, 0, "{how}: {said:?}");
    }
    assert!(domain.trust("pc1").is_healthy());
    assert!(domain.trust("pc2").is_healthy(), "the other was touched");
}

/// What other tests rely on to find a secret would find one, and asking changes nothing.
fn the_witnesses_see(domain: &Domain) {
    let before = domain.footprint("pc2");
    let account = domain.computer("pc2").unwrap().without_logons();
    assert!(before.contains_key("/var/lib/samba/private/secrets.tdb"));
    assert!(domain.trust("pc2").is_healthy());
    assert_eq!(changed(&before, &domain.footprint("pc2")), [""; 0]);
    assert_eq!(domain.computer("pc2").unwrap().without_logons(), account);
    domain.shell("pc2", "touch /etc/samba/smb.conf; net ads changetrustpw");
    let found = changed(&before, &domain.footprint("pc2"));
    let wanted = [
        "/etc/samba/smb.conf",
        "/var/lib/samba/private/secrets.tdb",
        "content of /var/lib/samba/private/secrets.tdb",
    ];
    assert_eq!(found, wanted);
    assert_ne!(domain.computer("pc2").unwrap().without_logons(), account);

    let known = "Known1".repeat(20);
    let store = ["net", "changesecretpw", "-f", "-i"];
    let said = domain.exec_with("pc2", &store, &known);
    assert_eq!(said.code, 0, "{said:?}");
    let stored = domain.stored_passwords("pc2");
    assert_eq!(stored.first(), Some(&Some(known.clone())));
    domain.shell(
        "pc2",
        "printf 'x%sy' canary-in-a-file >/tmp/a; mkdir /run/b; printf canary-in-a-file >/run/b/c",
    );
    let found = domain.files_with("pc2", &["canary-in-a-file"]);
    assert_eq!(found.len(), 2, "{found:?}");
    let found = domain.files_with("pc2", &[&known]);
    assert!(
        found
            .iter()
            .any(|path| path.ends_with("private/secrets.tdb")),
        "{found:?}"
    );
    assert_eq!(found.len(), 1, "{found:?}");

    let watcher = Watcher::start();
    let run = "a1".repeat(60);
    domain.shell("pc1", "sh -c 'sleep 0.03; :' CANARY-argument");
    domain.shell("pc2", "CANARY_NAME=CANARY-variable sleep 0.03");
    domain.shell("pc2", &format!("sh -c 'sleep 0.03; :' {run}"));
    assert!(watcher.rounds() > 3, "too slow to see anything");
    let seen = watcher.stop();
    assert!(!seen.with("CANARY-argument").is_empty());
    assert!(!seen.with("CANARY-variable").is_empty());
    assert!(
        seen.with_run_of(120)
            .iter()
            .any(|found| found.contains(&run))
    );
    assert!(seen.with("CANARY-never").is_empty());
}
