//! Against a real Active Directory domain, which tests/run starts; by hand see tests/samba.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod domain;

use std::sync::Arc;
use std::time::Duration;

use domain::{credential, domain, limit, request, unique};
use fleetmend_directory::{
    ActionError, ActiveDirectory, ComputerQuery, Directory, DirectoryError, Encryption,
    LapsReading, LogonRefusal, NotProbed, Trust, offline_join_available,
};
use fleetmend_model::DirectoryAction;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Checks an answer against the action's own schema.
fn fits(action: DirectoryAction, answer: &Value) {
    let path = format!(
        "{}/../playbooks/actions/{action}.gives.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(answer)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{action}: {errors:#?} in {answer:#}");
}

async fn done(directory: &ActiveDirectory, action: DirectoryAction, params: Value) -> Value {
    let acted = directory.act(request(action, params)).await.unwrap();
    fits(action, &acted.answer);
    acted.answer
}

async fn failure(
    directory: &ActiveDirectory,
    action: DirectoryAction,
    params: Value,
) -> (String, Option<i64>) {
    match directory.act(request(action, params)).await {
        Err(ActionError::Failed { error_id, code, .. }) => (error_id, code),
        other => panic!("{other:?}"),
    }
}

fn on(computer: &str) -> Value {
    json!({"computer": computer, "domain_controller": null})
}

fn reset_of(computer: &str) -> Value {
    json!({"computer": computer, "domain_controller": null, "sid": null})
}

