//! SSH of simulated PCs, with russh's own client.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_lab::ssh::SshOptions;
use fleetmend_lab::{Lab, LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::TransportKind;
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{
    Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh::{ChannelMsg, Disconnect, MethodKind};
use serde_json::{Value, json};

use crate::common::{MARKER, request, scripts, start_line, text_of};

const USER: &str = "fleetadmin";

struct Client {
    expected: PublicKey,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        Ok(key.key_data() == self.expected.key_data())
    }
}

async fn lab_with(scenario: Scenario, pcs: usize, ssh: SshOptions, latency: Duration) -> Lab {
    let plan = vec![PcPlan::new(scenario).over(TransportKind::Ssh); pcs];
    let options = LabOptions {
        mix: Mix::Plan(plan),
        ssh,
        latency,
        ..LabOptions::new(0, scripts())
    };
    Lab::start(options).await.unwrap()
}

async fn lab(scenario: Scenario) -> Lab {
    lab_with(scenario, 1, SshOptions::default(), Duration::ZERO).await
}

async fn connect(lab: &Lab, pc: &LabPc) -> Handle<Client> {
    let handler = Client {
        expected: lab.ssh().host_key().clone(),
    };
    client::connect(Arc::new(client::Config::default()), pc.address, handler)
        .await
        .unwrap()
}

async fn logged_on(lab: &Lab, pc: &LabPc) -> Handle<Client> {
    let mut handle = connect(lab, pc).await;
    let password = lab.local_credential().password.reveal();
    assert!(
        handle
            .authenticate_password(USER, password)
            .await
            .unwrap()
            .success()
    );
    handle
}

/// Runs a command to its end: stdout, stderr, exit code.
async fn exec(handle: &Handle<Client>, line: &str, input: &[u8]) -> (Vec<u8>, Vec<u8>, u32) {
    let channel = handle.channel_open_session().await.unwrap();
    channel.exec(true, line).await.unwrap();
    let (mut read, write) = channel.split();
    let sending = async {
        write.data_bytes(input.to_vec()).await.unwrap();
        write.eof().await.unwrap();
    };
    let reading = async {
        let (mut out, mut err, mut code) = (Vec::new(), Vec::new(), None);
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => out.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, ext: 1 } => err.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => code = Some(exit_status),
                _ => {}
            }
        }
        (out, err, code.expect("an exit status"))
    };
    tokio::join!(sending, reading).1
}

#[tokio::test]
async fn passwords_keys_and_prompts_let_the_right_people_in() {
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let ssh = SshOptions {
        accepted_keys: vec![key.public_key().clone()],
        ..Default::default()
    };
    let lab = lab_with(Scenario::Healthy, 1, ssh, Duration::ZERO).await;
    let pc = &lab.pcs()[0];
    let password = lab.local_credential().password.reveal();

    logged_on(&lab, pc).await;

    let mut handle = connect(&lab, pc).await;
    let asked = handle
        .authenticate_keyboard_interactive_start(USER, None::<String>)
        .await
        .unwrap();
    assert!(matches!(
        asked,
        KeyboardInteractiveAuthResponse::InfoRequest { .. }
    ));
    let answered = handle
        .authenticate_keyboard_interactive_respond(vec![password.to_owned()])
        .await
        .unwrap();
    assert!(matches!(answered, KeyboardInteractiveAuthResponse::Success));

    let mut handle = connect(&lab, pc).await;
    let offer = PrivateKeyWithHashAlg::new(Arc::new(key), None);
    assert!(
        handle
            .authenticate_publickey(USER, offer)
            .await
            .unwrap()
            .success()
    );
    let (out, _, _) = exec(&handle, "whoami", b"").await;
    assert_eq!(out, b"pc-001\\fleetadmin\r\n");

    let stranger =
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
    let mut handle = connect(&lab, pc).await;
    let offer = PrivateKeyWithHashAlg::new(Arc::new(stranger), None);
    assert!(
        !handle
            .authenticate_publickey(USER, offer)
            .await
            .unwrap()
            .success()
    );
    assert_eq!(
        pc.sim.machine().account(USER).unwrap().bad_passwords_total,
        0
    );
}

#[tokio::test]
async fn each_wrong_password_counts_and_ten_lock_the_account() {
    let lab = lab(Scenario::WrongLocalPassword).await;
    let pc = &lab.pcs()[0];
    let believed = lab.local_credential().password.reveal();
    let mut handle = connect(&lab, pc).await;
    let refused = handle.authenticate_password(USER, believed).await.unwrap();
    let AuthResult::Failure {
        remaining_methods, ..
    } = refused
    else {
        panic!("refused")
    };
    assert!(remaining_methods.contains(&MethodKind::Password));
    assert_eq!(
        pc.sim.machine().account(USER).unwrap().bad_passwords_total,
        1
    );
    let real = pc.sim.machine().account(USER).unwrap().password.clone();
    for _ in 0..9 {
        let mut handle = connect(&lab, pc).await;
        assert!(
            !handle
                .authenticate_password(USER, "guess")
                .await
                .unwrap()
                .success()
        );
    }
    let mut handle = connect(&lab, pc).await;
    assert!(
        !handle
            .authenticate_password(USER, real.reveal())
            .await
            .unwrap()
            .success()
    );
    assert!(pc.sim.machine().account(USER).unwrap().locked);
    assert_eq!(lab.counts().logons_refused, 11);
}

