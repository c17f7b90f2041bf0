//! How it connects, and what it does when a line is lost.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_directory::{
    ActionError, ActiveDirectory, Directory, DirectoryError, Encryption, Trust,
};
use fleetmend_model::DirectoryAction;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::asking::{done, on, reset_of};
use crate::domain::{credential, domain, limit, request, unique};

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
