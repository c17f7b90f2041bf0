//! The suite over simulated Windows PCs: WinRM over HTTP and HTTPS, and SSH.

use fleetmend_lab::{Answers, Lab, LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::{Host, TlsVerification, TransportKind};
use fleetmend_transport::{AutoConnector, Connector as _, Script};
use serde_json::json;

use super::suite::{self, BIG, FarEnd, answer, limits, request};

const KINDS: [TransportKind; 3] = [
    TransportKind::WinrmHttp,
    TransportKind::WinrmHttps,
    TransportKind::Ssh,
];

fn far_end() -> FarEnd {
    FarEnd {
        answer: request("test/answer.ps1", "# answer"),
        failure: request("test/fail.ps1", "# fail"),
        failure_id: "AccessDenied,Get-Thing",
        failure_code: -2_147_024_891,
        big_script: request("test/big.ps1", &"# big\n".repeat(BIG / 6)),
        big_answer: request("test/big-answer.ps1", "# big answer"),
        slow: request("test/slow.ps1", "# slow"),
        stray: None,
        command: vec!["hostname".to_owned()],
        exit_code: 0,
        printed: "PC-0",
        complained: "",
    }
}

/// Starts one talkative Japanese PC for each transport, which knows the scripts of the suite.
async fn start(far: &FarEnd) -> Lab {
    let error = json!({"id": far.failure_id, "code": far.failure_code, "message": "拒否"});
    let answers = json!({"answers": [
        {"script": "test/answer.ps1", "answer": answer()},
        {"script": "test/fail.ps1", "error": error},
        {"script": "test/big.ps1", "answer": 1},
        {"script": "test/big-answer.ps1", "answer": "x".repeat(BIG)},
        {"script": "test/slow.ps1", "answer": 1, "delay_ms": 3_600_000},
    ]});
    let steps = [
        &far.answer,
        &far.failure,
        &far.big_script,
        &far.big_answer,
        &far.slow,
    ];
    let scripts: Vec<Script> = steps
        .iter()
        .map(|step| Script::clone(&step.script))
        .collect();
    let mut options = LabOptions::new(KINDS.len(), scripts);
    options.answers = Answers::parse(&answers.to_string()).unwrap();
    let pcs = KINDS.map(|kind| PcPlan::new(Scenario::Healthy).over(kind).japanese());
    options.mix = Mix::Plan(pcs.to_vec());
    Lab::start(options).await.unwrap()
}

fn host(pc: &LabPc, folder: &std::path::Path) -> Host {
    let mut host = Host::new(&pc.name);
    host.address = pc.address.ip().to_string();
    // A port that is nobody's by custom: the connector has to find out what is spoken there.
    host.port = Some(pc.address.port());
    host.winrm.tls = TlsVerification::CaFile(folder.join("ca.pem"));
    host.ssh.known_hosts = Some(folder.join("known_hosts"));
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transport_passes_the_suite() {
    let far = far_end();
    let lab = start(&far).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), lab.ca_pem()).unwrap();
    std::fs::write(folder.path().join("known_hosts"), lab.known_hosts()).unwrap();
    for (pc, kind) in lab.pcs().iter().zip(KINDS) {
        println!("{kind}");
        let host = host(pc, folder.path());
        let connect = || async {
            let credential = lab.local_credential();
            let session = AutoConnector::default()
                .connect(&host, credential, &limits())
                .await
                .unwrap();
            assert_eq!(session.reached().transport, kind);
            session
        };
        suite::run(&far, connect).await;
    }
    assert_eq!(lab.shutdown().await, 0, "every task of the lab has ended");
}
