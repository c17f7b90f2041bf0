//! PCs that restart, as the transport's own clients see them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_lab::machine::{BitLocker, FirewallRule, Profile, RestartFault};
use fleetmend_lab::{Lab, LabOptions, LabPc, LabPorts, Mix, PcPlan, Scenario};
use fleetmend_model::{Host, Secret, TlsVerification, TransportChoice, TransportKind, WinrmScheme};
use fleetmend_transport::{
    AutoConnector, ConnectError, Connector, ConnectorOptions, Limits, Script, Session, StepRequest,
};
use jsonschema::Validator;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::common::text_of;

const OWN: [&str; 4] = [
    "engine/account.ps1",
    "engine/boot.ps1",
    "engine/lock.ps1",
    "engine/restart.ps1",
];

struct Bench {
    lab: Lab,
    folder: TempDir,
}

impl Bench {
    async fn of(plan: Vec<PcPlan>) -> Self {
        Self::with(plan, LabPorts::default()).await
    }

    async fn with(plan: Vec<PcPlan>, ports: LabPorts) -> Self {
        let scripts = OWN.map(|name| Script {
            name: name.into(),
            text: text_of(name),
        });
        let options = LabOptions {
            mix: Mix::Plan(plan),
            ports,
            ..LabOptions::new(0, scripts.to_vec())
        };
        let lab = Lab::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), lab.ca_pem()).unwrap();
        std::fs::write(folder.path().join("known_hosts"), lab.known_hosts()).unwrap();
        Self { lab, folder }
    }

    async fn one(transport: TransportKind) -> Self {
        Self::of(vec![
            PcPlan::new(Scenario::PasswordMismatch).over(transport),
        ])
        .await
    }

    fn pc(&self) -> &LabPc {
        &self.lab.pcs()[0]
    }

    async fn log_on(&self) -> Result<Box<dyn Session>, ConnectError> {
        let pc = self.pc();
        let host = host(pc, self.folder.path());
        let connector = AutoConnector::new(ConnectorOptions {
            connect_timeout: Duration::from_millis(300),
            ..ConnectorOptions::default()
        });
        let credential = self.lab.local_credential();
        connector.connect(&host, credential, &limits()).await
    }

    /// Tries until somebody answers.
    async fn back(&self) -> Box<dyn Session> {
        let begun = Instant::now();
        loop {
            match self.log_on().await {
                Ok(session) => return session,
                Err(error) if begun.elapsed() > Duration::from_secs(10) => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(30)).await,
            }
        }
    }
}

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
    Limits::within(Duration::from_secs(5), &CancellationToken::new())
}

