//! A fleet on a real domain, broken in every way by the cause itself, mended in one run through
//! the real binary over real OpenSSH, without a domain password on any member.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;

use fleetmend_tests::samba::{Account, Domain, Entry, Members, Watcher, changed, files_below};
use fleetmend_tests::{Ended, with};

/// A member, how it is broken, and how it ends.
struct Case {
    member: &'static str,
    harm: Option<&'static str>,
    ends: &'static str,
}

const fn case(member: &'static str, harm: Option<&'static str>, ends: &'static str) -> Case {
    Case { member, harm, ends }
}

const FLEET: [Case; 11] = [
    case("pc1", None, "healthy"),
    case("pc2", Some("password"), "repaired(machine-password-reset)"),
    case("pc3", Some("rollback"), "repaired(machine-password-reset)"),
    case("pc4", Some("disable"), "blocked(enable-accounts)"),
    // Whoever may only reset passwords does not see the recycle bin.
    case("pc5", Some("delete"), "not-repaired(account-missing)"),
    case("pc6", Some("no-dc"), "not-repaired(no-dc)"),
    case("pc7", Some("clock"), "not-repaired(time-skew)"),
    case("pc8", Some("local-password"), "access-denied(logon)"),
    case("pc9", Some("off"), "unreachable(timed-out)"),
    case("ad1", Some("password"), "repaired(machine-password-reset)"),
    case("ad2", None, "healthy"),
];

const MEMBERS: Members = Members {
    winbind: 9,
    adcli: 2,
};

/// The members that a fleet of cases has in the end, by how they end.
fn expected() -> BTreeMap<String, String> {
    FLEET
        .iter()
        .map(|case| (case.member.to_owned(), case.ends.to_owned()))
        .collect()
}

/// Every host with how it ended, without the number that a cause may carry.
fn ends(ended: &Ended) -> BTreeMap<String, String> {
    let outcomes = ended.outcomes().into_iter();
    outcomes
        .map(|(host, outcome)| match outcome.match_indices('(').nth(1) {
            Some((at, _)) => (host, format!("{})", outcome.split_at(at).0)),
            None => (host, outcome),
        })
        .collect()
}

fn repaired() -> impl Iterator<Item = &'static str> {
    FLEET
        .iter()
        .filter(|case| case.ends.starts_with("repaired"))
        .map(|case| case.member)
}

/// What a run over these members is given; nothing of a domain's credential may reach them.
fn arguments(domain: &Domain, account: Account, members: &[&str]) -> Vec<OsString> {
    let inventory = domain.inventory("inventory.yaml", members);
    let mut arguments: Vec<OsString> = vec!["run".into(), "trust-repair".into()];
    arguments.extend(domain.host_options(&inventory));
    arguments.extend(domain.directory_options(account));
    with(arguments, ["--yes", "--output", "json"])
}

/// A broken fleet, as it was before the run.
struct Broken {
    domain: Domain,
    footprint: BTreeMap<String, String>,
    accounts: BTreeMap<&'static str, Entry>,
}

fn accounts(domain: &Domain) -> BTreeMap<&'static str, Entry> {
    FLEET
        .iter()
        .filter_map(|case| Some((case.member, domain.computer(case.member)?.without_logons())))
        .collect()
}

fn broken() -> Option<Broken> {
    let domain = Domain::up(MEMBERS)?;
    for case in &FLEET {
        if let Some(how) = case.harm {
            domain.harm(case.member, how);
        }
    }
    Some(Broken {
        footprint: domain.footprint("pc1"),
        accounts: accounts(&domain),
        domain,
    })
}

fn members() -> Vec<&'static str> {
    FLEET.iter().map(|case| case.member).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_fleet_is_mended_without_a_domain_password_on_it() {
    let Some(broken) = broken() else {
        return;
    };
    let domain = &broken.domain;
    let watcher = Watcher::start();
    let ended = domain
        .run(arguments(domain, Account::Reset, &members()))
        .await;
    let seen = watcher.stop();
    assert_eq!(ends(&ended), expected(), "{}", ended.err());
    assert_eq!(ended.code, Some(1), "not all could be mended");

    for member in repaired() {
        assert!(domain.trust(member).is_healthy(), "{member}");
        evidence_holds(&broken, &ended, member);
    }
    untouched(&broken);
    nothing_leaked(&broken, &ended, &seen);
    a_second_run_touches_nothing(&broken).await;
    what_had_been_refused_is_mended_when_allowed(domain).await;
}

