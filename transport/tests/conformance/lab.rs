//! The suite over simulated Windows PCs: WinRM over HTTP and HTTPS, and SSH.

use std::time::Duration;

use fleetmend_lab::{Answers, Lab, LabAuthority, LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::{
    Credential, Host, Secret, TlsVerification, TransportChoice, TransportKind, WinrmScheme,
};
use fleetmend_transport::{
    AutoConnector, ConnectError, Connector as _, DeniedWhy, ExecRequest, Limits, Script,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::suite::{self, BIG, FarEnd, answer, limits, request};

const KINDS: [TransportKind; 3] = [
    TransportKind::WinrmHttp,
    TransportKind::WinrmHttps,
    TransportKind::Ssh,
];

/// Everything that cmd.exe or a C runtime could read as something else.
const ODD_WORD: &str = r#"a "b c" & %PATH% %OS ^| <x> (y) !z! \"\\"#;

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
        // ping says which host it does not know: its argument, as it arrived.
        command: vec!["ping".to_owned(), ODD_WORD.to_owned()],
        exit_code: 1,
        printed: ODD_WORD,
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
    host.port = Some(pc.address.port());
    host.transport = TransportChoice::Winrm;
    match pc.transport {
        TransportKind::WinrmHttp => host.winrm.scheme = Some(WinrmScheme::Http),
        TransportKind::WinrmHttps => host.winrm.scheme = Some(WinrmScheme::Https),
        TransportKind::Ssh => host.transport = TransportChoice::Ssh,
    }
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
        let began = std::time::Instant::now();
        suite::run(&far, connect).await;
        println!("{kind}: {:?}", began.elapsed());
    }
    assert_eq!(lab.shutdown().await, 0, "every task of the lab has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_not_tried_elsewhere() {
    let far = far_end();
    let lab = start(&far).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), lab.ca_pem()).unwrap();
    std::fs::write(folder.path().join("known_hosts"), lab.known_hosts()).unwrap();
    let wrong = Credential {
        user: lab.local_credential().user.clone(),
        password: Secret::new("wrong".to_owned()),
        ssh: None,
    };
    for pc in lab.pcs() {
        let before = lab.counts().logons_refused;
        // A port that is nobody's by custom: the connector has to find out what is spoken there.
        let mut host = host(pc, folder.path());
        host.transport = TransportChoice::Auto;
        host.winrm.scheme = None;
        match AutoConnector::default()
            .connect(&host, &wrong, &limits())
            .await
        {
            Err(ConnectError::AccessDenied {
                why: DeniedWhy::Logon,
                ..
            }) => {}
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("a wrong password was accepted"),
        }
        assert_eq!(lab.counts().logons_refused, before + 1, "{}", pc.transport);
    }
    // A wrong identity is no reason to try another way either, and costs no password.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(
        other.path().join("ca.pem"),
        LabAuthority::new().unwrap().pem(),
    )
    .unwrap();
    let before = lab.counts();
    for pc in lab
        .pcs()
        .iter()
        .filter(|pc| pc.transport != TransportKind::WinrmHttp)
    {
        let host = host(pc, other.path());
        match AutoConnector::default()
            .connect(&host, lab.local_credential(), &limits())
            .await
        {
            Err(ConnectError::Identity { .. }) => {}
            Err(error) => panic!("{}: {error}", pc.transport),
            Ok(_) => panic!("a wrong identity was accepted"),
        }
    }
    assert_eq!(lab.counts().logons_refused, before.logons_refused);
    assert_eq!(lab.counts().logons_accepted, before.logons_accepted);
}

