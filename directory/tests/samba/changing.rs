//! Changing computer accounts.

use fleetmend_directory::{ActionError, ActionRequest, Directory, offline_join_available};
use fleetmend_model::{DirectoryAction, HostName};
use serde_json::json;

use crate::asking::{done, failure, fits, on, reset_of};
use crate::domain::{domain, limit, request, unique};

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
    let set = admin.text(&dn, "pwdLastSet").await;
    let other = ActionRequest {
        host: HostName("経理-2".to_owned()),
        ..request(action, reset_of(&name))
    };
    let refused = directory.act(other).await;
    assert!(
        matches!(&refused, Err(ActionError::Failed { error_id, .. }) if error_id == "ComputerOfAnotherHost"),
        "{refused:?}"
    );
    assert_eq!(admin.text(&dn, "pwdLastSet").await, set);

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