/// The result of a repaired member says what the controller itself says, and that it moved.
fn evidence_holds(broken: &Broken, ended: &Ended, member: &str) {
    let report = ended.json();
    let hosts = report["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|host| host["host"] == member).unwrap();
    let evidence = &host["evidence"];
    let now = broken.domain.computer(member).unwrap();
    let before = &broken.accounts[member];
    let told = |name: &str| evidence[name].as_str().map(|text| text[..19].to_owned());
    assert_eq!(told("pwd_last_set"), Some(seconds(&now)), "{host}");
    assert_eq!(told("pwd_last_set_before"), Some(seconds(before)), "{host}");
    assert!(now.number("pwdLastSet") > before.number("pwdLastSet"));
    assert_eq!(now.one("objectSid"), before.one("objectSid"));
    assert_eq!(evidence["dc"], broken.domain.setting("DC"), "{host}");
    assert_eq!(evidence["enabled"], true, "{host}");
    assert_eq!(now.number("badPwdCount"), 0, "{member}");
}

/// `pwdLastSet` to the second, as RFC 3339 writes it.
fn seconds(account: &Entry) -> String {
    let unix = account.unix_time("pwdLastSet").floor();
    let said = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{unix}"), "+%FT%T"])
        .output()
        .unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// Healthy members are as they were, in the directory and at home; so is the account of each
/// member that was refused.
fn untouched(broken: &Broken) {
    let footprint = broken.domain.footprint("pc1");
    assert_eq!(changed(&broken.footprint, &footprint), [""; 0]);
    let after = accounts(&broken.domain);
    for case in FLEET
        .iter()
        .filter(|case| !case.ends.starts_with("repaired"))
    {
        assert_eq!(
            after.get(case.member),
            broken.accounts.get(case.member),
            "the account of {} was touched",
            case.member
        );
    }
}

/// No process of a member ever showed a password, and no file of a member or of the controller
/// has one that has no business there.
fn nothing_leaked(broken: &Broken, ended: &Ended, seen: &fleetmend_tests::samba::Seen) {
    let domain = &broken.domain;
    let services = domain.password(Account::Reset);
    let administrator = domain.password(Account::Administrator);
    let local = std::fs::read_to_string(domain.setting("LOCAL_PASSWORD_FILE")).unwrap();
    for secret in [&services, &administrator, &local] {
        assert_eq!(seen.with(secret), Vec::<String>::new());
    }
    assert_eq!(seen.with_run_of(120), Vec::<String>::new());
    assert!(!seen.with("wbinfo").is_empty(), "it saw nothing at all");

    for member in repaired().chain(["pc1", "pc4", "pc5"]) {
        let found = domain.files_with(member, &[&services, &administrator]);
        assert!(found.is_empty(), "{member}: {found:?}");
    }
    for member in ["pc2", "pc3"] {
        let stored = domain.stored_passwords(member);
        let [_, Some(made), ..] = &stored[..] else {
            panic!("{member} did not rotate what it was given: {stored:?}");
        };
        assert_eq!(made.len(), 120, "{member}");
        assert!(made.chars().all(|one| one.is_ascii_alphanumeric()));
        let found = domain.files_with(member, &[made]);
        let elsewhere: Vec<_> = found
            .iter()
            .filter(|path| !path.ends_with("private/secrets.tdb"))
            .collect();
        assert!(elsewhere.is_empty(), "{member}: {elsewhere:?}");
        assert_eq!(found.len(), 1, "the search finds nothing at all");

        let here = files_below(&domain.path("data"), &[made, &services, &local]);
        assert!(here.is_empty(), "{here:?}");
        for text in [ended.out(), ended.err()] {
            assert!(!text.contains(made) && !text.contains(&services));
        }
    }
}

async fn a_second_run_touches_nothing(broken: &Broken) {
    let domain = &broken.domain;
    const WELL: [&str; 3] = ["pc1", "pc2", "pc3"];
    let accounts_before = accounts(domain);
    let prints = WELL.map(|member| domain.footprint(member));
    let ended = domain
        .run(arguments(domain, Account::Reset, &members()))
        .await;
    for (member, ends) in ends(&ended) {
        let first = &expected()[&member];
        match first.starts_with("repaired") {
            true => assert_eq!(ends, "healthy", "{member}"),
            false => assert_eq!(&ends, first, "{member}"),
        }
    }
    assert_eq!(accounts(domain), accounts_before);
    for (member, before) in WELL.iter().zip(prints) {
        assert_eq!(
            changed(&before, &domain.footprint(member)),
            [""; 0],
            "{member}"
        );
    }
}

/// With the right to do so and the word of the operator, the refused are mended as well.
async fn what_had_been_refused_is_mended_when_allowed(domain: &Domain) {
    domain.heal("pc6");
    domain.heal("pc7");
    let all = ["pc4", "pc6", "pc7"];
    let allowed = ["--set", "enable_accounts=true"];
    let ended = domain
        .run(with(arguments(domain, Account::Enable, &all), allowed))
        .await;
    let wanted = [
        ("pc4", "repaired(enable-account)"),
        ("pc6", "healthy"),
        ("pc7", "healthy"),
    ];
    let wanted = wanted.map(|(member, ends)| (member.to_owned(), ends.to_owned()));
    assert_eq!(ended.outcomes(), BTreeMap::from(wanted), "{}", ended.err());
    assert_eq!(ended.code, Some(0));
    for member in all {
        assert!(domain.trust(member).is_healthy(), "{member}");
    }
    let control = domain.computer("pc4").unwrap();
    assert_eq!(control.number("userAccountControl"), 4096);

    // Whoever sees the bin is told that the account lies there.
    let administrator = arguments(domain, Account::Administrator, &["pc5"]);
    let ended = domain.run(administrator).await;
    assert_eq!(
        ended.outcomes()["pc5"],
        "blocked(restore-accounts)",
        "{}",
        ended.err()
    );
    assert!(domain.computer("pc5").is_none());

    // A deleted account is made anew where that is allowed: an offline join, so that no password
    // of the domain reaches the member.
    let unit = format!("computer_ou={}", domain.setting("OU"));
    let allowed = ["--set", "create_accounts=true", "--set", &unit];
    let watcher = Watcher::start();
    let ended = domain
        .run(with(arguments(domain, Account::Join, &["pc5"]), allowed))
        .await;
    let seen = watcher.stop();
    assert_eq!(
        ended.outcomes()["pc5"],
        "repaired(offline-join)",
        "{}",
        ended.err()
    );
    assert!(domain.trust("pc5").is_healthy());
    let services = domain.password(Account::Join);
    assert_eq!(seen.with(&services), Vec::<String>::new());
    assert_eq!(seen.with_run_of(120), Vec::<String>::new());
    let found = domain.files_with("pc5", &[&services]);
    assert!(found.is_empty(), "{found:?}");
    let account = domain.computer("pc5").unwrap();
    assert!(account.one("dn").unwrap().ends_with(domain.setting("OU")));
}
