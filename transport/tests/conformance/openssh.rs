//! Our SSH client against OpenSSH's server.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fleetmend_model::{
    Credential, Host, Platform, Secret, SshKey, SshLogon, SshSettings, TransportChoice,
};
use fleetmend_transport::{
    AutoConnector, ConnectError, Connector as _, DeniedWhy, ExecRequest, Limits, Session,
    SessionError, UnreachableWhy,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::sshd::{Account, PASSPHRASE, PASSWORD, Sshd};
use super::suite::{self, BIG, FarEnd, answer, echo, limits, request};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

pub(crate) fn far_end() -> FarEnd {
    FarEnd {
        // `cat` gives the parameters back as they came.
        answer: echo("test/echo.sh", "cat"),
        failure: request("test/fail.sh", "echo だめ; exit 42"),
        failure_id: "ExitCode",
        failure_code: 42,
        big_script: request("test/big.sh", &format!("# {}\necho 1", "x".repeat(BIG))),
        big_answer: request(
            "test/answer.sh",
            &format!("printf '\"'; head -c {BIG} /dev/zero | tr '\\0' x; printf '\"'"),
        ),
        slow: request("test/slow.sh", "sleep 3600"),
        stray: Some(request(
            "test/stray.sh",
            "echo stray 1 >&2; (sleep 0.1; echo stray 2 >&2) & printf 'stray 3' >&2; wait",
        )),
        command: words(&[
            "sh",
            "-c",
            "printf '%s|' \"$@\"; echo 失敗 >&2; exit 7",
            "x",
            "信頼 関係",
            "it's",
            "a\\\"b$HOME",
            "",
            "*",
        ]),
        exit_code: 7,
        printed: "信頼 関係|it's|a\\\"b$HOME||*|",
        complained: "失敗",
    }
}

fn host(sshd: &Sshd) -> Host {
    let mut host = Host::new("pc-1");
    host.address = "127.0.0.1".to_owned();
    host.port = Some(sshd.port);
    host.platform = Platform::Posix;
    host.transport = TransportChoice::Ssh;
    host.ssh = SshSettings {
        known_hosts: Some(sshd.known_hosts("known_hosts", "host.pub")),
        key_file: Some(sshd.path("client")),
        ..SshSettings::default()
    };
    host
}

fn credential(sshd: &Sshd, password: &str) -> Credential {
    Credential {
        user: sshd.user.clone(),
        password: Secret::new(password.to_owned()),
        ssh: None,
    }
}

async fn connect(
    sshd: &Sshd,
    host: &Host,
    password: &str,
) -> Result<Box<dyn Session>, ConnectError> {
    let limits = Limits::within(Duration::from_secs(20), &CancellationToken::new());
    AutoConnector::default()
        .connect(host, &credential(sshd, password), &limits)
        .await
}

async fn refused(sshd: &Sshd, host: &Host, password: &str) -> ConnectError {
    match connect(sshd, host, password).await {
        Ok(session) => {
            session.close().await;
            panic!("the logon was accepted: {}", sshd.log());
        }
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let host = host(&sshd);
    suite::run(&far_end(), || async {
        connect(&sshd, &host, "").await.unwrap()
    })
    .await;
}

#[tokio::test]
async fn logs_on_with_a_password_and_sends_a_wrong_one_once() {
    let Some(sshd) = Sshd::start(Account::Fleet) else {
        return;
    };
    let mut host = host(&sshd);
    host.ssh.key_file = None;
    let mut session = connect(&sshd, &host, PASSWORD).await.unwrap();
    let output = session
        .exec(&ExecRequest::Command(words(&["id", "-un"])), &limits())
        .await;
    assert_eq!(output.unwrap().stdout, b"fleet\n");
    session.close().await;
    assert_eq!(sshd.count_in_log("Accepted password for fleet"), 1);

    let error = refused(&sshd, &host, "wrong").await;
    assert!(
        matches!(
            error,
            ConnectError::AccessDenied {
                why: DeniedWhy::Logon,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        sshd.count_in_log("Failed password for fleet"),
        1,
        "{}",
        sshd.log()
    );
    // A key that is refused does not stop the password, nor the other way round.
    host.ssh.key_file = Some(sshd.path("stranger"));
    connect(&sshd, &host, PASSWORD).await.unwrap().close().await;
    assert_eq!(sshd.count_in_log("Accepted password for fleet"), 2);
    assert_eq!(sshd.count_in_log("Failed password for fleet"), 1);
}

#[tokio::test]
async fn logs_on_by_keyboard_interactive_once() {
    let Some(sshd) = Sshd::start(Account::FleetInteractive) else {
        return;
    };
    let mut host = host(&sshd);
    host.ssh.key_file = None;
    connect(&sshd, &host, PASSWORD).await.unwrap().close().await;
    assert_eq!(
        sshd.count_in_log("Accepted keyboard-interactive/pam for fleet"),
        1
    );
    let error = refused(&sshd, &host, "wrong").await;
    assert!(
        matches!(
            error,
            ConnectError::AccessDenied {
                why: DeniedWhy::Logon,
                ..
            }
        ),
        "{error}"
    );
    let failed = sshd.count_in_log("Failed keyboard-interactive/pam for fleet");
    assert_eq!(failed, 1, "{}", sshd.log());
}

#[tokio::test]
async fn opens_an_encrypted_key_and_keeps_its_passphrase_at_home() {
    let Some(sshd) = Sshd::start(Account::Fleet) else {
        return;
    };
    let mut host = host(&sshd);
    host.ssh.key_file = Some(sshd.path("locked"));
    connect(&sshd, &host, PASSPHRASE)
        .await
        .unwrap()
        .close()
        .await;
    assert_eq!(sshd.count_in_log("Accepted publickey for fleet"), 1);
    let error = refused(&sshd, &host, "no passphrase").await;
    assert!(matches!(error, ConnectError::Settings { .. }), "{error}");
    // Not allowed to log on: its passphrase is not tried as a password.
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    let error = refused(&sshd, &host, PASSPHRASE).await;
    assert!(
        matches!(error, ConnectError::AccessDenied { .. }),
        "{error}"
    );
    assert_eq!(
        sshd.log().matches("Failed password").count(),
        0,
        "{}",
        sshd.log()
    );
}

async fn connect_as(
    host: &Host,
    credential: &Credential,
) -> Result<Box<dyn Session>, ConnectError> {
    let limits = Limits::within(Duration::from_secs(20), &CancellationToken::new());
    AutoConnector::default()
        .connect(host, credential, &limits)
        .await
}

fn locked(sshd: &Sshd, password: &str, passphrase: Option<&str>) -> Credential {
    let key = fs::read_to_string(sshd.path("locked")).unwrap();
    Credential {
        ssh: Some(SshLogon {
            key: Some(SshKey::Text(Secret::new(key))),
            passphrase: passphrase.map(|word| Secret::new(word.to_owned())),
            use_agent: false,
        }),
        ..credential(sshd, password)
    }
}

#[tokio::test]
async fn the_key_of_a_credential_outweighs_the_inventory() {
    let Some(sshd) = Sshd::start(Account::Fleet) else {
        return;
    };
    let mut host = host(&sshd);
    host.ssh.key_file = Some(sshd.path("no such file"));
    // Its own passphrase opens it; without one the password does, as it does for a key file.
    for credential in [
        locked(&sshd, "", Some(PASSPHRASE)),
        locked(&sshd, "another", Some(PASSPHRASE)),
        locked(&sshd, PASSPHRASE, None),
    ] {
        let session = connect_as(&host, &credential).await.unwrap();
        session.close().await;
    }
    let mut by_file = locked(&sshd, "", Some(PASSPHRASE));
    if let Some(ssh) = &mut by_file.ssh {
        ssh.key = Some(SshKey::File(sshd.path("locked")));
    }
    connect_as(&host, &by_file).await.unwrap().close().await;
    // A credential that brings a passphrase only is for the inventory's key.
    if let Some(ssh) = &mut by_file.ssh {
        ssh.key = None;
    }
    host.ssh.key_file = Some(sshd.path("locked"));
    connect_as(&host, &by_file).await.unwrap().close().await;
    assert_eq!(sshd.count_in_log("Accepted publickey for fleet"), 5);
    assert_eq!(sshd.count_in_log("Failed password"), 0, "{}", sshd.log());
}

#[tokio::test]
async fn a_wrong_passphrase_is_a_wrong_setting_and_sends_nothing() {
    let Some(sshd) = Sshd::start(Account::Fleet) else {
        return;
    };
    let host = host(&sshd);
    for (credential, said) in [
        (
            locked(&sshd, PASSWORD, Some("Kanaria")),
            "passphrase is wrong",
        ),
        (locked(&sshd, "", None), "no passphrase is given"),
    ] {
        let Err(error) = connect_as(&host, &credential).await else {
            panic!("the logon was accepted: {}", sshd.log());
        };
        let told = format!("{error} {error:?}");
        assert!(matches!(error, ConnectError::Settings { .. }), "{told}");
        assert!(told.contains(said) && !told.contains("Kanaria"), "{told}");
    }
    // The right password was at hand, and nobody connected.
    assert_eq!(sshd.count_in_log("Accepted"), 0, "{}", sshd.log());
    assert!(!sshd.log().contains("Failed"), "{}", sshd.log());
}

#[tokio::test]
async fn a_refused_key_leaves_the_password_but_never_the_passphrase() {
    let Some(sshd) = Sshd::start(Account::Fleet) else {
        return;
    };
    fs::write(sshd.path("authorized_keys"), "").unwrap();
    let host = host(&sshd);
    for same in [
        locked(&sshd, PASSPHRASE, None),
        locked(&sshd, PASSPHRASE, Some(PASSPHRASE)),
    ] {
        let Err(error) = connect_as(&host, &same).await else {
            panic!("the logon was accepted: {}", sshd.log());
        };
        let ConnectError::AccessDenied { detail, .. } = &error else {
            panic!("{error}")
        };
        assert!(detail.contains("no password was tried"), "{detail}");
    }
    assert_eq!(sshd.count_in_log("Failed password"), 0, "{}", sshd.log());
    let both = locked(&sshd, PASSWORD, Some(PASSPHRASE));
    connect_as(&host, &both).await.unwrap().close().await;
    assert_eq!(sshd.count_in_log("Accepted password for fleet"), 1);
}

/// Runs in a process of its own, which alone has an agent in its environment.
#[tokio::test]
#[ignore = "run by logs_on_with_an_agent"]
async fn with_the_agent_of_the_environment() {
    let folder = PathBuf::from(std::env::var_os("TEST_FOLDER").unwrap());
    let mut host = Host::new("pc-1");
    host.address = "127.0.0.1".to_owned();
    host.port = Some(std::env::var("TEST_PORT").unwrap().parse().unwrap());
    host.platform = Platform::Posix;
    host.transport = TransportChoice::Ssh;
    host.ssh.known_hosts = Some(folder.join("known_hosts"));
    let mut credential = Credential {
        user: std::env::var("TEST_USER").unwrap(),
        password: Secret::new(String::new()),
        ssh: None,
    };
    // Once the inventory asks for the agent, once the credential does.
    host.ssh.use_agent = true;
    connect_as(&host, &credential).await.unwrap().close().await;
    host.ssh.use_agent = false;
    let asked_for = |use_agent| {
        Some(SshLogon {
            key: None,
            passphrase: None,
            use_agent,
        })
    };
    credential.ssh = asked_for(false);
    assert!(connect_as(&host, &credential).await.is_err());
    credential.ssh = asked_for(true);
    connect_as(&host, &credential).await.unwrap().close().await;
}

#[test]
fn logs_on_with_an_agent() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    sshd.known_hosts("known_hosts", "host.pub");
    // The agent ends with the command that it runs. Its first key is not the right one.
    let status = std::process::Command::new("ssh-agent")
        .args([
            "sh",
            "-c",
            "ssh-add -q \"$TEST_FOLDER/stranger\" \"$TEST_FOLDER/client\" && exec \"$0\" \"$@\"",
        ])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "openssh::with_the_agent_of_the_environment",
        ])
        .env("TEST_FOLDER", sshd.path(""))
        .env("TEST_PORT", sshd.port.to_string())
        .env("TEST_USER", &sshd.user)
        .output()
        .unwrap();
    assert!(
        status.status.success(),
        "{}",
        String::from_utf8_lossy(&status.stdout)
    );
    assert_eq!(sshd.count_in_log("Accepted publickey"), 2, "{}", sshd.log());
}

#[tokio::test]
async fn trusts_known_host_keys_only() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let mut host = host(&sshd);
    host.ssh.known_hosts = Some(sshd.path("absent/known_hosts"));
    let error = refused(&sshd, &host, "").await;
    let ConnectError::Identity { detail, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        detail.contains("SHA256:") && detail.contains("is not in"),
        "{detail}"
    );
    assert!(!sshd.path("absent").exists());

    host.ssh.accept_new_host_keys = true;
    connect(&sshd, &host, "").await.unwrap().close().await;
    host.ssh.accept_new_host_keys = false;
    connect(&sshd, &host, "").await.unwrap().close().await;
    let learned = fs::read_to_string(sshd.path("absent/known_hosts")).unwrap();
    let key = fs::read_to_string(sshd.path("host.pub")).unwrap();
    let key: Vec<&str> = key.split(' ').take(2).collect();
    assert_eq!(
        learned,
        format!("[127.0.0.1]:{} {}\n", sshd.port, key.join(" "))
    );

    // A changed key is refused, also where new ones are learned, and named with its line.
    host.ssh.accept_new_host_keys = true;
    host.ssh.known_hosts = Some(sshd.known_hosts("changed", "other.pub"));
    let error = refused(&sshd, &host, "").await;
    let ConnectError::Identity { detail, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(detail.matches("SHA256:").count(), 2, "{detail}");
    assert!(detail.contains("changed:2"), "{detail}");
}

#[tokio::test]
async fn understands_files_that_ssh_keygen_hashed() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let mut host = host(&sshd);
    let path = sshd.known_hosts("hashed", "host.pub");
    let hashed = std::process::Command::new("ssh-keygen")
        .arg("-Hf")
        .arg(&path)
        .output()
        .unwrap();
    assert!(hashed.status.success());
    assert!(fs::read_to_string(&path).unwrap().contains("|1|"));
    host.ssh.known_hosts = Some(path);
    connect(&sshd, &host, "").await.unwrap().close().await;
}