#[tokio::test]
async fn connects_every_way_and_only_to_whom_it_trusts() {
    let Some(domain) = domain("connects_every_way_and_only_to_whom_it_trusts") else {
        return;
    };
    let shown = CertificateDer::from_pem_file(&domain.certificate).unwrap();
    let wrong: Trust = format!("sha256:{}", "00".repeat(32)).parse().unwrap();
    let prove = async |change: &dyn Fn(&mut fleetmend_directory::Settings)| {
        let mut settings = domain.settings();
        change(&mut settings);
        let account = credential("svc-none", &domain.service_password);
        ActiveDirectory::new(settings, account)
            .prove(&limit())
            .await
    };
    let proof = prove(&|_| {}).await.unwrap();
    assert_eq!(proof.dc, domain.dc);
    assert_eq!(
        proof.default_naming_context.to_lowercase(),
        domain.base.to_lowercase()
    );
    assert!(proof.clock_ahead.unwrap().as_secs().abs() < 30);
    assert_eq!((proof.read_only, proof.synchronized), (false, Some(true)));
    prove(&|settings| settings.encryption = Encryption::StartTls)
        .await
        .unwrap();
    prove(&|settings| settings.trust = domain.pin())
        .await
        .unwrap();
    // The name in the certificate does not matter to a pin, only to a CA.
    let by_address = |settings: &mut fleetmend_directory::Settings| {
        settings.servers = vec![domain.address.parse().unwrap()];
    };
    let pinned_address = |settings: &mut fleetmend_directory::Settings| {
        by_address(settings);
        settings.trust = domain.pin();
    };
    assert_eq!(prove(&pinned_address).await.unwrap().dc, domain.dc);
    let located = prove(&|settings| settings.servers.clear()).await.unwrap();
    assert_eq!(located.controllers, [domain.dc.as_str()]);

    let wrong_pin = prove(&|settings| settings.trust = wrong.clone())
        .await
        .unwrap_err();
    assert_eq!(wrong_pin.id(), "DomainControllerNotTrusted");
    let told: String = Sha256::digest(&shown)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert!(wrong_pin.to_string().contains(&told), "{wrong_pin}");
    let roots = prove(&|settings| settings.trust = Trust::System)
        .await
        .unwrap_err();
    assert!(matches!(
        roots,
        DirectoryError::NotTrusted { .. } | DirectoryError::TlsSettings(_)
    ));
    let other = prove(&|settings| settings.domain = "other.example".to_owned()).await;
    assert!(
        matches!(other, Err(DirectoryError::OtherDomain { .. })),
        "{other:?}"
    );
    let closed_port = |settings: &mut fleetmend_directory::Settings| {
        settings.servers = vec![format!("{}:1", domain.dc).parse().unwrap()];
    };
    let closed = prove(&closed_port).await;
    assert!(matches!(closed, Err(DirectoryError::Unreachable { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_spent_once_however_many_hosts_ask() {
    let Some(domain) = domain("a_wrong_password_is_spent_once_however_many_hosts_ask") else {
        return;
    };
    let mut admin = domain.admin().await;
    let user = unique("gate");
    let dn = admin.user(&user, "Right-Password-1").await;
    let directory = Arc::new(domain.open(&user, "wrong"));
    let hosts: Vec<_> = (0..200)
        .map(|_| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move {
                let action = DirectoryAction::ReadComputer;
                directory.act(request(action, on("pc1"))).await
            })
        })
        .collect();
    for host in hosts {
        let Err(ActionError::Failed {
            error_id,
            credential_refused,
            ..
        }) = host.await.unwrap()
        else {
            panic!("not refused");
        };
        assert_eq!(error_id, "DirectoryCredentialRefused");
        assert_eq!(credential_refused, Some(1326));
    }
    assert!(directory.prove(&limit()).await.is_err());
    assert_eq!(admin.number(&dn, "badPwdCount").await, 1);

    admin.set(&dn, "userAccountControl", "514").await;
    let disabled = domain
        .open(&user, "Right-Password-1")
        .prove(&limit())
        .await
        .unwrap_err();
    let refusal = LogonRefusal::Disabled;
    assert_eq!(
        disabled,
        DirectoryError::CredentialRefused {
            dc: domain.dc.clone(),
            refusal
        }
    );
    let nobody = domain
        .open("no-such-user", "x")
        .prove(&limit())
        .await
        .unwrap_err();
    assert!(
        matches!(nobody, DirectoryError::CredentialRefused { .. }),
        "{nobody:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_a_credential_exactly_once() {
    let Some(domain) = domain("probes_a_credential_exactly_once") else {
        return;
    };
    let mut admin = domain.admin().await;
    let threshold = admin.lockout_threshold(&domain).await;
    let user = unique("probe");
    let dn = admin.user(&user, "Right-Password-1").await;
    let directory = Arc::new(domain.service("svc-none"));
    let wrong = credential(&format!("{}\\{user}", domain.netbios), "wrong");
    let probes: Vec<_> = (0..50)
        .map(|_| {
            let (directory, wrong) = (Arc::clone(&directory), wrong.clone());
            tokio::spawn(async move { directory.probe(&wrong, &limit()).await })
        })
        .collect();
    for probe in probes {
        let probe = probe.await.unwrap().unwrap();
        assert_eq!(probe.refusal, Some(LogonRefusal::WrongPassword));
        assert_eq!(probe.policy.threshold, Some(threshold));
        assert_eq!(probe.policy.window, Some(Duration::from_mins(30)));
        assert_eq!(probe.account.unwrap().bad_password_count, Some(0));
    }
    assert_eq!(admin.number(&dn, "badPwdCount").await, 1);
    let right = directory
        .probe(&credential(&user, "Right-Password-1"), &limit())
        .await;
    assert_eq!(right.unwrap().refusal, None);

    // Two wrong passwords are kept in reserve: one less, and it is not tried.
    let own = format!("{user}@{}", domain.name);
    let counted = threshold - 2;
    for _ in 0..counted {
        assert_eq!(admin.bind(&domain, &own, "bad").await, 49);
    }
    assert_eq!(admin.number(&dn, "badPwdCount").await, i64::from(counted));
    let near = directory.probe(&credential(&user, "other"), &limit()).await;
    let Err(NotProbed::NearLockout { bad, .. }) = near else {
        panic!("{near:?}");
    };
    assert_eq!(bad, counted);
    assert_eq!(admin.number(&dn, "badPwdCount").await, i64::from(counted));
    for _ in 0..2 {
        admin.bind(&domain, &own, "bad").await;
    }
    let locked = directory
        .probe(&credential(&user, "other"), &limit())
        .await
        .unwrap_err();
    assert!(
        matches!(
            locked,
            NotProbed::Hopeless {
                refusal: LogonRefusal::LockedOut,
                ..
            }
        ),
        "{locked:?}"
    );
    let refused = domain
        .open(&user, "Right-Password-1")
        .prove(&limit())
        .await
        .unwrap_err();
    assert!(
        matches!(
            refused,
            DirectoryError::CredentialRefused {
                refusal: LogonRefusal::LockedOut,
                ..
            }
        ),
        "{refused:?}"
    );
}

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
    assert_eq!(read["duplicates"], 0);
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
    let read = done(&directory, action, on(&name)).await;
    assert_eq!(read["duplicates"], 1);
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
async fn tells_unreachable_controllers_from_missing_computers() {
    let Some(domain) = domain("tells_unreachable_controllers_from_missing_computers") else {
        return;
    };
    let account = || credential("svc-none", &domain.service_password);
    let closed = format!("{}:1", domain.address).parse().unwrap();
    let mut settings = domain.settings();
    settings.servers.insert(0, closed);
    let directory = ActiveDirectory::new(settings.clone(), account());
    let read = done(&directory, DirectoryAction::ReadComputer, on("pc1")).await;
    assert_eq!(
        (&read["found"], &read["dc"]),
        (&json!(true), &json!(domain.dc))
    );
    assert_eq!(read["controllers"][0]["answered"], false);
    assert_eq!(read["controllers"][1]["answered"], true);

    settings.servers.truncate(1);
    let directory = ActiveDirectory::new(settings, account());
    let read = done(&directory, DirectoryAction::ReadComputer, on("pc1")).await;
    assert_eq!((&read["found"], &read["dc"]), (&Value::Null, &Value::Null));
    assert_eq!(read["error"]["error_id"], "DomainControllerUnreachable");
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_one_connection_and_reopens_it_when_lost() {
    let Some(domain) = domain("shares_one_connection_and_reopens_it_when_lost") else {
        return;
    };
    let (directory, proxy) = domain.through_proxy("svc-none").await;
    let directory = Arc::new(directory);
    let read = async |directory: &ActiveDirectory| {
        done(directory, DirectoryAction::ReadComputer, on("pc1")).await["found"] == true
    };
    let hosts: Vec<_> = (0..300)
        .map(|_| {
            let directory = Arc::clone(&directory);
            let request = request(DirectoryAction::ReadComputer, on("pc1"));
            tokio::spawn(async move { directory.act(request).await })
        })
        .collect();
    for host in hosts {
        assert_eq!(host.await.unwrap().unwrap().answer["found"], true);
    }
    assert_eq!(proxy.opened(), 1);
    proxy.cut_all();
    assert!(read(&directory).await, "on a new connection");
    assert_eq!(proxy.opened(), 2);
    proxy.cut_behind(1);
    assert!(
        read(&directory).await,
        "asked again when its answer was lost"
    );
    assert_eq!(proxy.opened(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_unknown_and_not_repeated() {
    let Some(domain) = domain("a_write_whose_answer_is_lost_is_unknown_and_not_repeated") else {
        return;
    };
    let mut admin = domain.admin().await;
    let name = unique("lost");
    let dn = admin.computer(&name, &[]).await;
    let (directory, proxy) = domain.through_proxy("svc-reset").await;
    directory.prove(&limit()).await.unwrap();
    let before = admin.text(&dn, "pwdLastSet").await;
    // The search passes; behind the modification the line is cut.
    proxy.cut_behind(2);
    let reset = request(DirectoryAction::ResetComputerPassword, reset_of(&name));
    let lost = directory.act(reset.clone()).await.unwrap_err();
    assert!(matches!(lost, ActionError::Unknown { .. }), "{lost:?}");
    assert_eq!(proxy.opened(), 1, "nothing was sent again");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_ne!(
        admin.text(&dn, "pwdLastSet").await,
        before,
        "it was written all the same"
    );
    // The rung is run again, with a new password.
    assert!(directory.act(reset).await.unwrap().made.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_at_the_deadline_and_at_once_when_cancelled() {
    let Some(domain) = domain("silence_ends_at_the_deadline_and_at_once_when_cancelled") else {
        return;
    };
    let (directory, proxy) = domain.through_proxy("svc-reset").await;
    directory.prove(&limit()).await.unwrap();
    proxy.stall(true);
    let mut reset = request(DirectoryAction::ResetComputerPassword, reset_of("pc1"));
    reset.deadline = Duration::from_secs(1);
    let begun = std::time::Instant::now();
    let late = directory.act(reset.clone()).await.unwrap_err();
    let ActionError::Failed { error_id, .. } = late else {
        panic!("nothing was written yet: {late:?}");
    };
    assert_eq!(error_id, "DirectoryDeadline");
    assert!(begun.elapsed() < Duration::from_secs(3));
    reset.deadline = Duration::from_secs(60);
    let cancel = reset.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    let cancelled = directory.act(reset).await.unwrap_err();
    assert!(
        matches!(&cancelled, ActionError::Failed { error_id, .. } if error_id == "Cancelled"),
        "{cancelled:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(5));
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
async fn resets_a_password_that_the_computer_can_log_on_with() {
    let Some(domain) = domain("resets_a_password_that_the_computer_can_log_on_with") else {
        return;
    };
    let mut admin = domain.admin().await;
    let name = unique("reset");
    let dn = admin.computer(&name, &[]).await;
    let directory = domain.service("svc-reset");
    let action = DirectoryAction::ResetComputerPassword;
    let acted = directory
        .act(request(action, reset_of(&name)))
        .await
        .unwrap();
    fits(action, &acted.answer);
    let password = acted.made.unwrap();
    assert!(!acted.answer.to_string().contains(password.reveal()));
    let own = format!("{}\\{name}$", domain.netbios);
    assert_eq!(admin.bind(&domain, &own, password.reveal()).await, 0);
    let first = acted.answer["pwd_last_set_unix"].as_f64().unwrap();
    let again = done(&directory, action, reset_of(&name)).await;
    assert_eq!(again["pwd_last_set_unix_before"].as_f64(), Some(first));
    assert!(again["pwd_last_set_unix"].as_f64().unwrap() > first);
    assert_eq!(admin.bind(&domain, &own, password.reveal()).await, 49);

    let before = admin.text(&dn, "pwdLastSet").await;
    let other = json!({"computer": name, "domain_controller": null, "sid": "S-1-5-32-544"});
    let id = |(id, _): (String, Option<i64>)| id;
    assert_eq!(
        id(failure(&directory, action, other).await),
        "ComputerSidDiffers"
    );
    let none = domain.service("svc-none");
    assert_eq!(
        failure(&none, action, reset_of(&name)).await,
        ("LdapInsufficientAccessRights".to_owned(), Some(50))
    );
    admin.set(&dn, "userAccountControl", "4098").await;
    assert_eq!(
        id(failure(&directory, action, reset_of(&name)).await),
        "ComputerDisabled"
    );
    assert_eq!(
        id(failure(&directory, action, reset_of("no-such")).await),
        "ComputerNotFound"
    );
    let dc = domain.dc.split('.').next().unwrap();
    let dc = failure(&directory, action, reset_of(dc)).await;
    assert_eq!(id(dc), "NotAMemberAccount");
    assert_eq!(admin.text(&dn, "pwdLastSet").await, before);
}

#[tokio::test]
async fn enables_unlocks_and_restores() {
    let Some(domain) = domain("enables_unlocks_and_restores") else {
        return;
    };
    let mut admin = domain.admin().await;
    let name = unique("flags");
    let flags = [("userAccountControl", "4098")];
    let dn = admin.computer(&name, &flags).await;
    let directory = domain.service("svc-enable");
    let enable = DirectoryAction::EnableComputer;
    assert_eq!(
        failure(&domain.service("svc-reset"), enable, on(&name))
            .await
            .1,
        Some(50)
    );
    assert_eq!(done(&directory, enable, on(&name)).await["done"], true);
    assert_eq!(admin.number(&dn, "userAccountControl").await, 4096);
    assert_eq!(done(&directory, enable, on(&name)).await["done"], false);

    let unlock = DirectoryAction::UnlockComputer;
    assert_eq!(done(&directory, unlock, on(&name)).await["done"], false);
    let reset = DirectoryAction::ResetComputerPassword;
    done(&directory, reset, reset_of(&name)).await;
    let own = format!("{}\\{name}$", domain.netbios);
    for _ in 0..admin.lockout_threshold(&domain).await {
        admin.bind(&domain, &own, "bad").await;
    }
    assert!(admin.number(&dn, "lockoutTime").await > 0);
    let read = DirectoryAction::ReadComputer;
    assert_eq!(done(&directory, read, on(&name)).await["locked"], true);
    assert_eq!(done(&directory, unlock, on(&name)).await["done"], true);
    assert_eq!(admin.number(&dn, "lockoutTime").await, 0);

    let sid = done(&directory, read, on(&name)).await["sid"].clone();
    let restore = DirectoryAction::RestoreComputer;
    let administrator = domain.open("administrator", &domain.admin_password);
    assert_eq!(
        done(&administrator, restore, on(&name)).await["done"],
        false
    );
    let missing = failure(&administrator, restore, on("no-such")).await;
    assert_eq!(missing.0, "ComputerNotFound");
    admin.delete(&dn).await;
    let gone = done(&administrator, read, on(&name)).await;
    assert_eq!(gone["found"], false);
    if gone["deleted"]["recycle_bin"] == true {
        // Samba 4.17 undeletes only tombstones: it wants to take away `isRecycled`, which what lies
        // in the bin does not have.
        let refused = failure(&administrator, restore, on(&name)).await;
        assert_eq!(refused, ("LdapNoSuchAttribute".to_owned(), Some(16)));
        return;
    }
    let back = done(&administrator, restore, on(&name)).await;
    let expected = (&json!(true), &sid, &json!(dn));
    assert_eq!((&back["done"], &back["sid"], &back["dn"]), expected);
    let there = done(&directory, read, on(&name)).await;
    assert_eq!((&there["found"], &there["sid"]), (&json!(true), &sid));
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

#[tokio::test]
async fn makes_an_offline_join_blob_only_where_it_can_finish() {
    let Some(domain) = domain("makes_an_offline_join_blob_only_where_it_can_finish") else {
        return;
    };
    if !offline_join_available(&limit()).await {
        println!("SKIPPED: an offline join blob because Samba's `net` is not here");
        return;
    }
    let mut admin = domain.admin().await;
    let name = unique("odj");
    let dn = admin.computer(&name, &[]).await;
    let action = DirectoryAction::ProvisionOfflineJoin;
    let params = |computer: &str, ou: Option<&str>| {
        json!({
            "computer": computer,
            "domain": domain.name,
            "domain_controller": domain.dc,
            "ou": ou,
        })
    };
    let before = admin.text(&dn, "pwdLastSet").await;
    let refused = failure(&domain.service("svc-reset"), action, params(&name, None)).await;
    assert_eq!(refused.0, "OfflineJoinRights");
    assert_eq!(
        admin.text(&dn, "pwdLastSet").await,
        before,
        "the trust is as it was"
    );

    let directory = domain.service("svc-join");
    let acted = directory
        .act(request(action, params(&name, None)))
        .await
        .unwrap();
    fits(action, &acted.answer);
    assert!(
        acted.answer["sid"]
            .as_str()
            .unwrap()
            .starts_with("S-1-5-21-")
    );
    // NDR's header, version 1, little-endian, in base64.
    assert!(acted.made.unwrap().reveal().starts_with("ARAIAMzMzM"));
    assert_ne!(admin.text(&dn, "pwdLastSet").await, before);

    // An account that is not there yet, where the account may create one.
    let fresh = unique("odjn");
    let made = directory
        .act(request(action, params(&fresh, Some(&domain.ou))))
        .await
        .unwrap();
    assert!(made.made.is_some());
    let read = done(&directory, DirectoryAction::ReadComputer, on(&fresh)).await;
    assert_eq!(
        (&read["found"], &read["ou"]),
        (&json!(true), &json!(domain.ou))
    );
}
