//! update-rollback and update-health over PCs in every state they know, through the real binary.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsString;

use fleetmend_lab::machine::{BitLocker, LoggedOn, Machine, WriteFilter};
use fleetmend_lab::servicing::{Package, Removal, UNINSTALL_PENDING};
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_tests::{Ended, Site, finish, scripts, with};

/// By which the waits of the engine are multiplied.
const PACE: &str = "0.02";
const BAD: &str = "KB5062553";

/// What is wrong with a PC, and how runs over it end.
struct Row {
    name: &'static str,
    wrong: fn(&mut Machine),
    ends: &'static [&'static str],
}

fn row(name: &'static str, wrong: fn(&mut Machine), ends: &'static [&'static str]) -> Row {
    Row { name, wrong, ends }
}

fn bad(pc: &mut Machine) {
    pc.os.build = 26100;
    pc.os.ubr = 4652;
    pc.servicing.packages = vec![Package::cumulative(BAD, 4652)];
}

fn alone(pc: &mut Machine, removal: Removal) {
    pc.servicing.packages = vec![Package::standalone(BAD)];
    pc.servicing.removal = removal;
}

async fn site(rows: &[Row]) -> Site {
    // Every second one is Japanese.
    let plan = (0..rows.len()).map(|index| {
        let pc = PcPlan::new(Scenario::Healthy);
        if index % 2 == 1 { pc.japanese() } else { pc }
    });
    let site = Site::start(LabOptions {
        mix: Mix::Plan(plan.collect()),
        ..LabOptions::new(0, scripts())
    })
    .await;
    for (pc, row) in site.lab.pcs().iter().zip(rows) {
        pc.sim.record();
        (row.wrong)(&mut pc.sim.machine());
    }
    site
}

async fn run(site: &Site, mode: &str, playbook: &str, more: &[&str]) -> Ended {
    let mut all: Vec<OsString> = vec![mode.into(), playbook.into(), "--yes".into()];
    all.extend(site.logon_arguments());
    let all = with(all, ["--output", "json"]);
    let mut command = site.command(with(all, more.iter().copied()));
    command.env("FLEETMEND_RESTART_PACE", PACE);
    let ended = finish(command.spawn().unwrap()).await;
    assert_eq!(site.lab.counts().unknown_scripts, 0, "{}", ended.err());
    ended
}

fn by_row(site: &Site, rows: &[Row], ended: &Ended) -> BTreeMap<&'static str, String> {
    let outcomes = ended.outcomes();
    let pcs = site.lab.pcs().iter().zip(rows);
    pcs.map(|(pc, row)| (row.name, outcomes[&pc.name].clone()))
        .collect()
}

fn expected(rows: &[Row], which: usize) -> BTreeMap<&'static str, String> {
    rows.iter()
        .map(|row| (row.name, row.ends[which.min(row.ends.len() - 1)].to_owned()))
        .collect()
}

fn comes(pc: &mut Machine, during: &str) {
    pc.comes_during = Some((during.to_owned(), LoggedOn::at_screen(r"CORP\田中")));
}