#[tokio::test]
async fn a_step_that_was_cut_is_gone_from_the_host() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let host = host(&sshd);
    let mut session = connect(&sshd, &host, "").await.unwrap();
    let seconds = 100_000 + u32::from(sshd.port);
    let slow = request("test/slow.sh", &format!("sleep {seconds}"));
    let short = Limits::within(Duration::from_secs(2), &CancellationToken::new());
    let running = async {
        let until = Instant::now() + Duration::from_secs(2);
        let mut seen = false;
        while Instant::now() < until && !seen {
            seen = sleeps(seconds);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        seen
    };
    let (result, seen) = tokio::join!(session.run_step(&slow, &short), running);
    assert!(
        matches!(result, Err(SessionError::Deadline { .. })),
        "{result:?}"
    );
    assert!(seen, "the step never ran");
    let until = Instant::now() + Duration::from_secs(5);
    while sleeps(seconds) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!sleeps(seconds), "the step still runs on the host");
    session.close().await;
}

#[tokio::test]
async fn a_session_that_is_dropped_ends_its_step() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let host = host(&sshd);
    let mut session = connect(&sshd, &host, "").await.unwrap();
    let seconds = 200_000 + u32::from(sshd.port);
    let slow = request("test/slow.sh", &format!("sleep {seconds}"));
    let limits = limits();
    tokio::select! {
        result = session.run_step(&slow, &limits) => panic!("{result:?}"),
        () = async {
            while !sleeps(seconds) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        } => {}
    }
    drop(session);
    let until = Instant::now() + Duration::from_secs(8);
    while sleeps(seconds) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!sleeps(seconds), "the step still runs on the host");
}

