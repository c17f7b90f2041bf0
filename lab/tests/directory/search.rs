use std::time::{Duration, Instant};

use fleetmend_lab::domain::{AccountState, Domain, LapsValues};
use fleetmend_lab::ldap::LdapOptions;
use fleetmend_model::Secret;
use jiff::Timestamp;
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::controls::RawControl;
use ldap3::{Ldap, Scope, SearchEntry, SearchOptions};

use crate::common::{HEAD, bench, domain, entries, names, start};

async fn found(ldap: &mut Ldap, base: &str, scope: Scope, filter: &str) -> Vec<String> {
    let told = ldap.search(base, scope, filter, vec!["cn"]).await.unwrap();
    names(&entries(told.success().unwrap().0))
}

fn control(oid: &str, value: Option<&[u8]>) -> RawControl {
    RawControl {
        ctype: oid.to_owned(),
        crit: true,
        val: value.map(<[u8]>::to_vec),
    }
}

const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";

#[tokio::test]
async fn filters_find_what_they_say() {
    let bench = bench().await;
    {
        let mut domain = bench.shared.domain();
        domain.computer_mut("PC-002").unwrap().state = AccountState::Disabled;
        domain.computer_mut("PC-003").unwrap().description = Some("受付 (東京)".to_owned());
        domain.computer_mut("PC-005").unwrap().bad_passwords = 7;
    }
    let sid = {
        let domain = bench.shared.domain();
        domain.sid.account(domain.computer("PC-004").unwrap().rid)
    };
    let mut ldap = bench.log_on("svc-none").await;
    for (filter, expected) in [
        ("(sAMAccountName=pc-001$)", "1"),
        (
            "(&(objectCategory=computer)(|(cn=PC-001)(dNSHostName=PC-004.corp.example.jp)))",
            "14",
        ),
        ("(&(objectClass=computer)(!(cn=PC-001)))", "2345"),
        ("(&(objectCategory=computer)(cn=PC-00*))", "12345"),
        ("(&(objectCategory=computer)(cn=*-0*5))", "5"),
        ("(userAccountControl:1.2.840.113556.1.4.803:=2)", "2"),
        (
            "(&(objectClass=computer)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
            "1345",
        ),
        ("(userAccountControl:1.2.840.113556.1.4.804:=6)", "2"),
        ("(description=*)", "3"),
        ("(description=受付 \\28東京\\29)", "3"),
        ("(description=*東*)", "3"),
        ("(&(objectClass=computer)(badPwdCount>=7))", "5"),
        ("(&(objectClass=computer)(badPwdCount<=6))", "1234"),
        ("(&(objectClass=computer)(badPwdCount=7))", "5"),
        ("(servicePrincipalName=host/pc-003)", "3"),
        (&format!("(objectSid={sid})"), "4"),
        (
            &format!("(distinguishedName=cn=pc-001, ou=経理部,OU=端末,{HEAD})"),
            "1",
        ),
        // An attribute that does not exist is neither there nor not there.
        ("(&(objectClass=computer)(!(noSuchThing=1)))", ""),
        ("(|(noSuchThing=1)(cn=PC-001))", "1"),
        ("(&(objectClass=computer)(!(description=x)))", "12345"),
        ("(pwdLastSet=not-a-number)", ""),
        ("(msDS-ResultantPSO=*)", ""),
    ] {
        let numbers = found(&mut ldap, HEAD, Scope::Subtree, filter).await;
        let expected: Vec<_> = expected
            .chars()
            .map(|number| format!("CN=PC-00{number}"))
            .collect();
        assert_eq!(numbers, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_base_and_a_scope_bound_a_search() {
    let bench = bench().await;
    let mut ldap = bench.log_on("svc-none").await;
    let unit = format!("OU=端末,{HEAD}");
    let inner = format!("OU=経理部,{unit}");
    for (base, scope, expected) in [
        (
            &inner,
            Scope::OneLevel,
            vec!["CN=PC-001", "CN=PC-002", "CN=PC-003"],
        ),
        (&unit, Scope::OneLevel, vec!["OU=営業部", "OU=経理部"]),
        (&inner, Scope::Base, vec!["OU=経理部"]),
        (
            &format!("CN=pc-001,{inner}"),
            Scope::Subtree,
            vec!["CN=PC-001"],
        ),
        (
            &format!("CN=Users,{HEAD}"),
            Scope::OneLevel,
            vec![
                "CN=svc-blind",
                "CN=svc-enable",
                "CN=svc-laps",
                "CN=svc-none",
                "CN=svc-reset",
                "CN=svc-restore",
            ],
        ),
    ] {
        let told = found(&mut ldap, base, scope, "(objectClass=*)").await;
        assert_eq!(told, expected, "{base} {scope:?}");
    }
    let all = found(&mut ldap, HEAD, Scope::Subtree, "(objectClass=*)").await;
    // Head, Users, 3 units, 6 users, 5 computers: neither the configuration nor what is deleted.
    assert_eq!(all.len(), 16, "{all:?}");
    let features = format!("CN=Partitions,CN=Configuration,{HEAD}");
    let told = ldap.search(
        &features,
        Scope::Base,
        "(objectClass=*)",
        vec!["msDS-EnabledFeature"],
    );
    let told = entries(told.await.unwrap().success().unwrap().0);
    assert!(told[0].attrs["msDS-EnabledFeature"][0].starts_with("CN=Recycle Bin Feature,"));
    for (base, code, matched) in [
        (format!("CN=PC-099,{inner}"), 32, inner.as_str()),
        (format!("OU=無い,{HEAD}"), 32, HEAD),
        ("no name".to_owned(), 34, ""),
        (
            "<WKGUID=00000000000000000000000000000000,DC=x>".to_owned(),
            34,
            "",
        ),
        ("<SID=S-1-5-21-1>".to_owned(), 32, ""),
        ("DC=other".to_owned(), 32, ""),
    ] {
        let told = ldap
            .search(&base, Scope::Base, "(objectClass=*)", vec!["cn"])
            .await
            .unwrap()
            .1;
        assert_eq!(
            (told.rc, told.matched.as_str()),
            (code, matched),
            "{base}: {}",
            told.text
        );
    }
}

#[tokio::test]
async fn gives_the_attributes_that_are_wanted() {
    let bench = bench().await;
    let mut ldap = bench.log_on("svc-none").await;
    let mut one = async |wanted: Vec<&str>, control: Option<RawControl>| {
        if let Some(control) = control {
            ldap.with_controls(control);
        }
        let told = ldap
            .search(HEAD, Scope::Subtree, "(cn=PC-001)", wanted)
            .await
            .unwrap();
        entries(told.success().unwrap().0).remove(0)
    };
    let named = one(vec!["SAMACCOUNTNAME", "objectsid", "noSuchThing"], None).await;
    assert_eq!(named.attrs["sAMAccountName"], ["PC-001$"]);
    assert_eq!(named.attrs.len() + named.bin_attrs.len(), 2);
    assert!(one(vec!["1.1"], None).await.attrs.is_empty());
    let all = one(vec!["*"], None).await;
    assert_eq!(all.attrs["userAccountControl"], ["4096"]);
    assert!(all.attrs["objectCategory"][0].starts_with("CN=Computer,CN=Schema,"));
    assert_eq!(all.attrs["dNSHostName"], ["pc-001.corp.example.jp"]);
    let age = all.attrs["pwdLastSet"][0].parse::<u64>().unwrap();
    assert!((133_000_000_000_000_000..150_000_000_000_000_000).contains(&age));
    assert!(!all.attrs.contains_key("msDS-User-Account-Control-Computed"));
    assert!(!all.bin_attrs.contains_key("nTSecurityDescriptor"));
    // Without the control the audit list is wanted too, and that nobody here may read.
    let whole = one(vec!["nTSecurityDescriptor"], None).await;
    assert!(whole.attrs.is_empty() && whole.bin_attrs.is_empty());
    let owner = control("1.2.840.113556.1.4.801", Some(&[0x30, 3, 2, 1, 1]));
    let owner = one(vec!["nTSecurityDescriptor"], Some(owner)).await;
    let descriptor = &owner.bin_attrs["nTSecurityDescriptor"][0];
    assert_eq!(descriptor[20..28], [1, 5, 0, 0, 0, 0, 0, 5]);
    assert_eq!(descriptor[44..], 512_u32.to_le_bytes());
}

#[tokio::test]
async fn laps_is_for_those_who_may_read_it() {
    let mut domain = domain();
    domain.computer_mut("PC-001").unwrap().laps = LapsValues {
        legacy: Some(Secret::new("legacy-geheim".to_owned())),
        clear: Some(Secret::new(
            r#"{"n":"a","t":"1d8161b41c41cde","p":"x"}"#.to_owned(),
        )),
        expires: Some(Timestamp::now()),
        ..LapsValues::default()
    };
    let without = LdapOptions {
        laps: false,
        ..LdapOptions::default()
    };
    let (with, without) = (
        start(domain.clone(), LdapOptions::default()).await,
        start(domain, without).await,
    );
    let read = async |ldap: &mut Ldap| {
        let told = ldap
            .search(HEAD, Scope::Subtree, "(cn=PC-001)", vec!["*"])
            .await
            .unwrap();
        entries(told.success().unwrap().0).remove(0).attrs
    };
    let mut reader = with.log_on("svc-laps").await;
    let told = read(&mut reader).await;
    assert_eq!(told["ms-Mcs-AdmPwd"], ["legacy-geheim"]);
    assert!(told["msLAPS-Password"][0].contains("\"p\":\"x\""));
    let mut other = with.log_on("svc-reset").await;
    let told = read(&mut other).await;
    assert!(!told.contains_key("ms-Mcs-AdmPwd") && !told.contains_key("msLAPS-Password"));
    assert!(told.contains_key("msLAPS-PasswordExpirationTime"));
    // Nor can it be guessed letter by letter.
    let guess = "(ms-Mcs-AdmPwd=legacy*)";
    assert_eq!(
        found(&mut reader, HEAD, Scope::Subtree, guess).await,
        ["CN=PC-001"]
    );
    assert!(
        found(&mut other, HEAD, Scope::Subtree, guess)
            .await
            .is_empty()
    );
    let mut reader = without.log_on("svc-laps").await;
    assert!(!read(&mut reader).await.contains_key("ms-Mcs-AdmPwd"));
    let schema = format!("CN=Schema,CN=Configuration,{HEAD}");
    let attribute = "(lDAPDisplayName=msLAPS-Password)";
    assert!(
        found(&mut reader, &schema, Scope::OneLevel, attribute)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn some_see_less_and_some_see_what_is_deleted() {
    let bench = bench().await;
    bench.shared.domain().computer_mut("PC-004").unwrap().state = AccountState::Deleted;
    let base = format!("<WKGUID=18E2EA80684F11D2B9AA00C04F79F805,{HEAD}>");
    let mut ldap = bench.log_on("svc-restore").await;
    let computers = "(objectCategory=computer)";
    assert_eq!(
        found(&mut ldap, HEAD, Scope::Subtree, computers)
            .await
            .len(),
        4
    );
    let hidden = ldap
        .search(&base, Scope::OneLevel, "(isDeleted=TRUE)", vec!["cn"])
        .await;
    assert_eq!(hidden.unwrap().1.rc, 32);
    let filter =
        "(&(isDeleted=TRUE)(objectClass=computer)(|(sAMAccountName=PC-004$)(cn=pc-004\\0aDEL:*)))";
    ldap.with_controls(control(SHOW_DELETED, None));
    let told = ldap.search(
        &base,
        Scope::OneLevel,
        filter,
        vec!["lastKnownParent", "isRecycled"],
    );
    let told = entries(told.await.unwrap().success().unwrap().0);
    assert!(
        told[0].dn.starts_with("CN=PC-004\\0ADEL:"),
        "{}",
        told[0].dn
    );
    assert_eq!(
        told[0].attrs["lastKnownParent"],
        [format!("OU=営業部,OU=端末,{HEAD}")]
    );
    let mut other = bench.log_on("svc-reset").await;
    other.with_controls(control(SHOW_DELETED, None));
    assert_eq!(
        other
            .search(&base, Scope::OneLevel, filter, vec!["cn"])
            .await
            .unwrap()
            .1
            .rc,
        32
    );
    other.with_controls(control(SHOW_DELETED, None));
    assert!(
        found(&mut other, HEAD, Scope::Subtree, "(sAMAccountName=PC-004$)")
            .await
            .is_empty()
    );
    let mut blind = bench.log_on("svc-blind").await;
    assert!(
        found(&mut blind, HEAD, Scope::Subtree, computers)
            .await
            .is_empty()
    );
    let pc = format!("CN=PC-001,OU=経理部,OU=端末,{HEAD}");
    assert_eq!(
        blind
            .search(&pc, Scope::Base, computers, vec!["cn"])
            .await
            .unwrap()
            .1
            .rc,
        32
    );
}

fn crowd(computers: usize) -> Domain {
    let mut domain = domain();
    for number in 0..computers - 5 {
        let name = format!("KIOSK-{number:05}");
        domain.create_computer(&name, Timestamp::now());
        let room = format!("第{}教室", number % 7);
        domain.place_computer(&name, &["端末", &room]);
    }
    domain
}

#[tokio::test]
async fn ten_thousand_computers_come_in_pages_within_seconds() {
    let bench = start(crowd(10_000), LdapOptions::default()).await;
    let mut ldap = bench.log_on("svc-none").await;
    let wanted = vec![
        "sAMAccountName",
        "dNSHostName",
        "operatingSystem",
        "lastLogonTimestamp",
    ];
    let computers = "(objectCategory=computer)";
    let begun = Instant::now();
    for size in [500, 5_000] {
        let adapters: Vec<Box<dyn Adapter<_, _>>> = vec![
            Box::new(EntriesOnly::new()),
            Box::new(PagedResults::new(size)),
        ];
        let before = bench.server.counts().searches;
        let mut stream = ldap
            .streaming_search_with(adapters, HEAD, Scope::Subtree, computers, wanted.clone())
            .await
            .unwrap();
        let mut names = std::collections::BTreeSet::new();
        while let Some(entry) = stream.next().await.unwrap() {
            let entry = SearchEntry::construct(entry);
            assert!(names.insert(entry.attrs["sAMAccountName"][0].clone()));
        }
        assert_eq!(stream.finish().await.rc, 0);
        assert_eq!(names.len(), 10_000);
        // Pages are never larger than the controller's own limit.
        let pages = bench.server.counts().searches - before;
        assert_eq!(pages, if size == 500 { 20 } else { 10 });
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    let told = ldap
        .search(HEAD, Scope::Subtree, computers, vec!["cn"])
        .await
        .unwrap();
    assert_eq!(told.1.rc, 4, "without pages there is a limit");
    assert_eq!(entries(told.0).len(), 1_000);
    ldap.with_search_options(SearchOptions::new().sizelimit(20));
    let told = ldap
        .search(HEAD, Scope::Subtree, computers, vec!["cn"])
        .await
        .unwrap();
    assert_eq!((told.1.rc, entries(told.0).len()), (4, 20));
}

#[tokio::test]
async fn one_among_ten_thousand_is_found_at_once() {
    let bench = start(crowd(10_000), LdapOptions::default()).await;
    let mut ldap = bench.log_on("svc-none").await;
    let begun = Instant::now();
    for number in 0..300 {
        let name = format!("KIOSK-{number:05}");
        let filter = format!(
            "(&(objectCategory=computer)(|(sAMAccountName={name}$)(cn={name})\
             (dNSHostName={name}.corp.example.jp)(servicePrincipalName=HOST/{name})))"
        );
        assert_eq!(
            found(&mut ldap, HEAD, Scope::Subtree, &filter).await,
            [format!("CN={name}")]
        );
    }
    // 300 walks over all of them would take many times as long.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn twins_are_found_by_what_they_share() {
    let bench = bench().await;
    {
        let mut domain = bench.shared.domain();
        let other = domain.computer_mut("PC-005").unwrap();
        other.dns_host_name = Some("PC-001.corp.example.jp".to_owned());
        other.spns.push("HOST/pc-001".to_owned());
    }
    let mut ldap = bench.log_on("svc-none").await;
    for filter in [
        "(dNSHostName=pc-001.corp.example.jp)",
        "(servicePrincipalName=HOST/PC-001)",
    ] {
        let told = found(&mut ldap, HEAD, Scope::Subtree, filter).await;
        assert_eq!(told, ["CN=PC-001", "CN=PC-005"]);
    }
}

#[tokio::test]
async fn controls_that_must_be_understood_are() {
    let bench = bench().await;
    let mut ldap = bench.log_on("svc-none").await;
    ldap.with_controls(control("1.2.3.4", None));
    let told = ldap
        .search(HEAD, Scope::Base, "(objectClass=*)", vec!["cn"])
        .await
        .unwrap();
    assert_eq!(told.1.rc, 12);
    let told = ldap
        .search(HEAD, Scope::Subtree, "(cn=PC-001)", vec!["cn"])
        .await
        .unwrap();
    let references = told.1.refs.len();
    assert_eq!(references, 3, "the head of a domain refers to other trees");
    ldap.with_controls(control("1.2.840.113556.1.4.1339", None));
    let told = ldap
        .search(HEAD, Scope::Subtree, "(cn=PC-001)", vec!["cn"])
        .await
        .unwrap();
    assert!(told.1.refs.is_empty() && told.0.len() == 1);
}
