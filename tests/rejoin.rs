//! PCs that join their domain again: the real binary, and PCs that restart. Nobody is locked out,
//! and a PC on which something is in the way stays as it was.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetmend_lab::machine::{
    Battery, BitLocker, FirewallRule, LocalAccount, LoggedOn, Machine, MachineSecret, Membership,
    Profile, RepairFault, Restarts, WriteFilter,
};
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_playbooks::{Builtin, Playbook};
use fleetmend_tests::{Ended, Site, finish, with};
use fleetmend_transport::Script;
use serde_json::{Value, json};

const LEFT: &str = r"HKLM\SOFTWARE\fleetmend\LeftDomain\domain";

/// What the lab knows by content: the scripts of the playbook and the engine's own.
fn scripts() -> Vec<Script> {
    let playbook = Playbook::load_shipped("trust-repair").unwrap();
    let own = Builtin::ALL
        .into_iter()
        .filter(|builtin| builtin.is_script())
        .map(|builtin| builtin.file().unwrap());
    let all = playbook.scripts().cloned().chain(own);
    all.map(|script| Script {
        name: script.name.clone(),
        text: script.text.clone(),
    })
    .collect()
}

/// PCs whose secret cannot be repaired in place, so that joining again is what is left.
async fn site(plan: Vec<PcPlan>) -> Site {
    let site = Site::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    })
    .await;
    each(&site, |machine| {
        machine.restarts = Restarts {
            down_for: Duration::from_millis(150),
            servicing_for: Duration::from_millis(50),
            logon_ready_after: Duration::from_millis(50),
            ..Restarts::default()
        };
    });
    site
}

async fn one() -> Site {
    site(vec![PcPlan::new(Scenario::IsolationEnforced)]).await
}

fn each(site: &Site, change: impl Fn(&mut Machine)) {
    for pc in site.lab.pcs() {
        change(&mut pc.sim.machine());
    }
}

fn command(site: &Site, arguments: Vec<OsString>) -> tokio::process::Command {
    let mut command = site.command(arguments);
    command.env("FLEETMEND_RESTART_PACE", "0.02");
    command
}

/// Runs with the domain credential, which may reach PCs.
async fn run(site: &Site, more: &[&str]) -> Ended {
    let all = with(site.run_arguments(), ["--output", "json"]);
    let all = with(all, more.iter().copied());
    let ended = finish(command(site, all).spawn().unwrap()).await;
    assert_eq!(site.lab.counts().unknown_scripts, 0, "{}", ended.err());
    ended
}

fn all(ended: &Ended, outcome: &str) {
    let outcomes = ended.outcomes();
    assert!(!outcomes.is_empty(), "{}", ended.err());
    for (pc, found) in outcomes {
        assert_eq!(found, outcome, "{pc}: {}\n{}", ended.out(), ended.err());
    }
}

/// How often each PC was restarted.
fn restarts(site: &Site) -> Vec<u32> {
    let pcs = site.lab.pcs().iter();
    pcs.map(|pc| pc.sim.machine().boot.restarts).collect()
}

/// What must not change on a PC that is left alone.
#[derive(Debug, PartialEq)]
struct State {
    membership: Membership,
    secret: Option<MachineSecret>,
    accounts: Vec<(String, LocalAccount)>,
    bitlocker: BitLocker,
    registry: Vec<(String, Value)>,
    restarts: (u32, u32),
    account: Option<fleetmend_lab::domain::PasswordId>,
}

