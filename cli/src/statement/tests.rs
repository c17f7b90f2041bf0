//! What is said of directories, secrets and rungs.

use super::*;

fn hosts(platforms: &[Platform]) -> Vec<Arc<Host>> {
    let host = |(number, platform): (usize, &Platform)| {
        let mut host = Host::new(format!("pc-{number}"));
        host.platform = *platform;
        Arc::new(host)
    };
    platforms.iter().enumerate().map(host).collect()
}

fn directory() -> DirectoryLine {
    DirectoryLine {
        domain: "corp.example.jp".to_owned(),
        dc: "dc1.corp.example.jp".to_owned(),
        controllers: 2,
        user: "svc".to_owned(),
        offline_join: false,
    }
}

fn told(platforms: &[Platform], change: impl FnOnce(&mut Statement<'_>)) -> String {
    let playbooks = Playbooks::load("trust-repair").unwrap();
    let hosts = hosts(platforms);
    let reboots = RebootPolicy {
        max: 1,
        window: "22:00-05:00".parse().ok(),
        at_once: 4,
    };
    let pace = Pace::default();
    let mut statement = Statement {
        playbooks: &playbooks,
        mode: RunMode::Repair,
        language: Language::En,
        hosts: &hosts,
        of: hosts.len(),
        accounts: vec![("fleetadmin".to_owned(), hosts.len())],
        domain_user: None,
        given: Vec::new(),
        reach: None,
        reboots: &reboots,
        pace: &pace,
        credential_on_pcs: false,
        directory: Some(directory()),
        journal: "j".to_owned(),
    };
    change(&mut statement);
    statement.text(None)
}

#[test]
fn a_pc_is_given_its_own_new_secret_and_nothing_else() {
    let text = told(&[Platform::Windows], |_| {});
    let directory =
        "\n  directory corp.example.jp at dc1.corp.example.jp (one of 2 controllers) as svc\n";
    assert!(text.contains(directory), "{text}");
    let secrets = text
        .lines()
        .find(|line| line.starts_with("  secrets"))
        .unwrap();
    assert!(
        secrets.contains("no domain password reaches any PC; one that needs "),
        "{secrets}"
    );
    assert!(secrets.contains("machine-password-reset"), "{secrets}");
    assert!(
        secrets.ends_with(" is given a new secret of its own account, and nothing else"),
        "{secrets}"
    );
}

#[test]
fn without_a_directory_its_rungs_say_what_they_need() {
    let text = told(&[Platform::Windows], |statement| statement.directory = None);
    assert!(
        text.contains("machine-password-reset (needs --directory)"),
        "{text}"
    );
    assert!(
        text.contains("  secrets   no domain password reaches any PC\n"),
        "{text}"
    );
    assert!(!text.contains("\n  directory "), "{text}");
}

#[test]
fn a_check_gives_nothing_to_anybody() {
    let text = told(&[Platform::Windows], |statement| {
        statement.mode = RunMode::Check;
        statement.domain_user = Some("CORP\\joiner");
        statement.credential_on_pcs = true;
    });
    assert!(
        text.contains("  secrets   the password of CORP\\joiner reaches no PC\n"),
        "{text}"
    );
}

#[test]
fn each_platform_has_its_own_ladder() {
    let text = told(&[Platform::Windows, Platform::Posix], |_| {});
    assert!(
        text.contains("\n  repairs   Windows: netlogon-rediscover (1 min), sc-reset (1 min), "),
        "{text}"
    );
    assert!(text.contains("\n  repairs   Linux: "), "{text}");
    assert!(
        text.contains("offline-join (needs Samba's `net` here)"),
        "{text}"
    );
    let text = told(&[Platform::Posix], |_| {});
    assert!(
        !text.contains("Windows") && !text.contains("Linux: "),
        "{text}"
    );
}

#[test]
fn what_must_be_asked_for_says_so_and_what_was_is_told() {
    let text = told(&[Platform::Windows], |_| {});
    for (rung, parameter) in [
        ("enable-account", "enable_accounts"),
        ("restore-account", "restore_accounts"),
        ("machine-password-ksetup", "ksetup"),
    ] {
        let off = format!("{rung} (needs --set {parameter}=true)");
        assert!(text.contains(&off), "{text}");
    }
    assert!(!text.contains("\n  allowed "), "{text}");
    let secrets = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("  secrets"));
        line.unwrap().to_owned()
    };
    assert!(!secrets(&text).contains("ksetup"), "{text}");
    let set = ["ksetup=true".parse().unwrap()];
    let playbooks = Playbooks::load("trust-repair").unwrap().with(&set);
    let hosts = hosts(&[Platform::Windows]);
    let reboots = RebootPolicy::default();
    let pace = Pace::default();
    let statement = |language| Statement {
        playbooks: &playbooks,
        mode: RunMode::Repair,
        language,
        hosts: &hosts,
        of: 1,
        accounts: Vec::new(),
        domain_user: None,
        given: Vec::new(),
        reach: None,
        reboots: &reboots,
        pace: &pace,
        credential_on_pcs: false,
        directory: Some(directory()),
        journal: "j".to_owned(),
    };
    let text = statement(Language::En).text(None);
    assert!(secrets(&text).contains("machine-password-ksetup"), "{text}");
    assert!(
        text.contains("\n  allowed   ksetup: ") && text.contains("command line"),
        "{text}"
    );
    assert!(
        statement(Language::Ja)
            .text(None)
            .contains("コマンド ライン")
    );
}