fn schema(name: &str, side: &str) -> Validator {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../playbooks/builtin");
    let name = name.trim_start_matches("engine/").replace(".ps1", "");
    let text = std::fs::read_to_string(folder.join(format!("{name}.{side}.json"))).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// Runs one of the engine's scripts and holds what goes and comes against its schemas.
async fn step(session: &mut dyn Session, name: &str, params: Value) -> Value {
    let takes = schema(name, "takes")
        .validate(&params)
        .map_err(|error| error.to_string());
    takes.unwrap();
    let request = StepRequest {
        script: Arc::new(Script {
            name: name.into(),
            text: text_of(name),
        }),
        params: params.as_object().unwrap().clone(),
        secrets: Default::default(),
        credentials: Default::default(),
    };
    let answer = session.run_step(&request, &limits()).await.unwrap();
    let answer = answer.answer.unwrap();
    let gives = schema(name, "gives")
        .validate(&answer)
        .map_err(|error| error.to_string());
    gives.unwrap();
    answer
}

async fn boot(session: &mut dyn Session) -> Value {
    step(session, "engine/boot.ps1", json!({})).await
}

async fn order(session: &mut dyn Session) -> Value {
    let params = json!({
        "delay_seconds": 5, "at_once_seconds": 5, "message": null, "even_if_logged_on": false,
    });
    step(session, "engine/restart.ps1", params).await
}

async fn take(session: &mut dyn Session, run: &str) -> bool {
    step(session, "engine/lock.ps1", json!({ "run": run })).await["held"] == true
}

async fn breaks(mut session: Box<dyn Session>) {
    let request = StepRequest {
        script: Arc::new(Script {
            name: "engine/boot.ps1".into(),
            text: text_of("engine/boot.ps1"),
        }),
        params: serde_json::Map::new(),
        secrets: Default::default(),
        credentials: Default::default(),
    };
    let answer = session.run_step(&request, &limits()).await;
    assert!(
        answer.is_err(),
        "a session of the boot before answers: {answer:?}"
    );
}

#[tokio::test]
async fn a_restart_cuts_every_session_and_comes_back_as_another_boot() {
    for transport in [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ] {
        let bench = Bench::one(transport).await;
        bench.pc().sim.machine().restarts.silent = transport == TransportKind::WinrmHttps;
        let mut session = bench.log_on().await.unwrap();
        let before = boot(session.as_mut()).await;
        assert_eq!(before["logon_ready"], true, "{transport}");
        assert!(take(session.as_mut(), "a").await);
        let answer = order(session.as_mut()).await;
        let given = json!({ "ordered": true, "code": 0, "users": 0, "in_seconds": 5 });
        assert_eq!(answer, given, "{transport}");
        assert_eq!(order(session.as_mut()).await["code"], 1190, "{transport}");
        let still = boot(session.as_mut()).await;
        assert_eq!(still["boot_id"], before["boot_id"], "it has its delay");
        let begun = Instant::now();
        while bench.pc().sim.is_up() {
            assert!(begun.elapsed() < Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(bench.log_on().await.is_err(), "{transport}: it is down");
        breaks(session).await;
        let mut session = bench.back().await;
        let after = boot(session.as_mut()).await;
        let id = |boot: &Value| boot["boot_id"].as_u64().unwrap();
        assert_eq!(id(&after), id(&before) + 1, "{transport}");
        let at = |boot: &Value| boot["last_boot_unix"].as_f64().unwrap();
        assert!(at(&after) > at(&before) + 3600.0, "{before} {after}");
        assert!(after["uptime_seconds"].as_f64().unwrap() < 10.0);
        assert!(
            take(session.as_mut(), "b").await,
            "the lock died with the boot"
        );
        let begun = Instant::now();
        let mut ready = after;
        while ready["servicing_busy"] == true || ready["logon_ready"] == false {
            assert!(begun.elapsed() < Duration::from_secs(5));
            ready = boot(session.as_mut()).await;
        }
        let counts = bench.lab.shared().restarts.by_site();
        let counts = counts["Default-First-Site-Name"];
        assert_eq!((counts.now, counts.most, counts.begun), (0, 1, 1));
        assert_eq!(bench.pc().sim.machine().boot.orders, 2);
        assert_eq!(bench.lab.shutdown().await, 0, "{transport}: a task hangs");
    }
}

#[tokio::test]
async fn what_goes_wrong_is_what_was_asked_for() {
    let bench = Bench::one(TransportKind::WinrmHttp).await;
    let faults = [
        RestartFault::Refused(5),
        RestartFault::NeverGoesDown,
        RestartFault::AlreadyScheduled,
        RestartFault::BootsTwice,
        RestartFault::NeverReturns,
    ];
    bench.pc().sim.machine().restarts.faults = faults.into();
    let restarts = || bench.pc().sim.machine().boot.restarts;
    let settle = || async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        while bench
            .lab
            .shared()
            .restarts
            .by_site()
            .values()
            .any(|site| site.now > 0)
        {
            assert!(begun.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    for (code, after) in [(5, 0), (0, 0), (1190, 1), (0, 3), (0, 3)] {
        let mut session = bench.back().await;
        let answer = order(session.as_mut()).await;
        let given = json!({ "ordered": code == 0, "code": code, "users": 0, "in_seconds": 5 });
        assert_eq!(answer, given);
        settle().await;
        assert_eq!(restarts(), after, "after code {code}");
    }
    assert!(!bench.pc().sim.is_up());
    assert!(bench.log_on().await.is_err(), "it never returned");
}

#[tokio::test]
async fn a_pin_keeps_an_encrypted_pc_down_unless_protection_is_suspended() {
    for (suspended, returns) in [(None, false), (Some(1), true)] {
        let bench = Bench::one(TransportKind::WinrmHttp).await;
        bench.pc().sim.machine().bitlocker = BitLocker {
            protected: true,
            pin: true,
            suspended_for: suspended,
        };
        bench.pc().sim.power_cycle();
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(bench.pc().sim.is_up(), returns);
    }
}

#[tokio::test]
async fn a_firewall_that_shuts_at_the_boot_answers_nothing() {
    let bench = Bench::one(TransportKind::WinrmHttp).await;
    bench.pc().sim.machine().firewall.rules = vec![FirewallRule::all(&[Profile::Domain])];
    assert!(bench.log_on().await.is_ok(), "the profile is the domain's");
    // Its trust is broken, so no controller knows it at the next boot.
    bench.pc().sim.power_cycle();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(bench.pc().sim.is_up());
    assert_eq!(bench.pc().sim.machine().firewall.profile, Profile::Public);
    assert!(bench.log_on().await.is_err());
    bench.pc().sim.machine().firewall.rules = vec![FirewallRule::all(&[Profile::Public])];
    bench.pc().sim.settle_firewall();
    bench.back().await;
}

#[tokio::test]
async fn logons_may_be_refused_for_a_while_and_count_as_wrong() {
    let bench = Bench::one(TransportKind::Ssh).await;
    bench.pc().sim.machine().restarts.refuses_for = Duration::from_millis(400);
    bench.pc().sim.power_cycle();
    let begun = Instant::now();
    while bench.pc().sim.machine().boot.restarts == 0 {
        assert!(begun.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = bench.log_on().await.err().unwrap();
    assert!(
        matches!(refused, ConnectError::AccessDenied { .. }),
        "{refused}"
    );
    let bad = bench
        .pc()
        .sim
        .machine()
        .account("fleetadmin")
        .unwrap()
        .bad_passwords_total;
    assert!(bad >= 1);
    tokio::time::sleep(Duration::from_millis(400)).await;
    bench.log_on().await.unwrap();
}

#[tokio::test]
async fn a_pc_may_come_back_over_another_transport() {
    let bench = Bench::of(vec![PcPlan::new(Scenario::Healthy).on_all_ports()]).await;
    let address = bench.pc().address;
    let answers = |port: u16| async move {
        let to = std::net::SocketAddr::new(address.ip(), port);
        tokio::net::TcpStream::connect(to).await.is_ok()
    };
    if address.port() != LabPorts::default().http {
        println!("SKIPPED: the ports of a PC, because it has no address of its own here");
        return;
    }
    let ports = [15985, 15986, 10022];
    for port in ports {
        assert!(answers(port).await, "{port}");
    }
    bench.pc().sim.machine().restarts.faults =
        [RestartFault::ReturnsOver(TransportKind::Ssh)].into();
    let mut session = bench.log_on().await.unwrap();
    order(session.as_mut()).await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let mut found = Vec::new();
    for port in ports {
        found.push(answers(port).await);
    }
    assert_eq!(found, [false, false, true]);
}

#[tokio::test]
async fn the_account_in_use_is_told_and_a_disabled_one_is_refused() {
    let bench = Bench::one(TransportKind::WinrmHttp).await;
    let mut session = bench.log_on().await.unwrap();
    let account = step(session.as_mut(), "engine/account.ps1", json!({})).await;
    assert_eq!(account["local"], true);
    assert_eq!(account["administrator"], true);
    assert_eq!(account["computer_name"], "PC-001");
    let connector = AutoConnector::new(ConnectorOptions::default());
    let host = host(bench.pc(), bench.folder.path());
    let mut credential = bench.lab.local_credential().clone();
    for user in [r"PC-001\fleetadmin", r".\fleetadmin", "fleetadmin"] {
        credential.user = user.into();
        connector
            .connect(&host, &credential, &limits())
            .await
            .unwrap();
    }
    credential.password = Secret::new("wrong".to_owned());
    assert!(
        connector
            .connect(&host, &credential, &limits())
            .await
            .is_err()
    );
    let credential = bench.lab.local_credential().clone();
    let disable = |enabled| {
        let mut machine = bench.pc().sim.machine();
        machine.accounts.get_mut("fleetadmin").unwrap().enabled = enabled;
    };
    disable(false);
    assert!(
        connector
            .connect(&host, &credential, &limits())
            .await
            .is_err()
    );
    disable(true);
    connector
        .connect(&host, &credential, &limits())
        .await
        .unwrap();
}