fn sleeps(seconds: u32) -> bool {
    let wanted = format!("sleep\0{seconds}\0");
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut files = processes.map(|process| process.path().join("cmdline"));
    files.any(|file| fs::read(file).is_ok_and(|line| line == wanted.as_bytes()))
}

#[tokio::test]
async fn a_lost_connection_leaves_a_step_unknown_and_runs_no_more() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let host = host(&sshd);
    let mut session = connect(&sshd, &host, "").await.unwrap();
    assert_eq!(
        session
            .run_step(&echo("test/echo.sh", "cat"), &limits())
            .await
            .unwrap()
            .answer,
        Ok(answer())
    );
    // The script ends the sshd process of this very connection: the first one above it.
    let cut = request(
        "test/cut.sh",
        "p=$$; while read -r n < /proc/$p/comm && [ \"$n\" != sshd ] && [ \"$n\" != sshd-session ]; \
         do p=$(awk '/^PPid/ {print $2}' /proc/$p/status); done; kill -9 $p; sleep 5",
    );
    let error = session.run_step(&cut, &limits()).await.unwrap_err();
    assert!(matches!(error, SessionError::Unknown { .. }), "{error}");
    let error = session
        .run_step(&echo("test/echo.sh", "cat"), &limits())
        .await
        .unwrap_err();
    assert!(matches!(error, SessionError::NotRun { .. }), "{error}");
    session.close().await;
}

