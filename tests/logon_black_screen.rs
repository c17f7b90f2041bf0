//! logon-black-screen over the lab: what stands between a logon and the desktop is put back as Windows
//! comes, what somebody may want is left alone until the operator says so, and where nothing is wrong
//! but the shell dies the update is named.

use std::ffi::OsString;

use fleetmend_lab::machine::{LogEvent, LoggedOn, Machine, Update};
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_tests::{Ended, Site, scripts, with};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const SHELL: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\Shell";
const USERINIT: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\Userinit";
const DEBUGGER: &str = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Image File Execution Options\explorer.exe\Debugger";
const READINESS: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\AppReadiness\Start";
const UNREGISTERED: &str = r"lab\unregistered\Microsoft.UI.Xaml.CBS_8wekyb3d8bbwe";

async fn site() -> Site {
    let transports = [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ];
    let plan = transports.map(|transport| PcPlan::new(Scenario::Healthy).over(transport));
    let mut plan = plan.to_vec();
    plan.push(PcPlan::new(Scenario::Healthy).japanese());
    Site::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    })
    .await
}

fn each(site: &Site, mut change: impl FnMut(&mut Machine)) {
    for pc in site.lab.pcs() {
        change(&mut pc.sim.machine());
    }
}

fn set(site: &Site, path: &str, value: &Value) {
    each(site, |machine| {
        machine.registry.insert(path.to_owned(), value.clone());
    });
}

fn registry(site: &Site) -> Vec<Value> {
    let pcs = site.lab.pcs().iter();
    pcs.map(|pc| json!(pc.sim.machine().registry)).collect()
}

async fn run(site: &Site, mode: &str, more: &[&str]) -> Ended {
    let mut arguments: Vec<OsString> = vec![mode.into(), "logon-black-screen".into()];
    arguments.extend(site.logon_arguments());
    let arguments = with(arguments, ["--yes", "--output", "json"]);
    let ended = site.run(with(arguments, more.iter().copied())).await;
    assert_eq!(site.lab.counts().unknown_scripts, 0);
    ended
}

fn all(ended: &Ended, outcome: &str) {
    let outcomes = ended.outcomes();
    assert_eq!(outcomes.len(), 4, "{}", ended.err());
    for (pc, found) in outcomes {
        assert_eq!(found, outcome, "{pc}: {}", ended.out());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_pc_is_left_alone() {
    let site = site().await;
    let before = registry(&site);
    all(&run(&site, "run", &[]).await, "healthy");
    assert_eq!(registry(&site), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_winlogon_starts_is_put_back() {
    let site = site().await;
    set(&site, SHELL, &json!(r"C:\gone\shell.exe"));
    let check = run(&site, "check", &[]).await;
    all(&check, "would-repair(set-shell)");
    each(&site, |machine| {
        assert_eq!(machine.registry[SHELL], r"C:\gone\shell.exe");
    });
    all(&run(&site, "run", &[]).await, "repaired(set-shell)");
    each(&site, |machine| {
        assert_eq!(machine.registry[SHELL], "explorer.exe");
    });

    set(&site, USERINIT, &json!(r"C:\gone\userinit.exe,"));
    all(&run(&site, "run", &[]).await, "repaired(set-userinit)");
    each(&site, |machine| {
        let now = machine.registry[USERINIT].as_str().unwrap();
        assert_eq!(now, r"C:\Windows\system32\userinit.exe,");
    });
    all(&run(&site, "run", &[]).await, "healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debugger_in_place_of_the_shell_is_taken_away() {
    let site = site().await;
    set(&site, DEBUGGER, &json!(r"C:\gone\d.exe"));
    all(&run(&site, "run", &[]).await, "repaired(clear-ifeo)");
    each(&site, |machine| {
        assert!(!machine.registry.contains_key(DEBUGGER));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_somebody_may_want_stays_until_the_operator_says_so() {
    let site = site().await;
    let wanted = r"C:\Program Files\Till\till.exe";
    set(&site, SHELL, &json!(wanted));
    each(&site, |machine| {
        machine.files.insert(wanted.to_owned(), vec![77, 90]);
    });
    let before = registry(&site);
    all(&run(&site, "run", &[]).await, "blocked(shell-is-there)");
    assert_eq!(registry(&site), before);
    let allowed = ["--set", "replace_shell=true"];
    all(&run(&site, "run", &allowed).await, "repaired(set-shell)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_somebody_disabled_stays_until_the_operator_says_so() {
    let site = site().await;
    set(&site, READINESS, &json!(4));
    let blocked = run(&site, "run", &[]).await;
    all(&blocked, "blocked(disabled-by-somebody)");
    each(&site, |machine| assert_eq!(machine.registry[READINESS], 4));
    let allowed = ["--set", "enable_services=true"];
    all(
        &run(&site, "run", &allowed).await,
        "repaired(enable-services)",
    );
    each(&site, |machine| assert_eq!(machine.registry[READINESS], 3));
}

/// Microsoft's KB5072911: what Windows 11 24H2 leaves unregistered.
#[tokio::test(flavor = "multi_thread")]
async fn packages_are_registered_and_what_was_behind_comes_next() {
    let site = site().await;
    each(&site, |machine| {
        machine.os.build = 26_100;
        machine.users = vec![LoggedOn::at_screen(r"CORP\tanaka")];
    });
    set(&site, UNREGISTERED, &json!(1));
    set(&site, SHELL, &json!(""));
    all(&run(&site, "run", &[]).await, "repaired(register-packages)");
    each(&site, |machine| {
        assert!(!machine.registry.contains_key(UNREGISTERED));
        assert_eq!(machine.registry[SHELL], "explorer.exe");
    });
    all(&run(&site, "run", &[]).await, "healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_the_shell_dies_the_update_is_named() {
    let site = site().await;
    let installed = Timestamp::now() - SignedDuration::from_hours(72);
    each(&site, |machine| {
        machine.updates = vec![Update {
            id: "KB5062553".to_owned(),
            installed,
        }];
        for hour in 1..=5_i64 {
            machine.events.push(LogEvent {
                provider: "Application Error".to_owned(),
                id: 1000,
                at: installed + SignedDuration::from_hours(24 + hour),
                record: 60_000 + hour.unsigned_abs(),
            });
        }
    });
    let before = registry(&site);
    let ended = run(&site, "run", &[]).await;
    all(&ended, "needs-hands(suspected-update)");
    let told = ended.out();
    assert!(told.contains("update-rollback --kb KB5062553"), "{told}");
    assert_eq!(registry(&site), before);

    let japanese = run(&site, "run", &["--language", "ja"]).await;
    assert!(japanese.out().contains("同じ時期から複数の PC"));
}
