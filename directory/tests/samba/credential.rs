//! A wrong password is spent once.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_directory::{ActionError, Directory, DirectoryError, LogonRefusal, NotProbed};
use fleetmend_model::DirectoryAction;

use crate::asking::on;
use crate::domain::{credential, domain, limit, request, unique};

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