#[test]
fn a_hosts_variable_switches_a_rung_on() {
    let playbooks = Playbooks::load("trust-repair").unwrap();
    let mut host = Host::new("pc-1");
    host.vars.insert("ksetup".to_owned(), true.into());
    let on = |hosts: &[Arc<Host>]| playbooks.is_on(&playbooks.main, "ksetup", hosts);
    assert!(on(&[Arc::new(host.clone())]));
    host.vars.insert("ksetup".to_owned(), false.into());
    assert!(!on(&[Arc::new(host)]));
}

#[test]
fn names_are_joined_as_people_do() {
    assert_eq!(any_of(&[]), "");
    assert_eq!(any_of(&["a"]), "a");
    assert_eq!(any_of(&["a", "b", "c"]), "a, b or c");
}

#[test]
fn restarts_are_costs_that_are_told_and_bounded() {
    let with_account = |statement: &mut Statement<'_>| {
        statement.domain_user = Some("CORP\\joiner");
        statement.credential_on_pcs = true;
    };
    let text = told(&[Platform::Windows], with_account);
    let line = |label: &str| {
        let label = format!("  {label} ");
        let mut lines = text.lines();
        lines.find(|line| line.starts_with(&label)).unwrap_or("")
    };
    let rejoin = line("repairs").split("rejoin (").nth(1).unwrap();
    let rejoin = rejoin.split(')').next().unwrap();
    assert!(rejoin.contains(" min, 1 restart, "), "{rejoin}");
    assert!(rejoin.contains("gets domain_credential"), "{rejoin}");
    let two = "rejoin-through-workgroup (needs --max-reboots 2)";
    assert!(line("left out").contains(two), "{text}");
    assert_eq!(
        line("restarts"),
        "  restarts  up to 1 a PC, begun in 22:00-05:00 only, at most 4 at once of one site or \
         domain controller"
    );
    let none = RebootPolicy::default();
    let playbooks = Playbooks::load("trust-repair").unwrap();
    let hosts = hosts(&[Platform::Windows]);
    let pace = Pace {
        batches: "1,5,rest".parse().unwrap(),
        max_errors: "3,unreachable=50%".parse().unwrap(),
        expected: vec!["blocked".parse().unwrap()],
        per_site: Some(2),
        per_dc: Some(9),
        ramp: "5/s".parse().ok(),
        ..Pace::default()
    };
    let text = Statement {
        playbooks: &playbooks,
        mode: RunMode::Repair,
        language: Language::En,
        hosts: &hosts,
        of: 1,
        accounts: Vec::new(),
        domain_user: None,
        given: vec![("rescue_admin", "fleetrescue")],
        reach: None,
        reboots: &none,
        pace: &pace,
        credential_on_pcs: true,
        directory: None,
        journal: "j".to_owned(),
    }
    .text(None);
    assert!(
        text.contains("  restarts  none; up to 2 a PC with --max-reboots 2\n"),
        "{text}"
    );
    for line in [
        "  batches   1: 1 PC\n",
        "  stops at  more failures than unreachable 50%, access-denied 3, blocked 3, not-repaired 3, \
         verify-failed 3, unknown 3, needs-hands 3\n",
        "  pace      at most 5/s begun, at most 2 of one site at once, at most 9 repaired at once of \
         one domain controller\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let three = crate::pace::lines(&pace, 20);
    assert_eq!(
        three[0].1,
        "3: 1, 5, 14 PCs; a new kind of failure in the first, other than blocked, stops the run"
    );
}