#[tokio::test]
async fn a_step_whose_process_ends_is_unknown_and_the_next_one_runs() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let host = host(&sshd);
    let mut session = connect(&sshd, &host, "").await.unwrap();
    // The bootstrap, which is the parent's parent of the script at most.
    let end = request(
        "test/end.sh",
        "echo last words >&2; p=$$; while ! grep -q 'while read' /proc/$p/cmdline; do \
         p=$(awk '/^PPid/ {print $2}' /proc/$p/status); done; \
         while grep -q 'while read' /proc/$(awk '/^PPid/ {print $2}' /proc/$p/status)/cmdline; do \
         p=$(awk '/^PPid/ {print $2}' /proc/$p/status); done; kill -9 $p; sleep 1",
    );
    let error = session.run_step(&end, &limits()).await.unwrap_err();
    let SessionError::Unknown { detail } = &error else {
        panic!("{error}")
    };
    assert!(
        detail.contains("137") && detail.contains("last words"),
        "{detail}"
    );
    let reply = session
        .run_step(&request("test/one.sh", "echo 1"), &limits())
        .await
        .unwrap();
    assert_eq!(reply.answer, Ok(json!(1)));
    session.close().await;
}

#[tokio::test]
async fn an_idle_process_gives_way_to_a_command_at_once() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let host = host(&sshd);
    let mut session = connect(&sshd, &host, "").await.unwrap();
    session
        .run_step(&request("test/one.sh", "echo 1"), &limits())
        .await
        .unwrap();
    let began = Instant::now();
    session
        .exec(&ExecRequest::Command(words(&["true"])), &limits())
        .await
        .unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    session.close().await;
}

