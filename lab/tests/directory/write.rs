use std::collections::HashSet;
use std::time::Duration;

use fleetmend_lab::domain::AccountState;
use fleetmend_lab::ldap::LdapFault;
use fleetmend_lab::win32;
use jiff::Timestamp;
use ldap3::controls::RawControl;
use ldap3::{Ldap, Mod};

use crate::common::{Bench, DC, HEAD, bench, quoted, replace};

fn dn(number: u32) -> String {
    let unit = if number < 4 { "経理部" } else { "営業部" };
    format!("CN=PC-00{number},OU={unit},OU=端末,{HEAD}")
}

async fn code(ldap: &mut Ldap, dn: &str, change: Mod<Vec<u8>>) -> (u32, String) {
    let told = ldap.modify(dn, vec![change]).await.unwrap();
    (told.rc, told.text)
}

fn show_deleted() -> RawControl {
    RawControl {
        ctype: "1.2.840.113556.1.4.417".to_owned(),
        crit: true,
        val: None,
    }
}

const LONG: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

#[tokio::test]
async fn a_password_set_here_is_the_one_that_the_pc_stores() {
    let bench = bench().await;
    let before = bench.shared.domain().computer("PC-001").unwrap().clone();
    let mut ldap = bench.log_on("svc-reset").await;
    assert_eq!(
        code(&mut ldap, &dn(1), replace("unicodePwd", quoted(LONG)))
            .await
            .0,
        0
    );
    let mut domain = bench.shared.domain();
    let stored = domain.password_id(LONG);
    let account = domain.computer("PC-001").unwrap().clone();
    assert!(account.password_set > before.password_set && account.usn > before.usn);
    assert_eq!(
        (account.current, account.previous),
        (stored, Some(before.current))
    );
    assert_eq!(account.resets, 1);
    let dc = domain.controllers[0].clone();
    assert_eq!(
        domain.authenticate_machine(&dc, "PC-001", stored, None),
        win32::OK
    );
    let told = domain.authenticate_machine(&dc, "PC-001", before.current, None);
    assert_eq!(told, win32::ACCESS_DENIED);
}

#[tokio::test]
async fn a_lagging_controller_knows_what_was_set_at_it() {
    let bench = bench().await;
    bench.shared.domain().controllers[0].lagging = true;
    let mut ldap = bench.log_on("svc-reset").await;
    let begun = Timestamp::now();
    assert_eq!(
        code(&mut ldap, &dn(1), replace("unicodePwd", quoted(LONG)))
            .await
            .0,
        0
    );
    let mut domain = bench.shared.domain();
    let stored = domain.password_id(LONG);
    for dc in domain.controllers.clone() {
        assert_eq!(
            domain.authenticate_machine(&dc, "PC-001", stored, None),
            win32::OK
        );
        let account = domain.computer("PC-001").unwrap();
        assert!(domain.password_set_at(&dc, account) >= begun);
    }
    assert_eq!(domain.controllers[0].dns_name, DC);
}

#[tokio::test]
async fn what_was_not_delegated_is_refused() {
    let bench = bench().await;
    let password = || replace("unicodePwd", quoted(LONG));
    let enabled = || replace("userAccountControl", "4096");
    let unlocked = || replace("lockoutTime", "0");
    let before = bench.shared.domain().computer("PC-001").unwrap().clone();
    for (user, changes) in [
        ("svc-none", [50, 50, 50]),
        ("svc-reset", [0, 50, 50]),
        ("svc-enable", [50, 0, 0]),
        // Who does not see it gets no better answer than for one that is not there.
        ("svc-blind", [32, 32, 32]),
    ] {
        let mut ldap = bench.log_on(user).await;
        for (change, expected) in [password(), enabled(), unlocked()].into_iter().zip(changes) {
            let (told, text) = code(&mut ldap, &dn(1), change).await;
            assert_eq!(told, expected, "{user}: {text}");
        }
    }
    assert_eq!(
        bench.shared.domain().computer("PC-001").unwrap().resets,
        before.resets + 1
    );
    let mut ldap = bench.log_on("svc-reset").await;
    assert_eq!(
        code(&mut ldap, &dn(1), replace("description", "x")).await.0,
        50
    );
    assert_eq!(
        code(&mut ldap, &dn(1), replace("noSuchThing", "x")).await.0,
        16
    );
    assert_eq!(code(&mut ldap, &dn(9), password()).await.0, 32);
    let user = format!("CN=svc-none,CN=Users,{HEAD}");
    assert_eq!(
        code(&mut ldap, &user, password()).await.0,
        50,
        "users are not computers"
    );
    assert_eq!(ldap.delete(&dn(1)).await.unwrap().rc, 50);
    let object = vec![("objectClass", HashSet::from(["computer"]))];
    assert_eq!(ldap.add(&dn(8), object).await.unwrap().rc, 50);
}

