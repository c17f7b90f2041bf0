//! On a real domain LAPS gives each member its own password, and a wrong one is tried once.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::ffi::OsString;

use fleetmend_tests::samba::{Account, Domain, Members};
use fleetmend_tests::{Ended, with};

const MEMBERS: Members = Members {
    winbind: 3,
    adcli: 0,
};
const NAMES: [&str; 3] = ["pc1", "pc2", "pc3"];

#[tokio::test(flavor = "multi_thread")]
async fn each_member_is_logged_on_to_with_its_own_password() {
    let Some(domain) = Domain::up(MEMBERS) else {
        return;
    };
    let user = domain.setting("LOCAL_USER").to_owned();
    for member in NAMES {
        domain.shell(
            member,
            &format!("echo '{user}:{}' | chpasswd", password(member)),
        );
    }
    // The third is kept by the LAPS of before, which names no account.
    keep(&domain, "pc1", &windows(&user, password("pc1")));
    keep(&domain, "pc2", &windows(&user, password("pc2")));
    keep(&domain, "pc3", &legacy(password("pc3")));

    let ended = check(&domain).await;
    let outcomes = ended.outcomes();
    assert_eq!(ended.code, Some(0), "{outcomes:?} {}", ended.err());
    assert!(NAMES.iter().all(|name| outcomes[*name] == "healthy"));
    assert!(
        NAMES.iter().all(|name| refused(&domain, name) == 0),
        "a wrong password was sent"
    );

    // Were one password for all, it would not show above.
    keep(&domain, "pc1", &windows(&user, password("pc2")));
    let ended = check(&domain).await;
    let outcomes = ended.outcomes();
    assert_eq!(outcomes["pc1"], "access-denied(logon)", "{outcomes:?}");
    assert_eq!(outcomes["pc2"], "healthy");
    assert_eq!(refused(&domain, "pc1"), 1, "it was tried more than once");

    // Nothing is kept for it: nothing is tried.
    keep(&domain, "pc1", "replace: msLAPS-Password\n");
    let ended = check(&domain).await;
    let outcomes = ended.outcomes();
    assert_eq!(
        outcomes["pc1"], "needs-hands(no-credential)",
        "{outcomes:?}"
    );
    assert_eq!(refused(&domain, "pc1"), 1);
    for name in NAMES {
        assert!(!ended.out().contains(password(name)));
    }
}

fn password(member: &str) -> &'static str {
    match member {
        "pc1" => "Sakura-71!a",
        "pc2" => "Momiji-72!b",
        _ => "Tsubaki-73!c",
    }
}

fn windows(user: &str, password: &str) -> String {
    let kept = format!(r#"{{"n":"{user}","t":"1dd5b2f9a8c8000","p":"{password}"}}"#);
    format!("replace: msLAPS-Password\nmsLAPS-Password: {kept}\n")
}

fn legacy(password: &str) -> String {
    format!("replace: ms-Mcs-AdmPwd\nms-Mcs-AdmPwd: {password}\n")
}

fn keep(domain: &Domain, member: &str, change: &str) {
    let name = member.to_uppercase();
    let unit = domain.setting("OU");
    domain.write_sam(
        "ldbmodify",
        &format!("dn: CN={name},{unit}\nchangetype: modify\n{change}\n"),
    );
}

async fn check(domain: &Domain) -> Ended {
    let credentials = domain.write(
        "credentials.yaml",
        "version: 1\ncredentials:\n  local-admin: {laps: {}}\n",
    );
    let inventory = domain.inventory("inventory.yaml", &NAMES);
    let mut arguments: Vec<OsString> = vec!["check".into(), "trust-repair".into()];
    arguments.extend(["-i".into(), inventory.into()]);
    arguments.extend(["--credentials".into(), credentials.into()]);
    arguments.extend(["--data-dir".into(), domain.path("data").into()]);
    arguments.extend(domain.directory_options(Account::Laps));
    domain
        .run(with(arguments, ["--yes", "--output", "json"]))
        .await
}

/// How many passwords the member's sshd has refused.
fn refused(domain: &Domain, member: &str) -> usize {
    let log = std::fs::read_to_string(domain.root().join(member).join("log/sshd.log"));
    log.unwrap().matches("Failed password").count()
}
