//! What the command line asks of a real domain: LAPS passwords, and inventories of its computers.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use fleetmend_tests::samba::{Account, Domain, Members};
use fleetmend_tests::with;
use serde_json::Value;

/// More than a controller gives in one answer.
const KIOSKS: usize = 1200;

#[tokio::test(flavor = "multi_thread")]
async fn laps_passwords_and_inventories_come_from_the_directory() {
    let one = Members {
        winbind: 1,
        adcli: 0,
    };
    let Some(domain) = Domain::up(one) else {
        return;
    };
    laps_is_read_by_who_may(&domain).await;
    let imported = every_computer_is_imported(&domain).await;
    an_inventory_that_names_the_directory_is_the_same(&domain, &imported).await;
    its_members_can_be_reached(&domain).await;
}

/// The answer of `fleetmend directory laps pc1`, and its exit code.
async fn laps(domain: &Domain, account: Account) -> (Value, Option<i32>) {
    let words = ["directory", "laps", "pc1", "--reveal", "--json"];
    let arguments: Vec<OsString> = words.map(OsString::from).into();
    let ended = domain
        .run(with(arguments, domain.directory_options(account)))
        .await;
    (ended.json(), ended.code)
}

async fn laps_is_read_by_who_may(domain: &Domain) {
    let ldif = format!(
        "dn: CN=PC1,{}\nchangetype: modify\nreplace: msLAPS-Password\n\
         msLAPS-Password: {{\"n\":\"管理者\",\"t\":\"1dd5b2f9a8c8000\",\"p\":\"窓-Kx7!\"}}\n-\n\
         replace: msLAPS-PasswordExpirationTime\n\
         msLAPS-PasswordExpirationTime: 134400000000000000\n-\n\
         replace: ms-Mcs-AdmPwd\nms-Mcs-AdmPwd: old-Kx7!\n",
        domain.setting("OU")
    );
    domain.write_sam("ldbmodify", &ldif);

    let (told, code) = laps(domain, Account::Laps).await;
    assert_eq!(told["windows"]["account"], "管理者", "{told}");
    assert_eq!(told["windows"]["password"], "窓-Kx7!");
    let expires = told["windows"]["expires"].as_str().unwrap();
    assert!(expires.starts_with("2026-11-24T"), "{told}");
    assert_eq!(told["legacy"]["password"], "old-Kx7!");
    assert_eq!(code, Some(0));

    let (told, code) = laps(domain, Account::None).await;
    assert_eq!(told["windows"]["state"], "unreadable", "{told}");
    assert!(!told.to_string().contains("Kx7!"), "{told}");
    assert_eq!(code, Some(1));
}

/// The hosts of an inventory with their addresses, as the binary understands it.
async fn hosts(domain: &Domain, inventory: &str) -> BTreeMap<String, String> {
    let mut arguments: Vec<OsString> = ["inventory", "list", "-i"].map(OsString::from).into();
    arguments.push(domain.path(inventory).into());
    arguments.push("--json".into());
    arguments.extend(domain.directory_options(Account::None));
    let ended = domain.run(arguments).await;
    let told = ended.json();
    let hosts = told["_meta"]["hostvars"].as_object().unwrap().iter();
    hosts
        .map(|(name, vars)| (name.clone(), vars["address"].as_str().unwrap().to_owned()))
        .collect()
}

async fn every_computer_is_imported(domain: &Domain) -> BTreeMap<String, String> {
    let ldif: String = (1..=KIOSKS)
        .map(|n| {
            format!(
                "dn: CN=KIOSK-{n:04},OU=第1教室,{}\nobjectClass: computer\n\
                 sAMAccountName: KIOSK-{n:04}$\nuserAccountControl: {}\n\
                 dNSHostName: kiosk-{n:04}.{}\noperatingSystem: Windows 11 Pro\n\
                 description: 窓側の端末 {n}\n\n",
                domain.setting("OU"),
                if n == 7 { 4098 } else { 4096 },
                domain.setting("DOMAIN"),
            )
        })
        .collect();
    domain.write_sam("ldbadd", &ldif);

    let file = domain.path("imported.yaml");
    let mut arguments: Vec<OsString> = ["inventory", "import", "--ldap", domain.setting("DOMAIN")]
        .map(OsString::from)
        .into();
    arguments.extend(["--ou".into(), domain.setting("OU").into()]);
    arguments.extend(["--output".into(), file.clone().into()]);
    let mut options = domain.directory_options(Account::None);
    options.drain(..2);
    let ended = domain.run(with(arguments, options)).await;
    assert_eq!(ended.code, Some(0), "{}", ended.err());

    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("窓側の端末 1200"), "{text}");
    let hosts = hosts(domain, "imported.yaml").await;
    let filter = "(&(objectCategory=computer)(userAccountControl=4096))";
    let found = domain.search(filter, &["dNSHostName"]);
    let known: BTreeSet<&str> = found
        .iter()
        .filter_map(|entry| entry.one("dNSHostName"))
        .collect();
    let imported: BTreeSet<&str> = hosts.values().map(String::as_str).collect();
    assert_eq!(imported, known, "the disabled one is left out");
    assert_eq!(imported.len(), KIOSKS);
    assert!(hosts.contains_key("pc1"));
    hosts
}

async fn an_inventory_that_names_the_directory_is_the_same(
    domain: &Domain,
    imported: &BTreeMap<String, String>,
) {
    domain.write(
        "source.yaml",
        &format!(
            "all:\n  vars: {{platform: posix, transport: ssh, user: {}, ssh: {{known_hosts: '{}'}}}}\n\
             directory:\n  domain: {}\n  ou: {}\n",
            domain.setting("LOCAL_USER"),
            domain.setting("KNOWN_HOSTS"),
            domain.setting("DOMAIN"),
            domain.setting("OU"),
        ),
    );
    assert_eq!(&hosts(domain, "source.yaml").await, imported);
}

async fn its_members_can_be_reached(domain: &Domain) {
    let mut arguments: Vec<OsString> = vec!["check".into(), "trust-repair".into()];
    arguments.extend(domain.host_options(&domain.path("source.yaml")));
    arguments.extend(domain.directory_options(Account::Reset));
    let more = ["--limit", "pc*", "--yes", "--output", "json"];
    let ended = domain.run(with(arguments, more)).await;
    let wanted = [("pc1".to_owned(), "healthy".to_owned())];
    assert_eq!(ended.outcomes(), BTreeMap::from(wanted), "{}", ended.err());
    assert_eq!(ended.code, Some(0));
}
