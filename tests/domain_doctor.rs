//! On a real domain the doctor tells what an account may do, and tries it once.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::ffi::OsString;

use fleetmend_tests::samba::{Account, Domain, Members};
use fleetmend_tests::{Ended, with};
use serde_json::Value;

const MEMBERS: Members = Members {
    winbind: 1,
    adcli: 0,
};

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_told_as_they_were_granted() {
    let Some(domain) = Domain::up(MEMBERS) else {
        return;
    };
    // As tests/samba/populate.py grants them on the members' unit.
    for (account, reset, unlock, enable) in [
        (Account::Reset, 1, 0, 0),
        (Account::Enable, 1, 1, 1),
        (Account::None, 0, 0, 0),
    ] {
        let ended = doctor(&domain, domain.directory_options(account)).await;
        assert_eq!(ended.code, Some(0), "{} {}", ended.out(), ended.err());
        let rights: Vec<String> = found(&ended, "rights");
        for (word, count) in [
            ("reset the password of", reset),
            ("unlock", unlock),
            ("enable", enable),
        ] {
            // Of what was not granted the controller says no, or nothing.
            let told = |count| format!("may {word} {count} of 1 accounts");
            let unknown = format!("may {word} the PCs' accounts");
            let granted = rights.iter().any(|line| line.contains(&told(1)));
            let is_not = |line: &String| line.contains(&told(0)) || line.ends_with(&unknown);
            assert_eq!(granted, count == 1, "{account:?} {word}: {rights:?}");
            let denied = rights.iter().any(is_not);
            assert_eq!(denied, count == 0, "{account:?} {word}: {rights:?}");
        }
    }
    let log = std::fs::read_to_string(domain.root().join("pc1/log/sshd.log")).unwrap();
    assert!(log.contains("Connection from"), "no port was asked: {log}");
    let tried = log.contains("Accepted ") || log.contains("Failed ");
    assert!(!tried, "the doctor logged on, or tried: {log}");

    let wrong = domain.write("wrong.pw", "Not-The-Password-1");
    let options = domain.directory_options_with(Account::Reset, &wrong);
    let bad = || domain.account("svc-reset").unwrap().number("badPwdCount");
    let before = bad();
    let ended = doctor(&domain, options).await;
    assert_eq!(ended.code, Some(3), "{} {}", ended.out(), ended.err());
    assert_eq!(bad(), before + 1);
    assert!(found(&ended, "accounts").concat().contains("(1326)"));
}

async fn doctor(domain: &Domain, options: Vec<OsString>) -> Ended {
    let inventory = domain.inventory("inventory.yaml", &["pc1"]);
    let mut arguments: Vec<OsString> = vec!["doctor".into(), "trust-repair".into()];
    arguments.extend(domain.host_options(&inventory));
    arguments.extend(options);
    domain.run(with(arguments, ["--output", "json"])).await
}

fn found(ended: &Ended, what: &str) -> Vec<String> {
    let told = ended.json();
    let all = told.get("findings").and_then(Value::as_array).unwrap();
    let of = all
        .iter()
        .filter(|finding| finding.get("what").unwrap() == what);
    of.map(|finding| finding.get("found").unwrap().as_str().unwrap().to_owned())
        .collect()
}
