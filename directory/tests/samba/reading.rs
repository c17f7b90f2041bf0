//! Reading computers: one, all, and their LAPS passwords.

use fleetmend_directory::{ComputerQuery, DirectoryError, LapsReading};
use fleetmend_model::DirectoryAction;
use serde_json::{Value, json};

use crate::asking::{done, failure, fits, on, reset_of};
use crate::domain::{domain, limit, unique};

#[tokio::test]
async fn reads_a_computer_by_each_of_its_names() {
    let Some(domain) = domain("reads_a_computer_by_each_of_its_names") else {
        return;
    };
    let mut admin = domain.admin().await;
    let (name, twin) = (unique("read"), unique("twin"));
    let dns = format!("{name}.{}", domain.name);
    let host = format!("HOST/{dns}");
    let more = [
        ("dNSHostName", dns.as_str()),
        ("servicePrincipalName", &host),
        ("msDS-SupportedEncryptionTypes", "28"),
    ];
    let dn = admin.computer(&name, &more).await;
    let directory = domain.service("svc-none");
    let action = DirectoryAction::ReadComputer;
    for computer in [
        name.clone(),
        format!("{name}$"),
        name.to_uppercase(),
        dns.clone(),
        format!("{}.", dns.to_uppercase()),
    ] {
        let read = done(&directory, action, on(&computer)).await;
        assert_eq!(read["found"], true, "{computer}: {read:#}");
        assert_eq!(read["dn"], dn, "{computer}");
    }
    let dc = domain.dc.split('.').next().unwrap();
    let asked = json!({"computer": name, "domain_controller": format!("\\\\{dc}")});
    let read = done(&directory, action, asked).await;
    assert_eq!(read["dc"], domain.dc);
    assert_eq!(read["ou"], domain.ou);
    assert_eq!(
        (&read["enabled"], &read["locked"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(read["encryption_types"], 28);
    assert_eq!(read["spns"], json!([host]));
    assert_eq!(read["duplicates"], Value::Null);
    let shown = directory.computer(&name, None, &limit()).await.unwrap();
    assert_eq!(shown["duplicates"], 0);
    assert_eq!(read["pwd_last_set_differs"], Value::Null);
    assert_eq!(read["error"], Value::Null);
    // The administrator made it, and administrators own together.
    assert!(
        read["owner_sid"].as_str().unwrap().ends_with("-512"),
        "{read:#}"
    );
    assert_eq!(read["controllers"][0]["answered"], true);
    assert_eq!(
        read["controllers"][0]["pwd_last_set_unix"],
        read["pwd_last_set_unix"]
    );

    // Samba takes a second HOST name only under another spelling; a DNS name it takes twice.
    admin.computer(&twin, &[("dNSHostName", &dns)]).await;
    let shown = directory.computer(&name, None, &limit()).await.unwrap();
    fits(action, &shown);
    assert_eq!(shown["duplicates"], 1);
    // The one with the service name is the one that Kerberos means.
    assert_eq!(done(&directory, action, on(&dns)).await["dn"], dn);
    let third = unique("third");
    let (alone, shared) = (unique("alone"), format!("shared-{third}.{}", domain.name));
    admin.computer(&alone, &[("dNSHostName", &shared)]).await;
    assert_eq!(
        done(&directory, action, on(&shared)).await["sam_account_name"],
        format!("{alone}$")
    );
    admin.computer(&third, &[("dNSHostName", &shared)]).await;
    let twins = done(&directory, action, on(&shared)).await;
    assert_eq!(twins["error"]["error_id"], "ComputerAmbiguous");
    let read = done(&directory, action, on("no-such-pc")).await;
    assert_eq!(
        (&read["found"], &read["deleted"]),
        (&json!(false), &Value::Null)
    );
    let elsewhere = json!({"computer": name, "domain_controller": "dc1.evil.example"});
    assert_eq!(
        failure(&directory, action, elsewhere).await,
        ("DomainControllerUnknown".to_owned(), None)
    );
    // What a joined member left behind.
    let member = done(&directory, action, on("pc1")).await;
    assert!(
        member["pwd_last_set_unix"].as_f64().unwrap() > 1.7e9,
        "{member:#}"
    );
}

#[tokio::test]
async fn tells_hidden_computers_from_missing_ones() {
    let Some(domain) = domain("tells_hidden_computers_from_missing_ones") else {
        return;
    };
    let mut admin = domain.admin().await;
    let (user, unit, name) = (unique("blind"), unique("隠"), unique("hidden"));
    let user_dn = admin.user(&user, "Right-Password-1").await;
    let ou = format!("OU={unit},{}", domain.ou);
    admin
        .add(&ou, &[("objectClass", "organizationalUnit")])
        .await;
    let directory = domain.service("svc-none");
    let sid = admin.sid(&user_dn).await;
    let deny = format!("(D;CI;LCLORP;;;{sid})");
    let object = format!("--objectdn={ou}");
    domain.on_controller(&[
        "samba-tool",
        "dsacl",
        "set",
        &object,
        &format!("--sddl={deny}"),
    ]);
    let account = format!("{name}$");
    let values = [
        ("objectClass", "computer"),
        ("sAMAccountName", account.as_str()),
        ("userAccountControl", "4096"),
    ];
    admin.add(&format!("CN={name},{ou}"), &values).await;
    let action = DirectoryAction::ReadComputer;
    assert_eq!(done(&directory, action, on(&name)).await["found"], true);

    let blind = domain.open(&user, "Right-Password-1");
    let read = done(&blind, action, on(&name)).await;
    assert_eq!(read["found"], Value::Null, "{read:#}");
    assert_eq!(read["error"]["error_id"], "ComputersNotVisible");
    assert_eq!(done(&blind, action, on("no-such-pc")).await["found"], false);
    let reset = failure(
        &blind,
        DirectoryAction::ResetComputerPassword,
        reset_of(&name),
    )
    .await;
    assert_eq!(reset.0, "ComputersNotVisible");
}

#[tokio::test]
async fn reads_laps_passwords_or_says_why_not() {
    let Some(domain) = domain("reads_laps_passwords_or_says_why_not") else {
        return;
    };
    let mut admin = domain.admin().await;
    let (name, empty) = (unique("laps"), unique("nolaps"));
    let json = r#"{"n":"管理者","t":"1d8161b41c41cde","p":"A6a3#7%eb!57be4a4B"}"#;
    let dn = admin.computer(&name, &[]).await;
    admin.computer(&empty, &[]).await;
    admin.set(&dn, "msLAPS-Password", json).await;
    admin
        .set(&dn, "msLAPS-PasswordExpirationTime", "134087562051234560")
        .await;
    admin.set(&dn, "ms-Mcs-AdmPwd", "legacy-pw").await;
    admin
        .set(&dn, "ms-Mcs-AdmPwdExpirationTime", "134087562051234560")
        .await;

    let reader = domain.service("svc-laps");
    let laps = reader.laps(&name, None, &limit()).await.unwrap();
    let password = laps.password().unwrap();
    assert_eq!(password.account.as_deref(), Some("管理者"));
    assert_eq!(password.password.reveal(), "A6a3#7%eb!57be4a4B");
    let LapsReading::Password(legacy) = &laps.legacy else {
        panic!("{laps:?}");
    };
    assert_eq!(legacy.password.reveal(), "legacy-pw");
    assert!(legacy.expires.is_some() && legacy.account.is_none());
    let nothing = reader.laps(&empty, None, &limit()).await.unwrap();
    assert_eq!(
        (&nothing.windows, &nothing.legacy),
        (&LapsReading::Empty, &LapsReading::Empty)
    );

    let blind = domain
        .service("svc-none")
        .laps(&name, None, &limit())
        .await
        .unwrap();
    assert!(matches!(
        blind.windows,
        LapsReading::Unreadable { expires: Some(_) }
    ));
    assert!(matches!(
        blind.legacy,
        LapsReading::Unreadable { expires: Some(_) }
    ));

    admin
        .set_bytes(&dn, "msLAPS-EncryptedPassword", &[1, 0xff, 0, 7])
        .await;
    let both = reader.laps(&name, None, &limit()).await.unwrap();
    assert!(both.password().is_some(), "the clear one is still there");
    assert!(matches!(
        reader.laps("no-such", None, &limit()).await,
        Err(DirectoryError::ComputerNotFound { .. })
    ));
}

#[tokio::test]
async fn lists_computers_over_several_pages() {
    let Some(domain) = domain("lists_computers_over_several_pages") else {
        return;
    };
    let mut admin = domain.admin().await;
    let unit = unique("一覧");
    let ou = format!("OU={unit},{}", domain.ou);
    admin
        .add(&ou, &[("objectClass", "organizationalUnit")])
        .await;
    let stem = unique("l");
    let count = 520;
    for number in 0..count {
        let name = format!("{stem}-{number:03}");
        let account = format!("{name}$");
        let odd = if number % 2 == 0 { "4096" } else { "4098" };
        let values = [
            ("objectClass", "computer"),
            ("sAMAccountName", &account),
            ("userAccountControl", odd),
            ("operatingSystem", "Windows 11 Pro"),
            ("description", "受付"),
        ];
        admin.add(&format!("CN={name},{ou}"), &values).await;
    }
    let directory = domain.service("svc-none");
    let mut query = ComputerQuery {
        ou: Some(ou),
        filter: None,
    };
    let all = directory.computers(&query, &limit()).await.unwrap();
    assert_eq!(all.len(), count);
    assert_eq!(all[0].name, format!("{stem}-000"));
    assert_eq!(all[0].ou.last(), Some(&unit));
    assert_eq!(all[0].description.as_deref(), Some("受付"));
    assert_eq!((all[0].enabled, all[1].enabled), (Some(true), Some(false)));
    query.filter = Some(format!("(cn={stem}-00*)").parse().unwrap());
    assert_eq!(
        directory.computers(&query, &limit()).await.unwrap().len(),
        10
    );
    query.ou = Some(format!("OU=no,{}", domain.ou));
    let missing = directory.computers(&query, &limit()).await.unwrap_err();
    assert_eq!(missing.code(), Some(32));
    let everywhere = directory
        .computers(&ComputerQuery::default(), &limit())
        .await
        .unwrap();
    assert!(everywhere.iter().any(|listed| listed.name == "PC1"));
}
