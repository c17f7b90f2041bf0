//! A wrong password is spent once on a real domain, whatever the number of hosts, and a run that
//! is cut between the two halves of a repair is finished by the next. A member does not choose
//! whose password it is given.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ffi::OsString;
use std::time::{Duration, Instant};

use fleetmend_tests::samba::{Account, Domain, Members};
use fleetmend_tests::{finish, with};

const MEMBERS: Members = Members {
    winbind: 3,
    adcli: 0,
};

const ALL: [&str; 3] = ["pc1", "pc2", "pc3"];

fn base(domain: &Domain) -> Vec<OsString> {
    let inventory = domain.inventory("inventory.yaml", &ALL);
    let mut arguments: Vec<OsString> = vec!["run".into(), "trust-repair".into()];
    arguments.extend(domain.host_options(&inventory));
    with(arguments, ["--yes", "--output", "json"])
}

fn bad_passwords(domain: &Domain, account: Account) -> i64 {
    let account = domain.account(account.name()).unwrap();
    account.number("badPwdCount")
}

fn connections(domain: &Domain) -> Vec<usize> {
    ALL.iter()
        .map(|member| domain.connections(member))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_password_is_tried_once_and_a_cut_run_is_finished() {
    let Some(domain) = Domain::up(MEMBERS) else {
        return;
    };
    for member in ALL {
        domain.harm(member, "password");
    }
    a_wrong_directory_password_is_tried_once(&domain).await;
    a_wrong_repair_password_is_tried_once(&domain).await;
    a_run_cut_between_the_halves_is_finished_by_the_next(&domain).await;
    a_member_that_lies_about_its_name_is_given_nothing(&domain).await;
}

async fn a_wrong_directory_password_is_tried_once(domain: &Domain) {
    let wrong = domain.write("wrong.pw", "Not-The-Password-1");
    let before = (bad_passwords(domain, Account::Enable), connections(domain));
    let options = domain.directory_options_with(Account::Enable, &wrong);
    let ended = domain.run(with(base(domain), options)).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert_eq!(bad_passwords(domain, Account::Enable), before.0 + 1);
    assert_eq!(connections(domain), before.1, "a member was connected to");
}

async fn a_wrong_repair_password_is_tried_once(domain: &Domain) {
    let wrong = domain.write("wrong.pw", "Not-The-Password-2");
    let before = (bad_passwords(domain, Account::Join), connections(domain));
    let mut options = domain.directory_options(Account::Reset);
    let user = format!("{}@{}", Account::Join.name(), domain.setting("DOMAIN"));
    options.extend(["--domain-user".into(), user.into()]);
    options.extend(["--domain-password-file".into(), wrong.into()]);
    options.push("--allow-credential-on-pcs".into());
    let ended = domain.run(with(base(domain), options)).await;
    assert_eq!(ended.code, Some(3), "{}", ended.err());
    assert_eq!(bad_passwords(domain, Account::Join), before.0 + 1);
    assert_eq!(connections(domain), before.1, "a member was connected to");
    assert_eq!(bad_passwords(domain, Account::Reset), 0);
}

/// The run is killed after the account got its new password and before the member stored it. The
/// member's `net` waits in that moment, so that it lasts.
async fn a_run_cut_between_the_halves_is_finished_by_the_next(domain: &Domain) {
    let member = "pc1";
    let before = domain.computer(member).unwrap().number("pwdLastSet");
    domain.shell(
        member,
        r#"cp /usr/bin/net /run/net.real
           printf '#!/bin/sh\ncase "$*" in *changesecretpw*) echo $$ >/run/frozen; exec sleep 600 ;; esac\nexec /run/net.real "$@"\n' >/run/net.slow
           chmod 755 /run/net.slow
           mount --bind /run/net.slow /usr/bin/net"#,
    );
    let options = with(
        domain.directory_options(Account::Reset),
        ["--limit", member],
    );
    let mut child = domain.spawn(with(base(domain), options.clone()));
    let frozen = domain.tree(member).join("run/frozen");
    let until = Instant::now() + Duration::from_secs(40);
    while !frozen.exists() {
        let gone = child.try_wait().unwrap();
        assert!(
            gone.is_none() && Instant::now() < until,
            "it never came to the store: {gone:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = child.id().unwrap().to_string();
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(name.trim(), "fleetmend", "another process would be killed");
    child.start_kill().unwrap();
    finish(child).await;

    // The journal alone says that nobody knows how it ended there.
    let mut arguments: Vec<OsString> = ["show", "--output", "json"].map(OsString::from).into();
    arguments.extend(["--data-dir".into(), domain.path("data").into()]);
    let shown = domain.run(arguments).await;
    let outcome = &shown.outcomes()[member];
    assert_eq!(
        outcome,
        "unknown(repair/machine-password-reset/store)",
        "{}",
        shown.out()
    );

    let between = domain.computer(member).unwrap().number("pwdLastSet");
    assert!(between > before, "the account had not been written");
    domain.shell(
        member,
        "kill -KILL $(cat /run/frozen); umount -l /usr/bin/net",
    );
    assert!(
        !domain.trust(member).is_healthy(),
        "it was stored after all"
    );

    let ended = domain.run(with(base(domain), options)).await;
    assert_eq!(
        ended.outcomes()[member],
        "repaired(machine-password-reset)",
        "{}",
        ended.err()
    );
    assert_eq!(ended.code, Some(0));
    assert!(domain.trust(member).is_healthy());
    assert!(domain.computer(member).unwrap().number("pwdLastSet") > between);
}

/// Root of a member can make it say that it is another one. Were it believed, that one's password
/// would be reset and handed to the member.
async fn a_member_that_lies_about_its_name_is_given_nothing(domain: &Domain) {
    let (liar, victim) = ("pc1", "pc2");
    let name = |from: &str, to: &str| {
        let text = format!("s/netbios name = {from}/netbios name = {to}/");
        domain.shell(liar, &format!("sed -i '{text}' /etc/samba/smb.conf"));
    };
    let set = |member| domain.computer(member).unwrap().number("pwdLastSet");
    let before = (set(liar), set(victim));
    name("PC1", "PC2");
    // The widest rights: it is not the directory that says no.
    let options = with(
        domain.directory_options(Account::Administrator),
        ["--limit", liar],
    );
    let ended = domain.run(with(base(domain), options.clone())).await;
    assert_eq!(
        ended.outcomes()[liar],
        "blocked(own-name)",
        "{}",
        ended.err()
    );
    assert_eq!((set(liar), set(victim)), before, "an account was written");

    name("PC2", "PC1");
    let ended = domain.run(with(base(domain), options)).await;
    assert_eq!(ended.outcomes()[liar], "healthy", "{}", ended.err());
    assert_eq!((set(liar), set(victim)), before);
}
