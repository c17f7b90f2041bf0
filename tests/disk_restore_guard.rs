//! disk-restore-guard over PCs that forget at every restart, through the real binary.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use fleetmend_lab::machine::{Freeze, Machine, MachineSecret, Restarts, Uwf};
use fleetmend_lab::rotation::Rotation;
use fleetmend_lab::{LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_tests::{Ended, Site, finish, scripts, with};
use jiff::SignedDuration;
use serde_json::{Value, json};

const FORGETS: Uwf = Uwf {
    enabled_next: true,
    keeps_secret_next: false,
};
/// Where installed programs stand.
const PROGRAM: &str = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{A1}\DisplayName";

async fn site(scenarios: &[Scenario]) -> Site {
    let plan = scenarios.iter().copied().map(PcPlan::new).collect();
    let site = Site::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    })
    .await;
    let moment = Duration::from_millis(50);
    for pc in site.lab.pcs() {
        pc.sim.machine().restarts = Restarts {
            down_for: Duration::from_millis(150),
            servicing_for: moment,
            logon_ready_after: moment,
            ..Restarts::default()
        };
    }
    site
}

/// Windows' own filter is on, and lets no machine password through.
fn filter(pc: &mut Machine) {
    pc.uwf = Some(FORGETS);
    pc.freeze();
}

async fn fleetmend(site: &Site, playbook: &str, mode: &str, more: &[&str]) -> Ended {
    let mut all: Vec<OsString> = vec![mode.into(), playbook.into(), "--yes".into()];
    all.extend(site.logon_arguments());
    let credential = site.lab.directory_credential().clone();
    let file = site.path("directory.pw");
    std::fs::write(&file, credential.password.reveal()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    all.extend(["--directory", "corp.example.jp", "--directory-user"].map(OsString::from));
    all.push(credential.user.into());
    all.push("--directory-password-file".into());
    all.push(file.into());
    all.extend(["--directory-ca".into(), site.path("lab-ca.pem").into()]);
    for controller in site.lab.controllers() {
        all.push("--directory-server".into());
        all.push(controller.ldaps().to_string().into());
    }
    let all = with(with(all, ["--output", "json"]), more.iter().copied());
    let mut command = site.command(all);
    command.env("FLEETMEND_RESTART_PACE", "0.02");
    let ended = finish(command.spawn().unwrap()).await;
    assert_eq!(site.lab.counts().unknown_scripts, 0, "{}", ended.err());
    ended
}

/// How every PC ends, in the order of the lab.
async fn outcomes(site: &Site, mode: &str, more: &[&str]) -> Vec<String> {
    let ended = fleetmend(site, "disk-restore-guard", mode, more).await;
    let found: BTreeMap<String, String> = ended.outcomes();
    assert!(!found.is_empty(), "{}", ended.err());
    let pcs = site.lab.pcs().iter();
    pcs.map(|pc| found[&pc.name].clone()).collect()
}

/// What the playbook may change of a PC.
type Held = (
    Option<MachineSecret>,
    Rotation,
    Option<Uwf>,
    Option<Freeze>,
    usize,
);

fn held(site: &Site) -> Vec<Held> {
    let one = |pc: &LabPc| {
        let pc = pc.sim.machine();
        let written = pc.registry.len() + pc.files.len();
        (pc.secret, pc.rotation, pc.uwf, pc.freeze.clone(), written)
    };
    site.lab.pcs().iter().map(one).collect()
}

/// Whether the PC and its domain have the same password.
fn agrees(site: &Site, pc: &LabPc) -> bool {
    let domain = site.lab.shared().domain();
    let name = pc.sim.machine().name.clone();
    let account = domain.computer(&name).unwrap().current;
    pc.sim.machine().secret.unwrap().current == account
}

/// Somebody restarts the PC.
async fn restart(pc: &LabPc) {
    let before = pc.sim.machine().boot.restarts;
    pc.sim.power_cycle();
    for _ in 0..1000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if pc.sim.is_up() && pc.sim.machine().boot.restarts > before {
            // Its next restart is not within the same seconds: its disk forgets to count them.
            let mut machine = pc.sim.machine();
            machine.booted -= SignedDuration::from_mins(10);
            return;
        }
    }
    panic!("{} did not come back", pc.name);
}