/// "Unreachable" would let the password be sent once more, here or over another way.
#[tokio::test(flavor = "multi_thread")]
async fn silence_after_the_password_is_not_a_pc_that_cannot_be_reached() {
    for only_keyboard_interactive in [false, true] {
        let mut options = LabOptions::new(1, Vec::new());
        options.mix = Mix::Plan(vec![
            PcPlan::new(Scenario::Healthy).over(TransportKind::Ssh),
        ]);
        options.ssh.rejection = Duration::from_secs(3600);
        options.ssh.only_keyboard_interactive = only_keyboard_interactive;
        let lab = Lab::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("known_hosts"), lab.known_hosts()).unwrap();
        let pc = lab.pcs().first().unwrap();
        let host = host(pc, folder.path());
        let wrong = Credential::new(
            lab.local_credential().user.clone(),
            Secret::new("wrong".to_owned()),
        );
        let limits = Limits::within(Duration::from_secs(3), &CancellationToken::new());
        let connected = AutoConnector::default()
            .connect(&host, &wrong, &limits)
            .await;
        let Err(error) = connected else {
            panic!("a wrong password was accepted")
        };
        assert!(matches!(error, ConnectError::Protocol { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("after the password had been sent"),
            "{error}"
        );
        assert_eq!(lab.counts().logons_refused, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn powershell_text_runs_beside_steps() {
    let far = far_end();
    let lab = start(&far).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), lab.ca_pem()).unwrap();
    std::fs::write(folder.path().join("known_hosts"), lab.known_hosts()).unwrap();
    for pc in lab.pcs() {
        let host = host(pc, folder.path());
        let mut session = AutoConnector::default()
            .connect(&host, lab.local_credential(), &limits())
            .await
            .unwrap();
        let text = ExecRequest::PowerShell("exit 7".to_owned());
        let output = session.exec(&text, &limits()).await.unwrap();
        assert_eq!(output.exit_code, 7, "{}", pc.transport);
        let reply = session.run_step(&far.answer, &limits()).await.unwrap();
        assert_eq!(reply.answer, Ok(answer()));
        session.close().await;
    }
}

/// The customary ports, on an address of its own: a host without any setting.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn falls_back_when_tls_cannot_be_had() {
    use fleetmend_lab::LabPorts;
    use tokio::io::AsyncWriteExt as _;

    let mut options = LabOptions::new(1, Vec::new());
    options.ports = LabPorts {
        http: 5985,
        https: 5986,
        ssh: 10022,
    };
    options.mix = Mix::All(PcPlan::new(Scenario::Healthy));
    let lab = Lab::start(options).await.unwrap();
    let pc = &lab.pcs()[0];
    let mut host = Host::new(&pc.name);
    host.address = pc.address.ip().to_string();
    let connect = || async {
        let credential = lab.local_credential();
        AutoConnector::default()
            .connect(&host, credential, &limits())
            .await
    };
    // 5986 and 22 are shut.
    let session = connect().await.unwrap();
    assert_eq!(session.reached().transport, TransportKind::WinrmHttp);
    session.close().await;
    // Something answers on 5986, but speaks no TLS.
    let rubbish = tokio::net::TcpListener::bind((pc.address.ip(), 5986))
        .await
        .unwrap();
    let served = tokio::spawn(async move {
        let mut count = 0;
        while let Ok((mut stream, _)) = rubbish.accept().await {
            count += 1;
            let _ = stream.write_all(b"220 mail.example.jp ESMTP\r\n").await;
            if count == 1 {
                break;
            }
        }
        count
    });
    let session = connect().await.unwrap();
    assert_eq!(session.reached().transport, TransportKind::WinrmHttp);
    session.close().await;
    assert_eq!(served.await.unwrap(), 1, "TLS was tried first");
    assert_eq!(lab.counts().logons_refused, 0);
}

/// Waits for its input, and gets none.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_by_hand_finds_its_input_ended() {
    let far = far_end();
    let lab = start(&far).await;
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
        for command in [&["sort"][..], &["cmd"], &["cmd", "/c", "more"]] {
            let words = command.iter().map(ToString::to_string).collect();
            let output = session.exec(&ExecRequest::Command(words), &limits()).await;
            assert_eq!(output.unwrap().exit_code, 0, "{command:?} on {}", pc.name);
        }
        session.close().await;
    }
}

/// The end of its input comes to a process that has already ended: a fault, which loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ended_before_its_input_did_is_heard_out() {
    let far = far_end();
    let lab = start(&far).await;
    let pc = &lab.pcs()[0];
    let host = host(pc, std::path::Path::new("."));
    let mut session = AutoConnector::default()
        .connect(&host, lab.local_credential(), &limits())
        .await
        .unwrap();
    // No such program stands where Windows keeps its own, so cmd.exe would have to find it.
    let words = vec!["nowhere".to_owned(), "x".repeat(9000)];
    let output = session
        .exec(&ExecRequest::Command(words), &limits())
        .await
        .unwrap();
    assert_eq!(output.exit_code, 1);
    assert!(!output.stderr.is_empty());
    session.close().await;
}
