//! Passwords of a PC's own with the real binary against the lab: from LAPS, over LDAPS, and from an
//! inventory that ansible-vault encrypted.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use fleetmend_lab::{InventoryFiles, LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::{Secret, TransportKind};
use fleetmend_tests::{Ended, Site, scripts, with};

const ADMIN: &str = "fleetadmin";
const VAULT: &str = "金庫 1";

/// PCs that are well, each with its own password.
async fn site(pcs: usize) -> Site {
    let kinds = [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ];
    let plans = kinds.iter().cycle().take(pcs);
    let plans = plans.map(|kind| PcPlan::new(Scenario::Healthy).over(*kind).japanese());
    let mut options = LabOptions::new(0, scripts());
    options.mix = Mix::Plan(plans.collect());
    options.own_local_passwords = true;
    let site = Site::start(options).await;
    write(&site, "vault.pw", VAULT);
    write(
        &site,
        "laps.pw",
        site.lab.laps_credential().password.reveal(),
    );
    site
}

fn write(site: &Site, name: &str, text: &str) {
    let path = site.path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn exec(site: &Site) -> Vec<OsString> {
    let mut all: Vec<OsString> = vec!["exec".into(), "-i".into()];
    all.push(site.path("lab.yaml").into());
    all.extend(["--data-dir".into(), site.data().into()]);
    all.extend(["--connect-timeout", "3s", "--output", "json"].map(OsString::from));
    all
}

fn laps(site: &Site) -> Vec<OsString> {
    let mut all = exec(site);
    all.extend(["--credentials".into(), site.path("credentials.yaml").into()]);
    let user = site.lab.laps_credential().user.clone();
    all.extend(["--directory", "corp.example.jp", "--directory-user", &user].map(OsString::from));
    all.extend([
        "--directory-password-file".into(),
        site.path("laps.pw").into(),
    ]);
    all.extend(["--directory-ca".into(), site.path("lab-ca.pem").into()]);
    for controller in site.lab.controllers() {
        let address = controller.ldaps().to_string();
        all.extend(["--directory-server".into(), address.into()]);
    }
    all
}

/// Takes the accounts out of the inventory, but where legacy LAPS says none.
fn no_users(site: &Site) {
    let inventory = fs::read_to_string(site.path("lab.yaml")).unwrap();
    let lines = inventory
        .lines()
        .filter(|line| !line.contains("ansible_user"));
    write(site, "lab.yaml", &lines.collect::<Vec<_>>().join("\n"));
    for pc in site.lab.pcs().iter().step_by(4) {
        let file = format!("host_vars/{}.yaml", pc.name);
        write(site, &file, &format!("ansible_user: {ADMIN}\n"));
    }
}

async fn run(site: &Site, arguments: Vec<OsString>) -> Ended {
    let command = ["--", "nltest", "/sc_query:corp.example.jp"];
    site.run(with(arguments, command)).await
}

fn wrong(pc: &LabPc) -> u32 {
    let machine = pc.sim.machine();
    machine.account(ADMIN).unwrap().bad_passwords_total
}

fn is_in(ended: &Ended, pc: &LabPc) -> bool {
    let report = ended.json();
    let mut hosts = report["hosts"].as_array().unwrap().iter();
    let host = hosts.find(|host| host["host"] == pc.name.as_str()).unwrap();
    host["exec"]["exit_code"].is_i64()
}

fn assert_all_in(site: &Site, ended: &Ended) {
    for pc in site.lab.pcs() {
        assert!(is_in(ended, pc), "{}: {}", ended.out(), ended.err());
        assert_eq!(wrong(pc), 0, "{} saw a wrong password", pc.name);
    }
}

/// Nothing that was written or printed holds a password.
fn assert_hidden(site: &Site, ended: &Ended) {
    let mut left = [ended.stdout.clone(), ended.stderr.clone()].concat();
    gather(&site.data(), &mut left);
    assert!(left.len() > 1000, "nothing was looked at");
    let holds = |secret: &str| {
        let secret = secret.as_bytes();
        left.windows(secret.len()).any(|window| window == secret)
    };
    assert!(holds(&site.lab.pcs()[0].name));
    for pc in site.lab.pcs() {
        assert!(!holds(pc.local.password.reveal()), "{}", pc.name);
    }
    assert!(!holds(VAULT) && !holds("ANSIBLE_VAULT;"), "{}", ended.err());
}

fn gather(folder: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, into);
        } else {
            into.extend(fs::read(path).unwrap());
        }
    }
}