#[tokio::test]
async fn a_pc_may_ask_for_passwords_by_prompt_only() {
    let ssh = SshOptions {
        only_keyboard_interactive: true,
        ..Default::default()
    };
    let lab = lab_with(Scenario::Healthy, 1, ssh, Duration::ZERO).await;
    let mut handle = connect(&lab, &lab.pcs()[0]).await;
    let refused = handle.authenticate_none(USER).await.unwrap();
    let AuthResult::Failure {
        remaining_methods, ..
    } = refused
    else {
        panic!("refused")
    };
    assert!(!remaining_methods.contains(&MethodKind::Password));
    assert!(remaining_methods.contains(&MethodKind::KeyboardInteractive));
}

#[tokio::test]
async fn commands_have_streams_and_exit_codes() {
    let lab = lab(Scenario::PasswordMismatch).await;
    let handle = logged_on(&lab, &lab.pcs()[0]).await;
    let (out, err, code) = exec(&handle, "nltest /sc_query:corp.example.jp", b"").await;
    assert!(
        String::from_utf8(out)
            .unwrap()
            .contains("Status = 5 0x5 ERROR_ACCESS_DENIED")
    );
    assert_eq!((err, code), (Vec::new(), 0));
    let (_, err, code) = exec(&handle, "frobnicate", b"").await;
    assert!(err.starts_with(b"'frobnicate' is not recognized"));
    assert_eq!(code, 1);
    assert_eq!(exec(&handle, "exit 3010", b"").await.2, 3010);
    // Ten megabytes there and back, through both windows.
    let big: Vec<u8> = (0..10 << 20).map(|n| (n % 251) as u8).collect();
    let (out, _, code) = exec(&handle, "more", &big).await;
    assert_eq!((out.len(), out == big, code), (big.len(), true, 0));
}

#[tokio::test]
async fn the_step_channel_runs_over_ssh() {
    let lab = lab(Scenario::PasswordMismatch).await;
    let handle = logged_on(&lab, &lab.pcs()[0]).await;
    let params = json!({ "domain_controller": null, "event_hours": 72, "tcp_timeout_ms": 3000 });
    let script = text_of("trust-repair/diagnose.ps1");
    let mut input = request(1, &script, &params);
    input.extend(request(2, &script, &params));
    let (out, _, code) = exec(&handle, &start_line(), &input).await;
    let text = String::from_utf8(out).unwrap();
    let answers: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix(MARKER)?.trim_start().split_once(' '))
        .map(|(_, json)| serde_json::from_str(json).unwrap())
        .collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(
        answers[1]["answer"]["channel"]["verify"]["connection_status"],
        5
    );
    assert_eq!(code, 0);
}

#[tokio::test]
async fn a_filtered_token_is_seen_by_diagnose_only() {
    let lab = lab(Scenario::NotElevated).await;
    let handle = logged_on(&lab, &lab.pcs()[0]).await;
    let (out, _, _) = exec(&handle, "nltest /sc_verify:corp.example.jp", b"").await;
    assert!(out.starts_with(b"I_NetLogonControl failed: Status = 5 0x5"));
}

#[tokio::test]
async fn latency_is_paid_by_each_exchange() {
    let latency = Duration::from_millis(80);
    let lab = lab_with(Scenario::Healthy, 1, SshOptions::default(), latency).await;
    let handle = logged_on(&lab, &lab.pcs()[0]).await;
    let started = Instant::now();
    let (out, _, _) = exec(&handle, "hostname", b"").await;
    assert_eq!(out, b"PC-001\r\n");
    let took = started.elapsed();
    // Channel open and exec each wait for an answer.
    assert!(took >= latency * 2, "{took:?}");
}

#[tokio::test]
async fn many_pcs_are_served_at_once_and_all_tasks_end() {
    let lab = lab_with(Scenario::Healthy, 40, SshOptions::default(), Duration::ZERO).await;
    let talk = |pc: LabPc| {
        let lab = &lab;
        async move {
            let handle = logged_on(lab, &pc).await;
            let (out, _, _) = exec(&handle, "hostname", b"").await;
            let expected = format!("{}\r\n", pc.sim.machine().name);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            handle
                .disconnect(Disconnect::ByApplication, "", "")
                .await
                .unwrap();
        }
    };
    futures::future::join_all(lab.pcs().iter().cloned().map(talk)).await;
    assert_eq!(lab.ssh().connections(), 40);
    // One stays, in the middle of a command, and is cut.
    let left = logged_on(&lab, &lab.pcs()[0]).await;
    let channel = left.channel_open_session().await.unwrap();
    channel.exec(true, start_line()).await.unwrap();
    assert_eq!(lab.shutdown().await, 0);
}
