//! A lab as a whole: it starts quickly, its table holds, it ends cleanly.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use fleetmend_lab::{InventoryFiles, Lab, LabError, LabOptions, Mix, PcPlan, Scenario};
use fleetmend_model::{OutcomeClass, TransportKind};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::scripts;

#[tokio::test]
async fn two_hundred_pcs_start_within_two_seconds_and_answer() {
    let started = Instant::now();
    let lab = Lab::start(LabOptions::new(200, scripts())).await.unwrap();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    let names: BTreeSet<_> = lab.pcs().iter().map(|pc| &pc.name).collect();
    let addresses: BTreeSet<_> = lab.pcs().iter().map(|pc| pc.address).collect();
    assert_eq!((names.len(), addresses.len()), (200, 200));
    let mut talking = 0;
    for pc in lab.pcs() {
        let attempt = timeout(Duration::from_millis(300), TcpStream::connect(pc.address)).await;
        match pc.scenario {
            Scenario::Off => {
                assert_eq!(
                    attempt.unwrap().unwrap_err().kind(),
                    ErrorKind::ConnectionRefused
                );
            }
            Scenario::Silent => assert!(cfg!(windows) || attempt.is_err(), "{}", pc.name),
            _ => {
                attempt.unwrap().unwrap();
                talking += 1;
            }
        }
    }
    let closed = lab.pcs().iter().filter(|pc| !pc.scenario.listens()).count();
    assert_eq!(talking + closed, 200);
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn the_table_names_an_end_for_every_pc_of_the_demo() {
    let lab = Lab::start(LabOptions::new(24, scripts())).await.unwrap();
    let count = |class| {
        lab.pcs()
            .iter()
            .filter(|pc| pc.expected.class() == class)
            .count()
    };
    assert_eq!(count(OutcomeClass::Healthy), 3);
    assert_eq!(count(OutcomeClass::Repaired), 13);
    assert_eq!(count(OutcomeClass::NotRepaired), 4);
    assert_eq!(count(OutcomeClass::Unreachable), 2);
    assert_eq!(count(OutcomeClass::AccessDenied), 1);
    assert_eq!(count(OutcomeClass::Skipped), 1);
    let pc = lab.pc("pc-009.corp.example.jp").unwrap();
    assert_eq!(pc.expected.to_string(), "access-denied(logon)");
}

#[tokio::test]
async fn two_labs_stand_side_by_side_and_a_fixed_base_is_refused_when_taken() {
    let first = Lab::start(LabOptions::new(3, scripts())).await.unwrap();
    let second = Lab::start(LabOptions::new(3, scripts())).await.unwrap();
    assert_ne!(first.pcs()[0].address, second.pcs()[0].address);
    let std::net::IpAddr::V4(taken) = first.pcs()[0].address.ip() else {
        panic!("IPv4")
    };
    if taken == Ipv4Addr::LOCALHOST {
        return; // One address for all: there is no base to be taken.
    }
    let base = Ipv4Addr::from(u32::from(taken) - 1);
    let options = LabOptions {
        base: Some(base),
        ..LabOptions::new(3, scripts())
    };
    assert!(matches!(
        Lab::start(options).await,
        Err(LabError::Addresses(_))
    ));
    first.shutdown().await;
    let options = LabOptions {
        base: Some(base),
        ..LabOptions::new(3, scripts())
    };
    Lab::start(options)
        .await
        .expect("free again after a shutdown");
}

#[tokio::test]
async fn the_inventory_lists_every_pc_and_holds_no_password() {
    let lab = Lab::start(LabOptions::new(24, scripts())).await.unwrap();
    let text = lab.inventory_yaml(&InventoryFiles::default());
    for credential in [lab.local_credential(), lab.domain_credential()] {
        assert!(!text.contains(credential.password.reveal()));
    }
    let tree: Value = serde_yaml::from_str(&text).unwrap();
    let groups = tree["all"]["children"].as_object().unwrap();
    assert!(groups.contains_key("経理部") && groups.contains_key("情報システム部"));
    let mut listed = 0;
    for group in groups.values() {
        for (name, vars) in group["hosts"].as_object().unwrap() {
            let pc = lab.pc(name).unwrap();
            assert_eq!(vars["ansible_host"], pc.address.ip().to_string());
            assert_eq!(vars["ansible_port"], pc.address.port());
            let ssh = pc.transport == TransportKind::Ssh;
            assert_eq!(
                vars["ansible_connection"],
                if ssh { "ssh" } else { "winrm" }
            );
            assert_eq!(
                vars.get("tls").is_some(),
                pc.transport == TransportKind::WinrmHttps
            );
            listed += 1;
        }
    }
    assert_eq!(listed, 24);
    assert_eq!(tree["all"]["vars"]["ansible_user"], r".\fleetadmin");
    let known = lab.known_hosts();
    assert_eq!(known.lines().count(), 2);
    assert!(
        known
            .lines()
            .all(|line| line.starts_with('[') && line.contains("ssh-ed25519 "))
    );
}

#[tokio::test]
async fn a_shutdown_frees_ports_and_ends_processes() {
    let plan = vec![
        PcPlan::new(Scenario::Healthy),
        PcPlan::new(Scenario::Healthy).over(TransportKind::WinrmHttps),
        PcPlan::new(Scenario::Healthy).over(TransportKind::Ssh),
        PcPlan::new(Scenario::Silent),
    ];
    let options = LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    };
    let lab = Lab::start(options).await.unwrap();
    let addresses: Vec<_> = lab.pcs().iter().map(|pc| pc.address).collect();
    let mut idle = Vec::new();
    for address in addresses.iter().take(3) {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(lab.shutdown().await, 0, "idle connections hold nothing up");
    for address in addresses {
        let attempt = timeout(Duration::from_secs(1), TcpStream::connect(address)).await;
        assert_eq!(
            attempt.unwrap().unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
    }
}

#[tokio::test]
async fn no_password_shows_in_debug() {
    let plan = Scenario::ALL.map(PcPlan::new).to_vec();
    let options = LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    };
    let lab = Lab::start(options).await.unwrap();
    let shown = format!("{lab:?} {:?}", lab.shared().domain());
    assert!(
        shown.contains("PC-001") && shown.contains("trust-repair"),
        "{shown}"
    );
    for credential in [lab.local_credential(), lab.domain_credential()] {
        assert!(!shown.contains(credential.password.reveal()));
    }
}