/// Windows changes the machine password by itself, on both sides.
fn changes_its_password(site: &Site, pc: &LabPc) {
    let mut domain = site.lab.shared().domain();
    let password = domain.draw_password();
    let mut machine = pc.sim.machine();
    let now = machine.booted;
    machine.store_secret(password, now);
    let account = domain.computer_mut(&machine.name).unwrap();
    account.previous = account.current.into();
    account.current = password;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pc_that_filters_is_cured_and_stays_cured() {
    use Scenario::{Healthy, PasswordMismatch};
    let site = site(&[PasswordMismatch, Healthy, Healthy]).await;
    let pcs = site.lab.pcs();
    filter(&mut pcs[0].sim.machine());
    // This one's next password would be lost as well.
    filter(&mut pcs[1].sim.machine());
    let before = held(&site);

    // Without consent nothing is touched, not even by a run.
    let blocked = ["blocked(service-window)", "blocked(keep-secret)", "healthy"];
    let allowed = ["--max-reboots", "2"];
    assert_eq!(outcomes(&site, "run", &allowed).await, blocked);
    assert_eq!(held(&site), before);

    let chosen = [
        "--set",
        "service_window=true",
        "--set",
        "keep_secret=true",
        "--max-reboots",
        "2",
    ];
    let would = [
        "would-repair(uwf-window)",
        "would-repair(uwf-keep-secret)",
        "healthy",
    ];
    assert_eq!(outcomes(&site, "check", &chosen).await, would);
    assert_eq!(held(&site), before);

    let done = [
        "repaired(uwf-window)",
        "repaired(uwf-keep-secret)",
        "healthy",
    ];
    assert_eq!(outcomes(&site, "run", &chosen).await, done);
    let restarts = |pc: &LabPc| pc.sim.machine().boot.restarts;
    assert_eq!(pcs.iter().map(restarts).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!(held(&site)[2], before[2], "a healthy PC is not touched");

    for round in 0..2 {
        for pc in pcs {
            changes_its_password(&site, pc);
            restart(pc).await;
            assert!(agrees(&site, pc), "{} after restart {round}", pc.name);
        }
    }
    assert!(
        pcs[..2].iter().all(|pc| pc.sim.machine().is_frozen()),
        "the filter is on again"
    );
    let again = outcomes(&site, "run", &chosen).await;
    assert_eq!(again, ["healthy", "healthy", "healthy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_committed_and_proven_by_a_restart() {
    let site = site(&[Scenario::Healthy, Scenario::Healthy]).await;
    let pcs = site.lab.pcs();
    filter(&mut pcs[0].sim.machine());
    let never = ["--set", "disable_changes=true"];
    // No restart is allowed: it is set, and not said to be proven.
    let pending = ["reboot-pending", "healthy"];
    assert_eq!(outcomes(&site, "run", &never).await, pending);
    for _ in 0..2 {
        restart(&pcs[0]).await;
        assert_eq!(pcs[0].sim.machine().rotation.changes_disabled, Some(1));
    }

    let age = ["--set", "maximum_age_days=730", "--max-reboots", "1"];
    pcs[0]
        .sim
        .machine()
        .commit(|pc| pc.rotation.changes_disabled = None);
    let proven = ["repaired(set-rotation-restart)", "healthy"];
    assert_eq!(outcomes(&site, "run", &age).await, proven);
    restart(&pcs[0]).await;
    assert_eq!(pcs[0].sim.machine().rotation.maximum_age_days, Some(730));
    assert_eq!(pcs[1].sim.machine().rotation.maximum_age_days, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_named_and_repaired_once_a_person_has_thawed_it() {
    let site = site(&[Scenario::PasswordMismatch, Scenario::PasswordMismatch]).await;
    let pcs = site.lab.pcs();
    for (pc, name) in pcs
        .iter()
        .zip(["HD革命/WinProtector Ver.8", "教室の番人 2"])
    {
        let mut machine = pc.sim.machine();
        machine.registry.insert(PROGRAM.to_owned(), json!(name));
        machine.freeze();
    }
    let own: &[&str] = &["--set", "own_signatures=program:教室の番人*"];
    let ended = fleetmend(&site, "disk-restore-guard", "run", own).await;
    let report: Value = ended.json();
    for (at, product) in ["hd-kakumei-winprotector", "教室の番人*"]
        .iter()
        .enumerate()
    {
        let hosts = report["hosts"].as_array().unwrap();
        let host = hosts
            .iter()
            .find(|host| host["host"] == pcs[at].name)
            .unwrap();
        assert_eq!(ended.outcomes()[&pcs[at].name], "needs-hands(thaw)");
        assert!(host["reason"].as_str().unwrap().contains(product), "{host}");
    }

    // A person thaws the disks.
    for pc in pcs {
        pc.sim.machine().thaw_at_boot();
        restart(pc).await;
    }
    let thawed = [
        "--set",
        "disk_is_thawed=true",
        "--set",
        "disable_changes=true",
        "--max-reboots",
        "1",
    ];
    let thawed: Vec<&str> = own.iter().copied().chain(thawed).collect();
    let done = ["repaired(thawed-repair)", "repaired(thawed-repair)"];
    assert_eq!(outcomes(&site, "run", &thawed).await, done);
    // And freezes them again.
    for pc in pcs {
        pc.sim.machine().freeze();
        for _ in 0..2 {
            restart(pc).await;
            assert!(agrees(&site, pc));
            assert_eq!(pc.sim.machine().rotation.changes_disabled, Some(1));
        }
    }
    assert_eq!(outcomes(&site, "run", own).await, ["healthy", "healthy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marker_tells_disks_that_forget_from_those_that_do_not() {
    let site = site(&[Scenario::PasswordMismatch, Scenario::PasswordMismatch]).await;
    let pcs = site.lab.pcs();
    // Nothing shows what undoes the changes of this one.
    pcs[0].sim.machine().freeze();
    let before = held(&site);
    assert_eq!(
        outcomes(&site, "run", &[]).await,
        ["blocked(marker-test)"; 2]
    );
    let test = ["--set", "marker_test=true", "--max-reboots", "1"];
    let told = [
        "needs-hands(changes-are-undone)",
        "skipped(disk-keeps-changes)",
    ];
    assert_eq!(outcomes(&site, "run", &test).await, told);
    let after = held(&site);
    assert_eq!(after[0], before[0]);
    let markers = |pc: &LabPc| {
        let machine = pc.sim.machine();
        machine.files.len() + machine.registry.len()
    };
    assert_eq!(
        pcs.iter().map(markers).sum::<usize>(),
        0,
        "nothing is left behind"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_repaired_again_and_again_is_remembered() {
    let site = site(&[Scenario::PasswordMismatch]).await;
    let pc = &site.lab.pcs()[0];
    pc.sim.machine().freeze();
    let test = ["--max-reboots", "1"];
    for _ in 0..2 {
        let ended = fleetmend(&site, "trust-repair", "run", &[]).await;
        let outcome = ended.outcomes()[&pc.name].clone();
        assert_eq!(outcome, "repaired(machine-password-reset)");
        let found = outcomes(&site, "check", &test).await;
        if pc.sim.machine().boot.restarts == 0 {
            assert_eq!(found, ["healthy"], "once may happen");
            restart(pc).await;
        } else {
            assert_eq!(found, ["blocked(marker-test)"], "twice is a pattern");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_a_cut_run_left_open_is_closed() {
    let site = site(&[Scenario::PasswordMismatch]).await;
    let pc = &site.lab.pcs()[0];
    {
        let mut machine = pc.sim.machine();
        machine.uwf = Some(Uwf {
            enabled_next: false,
            keeps_secret_next: false,
        });
        let opened = r"HKLM\SOFTWARE\fleetmend\DiskRestoreGuard\SwitchUwfOn";
        machine.registry.insert(opened.to_owned(), json!(1));
    }
    let chosen = [
        "--set",
        "service_window=true",
        "--set",
        "keep_secret=true",
        "--max-reboots",
        "2",
    ];
    assert_eq!(
        outcomes(&site, "run", &chosen).await,
        ["repaired(uwf-window)"]
    );
    assert_eq!(pc.sim.machine().boot.restarts, 1, "it was off already");
    assert!(pc.sim.machine().is_frozen());
    restart(pc).await;
    assert!(agrees(&site, pc));
    assert_eq!(outcomes(&site, "check", &chosen).await, ["healthy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_could_not_be_used_is_told() {
    let site = site(&[Scenario::PasswordMismatch]).await;
    let pc = &site.lab.pcs()[0];
    filter(&mut pc.sim.machine());
    let user = site.lab.directory_credential().user.clone();
    let chosen = [
        "--set",
        "service_window=true",
        "--set",
        "keep_secret=true",
        "--max-reboots",
        "2",
    ];
    let reset = |may: bool| {
        let mut domain = site.lab.shared().domain();
        let user = domain.user_mut(&user).unwrap();
        user.may_reset_computers = may;
        user.rights.reset = may;
    };
    // The account in the directory may look and not write.
    reset(false);
    let ended = fleetmend(&site, "disk-restore-guard", "run", &chosen).await;
    let report = ended.json();
    assert!(!pc.sim.machine().is_frozen());
    let told = report["hosts"][0].to_string();
    assert!(told.contains("switched off"), "{told}");
    reset(true);
    assert_eq!(
        outcomes(&site, "run", &chosen).await,
        ["repaired(uwf-window)"]
    );
    assert!(pc.sim.machine().is_frozen());
}
