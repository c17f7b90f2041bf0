use std::time::Duration;

use fleetmend_lab::domain::LogonBar;
use fleetmend_lab::ldap::LdapOptions;
use ldap3::exop::WhoAmI;
use ldap3::{Scope, SearchOptions};

use crate::common::{HEAD, PASSWORD, bench, domain, start};

#[tokio::test]
async fn accepts_the_names_that_a_controller_knows() {
    let bench = bench().await;
    let mut ldap = bench.connect().await;
    for name in [
        "svc-none@corp.example.jp",
        "SVC-NONE@CORP",
        r"CORP\svc-none",
        r"corp.example.jp\Svc-None",
        "cn=svc-none, cn=users, dc=corp,dc=example,dc=jp",
    ] {
        let bound = ldap.simple_bind(name, PASSWORD).await.unwrap();
        assert_eq!(bound.rc, 0, "{name}: {}", bound.text);
        let who: ldap3::exop::WhoAmIResp = ldap.extended(WhoAmI).await.unwrap().0.parse();
        assert_eq!(who.authzid, r"u:CORP\svc-none");
    }
    for name in [
        "svc-none",
        r"OTHER\svc-none",
        "svc-none@other.jp",
        "nobody@corp.example.jp",
    ] {
        let refused = ldap.simple_bind(name, PASSWORD).await.unwrap();
        assert_eq!(refused.rc, 49, "{name}");
        assert!(refused.text.contains("data 52e,"), "{}", refused.text);
    }
    assert_eq!(bench.wrong_passwords("svc-none"), 0);
}

#[tokio::test]
async fn says_why_it_refuses() {
    let bench = bench().await;
    for (bar, data) in [
        (LogonBar::Hours, "530"),
        (LogonBar::Workstation, "531"),
        (LogonBar::PasswordExpired, "532"),
        (LogonBar::MustChange, "773"),
        (LogonBar::AccountExpired, "701"),
    ] {
        bench.shared.domain().user_mut("svc-none").unwrap().bar = Some(bar);
        let mut ldap = bench.connect().await;
        let refused = ldap.simple_bind(r"CORP\svc-none", PASSWORD).await.unwrap();
        assert_eq!(refused.rc, 49);
        assert_eq!(
            refused.text.trim_end_matches('\0'),
            format!(
                "80090308: LdapErr: DSID-0C090569, comment: AcceptSecurityContext error, data \
                 {data}, v4f7c"
            )
        );
    }
    bench.shared.domain().user_mut("svc-none").unwrap().enabled = false;
    let mut ldap = bench.connect().await;
    let refused = ldap.simple_bind(r"CORP\svc-none", PASSWORD).await.unwrap();
    assert!(refused.text.contains("data 533,"), "{}", refused.text);
    assert_eq!(bench.wrong_passwords("svc-none"), 0);
}

