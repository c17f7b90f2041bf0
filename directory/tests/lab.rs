//! Against the lab's domain, which has two controllers and faults on request.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_directory::{
    ActionError, ActionRequest, ActiveDirectory, ComputerQuery, Directory, DirectoryError, Limit,
    Settings, Trust,
};
use fleetmend_lab::domain::{Domain, Rights};
use fleetmend_lab::ldap::{LdapFault, LdapOptions, LdapServer};
use fleetmend_lab::{Answers, LabAuthority, Pace, ScriptRegistry, Shared};
use fleetmend_model::{Credential, DirectoryAction, HostName, Secret};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PASSWORD: &str = "正しい-Passw0rd";

/// A domain with both its controllers.
struct Forest {
    shared: Arc<Shared>,
    servers: Vec<LdapServer>,
    ca: tempfile::TempPath,
    cancel: CancellationToken,
}

impl Drop for Forest {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Forest {
    async fn start(computers: usize) -> Self {
        let mut domain = Domain::new("corp.example.jp", "CORP");
        domain.create_user("svc", PASSWORD, true);
        domain.create_user("blind", PASSWORD, false);
        domain.user_mut("blind").unwrap().rights = Rights {
            blind: true,
            ..Rights::default()
        };
        for number in 0..computers {
            domain.create_computer(&format!("PC{number:05}"), Timestamp::now());
        }
        let names: Vec<String> = domain
            .controllers
            .iter()
            .map(|dc| dc.dns_name.clone())
            .collect();
        let scripts = ScriptRegistry::new(&[]);
        let shared = Arc::new(Shared::new(domain, scripts, Answers::default(), Pace::NONE));
        let authority = LabAuthority::new().unwrap();
        let cancel = CancellationToken::new();
        let mut servers = Vec::new();
        for name in &names {
            let tls = authority
                .server(&[name.clone(), "127.0.0.1".to_owned()])
                .unwrap();
            let tasks = (cancel.clone(), TaskTracker::new());
            let options = LdapOptions::default();
            let server = LdapServer::start(name, Arc::clone(&shared), tls, options, tasks);
            servers.push(server.await.unwrap());
        }
        let mut ca = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut ca, authority.pem().as_bytes()).unwrap();
        Self {
            shared,
            servers,
            ca: ca.into_temp_path(),
            cancel,
        }
    }

    fn open(&self, user: &str, password: &str) -> ActiveDirectory {
        let mut settings = Settings::new("corp.example.jp");
        let addresses = self.servers.iter().map(|server| server.ldaps().to_string());
        settings.servers = addresses.map(|address| address.parse().unwrap()).collect();
        settings.trust = Trust::CaFile(self.ca.to_path_buf());
        settings.connect_timeout = Duration::from_secs(2);
        settings.answer_timeout = Duration::from_secs(2);
        let account = Credential {
            user: user.to_owned(),
            password: Secret::new(password.to_owned()),
            ssh: None,
        };
        ActiveDirectory::new(settings, account)
    }

    fn binds(&self) -> u64 {
        self.servers
            .iter()
            .map(|server| server.counts().binds)
            .sum()
    }

    fn searches(&self) -> u64 {
        self.servers
            .iter()
            .map(|server| server.counts().searches)
            .sum()
    }

    fn writes(&self) -> u64 {
        self.servers
            .iter()
            .map(|server| server.counts().writes)
            .sum()
    }
}

fn limit() -> Limit {
    Limit::within(Duration::from_secs(30), &CancellationToken::new())
}

fn request(action: DirectoryAction, computer: &str, dc: Option<&str>) -> ActionRequest {
    let mut params = json!({"computer": computer, "domain_controller": dc});
    if action == DirectoryAction::ResetComputerPassword {
        params["sid"] = Value::Null;
    }
    let Value::Object(params) = params else {
        panic!("no object")
    };
    ActionRequest {
        host: HostName("受付-1".to_owned()),
        action,
        params,
        deadline: Duration::from_secs(30),
        cancel: CancellationToken::new(),
    }
}