#[tokio::test]
async fn a_password_must_be_written_as_one() {
    let bench = bench().await;
    let mut ldap = bench.log_on("svc-reset").await;
    for (value, win32) in [
        (b"plain".to_vec(), "0000001F"),
        (quoted("short"), "0000052D"),
        (quoted(LONG)[1..].to_vec(), "0000001F"),
    ] {
        let (told, text) = code(&mut ldap, &dn(1), replace("unicodePwd", value)).await;
        assert_eq!(told, 53);
        assert!(text.starts_with(win32), "{text}");
    }
    let two = Mod::Replace(
        b"unicodePwd".to_vec(),
        HashSet::from([quoted(LONG), quoted("other-long")]),
    );
    assert_eq!(code(&mut ldap, &dn(1), two).await.0, 53);
    // All of a request or nothing: the second change is not allowed, so the first is not made.
    let both = vec![
        replace("unicodePwd", quoted(LONG)),
        replace("userAccountControl", "4096"),
    ];
    assert_eq!(ldap.modify(&dn(1), both).await.unwrap().rc, 50);
    assert_eq!(bench.shared.domain().computer("PC-001").unwrap().resets, 0);
}

#[tokio::test]
async fn an_account_is_enabled_and_unlocked() {
    let bench = bench().await;
    {
        let mut domain = bench.shared.domain();
        let account = domain.computer_mut("PC-002").unwrap();
        account.state = AccountState::Disabled;
        account.locked_at = Some(Timestamp::now());
        account.bad_passwords = 9;
    }
    let mut ldap = bench.log_on("svc-enable").await;
    for (value, expected) in [
        ("4098", 0),
        ("8192", 50),
        ("512", 50),
        ("x", 53),
        ("4096", 0),
    ] {
        let told = code(&mut ldap, &dn(2), replace("userAccountControl", value)).await;
        assert_eq!(told.0, expected, "{value}: {}", told.1);
    }
    assert_eq!(
        code(&mut ldap, &dn(2), replace("lockoutTime", "5")).await.0,
        53
    );
    assert_eq!(
        code(&mut ldap, &dn(2), replace("lockoutTime", "0")).await.0,
        0
    );
    let account = bench.shared.domain().computer("PC-002").unwrap().clone();
    assert_eq!(account.state, AccountState::Enabled);
    assert_eq!((account.locked_at, account.bad_passwords), (None, 0));
}

async fn restore(ldap: &mut Ldap, bench: &Bench, to: &str, control: bool) -> u32 {
    let guid = bench.shared.domain().computer("PC-004").unwrap().guid;
    let deleted = format!("CN=PC-004\\0ADEL:{guid},CN=Deleted Objects,{HEAD}");
    if control {
        ldap.with_controls(show_deleted());
    }
    let changes = vec![
        Mod::Delete(b"isDeleted".to_vec(), HashSet::new()),
        replace("distinguishedName", to),
    ];
    ldap.modify(&deleted, changes).await.unwrap().rc
}

#[tokio::test]
async fn a_deleted_account_comes_back_by_those_who_may() {
    let bench = bench().await;
    let before = bench.shared.domain().computer("PC-004").unwrap().clone();
    bench.shared.domain().computer_mut("PC-004").unwrap().state = AccountState::Deleted;
    let mut other = bench.log_on("svc-enable").await;
    assert_eq!(
        restore(&mut other, &bench, &dn(4), true).await,
        32,
        "it does not see it"
    );
    let mut ldap = bench.log_on("svc-restore").await;
    assert_eq!(restore(&mut ldap, &bench, &dn(4), false).await, 32);
    let nowhere = format!("CN=PC-004,OU=無い,{HEAD}");
    assert_eq!(restore(&mut ldap, &bench, &nowhere, true).await, 32);
    assert_eq!(restore(&mut ldap, &bench, "no name", true).await, 34);
    assert_eq!(restore(&mut ldap, &bench, &dn(4), true).await, 0);
    assert_eq!(
        restore(&mut ldap, &bench, &dn(4), true).await,
        32,
        "there is none any more"
    );
    let after = bench.shared.domain().computer("PC-004").unwrap().clone();
    assert_eq!((after.state, after.ou), (AccountState::Enabled, before.ou));
    assert_eq!((after.rid, after.current), (before.rid, before.current));
}

#[tokio::test]
async fn faults_leave_what_they_say() {
    let bench = bench().await;
    let brief = Duration::from_millis(300);
    let password = || vec![replace("unicodePwd", quoted(LONG))];
    let resets = || bench.shared.domain().computer("PC-001").unwrap().resets;
    bench.server.set_fault(LdapFault::HangsOnWrites);
    let mut ldap = bench.log_on("svc-reset").await;
    assert!(
        tokio::time::timeout(brief, ldap.modify(&dn(1), password()))
            .await
            .is_err()
    );
    assert_eq!(resets(), 0);
    bench.server.set_fault(LdapFault::DropsAfterWrites);
    let mut ldap = bench.log_on("svc-reset").await;
    assert!(ldap.modify(&dn(1), password()).await.is_err());
    assert_eq!(resets(), 1);
}