fn assert_untouched(site: &Site, ended: &Ended) {
    assert_eq!(ended.code, Some(2), "{}", ended.err());
    let counts = site.lab.counts();
    assert_eq!((counts.logons_accepted, counts.logons_refused), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn laps_gives_each_pc_its_own_password_and_account() {
    let site = site(6).await;
    write(
        &site,
        "credentials.yaml",
        "version: 1\ncredentials: {local-admin: {laps: {}}}\n",
    );
    no_users(&site);
    let ended = run(&site, laps(&site)).await;
    assert_all_in(&site, &ended);
    assert_hidden(&site, &ended);
}

/// A PC that was set back to a state of before has the password of before: legacy LAPS', which is
/// still in the directory.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_from_before_is_tried_only_if_the_budget_says_so() {
    for (settings, gets_in) in [
        ("{laps: {history: 1}, attempts: 2}", true),
        ("{laps: {history: 1}}", false),
    ] {
        let site = site(3).await;
        let text = format!("version: 1\ncredentials: {{local-admin: {settings}}}\n");
        write(&site, "credentials.yaml", &text);
        let back = &site.lab.pcs()[1];
        assert_eq!(back.sim.machine().set_password(ADMIN, "以前のpw-1"), 0);
        let short = back.name.split('.').next().unwrap();
        let before = Some(Secret::new("以前のpw-1".to_owned()));
        site.lab
            .shared()
            .domain()
            .computer_mut(short)
            .unwrap()
            .laps
            .legacy = before;
        let ended = run(&site, laps(&site)).await;
        assert_eq!(is_in(&ended, back), gets_in, "{}", ended.out());
        for pc in site.lab.pcs() {
            let expected = u32::from(pc.name == back.name);
            assert_eq!(wrong(pc), expected, "{settings} {}", pc.name);
        }
        assert!(!format!("{}{}", ended.out(), ended.err()).contains("以前のpw"));
    }
}

/// LAPS where it keeps something, else an account of the domain: that is tried at a controller
/// first, with its own password, and no local one ever is.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_account_behind_laps_is_tried_by_itself() {
    let text = r"
version: 1
credentials:
  local-admin: {from: [{laps: {}}, {user: 'CORP\trust-repair', password: {file: domain.pw}}]}
";
    for is_right in [true, false] {
        let site = site(3).await;
        write(&site, "credentials.yaml", text);
        let right = site.lab.domain_credential().password.clone();
        let password = if is_right { right.reveal() } else { "wrong" };
        write(&site, "domain.pw", password);
        no_users(&site);
        let ended = run(&site, laps(&site)).await;
        let spent = |user: &str| {
            let domain = site.lab.shared().domain();
            domain.user(user).map(|user| user.bad_passwords_total)
        };
        assert_eq!(spent("trust-repair"), Some(u32::from(!is_right)));
        assert_eq!(spent("fleetadmin").unwrap_or(0), 0);
        if is_right {
            assert_all_in(&site, &ended);
        } else {
            assert_eq!(ended.code, Some(3), "{}", ended.err());
            let told = r"refuses the domain account CORP\trust-repair";
            assert!(ended.err().contains(told), "{}", ended.err());
            let counts = site.lab.counts();
            assert_eq!((counts.logons_accepted, counts.logons_refused), (0, 0));
        }
    }
}

/// Who asks the directory stands on the audit trail, also where no option names it.
#[tokio::test(flavor = "multi_thread")]
async fn the_trail_names_the_account_that_asks_the_directory() {
    let site = site(2).await;
    let user = site.lab.laps_credential().user.clone();
    let text = format!(
        "version: 1\ndirectory: 読み手\ncredentials:\n  local-admin: {{laps: {{}}}}\n  読み手: \
         {{user: '{user}', password: {{file: laps.pw}}}}\n"
    );
    write(&site, "credentials.yaml", &text);
    no_users(&site);
    let mut arguments = laps(&site);
    for option in ["--directory-user", "--directory-password-file"] {
        let at = arguments.iter().position(|one| one == option).unwrap();
        arguments.drain(at..at + 2);
    }
    let ended = run(&site, arguments).await;
    assert_all_in(&site, &ended);
    let mut list: Vec<OsString> = ["audit", "list", "-o", "json", "--data-dir"]
        .map(OsString::from)
        .into();
    list.push(site.data().into());
    for named in ["読み手", &user] {
        let listed = site.run(with(list.clone(), ["--credential", named])).await;
        let entries = listed.json();
        let mut all = entries.as_array().unwrap().iter();
        let begun = all.find(|entry| entry["kind"] == "run-begun").unwrap();
        let terms = &begun["what"]["terms"];
        assert_eq!(terms["directory_user"], *user);
        assert_eq!(terms["directory_credential"], "読み手");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_of_ansible_vault_opens_each_pc() {
    let site = site(4).await;
    let password = Secret::new(VAULT.to_owned());
    let files = InventoryFiles::default();
    let yaml = site
        .lab
        .vaulted_inventory_yaml(&files, &password, Some("prod"));
    let line = yaml
        .lines()
        .position(|line| line.contains("!vault"))
        .unwrap()
        + 1;
    write(&site, "lab.yaml", &yaml);

    let mut list: Vec<OsString> = ["inventory", "list", "-i"].map(OsString::from).into();
    list.push(site.path("lab.yaml").into());
    let listed = site.run(list).await;
    assert_eq!(listed.code, Some(0), "{}", listed.err());
    assert!(listed.out().contains(&site.lab.pcs()[3].name));
    assert!(
        listed.err().contains("a run needs its password"),
        "{}",
        listed.err()
    );

    let none = run(&site, exec(&site)).await;
    assert_untouched(&site, &none);
    let place = format!("lab.yaml:{line}:29: `ansible_password` is encrypted by ansible-vault");
    assert!(none.err().contains(&place), "{}", none.err());
    assert!(
        none.err().contains("--vault-password-file"),
        "{}",
        none.err()
    );

    write(&site, "wrong.pw", "canary-wrong\n");
    let id = |file: &str| OsString::from(format!("prod@{}", site.path(file).display()));
    let wrong = with(exec(&site), ["--vault-id".into(), id("wrong.pw")]);
    let wrong = run(&site, wrong).await;
    assert_untouched(&site, &wrong);
    assert!(
        wrong.err().contains("the password `prod` does not open it"),
        "{}",
        wrong.err()
    );
    assert!(!wrong.err().contains("canary"), "{}", wrong.err());

    let right = with(exec(&site), ["--vault-id".into(), id("vault.pw")]);
    let ended = run(&site, right).await;
    assert_all_in(&site, &ended);
    assert_hidden(&site, &ended);

    // As credentials.yaml says it.
    let text = "version: 1\nansible_vault: {password: {file: vault.pw}}\n";
    write(&site, "credentials.yaml", text);
    let file = site.path("credentials.yaml");
    let kept = with(exec(&site), ["--credentials".into(), file.into_os_string()]);
    let ended = run(&site, kept).await;
    assert_all_in(&site, &ended);
}