/// Hours may pass between the look before a rung and its restart.
#[tokio::test(flavor = "multi_thread")]
async fn who_logs_on_after_the_look_is_not_thrown_off() {
    let rows = [
        row(
            "comes while the update is removed",
            |pc| {
                bad(pc);
                comes(pc, "update-rollback/remove.ps1");
            },
            &["blocked(nobody-logged-on)", "repaired(remove-and-restart)"],
        ),
        row(
            "comes before the first restart",
            |pc| {
                bad(pc);
                pc.pending_reboot.servicing = true;
                comes(pc, "update-rollback/pause-updates.ps1");
            },
            &[
                "not-repaired(pending-reboot)",
                "repaired(restart-and-remove)",
            ],
        ),
    ];
    let set = ["--set", "kb=KB5062553", "--max-reboots", "2"];
    let alone = site(&rows).await;
    let ended = run(&alone, "run", "update-rollback", &set).await;
    assert_eq!(
        by_row(&alone, &rows, &ended),
        expected(&rows, 0),
        "{}",
        ended.out()
    );
    let told = ended.out();
    assert!(told.contains("(SomebodyLoggedOn)"), "{told}");
    assert!(
        told.contains("failed at restart: somebody is logged on"),
        "{told}"
    );
    for pc in alone.lab.pcs() {
        let machine = pc.sim.machine();
        assert_eq!(machine.boot.restarts, 0, "{}", pc.name);
        assert_eq!(machine.users.len(), 1, "{}", pc.name);
        assert!(machine.users[0].messages.is_empty(), "{}", pc.name);
    }

    let warned = site(&rows).await;
    let set = with(set.map(Into::into).into(), ["--even-if-logged-on=0"]);
    let set: Vec<&str> = set
        .iter()
        .map(|text: &OsString| text.to_str().unwrap())
        .collect();
    let ended = run(&warned, "run", "update-rollback", &set).await;
    assert_eq!(
        by_row(&warned, &rows, &ended),
        expected(&rows, 1),
        "{}",
        ended.out()
    );
}

