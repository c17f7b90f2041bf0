//! The transport's own clients against simulated PCs: every scenario over every transport.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_lab::{Lab, LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::{
    Host, Outcome, TlsVerification, TransportChoice, TransportKind, WinrmScheme,
};
use fleetmend_transport::{
    AutoConnector, ConnectError, Connector, ConnectorOptions, ExecRequest, Limits, Script, Session,
    StepRequest,
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::common::{scripts, text_of};

const KINDS: [TransportKind; 3] = [
    TransportKind::WinrmHttp,
    TransportKind::WinrmHttps,
    TransportKind::Ssh,
];

fn host(pc: &LabPc, folder: &Path) -> Host {
    let mut host = Host::new(&pc.name);
    host.address = pc.address.ip().to_string();
    host.port = Some(pc.address.port());
    host.transport = TransportChoice::Winrm;
    host.winrm.tls = TlsVerification::CaFile(folder.join("ca.pem"));
    host.ssh.known_hosts = Some(folder.join("known_hosts"));
    match pc.transport {
        TransportKind::WinrmHttp => host.winrm.scheme = Some(WinrmScheme::Http),
        TransportKind::WinrmHttps => host.winrm.scheme = Some(WinrmScheme::Https),
        TransportKind::Ssh => host.transport = TransportChoice::Ssh,
    }
    host
}

fn limits() -> Limits {
    Limits::within(Duration::from_secs(20), &CancellationToken::new())
}

/// What a connection that did not come about means for a PC.
fn end_of(error: &ConnectError) -> Outcome {
    match error {
        ConnectError::Unreachable { why, .. } => Outcome::Unreachable {
            why: why.code().into(),
        },
        ConnectError::AccessDenied { why, .. } => Outcome::AccessDenied {
            why: why.code().into(),
        },
        other => panic!("{other}"),
    }
}

async fn diagnose(session: &mut dyn Session) -> Value {
    let name = "trust-repair/diagnose.ps1";
    let params = json!({ "domain_controller": null, "event_hours": 72, "tcp_timeout_ms": 3000 });
    let step = StepRequest {
        script: Arc::new(Script {
            name: name.into(),
            text: text_of(name),
        }),
        params: params.as_object().cloned().unwrap_or_else(Map::new),
        secrets: Default::default(),
        credentials: Default::default(),
    };
    session
        .run_step(&step, &limits())
        .await
        .unwrap()
        .answer
        .unwrap()
}

#[tokio::test]
async fn every_scenario_meets_its_table_over_every_transport() {
    let pc = |scenario| KINDS.map(|kind| PcPlan::new(scenario).over(kind));
    let plan: Vec<PcPlan> = Scenario::ALL.into_iter().flat_map(pc).collect();
    let options = LabOptions {
        mix: Mix::Plan(plan),
        ..LabOptions::new(0, scripts())
    };
    let lab = Lab::start(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), lab.ca_pem()).unwrap();
    std::fs::write(folder.path().join("known_hosts"), lab.known_hosts()).unwrap();
    let connect_timeout = Duration::from_secs(2);
    let connector = AutoConnector::new(ConnectorOptions {
        connect_timeout,
        ..ConnectorOptions::default()
    });
    for pc in lab.pcs() {
        let what = format!("{:?} over {}", pc.scenario, pc.transport);
        let host = host(pc, folder.path());
        let connected = connector
            .connect(&host, lab.local_credential(), &limits())
            .await;
        let mut session = match connected {
            Err(error) => {
                assert_eq!(end_of(&error), pc.expected, "{what}: {error}");
                continue;
            }
            Ok(session) => session,
        };
        let refused = matches!(pc.expected, Outcome::Unreachable { .. })
            || (matches!(pc.expected, Outcome::AccessDenied { .. })
                && pc.scenario != Scenario::NotElevated);
        assert!(!refused, "{what}: let in");
        assert_eq!(session.reached().transport, pc.transport, "{what}");
        let facts = diagnose(session.as_mut()).await;
        assert_eq!(facts["computer"]["name"], pc.sim.machine().name, "{what}");
        assert_eq!(
            facts["elevated"],
            pc.scenario != Scenario::NotElevated,
            "{what}"
        );
        let command = ExecRequest::Command(vec!["hostname".into()]);
        let output = session.exec(&command, &limits()).await.unwrap();
        let name = format!("{}\r\n", pc.sim.machine().name);
        assert_eq!(
            (output.stdout, output.exit_code),
            (name.into_bytes(), 0),
            "{what}"
        );
        session.close().await;
    }
    assert_eq!(lab.shutdown().await, 0);
}

#[tokio::test]
async fn one_run_spends_a_wrong_password_once() {
    for kind in KINDS {
        let plan = vec![PcPlan::new(Scenario::WrongLocalPassword).over(kind)];
        let options = LabOptions {
            mix: Mix::Plan(plan),
            ..LabOptions::new(0, scripts())
        };
        let lab = Lab::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), lab.ca_pem()).unwrap();
        std::fs::write(folder.path().join("known_hosts"), lab.known_hosts()).unwrap();
        let pc = &lab.pcs()[0];
        let host = host(pc, folder.path());
        let connector = AutoConnector::default();
        let connected = connector
            .connect(&host, lab.local_credential(), &limits())
            .await;
        assert!(
            matches!(connected, Err(ConnectError::AccessDenied { .. })),
            "{kind}"
        );
        let spent = pc
            .sim
            .machine()
            .account("fleetadmin")
            .unwrap()
            .bad_passwords_total;
        assert_eq!(spent, 1, "{kind}");
    }
}

#[tokio::test]
async fn a_japanese_pc_is_understood_over_every_transport() {
    let plan = KINDS.map(|kind| {
        PcPlan::new(Scenario::PasswordMismatch)
            .japanese()
            .over(kind)
    });
    let options = LabOptions {
        mix: Mix::Plan(plan.to_vec()),
        ..LabOptions::new(0, scripts())
    };
    let lab = Lab::start(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), lab.ca_pem()).unwrap();
    std::fs::write(folder.path().join("known_hosts"), lab.known_hosts()).unwrap();
    for pc in lab.pcs() {
        let host = host(pc, folder.path());
        let connector = AutoConnector::default();
        let mut session = connector
            .connect(&host, lab.local_credential(), &limits())
            .await
            .unwrap();
        let facts = diagnose(session.as_mut()).await;
        assert_eq!(facts["os"]["ui_lcid"], 1041);
        let words = ["nltest", "/sc_query:corp.example.jp"]
            .map(str::to_owned)
            .to_vec();
        let output = session
            .exec(&ExecRequest::Command(words), &limits())
            .await
            .unwrap();
        let status = b"Status = 5 0x5 ERROR_ACCESS_DENIED";
        assert!(
            output
                .stdout
                .windows(status.len())
                .any(|part| part == status)
        );
        let typed = ExecRequest::PowerShell("Write-Output 'domain'; exit 3".into());
        let output = session.exec(&typed, &limits()).await.unwrap();
        assert_eq!(
            (output.stdout.as_slice(), output.exit_code),
            (&b"domain\r\n"[..], 3)
        );
        session.close().await;
    }
}
