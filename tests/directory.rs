//! What the directory's secrets and failures do to a fleet: the real binary, LDAPS to the lab's
//! controllers, WinRM and SSH to its PCs.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmend_lab::ldap::LdapFault;
use fleetmend_lab::{Counts, LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::{Secret, TransportKind};
use fleetmend_tests::{Site, scripts, with};
use serde_json::{Map, Value};

const TRANSPORTS: [TransportKind; 3] = [
    TransportKind::WinrmHttp,
    TransportKind::WinrmHttps,
    TransportKind::Ssh,
];
/// Of the account in the directory, and of one that may repair from a PC.
const CANARIES: [&str; 2] = ["kanaria-directory-4Hs8Vq1", "kanaria-domain-5Zr9Tk3"];
const REPAIRED: &str = "repaired(machine-password-reset)";

async fn site(scenarios: &[Scenario], transports: &[TransportKind]) -> Site {
    let plan = transports.iter().flat_map(|transport| {
        let plan = scenarios
            .iter()
            .map(|scenario| PcPlan::new(*scenario).over(*transport));
        plan.map(PcPlan::japanese).collect::<Vec<_>>()
    });
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(plan.collect());
    options.directory_password = Some(Secret::new(CANARIES[0].to_owned()));
    options.domain_password = Some(Secret::new(CANARIES[1].to_owned()));
    Site::start(options).await
}

/// Returns the arguments of a run with the directory, its password in a file of its own.
fn arguments(site: &Site, password: &str) -> Vec<OsString> {
    let file = site.path("directory.pw");
    fs::write(&file, password).unwrap();
    private(&file);
    let mut all: Vec<OsString> = vec!["run".into(), "trust-repair".into(), "--yes".into()];
    all.extend(site.logon_arguments());
    let user = site.lab.directory_credential().user.clone();
    all.extend(["--directory", "corp.example.jp", "--directory-user", &user].map(OsString::from));
    all.extend(["--directory-password-file".into(), file.into()]);
    all.extend(["--directory-ca".into(), site.path("lab-ca.pem").into()]);
    for controller in site.lab.controllers() {
        all.extend([
            "--directory-server".into(),
            controller.ldaps().to_string().into(),
        ]);
    }
    all
}

#[cfg(unix)]
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[cfg(not(unix))]
fn private(_: &Path) {}

/// Every form in which a text could lie about: as it is, as UTF-16LE, and either in base64 at
/// each of the three alignments.
fn is_in(secret: &str, bytes: &[u8]) -> bool {
    let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![secret.as_bytes().to_vec(), wide.clone()];
    for plain in [secret.as_bytes(), &wide] {
        for shift in 0..3 {
            let encoded = STANDARD.encode([&vec![0; shift], plain].concat());
            // The first and last group hold foreign bits.
            forms.push(encoded.as_bytes()[4..encoded.len() - 4].to_vec());
        }
    }
    forms
        .iter()
        .any(|form| bytes.windows(form.len()).any(|window| window == form))
}

/// Returns the parameters of every step that a PC was sent (docs/step-channel.md).
fn parameters(received: &[u8]) -> Vec<Map<String, Value>> {
    let text = String::from_utf8_lossy(received);
    let lines = text.lines().filter(|line| line.split(' ').count() == 4);
    let last = lines.filter_map(|line| STANDARD.decode(line.rsplit(' ').next()?).ok());
    last.filter_map(|json| serde_json::from_slice(&json).ok())
        .collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| {
        if path.is_dir() {
            files_below(&path)
        } else {
            vec![path]
        }
    };
    entries.flat_map(below).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pc_is_given_its_own_new_password_and_no_credential() {
    let scenarios = [
        Scenario::PasswordMismatch,
        Scenario::MismatchWithoutNltest,
        Scenario::LostSecret,
    ];
    let site = site(&scenarios, &TRANSPORTS).await;
    for pc in site.lab.pcs() {
        pc.sim.record();
    }
    let ended = site
        .run(with(
            arguments(&site, CANARIES[0]),
            ["--output", "json", "-vv"],
        ))
        .await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert!(ended.outcomes().values().all(|outcome| outcome == REPAIRED));
    let mut passwords = BTreeSet::new();
    for pc in site.lab.pcs() {
        let received = pc.sim.received();
        let steps = parameters(&received);
        let sent = |params: &Map<String, Value>| params.get("machine_password").cloned();
        let given: Vec<Value> = steps.iter().filter_map(sent).collect();
        assert_eq!(given.len(), 1, "{}: {} steps", pc.name, steps.len());
        let password = given[0].as_str().unwrap().to_owned();
        assert_eq!(password.len(), 120);
        assert!(is_in(&password, &received), "the search does not find it");
        for canary in CANARIES {
            assert!(!is_in(canary, &received), "{canary} reached {}", pc.name);
        }
        assert!(
            passwords.insert(password),
            "two PCs were given the same password"
        );
    }
    assert_eq!(passwords.len(), 9);
    let mut places = vec![
        ("stdout".to_owned(), ended.stdout),
        ("stderr".to_owned(), ended.stderr),
    ];
    let files = files_below(&site.data());
    assert!(!files.is_empty(), "no journal");
    places.extend(
        files
            .iter()
            .map(|file| (file.display().to_string(), fs::read(file).unwrap())),
    );
    for (place, bytes) in places {
        let canaries = CANARIES.iter().map(|canary| (*canary).to_owned());
        for secret in passwords.iter().cloned().chain(canaries) {
            assert!(!is_in(&secret, &bytes), "a secret is in {place}");
        }
    }
    let domain = site.lab.shared().domain();
    for account in domain
        .computers()
        .filter(|account| account.name.starts_with("PC-"))
    {
        assert_eq!(account.resets, 1, "{}", account.name);
    }
    let account = domain.user(&site.lab.domain_credential().user).unwrap();
    assert_eq!((account.bad_passwords_total, account.locked), (0, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once_and_no_pc_is_touched() {
    let mut options = LabOptions::new(200, scripts());
    options.mix = Mix::All(PcPlan::new(Scenario::PasswordMismatch));
    let site = Site::start(options).await;
    let ended = site.run(arguments(&site, "wrong")).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    let user = site.lab.directory_credential().user.clone();
    let wrong = || {
        site.lab
            .shared()
            .domain()
            .user(&user)
            .unwrap()
            .bad_passwords_total
    };
    assert_eq!(wrong(), 1);
    let binds: u64 = site
        .lab
        .controllers()
        .iter()
        .map(|dc| dc.counts().binds)
        .sum();
    assert_eq!(binds, 1);
    assert_eq!(site.lab.counts(), Counts::default(), "a PC was touched");
    let open = site.lab.pcs().iter().filter_map(|pc| pc.winrm.as_ref());
    assert!(open.clone().count() == 200);
    // What was spent stands there, and no run.
    let journal = fleetmend_journal::JournalReader::open(&site.data().join("journal.sqlite"));
    assert_eq!(journal.unwrap().runs().unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_no_pc_is_touched_and_one_is_enough() {
    let site = site(&[Scenario::PasswordMismatch], &TRANSPORTS).await;
    for dc in &mut site.lab.shared().domain().controllers {
        dc.up = false;
    }
    let ended = site.run(arguments(&site, CANARIES[0])).await;
    assert_eq!(ended.code, Some(2), "{}", ended.err());
    assert_eq!(site.lab.counts(), Counts::default());
    site.lab.shared().domain().controllers[1].up = true;
    let ended = site
        .run(with(arguments(&site, CANARIES[0]), ["--output", "json"]))
        .await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert!(ended.outcomes().values().all(|outcome| outcome == REPAIRED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_nobody_answered_is_made_good_by_the_next_run() {
    let site = site(&[Scenario::PasswordMismatch], &TRANSPORTS).await;
    let fault = |fault| {
        site.lab
            .controllers()
            .iter()
            .for_each(|dc| dc.set_fault(fault))
    };
    fault(LdapFault::DropsAfterWrites);
    let run = || site.run(with(arguments(&site, CANARIES[0]), ["--output", "json"]));
    let ended = run().await;
    assert_eq!(ended.code, Some(1), "{}", ended.err());
    let outcomes = ended.outcomes();
    assert!(
        outcomes
            .values()
            .all(|outcome| !outcome.starts_with("repaired")),
        "{outcomes:?}"
    );
    fault(LdapFault::None);
    let ended = run().await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert!(ended.outcomes().values().all(|outcome| outcome == REPAIRED));
}