/// Without leave to restart, and with leave for one.
fn removals() -> Vec<Row> {
    vec![
        row("not there", |_| {}, &["healthy"]),
        row(
            "cumulative",
            bad,
            &["reboot-pending", "repaired(remove-and-restart)"],
        ),
        row(
            "BitLocker with a PIN",
            |pc| {
                bad(pc);
                pc.bitlocker = BitLocker {
                    protected: true,
                    pin: true,
                    suspended_for: None,
                };
            },
            &["reboot-pending", "repaired(remove-and-restart)"],
        ),
        row(
            "somebody works there",
            |pc| {
                bad(pc);
                pc.users.push(LoggedOn::at_screen(r"CORP\田中"));
            },
            &["reboot-pending"],
        ),
        row(
            "stand-alone, gone at once",
            |pc| alone(pc, Removal::AtOnce),
            &["repaired(remove)", "repaired(remove-and-restart)"],
        ),
        row(
            "stand-alone, DISM refuses",
            |pc| alone(pc, Removal::RefusedByDism(-2_146_498_546)),
            &["reboot-pending"],
        ),
        row(
            "permanent by its manifest",
            |pc| {
                bad(pc);
                pc.servicing.packages[0].permanent = true;
            },
            &["needs-hands(permanent)"],
        ),
        row(
            "permanent by what servicing says",
            |pc| {
                bad(pc);
                pc.servicing.removal = Removal::Refused(-2_146_498_523);
            },
            &["needs-hands(stays-for-good)"],
        ),
        row(
            "superseded",
            |pc| {
                bad(pc);
                pc.servicing.packages[0].state = 80;
            },
            &["needs-hands(superseded)"],
        ),
        row(
            "the store is broken",
            |pc| {
                bad(pc);
                pc.servicing.removal = Removal::Refused(-2_146_498_299);
            },
            &["not-repaired(component-store(-2146498299))"],
        ),
        row(
            "servicing is busy",
            |pc| {
                bad(pc);
                pc.servicing.busy = true;
            },
            &["not-repaired(servicing-busy)"],
        ),
        row(
            "goes at the next start",
            |pc| {
                bad(pc);
                pc.servicing.packages[0].state = UNINSTALL_PENDING;
                pc.pending_reboot.servicing = true;
            },
            &["blocked(needs-reboot)", "repaired(finish-by-restart)"],
        ),
        row(
            "another restart waits",
            |pc| {
                bad(pc);
                pc.pending_reboot.servicing = true;
            },
            &[
                "blocked(needs-reboot)",
                "blocked(needs-reboot)",
                "repaired(restart-and-remove)",
            ],
        ),
        row(
            "the disk is frozen",
            |pc| {
                bad(pc);
                pc.write_filter = Some(WriteFilter {
                    product: "deep-freeze".to_owned(),
                    active: true,
                });
            },
            &["blocked(write-filter)"],
        ),
        row(
            "it comes back",
            |pc| {
                bad(pc);
                pc.servicing.removal = Removal::ComesBack;
            },
            &["reboot-pending", "not-repaired(installed)"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_update_ends_as_the_table_says() {
    for restarts in 0..3 {
        let rows = removals();
        let site = site(&rows).await;
        let leave = restarts.to_string();
        let more = ["--kb", BAD, "--max-reboots", &leave];
        let checked = run(&site, "check", "update-rollback", &more).await;
        for (pc, row) in site.lab.pcs().iter().zip(&rows) {
            let machine = pc.sim.machine();
            let touched = (machine.servicing.tasks, machine.boot.orders);
            assert_eq!(touched, (0, 0), "{}: {}", row.name, checked.err());
            assert_eq!(machine.servicing.paused_until, None, "{}", row.name);
        }
        let ended = run(&site, "run", "update-rollback", &more).await;
        let wanted = expected(&rows, restarts);
        assert_eq!(by_row(&site, &rows, &ended), wanted, "{}", ended.err());
        for (pc, row) in site.lab.pcs().iter().zip(&rows) {
            let machine = pc.sim.machine();
            let end = &wanted[row.name];
            assert!(machine.boot.restarts <= u32::try_from(restarts).unwrap());
            if end.starts_with("repaired") {
                assert_eq!(machine.servicing.packages, [], "{}", row.name);
                assert!(machine.servicing.paused_until.is_some(), "{}", row.name);
            }
            if end == "repaired(remove-and-restart)" && row.name != "stand-alone, gone at once" {
                assert_eq!(machine.os.ubr, machine.servicing.revision_before);
            }
            if end.starts_with("blocked") || end.starts_with("needs-hands(permanent") {
                assert_eq!(machine.servicing.tasks, 0, "{}", row.name);
                assert_eq!(machine.boot.orders, 0, "{}", row.name);
            }
            // A combined package is never given to wusa.
            let standalone = row.name == "stand-alone, DISM refuses";
            assert_eq!(machine.servicing.wusa_used, standalone, "{}", row.name);
        }
        let again = run(&site, "run", "update-rollback", &more).await;
        for (name, outcome) in by_row(&site, &rows, &again) {
            if wanted[name].starts_with("repaired") {
                assert_eq!(outcome, "healthy", "{name}");
            }
        }
    }
}

/// The task of SYSTEM lives on when the session is lost; the second call waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_does_not_start_the_removal_twice() {
    let rows = [row(
        "lost",
        |pc| {
            bad(pc);
            pc.servicing.session_lost_once = true;
        },
        &["repaired(remove-and-restart)"],
    )];
    let site = site(&rows).await;
    let more = ["--kb", BAD, "--max-reboots", "1"];
    let ended = run(&site, "run", "update-rollback", &more).await;
    assert_eq!(
        by_row(&site, &rows, &ended),
        expected(&rows, 0),
        "{}",
        ended.err()
    );
    let machine = site.lab.pcs()[0].sim.machine();
    assert_eq!((machine.servicing.tasks, machine.boot.restarts), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_named_well_touches_nothing() {
    let rows = [row("there", bad, &["skipped(no-target)"])];
    let site = site(&rows).await;
    for (more, end) in [
        (&[][..], "skipped(no-target)"),
        (&["--kb", "last week's"], "skipped(bad-target)"),
        (&["--set", "build=26100"], "skipped(bad-target)"),
        (&["--kb", "KB5000001", "--kb", "5000002"], "healthy"),
        (
            &["--set", "build=26100.4652", "--set", "pause_days=90"],
            "blocked(pause-days)",
        ),
    ] {
        let ended = run(&site, "run", "update-rollback", more).await;
        assert_eq!(
            by_row(&site, &rows, &ended)["there"],
            end,
            "{}",
            ended.err()
        );
        assert_eq!(site.lab.pcs()[0].sim.machine().servicing.tasks, 0);
    }
    // By its build, and without a pause.
    let more = [
        "--set",
        "build=26100.4652",
        "--set",
        "pause_days=0",
        "--max-reboots",
        "1",
    ];
    let ended = run(&site, "run", "update-rollback", &more).await;
    assert_eq!(
        by_row(&site, &rows, &ended)["there"],
        "repaired(remove-and-restart)"
    );
    assert_eq!(site.lab.pcs()[0].sim.machine().servicing.paused_until, None);
}

/// Plain, and with all parameters set.
fn sick() -> Vec<Row> {
    const FAILED: i64 = -2_145_124_329;
    vec![
        row("well", |_| {}, &["healthy", "repaired(system-files)"]),
        row(
            "damaged",
            |pc| pc.servicing.store_health = 1,
            &["repaired(restore-health)"],
        ),
        row(
            "beyond repair",
            |pc| pc.servicing.store_health = 2,
            &[
                "needs-hands(store-not-repairable(2))",
                "needs-hands(store-not-repairable)",
            ],
        ),
        row(
            "nothing to repair from",
            |pc| {
                pc.servicing.store_health = 1;
                pc.servicing.restore_code = -2_146_498_529;
            },
            &["needs-hands(source-missing)"],
        ),
        row(
            "updates fail",
            |pc| pc.servicing.failures = vec![FAILED],
            &["repaired(reset-components)"],
        ),
        row(
            "updates fail for good",
            |pc| {
                pc.servicing.failures = vec![FAILED];
                pc.servicing.reset_helps = false;
            },
            &["not-repaired(updates-fail(-2145124329))"],
        ),
        row(
            "the server is silent",
            |pc| pc.servicing.failures = vec![-2_147_012_894],
            &["not-repaired(server-unreachable(-2147012894))"],
        ),
        row(
            "disabled",
            |pc| {
                pc.servicing.disabled.insert("wuauserv".to_owned());
            },
            &["blocked(enable-services)", "repaired(enable-services)"],
        ),
        row(
            "a huge cache",
            |pc| pc.servicing.cache = 50_000,
            &["healthy", "repaired(reset-components)"],
        ),
        row(
            "a restart waits",
            |pc| {
                pc.servicing.store_health = 1;
                pc.pending_reboot.servicing = true;
            },
            &["not-repaired(pending-reboot)"],
        ),
        row(
            "files beyond repair",
            |pc| pc.servicing.bad_files = 3,
            &["healthy", "not-repaired(files-unchecked)"],
        ),
        row(
            "lost while it repairs",
            |pc| {
                pc.servicing.store_health = 1;
                pc.servicing.session_lost_once = true;
            },
            &["repaired(restore-health)"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sickness_ends_as_the_table_says() {
    let all = [
        "--set",
        "enable_services=true",
        "--set",
        "largest_cache=10000",
        "--set",
        "scan_files=true",
    ];
    for (which, more) in [&[][..], &all].into_iter().enumerate() {
        let rows = sick();
        let site = site(&rows).await;
        run(&site, "check", "update-health", more).await;
        for (pc, row) in site.lab.pcs().iter().zip(&rows) {
            let servicing = &pc.sim.machine().servicing;
            assert_eq!((servicing.tasks, servicing.resets), (0, 0), "{}", row.name);
        }
        let ended = run(&site, "run", "update-health", more).await;
        let mut wanted = expected(&rows, which);
        wanted.insert("beyond repair", "needs-hands(store-not-repairable)".into());
        assert_eq!(by_row(&site, &rows, &ended), wanted, "{}", ended.err());
        for (pc, row) in site.lab.pcs().iter().zip(&rows) {
            let machine = pc.sim.machine();
            assert_eq!(machine.boot.orders, 0, "{}: it restarts nothing", row.name);
            if row.name == "lost while it repairs" {
                assert_eq!(machine.servicing.tasks, 1);
            }
        }
    }
}