async fn read(directory: &ActiveDirectory, computer: &str, dc: Option<&str>) -> Value {
    let request = request(DirectoryAction::ReadComputer, computer, dc);
    directory.act(request).await.unwrap().answer
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bind_for_a_wrong_password_over_all_controllers() {
    let forest = Forest::start(1).await;
    let directory = Arc::new(forest.open("svc", "wrong"));
    let hosts: Vec<_> = (0..500)
        .map(|number| {
            let directory = Arc::clone(&directory);
            let dc = (number % 3 == 0).then_some("dc02.corp.example.jp");
            let request = request(DirectoryAction::ReadComputer, "PC00000", dc);
            tokio::spawn(async move { directory.act(request).await })
        })
        .collect();
    for host in hosts {
        let error = host.await.unwrap().unwrap_err();
        let refused = matches!(
            error,
            ActionError::Failed {
                credential_refused: Some(1326),
                code: Some(49),
                ..
            }
        );
        assert!(refused, "{error:?}");
    }
    assert_eq!(forest.binds(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_mid_run_closes_every_controller() {
    let forest = Forest::start(1).await;
    let directory = forest.open("svc", PASSWORD);
    directory.prove(&limit()).await.unwrap();
    forest
        .shared
        .domain()
        .create_user("svc", "changed meanwhile", true);
    // The second controller is bound for the first time now.
    let refused = directory
        .act(request(DirectoryAction::ReadComputer, "PC00000", None))
        .await;
    assert!(matches!(
        refused,
        Err(ActionError::Failed {
            credential_refused: Some(1326),
            ..
        })
    ));
    let searches = forest.servers[0].counts().searches;
    let closed = directory.laps("PC00000", None, &limit()).await;
    assert!(matches!(
        closed,
        Err(DirectoryError::CredentialRefused { .. })
    ));
    assert_eq!(
        forest.servers[0].counts().searches,
        searches,
        "nothing is asked any more"
    );
    assert_eq!(forest.binds(), 2);
}

#[tokio::test]
async fn asks_every_controller_and_tells_where_they_disagree() {
    let forest = Forest::start(1).await;
    let directory = forest.open("svc", PASSWORD);
    let same = read(&directory, "PC00000", None).await;
    assert_eq!(same["pwd_last_set_differs"], false, "{same:#}");
    forest.shared.domain().controllers[1].lagging = true;
    let reset = DirectoryAction::ResetComputerPassword;
    let first = Some("dc01.corp.example.jp");
    directory
        .act(request(reset, "PC00000", first))
        .await
        .unwrap();
    let differs = read(&directory, "PC00000", Some("DC02")).await;
    assert_eq!(differs["pwd_last_set_differs"], true, "{differs:#}");
    assert_eq!(differs["dc"], "dc02.corp.example.jp");
    let times = differs["controllers"].as_array().unwrap();
    assert_eq!(times.len(), 2);
    assert_eq!(differs["pwd_last_set_unix"], times[1]["pwd_last_set_unix"]);
    assert!(times[0]["pwd_last_set_unix"].as_f64() > times[1]["pwd_last_set_unix"].as_f64());
}

#[tokio::test]
async fn goes_on_with_the_other_controller() {
    let forest = Forest::start(1).await;
    forest.servers[0].set_fault(LdapFault::Hangs);
    let directory = forest.open("svc", PASSWORD);
    let begun = Instant::now();
    let proof = directory.prove(&limit()).await.unwrap();
    assert_eq!(proof.dc, "dc02.corp.example.jp");
    let told = read(&directory, "PC00000", None).await;
    assert_eq!(
        (&told["found"], &told["dc"]),
        (&json!(true), &json!(proof.dc))
    );
    assert_eq!(told["controllers"][0]["answered"], false);
    // A hundred further hosts do not wait for the silent one again.
    for _ in 0..100 {
        assert_eq!(read(&directory, "PC00000", None).await["found"], true);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn says_whose_reading_it_is_when_the_one_asked_for_falls_silent() {
    let forest = Forest::start(1).await;
    let directory = forest.open("svc", PASSWORD);
    let asked = Some("dc02.corp.example.jp");
    let told = read(&directory, "PC00000", asked).await;
    assert_eq!(told["dc"], "dc02.corp.example.jp");
    assert_eq!(told["error"], Value::Null);
    forest.servers[1].set_fault(LdapFault::Hangs);
    let told = read(&directory, "PC00000", asked).await;
    assert_eq!(told["dc"], "dc01.corp.example.jp", "{told:#}");
    assert_eq!(told["found"], true);
    let why = told["error"]["message"].as_str().unwrap();
    assert!(why.contains("dc02.corp.example.jp"), "{why}");
}

#[tokio::test]
async fn one_account_is_given_a_password_for_one_host_only() {
    let forest = Forest::start(2).await;
    let directory = forest.open("svc", PASSWORD);
    let reset = |host: &str, computer: &str| ActionRequest {
        host: HostName(host.to_owned()),
        ..request(DirectoryAction::ResetComputerPassword, computer, None)
    };
    let first = directory.act(reset("受付-1", "PC00000")).await.unwrap();
    let writes = forest.writes();
    let second = directory.act(reset("10.0.0.9", "pc00000$")).await;
    let Err(ActionError::Failed {
        error_id, message, ..
    }) = second
    else {
        panic!("{second:?}");
    };
    assert_eq!(error_id, "ComputerOfAnotherHost");
    assert!(
        message.contains("受付-1") && message.contains("10.0.0.9"),
        "{message}"
    );
    assert_eq!(forest.writes(), writes, "nothing was written");
    let again = directory.act(reset("受付-1", "PC00000")).await.unwrap();
    assert_ne!(again.made, first.made);
    assert!(directory.act(reset("10.0.0.9", "PC00001")).await.is_ok());
}

#[tokio::test]
async fn a_write_that_was_not_made_leaves_the_account_free() {
    let forest = Forest::start(1).await;
    forest
        .shared
        .domain()
        .create_user("reader", PASSWORD, false);
    forest.shared.domain().user_mut("reader").unwrap().rights = Rights::default();
    let directory = forest.open("reader", PASSWORD);
    for host in ["pc-1", "pc-2"] {
        let reset = ActionRequest {
            host: HostName(host.to_owned()),
            ..request(DirectoryAction::ResetComputerPassword, "PC00000", None)
        };
        let refused = directory.act(reset).await;
        assert!(
            matches!(refused, Err(ActionError::Failed { code: Some(50), .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn looks_for_twins_only_where_somebody_asks_about_one_computer() {
    let forest = Forest::start(1).await;
    let directory = forest.open("svc", PASSWORD);
    let in_a_run = read(&directory, "PC00000", None).await;
    assert_eq!(in_a_run["duplicates"], Value::Null);
    let before = forest.searches();
    read(&directory, "PC00000", None).await;
    assert_eq!(forest.searches() - before, 2, "one for each controller");
    let shown = directory.computer("PC00000", None, &limit()).await.unwrap();
    assert_eq!(shown["duplicates"], 0);
}

#[tokio::test]
async fn asks_every_controller_before_a_credential_is_tried() {
    let forest = Forest::start(1).await;
    let directory = forest.open("svc", PASSWORD);
    directory.prove(&limit()).await.unwrap();
    let wrong = Credential {
        user: "blind".to_owned(),
        password: Secret::new("wrong".to_owned()),
        ssh: None,
    };
    let before = forest.servers[1].counts().searches;
    let told = directory.probe(&wrong, &limit()).await.unwrap();
    assert!(told.refusal.is_some() && told.silent.is_empty(), "{told:?}");
    assert!(forest.servers[1].counts().searches > before + 1);
    assert_eq!(
        forest.shared.domain().user("blind").unwrap().bad_passwords,
        1
    );

    let forest = Forest::start(1).await;
    let directory = forest.open("svc", PASSWORD);
    forest.servers[1].set_fault(LdapFault::Hangs);
    let told = directory.probe(&wrong, &limit()).await.unwrap();
    let silent = forest.servers[1].ldaps().to_string();
    assert_eq!(told.silent, [silent]);
}

#[tokio::test]
async fn a_write_without_an_answer_is_unknown_and_sent_once() {
    let faults = [
        (LdapFault::HangsOnWrites, 0),
        (LdapFault::DropsAfterWrites, 1),
    ];
    for (fault, writes) in faults {
        let forest = Forest::start(1).await;
        let directory = forest.open("svc", PASSWORD);
        forest.servers[0].set_fault(fault);
        let reset = request(DirectoryAction::ResetComputerPassword, "PC00000", None);
        let lost = directory.act(reset).await.unwrap_err();
        assert!(
            matches!(lost, ActionError::Unknown { .. }),
            "{fault:?}: {lost:?}"
        );
        assert_eq!(forest.writes(), writes, "{fault:?}");
        forest.servers[0].set_fault(LdapFault::None);
        let reset = request(DirectoryAction::ResetComputerPassword, "PC00000", None);
        assert!(directory.act(reset).await.unwrap().made.is_some());
    }
}

#[tokio::test]
async fn who_sees_nothing_cannot_say_that_nothing_is_there() {
    let forest = Forest::start(1).await;
    let told = read(&forest.open("blind", PASSWORD), "PC00000", None).await;
    assert_eq!(told["found"], Value::Null, "{told:#}");
    assert_eq!(told["error"]["error_id"], "ComputersNotVisible");
    let told = read(&forest.open("svc", PASSWORD), "PC99999", None).await;
    assert_eq!(told["found"], false);
}

#[tokio::test]
async fn lists_ten_thousand_computers() {
    let forest = Forest::start(10_000).await;
    let directory = forest.open("svc", PASSWORD);
    let all = directory
        .computers(&ComputerQuery::default(), &limit())
        .await
        .unwrap();
    let members = all
        .iter()
        .filter(|computer| computer.name.starts_with("PC"));
    assert_eq!(members.count(), 10_000);
    assert!(all.is_sorted_by(|one, other| one.name < other.name));
    let searches = forest.servers[0].counts().searches;
    assert!(
        searches >= 21,
        "20 pages and what the controller is: {searches}"
    );
}