#[tokio::test]
async fn a_port_of_unknown_speech_is_recognised_as_ssh() {
    let Some(sshd) = Sshd::start(Account::Own) else {
        return;
    };
    let mut host = host(&sshd);
    host.transport = TransportChoice::Auto;
    host.platform = Platform::Windows;
    let limits = Limits::within(Duration::from_secs(20), &CancellationToken::new());
    let session = AutoConnector::default()
        .connect(&host, &credential(&sshd, ""), &limits)
        .await
        .unwrap();
    assert_eq!(
        session.reached().address,
        format!("127.0.0.1:{}", sshd.port)
    );
    // Steps are PowerShell now, and there is none: certainly not run.
    let mut session = session;
    let step = request("test/echo.ps1", "1");
    let error = session.run_step(&step, &self::limits()).await.unwrap_err();
    assert!(matches!(error, SessionError::NotRun { .. }), "{error}");
    session.close().await;
}

#[tokio::test]
async fn a_silent_port_costs_the_connect_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut host = Host::new("pc-1");
    host.address = "127.0.0.1".to_owned();
    host.port = Some(listener.local_addr().unwrap().port());
    host.transport = TransportChoice::Ssh;
    host.ssh.known_hosts = Some(PathBuf::from("nowhere/known_hosts"));
    let credential = Credential {
        user: "x".to_owned(),
        password: Secret::new("y".to_owned()),
        ssh: None,
    };
    let began = Instant::now();
    let limits = Limits::within(Duration::from_millis(800), &CancellationToken::new());
    let error = match AutoConnector::default()
        .connect(&host, &credential, &limits)
        .await
    {
        Ok(_) => panic!("connected to nobody"),
        Err(error) => error,
    };
    assert!(
        matches!(
            error,
            ConnectError::Unreachable {
                why: UnreachableWhy::TimedOut,
                ..
            }
        ),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}
