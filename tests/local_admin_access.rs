//! local-admin-access over the lab: an account that nobody could use lets us in afterwards, by a
//! logon of its own, and nothing is touched that the operator did not allow.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use fleetmend_lab::machine::LocalAccount;
use fleetmend_lab::{LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use fleetmend_tests::{Ended, Site, scripts, with};

const PASSWORD: &str = "kanaria-rescue-7Hq2Zt";

async fn site() -> Site {
    let transports = [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ];
    let plan = transports.map(|transport| PcPlan::new(Scenario::Healthy).over(transport));
    let mut plan = plan.to_vec();
    plan.push(PcPlan::new(Scenario::Healthy).japanese());
    let site = Site::start(LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    })
    .await;
    private(&site.path("rescue.pw"), PASSWORD);
    site
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

async fn run(site: &Site, mode: &str, more: &[&str]) -> Ended {
    let mut arguments: Vec<OsString> = vec![mode.into(), "local-admin-access".into()];
    arguments.extend(site.logon_arguments());
    let arguments = with(arguments, ["--yes", "--output", "json"]);
    let ended = site.run(with(arguments, more.iter().copied())).await;
    assert_eq!(site.lab.counts().unknown_scripts, 0);
    ended
}

/// As [`run`], with a password for the account.
async fn give(site: &Site, more: &[&str]) -> Ended {
    let file = site.path("rescue.pw");
    let file = format!("local_admin_credential={}", file.to_str().unwrap());
    let mut all = vec![
        "--set",
        "account=rescue",
        "--credential",
        "local_admin_credential=rescue",
    ];
    all.extend([
        "--credential-password-file",
        &file,
        "--allow-credential-on-pcs",
    ]);
    all.extend(more);
    run(site, "run", &all).await
}

/// All that the playbook could change on the PCs.
fn states(site: &Site) -> Vec<(BTreeMap<String, LocalAccount>, bool)> {
    let state = |pc: &fleetmend_lab::LabPc| {
        let machine = pc.sim.machine();
        let mut accounts = machine.accounts.clone();
        // That we log on counts, of course.
        accounts.values_mut().for_each(|account| account.logons = 0);
        (accounts, machine.remote_admins)
    };
    site.lab.pcs().iter().map(state).collect()
}

fn all(ended: &Ended, outcome: &str) {
    let outcomes = ended.outcomes();
    assert_eq!(outcomes.len(), 4, "{}", ended.err());
    for (pc, found) in outcomes {
        assert_eq!(found, outcome, "{pc}: {}", ended.out());
    }
}

fn add_rescue(site: &Site, change: impl Fn(&mut LocalAccount)) {
    for pc in site.lab.pcs() {
        let mut account = LocalAccount::new("as-before-1A", true);
        account.rid = 1002;
        change(&mut account);
        let accounts = &mut pc.sim.machine().accounts;
        accounts.insert("rescue".to_owned(), account);
    }
}

/// Has the next run log on as the account.
fn log_on_as_rescue(site: &Site, password: &str) {
    let path = site.path("lab.yaml");
    let inventory = std::fs::read_to_string(&path).unwrap();
    let local = &site.lab.local_credential().user;
    assert!(inventory.contains(local.as_str()), "{inventory}");
    std::fs::write(&path, inventory.replace(local.as_str(), "rescue")).unwrap();
    private(&site.path("local.pw"), password);
}

#[tokio::test(flavor = "multi_thread")]
async fn pcs_in_order_are_left_alone() {
    let site = site().await;
    let before = states(&site);
    let ended = run(&site, "run", &[]).await;
    all(&ended, "healthy");
    assert_eq!(ended.code, Some(0), "{}", ended.err());
    assert_eq!(states(&site), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_account_lets_us_in_and_its_password_is_nowhere() {
    let site = site().await;
    let ended = give(&site, &["--set", "create_account=true", "-vv"]).await;
    all(&ended, "repaired(set-account)");
    let mut files: Vec<_> = vec![ended.stdout.clone(), ended.stderr.clone()];
    for entry in std::fs::read_dir(site.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files.push(std::fs::read(path).unwrap());
        }
    }
    assert!(files.len() > 2, "no journal");
    for file in files {
        let found = file
            .windows(PASSWORD.len())
            .any(|part| part == PASSWORD.as_bytes());
        assert!(!found, "the password was written down");
    }

    log_on_as_rescue(&site, PASSWORD);
    let ended = run(&site, "check", &["--set", "account=rescue"]).await;
    all(&ended, "healthy");
    for pc in site.lab.pcs() {
        let machine = pc.sim.machine();
        let rescue = machine.account("rescue").unwrap();
        assert_eq!(rescue.bad_passwords_total, 0);
        assert!(rescue.logons >= 2, "one to prove it, one of the check");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_that_was_not_allowed() {
    let site = site().await;
    let before = states(&site);
    all(&give(&site, &[]).await, "blocked(create-account)");
    assert_eq!(states(&site), before);

    add_rescue(&site, |account| {
        account.enabled = false;
        account.administrator = false;
    });
    let before = states(&site);
    let named = ["--set", "account=rescue"];
    all(&run(&site, "run", &named).await, "blocked(enable-account)");
    let enable = [&named[..], &["--set", "enable_account=true"]].concat();
    all(
        &run(&site, "run", &enable).await,
        "blocked(add-to-administrators)",
    );
    assert_eq!(states(&site), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_put_in_order_with_the_password_that_it_has() {
    let site = site().await;
    add_rescue(&site, |account| {
        account.enabled = false;
        account.locked = true;
        account.expired = true;
        account.administrator = false;
    });
    let allowed = [
        "--set",
        "account=rescue",
        "--set",
        "enable_account=true",
        "--set",
        "add_to_administrators=true",
    ];
    all(&run(&site, "run", &allowed).await, "repaired(make-usable)");
    all(&run(&site, "run", &allowed).await, "healthy");
    log_on_as_rescue(&site, "as-before-1A");
    all(&run(&site, "check", &allowed[..2]).await, "healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_the_pcs_refuse_makes_no_account() {
    let site = site().await;
    for pc in site.lab.pcs() {
        pc.sim.machine().shortest_password = 40;
    }
    let before = states(&site);
    let ended = give(&site, &["--set", "create_account=true"]).await;
    let outcomes = ended.outcomes();
    let with = |outcome: &str| outcomes.values().filter(|found| *found == outcome).count();
    // After three PCs that prove nothing the password reaches no further one.
    assert_eq!(with("not-repaired(account-missing)"), 3, "{outcomes:?}");
    assert_eq!(with("blocked(credential-unproven)"), 1, "{outcomes:?}");
    assert!(ended.out().contains("2245"), "{}", ended.out());
    assert_eq!(states(&site), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_order_keeps_its_password() {
    let site = site().await;
    add_rescue(&site, |_| ());
    let before = states(&site);
    all(
        &give(&site, &["--set", "set_password=true"]).await,
        "healthy",
    );
    assert_eq!(states(&site), before);
}