#[tokio::test]
async fn counts_every_wrong_password_once_and_locks_at_the_threshold() {
    let bench = bench().await;
    let mut ldap = bench.connect().await;
    for tried in 1..=5 {
        let refused = ldap.simple_bind(r"CORP\svc-none", "wrong").await.unwrap();
        assert!(refused.text.contains("data 52e,"));
        assert_eq!(bench.wrong_passwords("svc-none"), tried);
    }
    let refused = ldap.simple_bind(r"CORP\svc-none", PASSWORD).await.unwrap();
    assert!(refused.text.contains("data 775,"), "{}", refused.text);
    let mut other = bench.log_on("svc-reset").await;
    let attributes = [
        "badPwdCount",
        "lockoutTime",
        "msDS-User-Account-Control-Computed",
    ];
    let found = other.search(
        HEAD,
        Scope::Subtree,
        "(sAMAccountName=svc-none)",
        attributes,
    );
    let entries = crate::common::entries(found.await.unwrap().success().unwrap().0);
    assert_eq!(entries[0].attrs["badPwdCount"], ["5"]);
    assert_eq!(
        entries[0].attrs["msDS-User-Account-Control-Computed"],
        ["16"]
    );
    assert!(entries[0].attrs["lockoutTime"][0].parse::<u64>().unwrap() > 133_000_000_000_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_exactly_under_many_logons_at_once() {
    let mut domain = domain();
    domain.lockout_threshold = 0;
    let bench = start(domain, LdapOptions::default()).await;
    let tries = (0..60).map(|number| {
        let bench = &bench;
        async move {
            let mut ldap = bench.connect().await;
            let password = if number % 3 == 0 { PASSWORD } else { "wrong" };
            let bound = ldap.simple_bind(r"CORP\svc-none", password).await.unwrap();
            assert_eq!(bound.rc, if number % 3 == 0 { 0 } else { 49 });
        }
    });
    futures::future::join_all(tries).await;
    assert_eq!(bench.wrong_passwords("svc-none"), 40);
    let counts = bench.server.counts();
    assert_eq!(
        (counts.binds, counts.binds_refused, counts.connections),
        (60, 40, 60)
    );
}

#[tokio::test]
async fn nobody_logs_on_without_tls() {
    let bench = bench().await;
    let mut plain = bench.connect_plain(false).await;
    let refused = plain.simple_bind(r"CORP\svc-none", "wrong").await.unwrap();
    assert_eq!(refused.rc, 8);
    assert_eq!(bench.wrong_passwords("svc-none"), 0);
    let mut started = bench.connect_plain(true).await;
    assert_eq!(
        started
            .simple_bind(r"CORP\svc-none", PASSWORD)
            .await
            .unwrap()
            .rc,
        0
    );
}

#[tokio::test]
async fn nobody_sees_only_what_the_controller_says_of_itself() {
    let bench = bench().await;
    let mut ldap = bench.connect().await;
    // A name without a password is nobody, not an account.
    assert_eq!(ldap.simple_bind(r"CORP\svc-none", "").await.unwrap().rc, 0);
    let found = ldap
        .search("", Scope::Base, "(objectClass=*)", Vec::<&str>::new())
        .await;
    let root = &crate::common::entries(found.unwrap().success().unwrap().0)[0].attrs;
    assert_eq!(root["defaultNamingContext"], [HEAD]);
    assert_eq!(root["dnsHostName"], ["dc01.corp.example.jp"]);
    assert_eq!(root["isSynchronized"], ["TRUE"]);
    assert_eq!(
        root["configurationNamingContext"],
        [format!("CN=Configuration,{HEAD}")]
    );
    assert!(root["supportedControl"].contains(&"1.2.840.113556.1.4.319".to_owned()));
    let asked = ldap
        .search(HEAD, Scope::Subtree, "(cn=PC-001)", vec!["cn"])
        .await
        .unwrap();
    assert_eq!(asked.1.rc, 1, "{}", asked.1.text);
    assert!(asked.0.is_empty());
    let written = vec![crate::common::replace("lockoutTime", "0")];
    let refused = ldap
        .modify(&format!("CN=PC-001,OU=経理部,OU=端末,{HEAD}"), written)
        .await;
    assert_eq!(refused.unwrap().rc, 1);
}

#[tokio::test]
async fn a_failed_logon_takes_the_one_before_away() {
    let bench = bench().await;
    let mut ldap = bench.log_on("svc-none").await;
    assert_eq!(
        ldap.simple_bind(r"CORP\svc-none", "wrong")
            .await
            .unwrap()
            .rc,
        49
    );
    let asked = ldap
        .search(HEAD, Scope::Subtree, "(cn=PC-001)", vec!["cn"])
        .await
        .unwrap();
    assert_eq!(asked.1.rc, 1);
}

#[tokio::test]
async fn a_controller_that_is_down_hangs_up() {
    let bench = bench().await;
    let mut ldap = bench.log_on("svc-none").await;
    bench.shared.domain().controllers[0].up = false;
    ldap.with_search_options(SearchOptions::new());
    let asked = ldap.search(HEAD, Scope::Base, "(objectClass=*)", vec!["cn"]);
    let told = tokio::time::timeout(Duration::from_secs(5), asked)
        .await
        .unwrap();
    assert!(told.is_err());
}