fn states(site: &Site) -> Vec<State> {
    let domain = site.lab.shared().domain();
    let state = |pc: &fleetmend_lab::LabPc| {
        let machine = pc.sim.machine();
        State {
            membership: machine.membership(),
            secret: machine.secret,
            accounts: machine
                .accounts
                .iter()
                .map(|(name, account)| {
                    // Logging on is no change.
                    let account = LocalAccount {
                        logons: 0,
                        ..account.clone()
                    };
                    (name.clone(), account)
                })
                .collect(),
            bitlocker: machine.bitlocker,
            registry: machine.registry.clone().into_iter().collect(),
            restarts: (machine.boot.orders, machine.boot.restarts),
            account: domain.computer(&machine.name).map(|found| found.current),
        }
    };
    site.lab.pcs().iter().map(state).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejoin_in_place_takes_one_restart_over_every_transport() {
    let pc = PcPlan::new(Scenario::IsolationEnforced);
    let site = site(vec![
        pc,
        pc.over(TransportKind::WinrmHttps),
        pc.over(TransportKind::Ssh).japanese(),
    ])
    .await;
    all(
        &run(&site, &[]).await,
        "blocked(machine-identity-isolation)",
    );
    assert_eq!(restarts(&site), [0, 0, 0]);
    let ended = run(&site, &["--max-reboots", "1"]).await;
    all(&ended, "repaired(rejoin)");
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert_eq!(restarts(&site), [1, 1, 1]);
    each(&site, |machine| {
        assert_eq!(machine.domain.as_deref(), Some("corp.example.jp"));
        assert_eq!(machine.registry.get(LEFT), None);
    });
    all(&run(&site, &["--max-reboots", "1"]).await, "healthy");
    assert_eq!(restarts(&site), [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rejoin_in_place_did_not_mend_goes_through_a_workgroup() {
    let site = one().await;
    // The join says that it worked; the restart shows that it did not.
    each(&site, |machine| {
        machine.repair_fault = RepairFault::LiesAboutSuccess;
        machine.bitlocker = BitLocker {
            protected: true,
            pin: true,
            suspended_for: None,
        };
    });
    let arguments = with(
        site.run_arguments(),
        ["--output", "json", "--max-reboots", "3"],
    );
    let child = command(&site, arguments).spawn().unwrap();
    until(&site, "restarted", |machine| machine.boot.restarts == 1).await;
    let sim = &site.lab.pcs()[0].sim;
    sim.machine().repair_fault = RepairFault::None;
    let ended = finish(child).await;
    all(&ended, "repaired(rejoin-through-workgroup)");
    assert_eq!(restarts(&site), [3]);
    // It was suspended for exactly those restarts, so no PIN was asked for.
    assert_eq!(sim.machine().bitlocker.status(), 1);
    assert_eq!(sim.machine().registry.get(LEFT), None, "forgotten again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_from_another_pc_keeps_the_credential_from_the_broken_one() {
    let site = site(vec![
        PcPlan::new(Scenario::IsolationEnforced),
        PcPlan::new(Scenario::Healthy).over(TransportKind::Ssh),
    ])
    .await;
    for pc in site.lab.pcs() {
        pc.sim.record();
    }
    let [broken, maker] = site.lab.pcs() else {
        panic!("two PCs")
    };
    let host = format!("provisioning_host={}", maker.name);
    let arguments: Vec<OsString> = site
        .run_arguments()
        .into_iter()
        .filter(|argument| argument != "--allow-credential-on-pcs")
        .collect();
    let arguments = with(
        arguments,
        ["--output", "json", "--max-reboots", "1", "--set", &host],
    );
    let ended = finish(command(&site, arguments).spawn().unwrap()).await;
    let outcomes = ended.outcomes();
    assert_eq!(
        outcomes[&broken.name],
        "repaired(offline-join-provisioned)",
        "{}\n{}",
        ended.out(),
        ended.err()
    );
    assert_eq!(outcomes[&maker.name], "healthy");
    assert_eq!(restarts(&site), [1, 0]);
    assert_eq!(
        broken.sim.machine().domain.as_deref(),
        Some("corp.example.jp")
    );

    let password = site.lab.domain_credential().password.reveal().to_owned();
    let knows = |pc| sent(pc).iter().any(|params| params.contains(&password));
    assert!(knows(maker) && !knows(broken));
    // The blob reached the broken PC, and stands in no file of ours.
    let blob = sent(broken).into_iter().find_map(|params| {
        let params: Value = serde_json::from_str(&params).ok()?;
        Some(params.get("join_secret")?.as_str()?.to_owned())
    });
    let blob = blob.unwrap();
    assert!(blob.len() > 100, "{blob}");
    let mut files = 0;
    for file in std::fs::read_dir(site.data()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let holds = |text: &str| {
                let mut parts = bytes.windows(text.len());
                parts.any(|part| part == text.as_bytes())
            };
            assert!(!holds(&blob) && !holds(&password), "{}", path.display());
        }
    }
    assert!(files > 0);
    assert!(!ended.out().contains(&blob));
    trail_names_the_other_pc(&site, &broken.name, &maker.name).await;
}

/// The logon at the other PC is told as one there.
async fn trail_names_the_other_pc(site: &Site, broken: &str, maker: &str) {
    let audit = |words: &[&str]| {
        let mut all: Vec<OsString> = vec!["audit".into()];
        all.extend(words.iter().map(OsString::from));
        site.run(with(with(all, ["--data-dir"]), [site.data()]))
    };
    let list = audit(&["list", "--host", maker, "-o", "json"]).await.json();
    let entries = list.as_array().unwrap().iter();
    let there: Vec<&Value> = entries
        .filter(|entry| entry.pointer("/what/for/on").is_some())
        .collect();
    assert_eq!(there.len(), 1, "{there:?}");
    let [entry] = there[..] else {
        unreachable!("{there:?}")
    };
    assert_eq!(entry["host"], broken);
    assert_eq!(entry["what"]["for"]["on"], maker);
    assert_eq!(entry["what"]["for"]["rung"], "offline-join-provisioned");
    let text = audit(&["list", "--host", maker]).await.out();
    let words = format!("to log on to {maker}");
    assert_eq!(text.matches(&words).count(), 1, "{text}");
    assert_eq!(audit(&["verify"]).await.code, Some(0));
}

/// The parameters of every step that a PC was sent.
fn sent(pc: &fleetmend_lab::LabPc) -> Vec<String> {
    let text = String::from_utf8_lossy(&pc.sim.received()).into_owned();
    let fields = text.lines().filter_map(|line| line.split(' ').nth(3));
    fields
        .filter_map(|field| STANDARD.decode(field.trim()).ok())
        .filter_map(|bytes| String::from_utf8(bytes).ok())
        .collect()
}

/// What stands in the way, on one PC.
type Obstacle = (&'static str, fn(&mut Machine));

const OBSTACLES: &[Obstacle] = &[
    ("local-admin", |machine| {
        since(machine, json!({ "expires_in_seconds": 3600 }));
    }),
    ("network-logon-allowed", |machine| {
        since(machine, json!({ "network_logon": false }));
    }),
    ("domain-facts-saved", |machine| {
        let key = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\State\Machine\Distinguished-Name";
        machine.registry.insert(key.to_owned(), Value::Null);
    }),
    ("firewall-admits-us", |machine| {
        machine.firewall.rules = vec![FirewallRule::all(&[Profile::Domain, Profile::Private])];
    }),
    ("no-pending-restart", |machine| {
        machine.pending_reboot.computer_name = Some("PC-999".to_owned());
    }),
    ("no-pending-restart", |machine| {
        machine.pending_reboot.servicing = true;
    }),
    ("write-filter", |machine| {
        machine.write_filter = Some(WriteFilter {
            product: "uwf".to_owned(),
            active: true,
        });
    }),
    // The seeds' own product: nothing but its name in the list of programs is known of it.
    ("write-filter", |machine| {
        let key = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\{1}\DisplayName";
        let name = json!("HD革命/WinProtector Ver.8");
        machine.registry.insert(key.to_owned(), name);
    }),
    ("power", |machine| {
        machine.battery = Some(Battery {
            percent: 20,
            on_mains: false,
        });
    }),
    ("nobody-logged-on", |machine| {
        machine.users.push(LoggedOn::at_screen(r"CORP\tanaka"));
    }),
];

fn since(machine: &mut Machine, account: Value) {
    machine
        .registry
        .insert(r"HKLM\SOFTWARE\Lab\Account".to_owned(), account);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_obstacle_blocks_and_leaves_the_pc_as_it_was() {
    let pc = PcPlan::new(Scenario::IsolationEnforced);
    let site = site(vec![pc; OBSTACLES.len()]).await;
    for (pc, (_, obstacle)) in site.lab.pcs().iter().zip(OBSTACLES) {
        obstacle(&mut pc.sim.machine());
    }
    let before = states(&site);
    let ended = run(&site, &["--max-reboots", "3"]).await;
    assert_eq!(states(&site), before, "{}", ended.out());
    let outcomes = ended.outcomes();
    for (pc, (guard, _)) in site.lab.pcs().iter().zip(OBSTACLES) {
        let expected = format!("blocked({guard})");
        assert_eq!(outcomes[&pc.name], expected, "{}", ended.out());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_logged_on_is_told_in_both_languages() {
    let site = one().await;
    each(&site, |machine| {
        machine.users.push(LoggedOn::at_screen(r"CORP\tanaka"));
    });
    let more = ["--max-reboots", "1", "--even-if-logged-on=0"];
    let all_arguments = with(site.run_arguments(), ["--output", "json"]);
    let child = command(&site, with(all_arguments, more)).spawn().unwrap();
    let mut told = String::new();
    until(&site, "told", |machine| {
        told = machine
            .users
            .iter()
            .flat_map(|user| user.messages.clone())
            .collect();
        !told.is_empty()
    })
    .await;
    assert!(
        told.contains("save your work") && told.contains("保存"),
        "{told}"
    );
    all(&finish(child).await, "repaired(rejoin)");
    assert_eq!(restarts(&site), [1]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_between_the_two_restarts_is_finished() {
    let site = one().await;
    each(&site, |machine| {
        machine.repair_fault = RepairFault::LiesAboutSuccess
    });
    let arguments = with(
        site.run_arguments(),
        ["--output", "json", "--max-reboots", "3"],
    );
    let mut child = command(&site, arguments).spawn().unwrap();
    until(&site, "restarted", |machine| machine.boot.restarts == 1).await;
    each(&site, |machine| machine.repair_fault = RepairFault::None);
    until(&site, "out of its domain", |machine| {
        machine.domain.is_none()
    })
    .await;
    child.kill().await.unwrap();
    let resume: Vec<OsString> = ["resume", "--yes", "--output", "json", "--data-dir"]
        .map(OsString::from)
        .into();
    let resume = with(resume, [site.data()]);
    let ended = finish(command(&site, resume).spawn().unwrap()).await;
    all(&ended, "repaired(rejoin-through-workgroup)");
    assert_eq!(restarts(&site), [3]);
    let machine = site.lab.pcs()[0].sim.machine().clone();
    assert_eq!(machine.domain.as_deref(), Some("corp.example.jp"));
}

/// Waits until this is so of a PC.
async fn until(site: &Site, what: &str, mut so: impl FnMut(&Machine) -> bool) {
    let begun = Instant::now();
    while !site.lab.pcs().iter().any(|pc| so(&pc.sim.machine())) {
        assert!(begun.elapsed() < Duration::from_secs(60), "never {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_somebody_else_is_not_taken_and_the_pc_stays_a_member() {
    let site = one().await;
    let name = site.lab.pcs()[0].sim.machine().name.clone();
    {
        let mut domain = site.lab.shared().domain();
        domain.computer_mut(&name).unwrap().owner = Some(9_999);
    }
    let before = states(&site);
    let ended = run(&site, &["--max-reboots", "3"]).await;
    all(&ended, "needs-hands(account-reuse-blocked)");
    assert_eq!(states(&site), before, "{}", ended.out());
    let host = ended.json()["hosts"][0].clone();
    assert!(host.to_string().contains("KB5020276"), "{host}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_taken_is_told_as_that() {
    let site = one().await;
    let name = site.lab.pcs()[0].sim.machine().name.clone();
    {
        let mut domain = site.lab.shared().domain();
        domain.taken_names.insert(name.to_lowercase());
    }
    let before = states(&site);
    let ended = run(&site, &["--max-reboots", "3"]).await;
    all(&ended, "needs-hands(name-clash)");
    assert_eq!(states(&site), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pc_that_was_left_in_a_workgroup_is_joined_where_it_belongs() {
    let plan = PcPlan::new(Scenario::Workgroup);
    let site = site(vec![plan, plan]).await;
    // One remembers its domain.
    let [remembers, forgot] = site.lab.pcs() else {
        panic!("two PCs")
    };
    remembers
        .sim
        .machine()
        .registry
        .insert(LEFT.to_owned(), json!("corp.example.jp"));
    let ended = run(&site, &[]).await;
    assert_eq!(ended.outcomes()[&remembers.name], "blocked(needs-reboot)");
    let ended = run(&site, &["--max-reboots", "1"]).await;
    let outcomes = ended.outcomes();
    assert_eq!(
        outcomes[&remembers.name],
        "repaired(join)",
        "{}",
        ended.out()
    );
    assert_eq!(outcomes[&forgot.name], "needs-hands(not-a-domain-member)");
    assert_eq!(restarts(&site), [1, 0]);
    let domain = ["--max-reboots", "1", "--set", "join_domain=corp.example.jp"];
    let ended = run(&site, &domain).await;
    assert_eq!(
        ended.outcomes()[&forgot.name],
        "repaired(join)",
        "{}",
        ended.out()
    );
    assert_eq!(restarts(&site), [1, 1]);
    each(&site, |machine| {
        assert_eq!(machine.domain.as_deref(), Some("corp.example.jp"));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_administrator_is_made_before_anything_leaves() {
    let site = one().await;
    each(&site, |machine| {
        // The account in use ends tonight.
        since(machine, json!({ "expires_in_seconds": 3600 }));
    });
    let file = site.path("rescue.pw");
    std::fs::copy(site.path("local.pw"), &file).unwrap();
    std::fs::write(&file, "Rescue-2026-くま").unwrap();
    let password = format!("rescue_admin={}", file.display());
    let more = [
        "--max-reboots",
        "1",
        "--credential",
        "rescue_admin=rescue",
        "--credential-password-file",
        password.as_str(),
    ];
    let ended = run(&site, &more).await;
    all(&ended, "repaired(rejoin)");
    let machine = site.lab.pcs()[0].sim.machine().clone();
    let rescue = machine.account("rescue").unwrap();
    assert!(rescue.administrator && rescue.enabled);
    assert_eq!(rescue.bad_passwords_total, 0);
    assert!(rescue.logons > 0, "it logged on afresh");
}
