//! A world of scripted PCs in virtual time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_engine::{
    AccountBudget, ControlReceiver, CredentialError, CredentialSource, Job, NoBudget, Past, Ports,
    Prober, RebootPolicy, RunLimits, RunPlan, RunReport, control, resume, run,
};
use fleetmend_model::{
    Credential, CredentialRef, Host, HostEvent, Outcome, Record, Refusals, RunMode, Secret,
    TransportKind,
};
use fleetmend_playbooks::Language;
use fleetmend_transport::{
    ConnectError, Connector, DeniedWhy, ExecOutput, ExecRequest, Limits, Reached, ScriptFailure,
    Session, SessionError, StepReply, StepRequest, UnreachableWhy,
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::life::Life;
use super::memory::MemoryJournal;
use super::{FakeDirectory, MADE, directory_program, program, rejoin_program};

/// What the provisioning host makes.
pub const MADE_BLOB: &str = "blob-機密";
/// The password of the account that a rung brings along.
pub const RESCUE_PASSWORD: &str = "rescue-予備";
pub const DOMAIN_PASSWORD: &str = "canary-秘密-pw";

/// What a PC does when a step (or a connection) comes.
#[derive(Clone, Debug)]
pub enum Act {
    Answer(Value),
    Fail(Option<i64>),
    /// The directory refuses the controller's account.
    Refuse(i64),
    /// The directory acts, but does not give the secret.
    Forget,
    /// The connection is lost after the step was done.
    Lose,
    NotRun,
    /// Never answers; obeys deadline and cancel.
    Hang,
    /// Never answers and obeys nothing.
    Deaf,
    Panic,
}

/// One scripted PC.
#[derive(Clone, Debug)]
pub struct Pc {
    /// What is wrong with it; `None`: nothing.
    pub cause: Option<&'static str>,
    /// The step that mends it.
    pub cure: &'static str,
    pub delay: Duration,
    pub dead: bool,
    pub refuses_logon: bool,
    pub connect_panics: bool,
    /// The password is sent, and nothing comes back.
    pub loses_answer: bool,
    /// Connections after the first fail.
    pub once: bool,
    /// Step name → what happens, taken one after another; then as the simulation goes.
    pub acts: BTreeMap<&'static str, Vec<Act>>,
    /// The passwords that the directory has given its account, the last one good.
    pub account: Vec<String>,
    /// Those that it was given to store.
    pub stored: Vec<String>,
    /// How it restarts.
    pub life: Life,
    /// What diagnose tells beside the cause.
    pub facts: Value,
}

impl Default for Pc {
    fn default() -> Self {
        Self {
            cause: None,
            cure: "",
            delay: Duration::from_millis(200),
            dead: false,
            refuses_logon: false,
            connect_panics: false,
            loses_answer: false,
            once: false,
            acts: BTreeMap::new(),
            account: Vec::new(),
            stored: Vec::new(),
            life: Life::default(),
            facts: json!({}),
        }
    }
}

impl Pc {
    pub fn broken(cure: &'static str) -> Self {
        Self {
            cause: Some("mismatch"),
            cure,
            ..Self::default()
        }
    }

    pub fn on(mut self, step: &'static str, acts: &[Act]) -> Self {
        self.acts.insert(step, acts.to_vec());
        self
    }
}

/// All PCs, and what was seen.
pub struct World {
    pub pcs: Mutex<BTreeMap<String, Pc>>,
    pub journal: Arc<MemoryJournal>,
    /// Host and step of everything that was sent.
    pub sent: Mutex<Vec<(String, String)>>,
    pub violations: Mutex<Vec<String>>,
    pub connects: Mutex<BTreeMap<String, usize>>,
    pub sessions: AtomicUsize,
    pub most_sessions: AtomicUsize,
    pub probes: AtomicUsize,
    pub most_probes: AtomicUsize,
    pub credential_users: AtomicUsize,
    pub most_credential_users: AtomicUsize,
    /// How many secrets the directory has made.
    pub made: AtomicUsize,
    /// Host and name of every script of the engine's own that was sent.
    pub own: Mutex<Vec<(String, String)>>,
    /// Host and user of every logon.
    pub logons: Mutex<Vec<(String, String)>>,
    /// What was spent on accounts.
    pub budget: Mutex<Arc<dyn AccountBudget>>,
    /// Whose the credential `join-account` is.
    pub join_user: Mutex<String>,
    /// How long each credential takes to come.
    pub fetching: Mutex<Duration>,
    /// The passwords of the local account, in the order in which they may be tried; without any,
    /// the good one.
    pub locals: Mutex<Vec<&'static str>>,
    /// Names of the credentials whose sources were asked before the first logon.
    pub asked: Mutex<Vec<String>>,
}

impl World {
    pub fn new(pcs: impl IntoIterator<Item = Pc>, journal: MemoryJournal) -> Arc<Self> {
        let pcs = pcs
            .into_iter()
            .enumerate()
            .map(|(i, pc)| (format!("pc-{i:04}"), pc))
            .collect();
        Arc::new(Self {
            pcs: Mutex::new(pcs),
            journal: Arc::new(journal),
            sent: Mutex::default(),
            violations: Mutex::default(),
            connects: Mutex::default(),
            sessions: AtomicUsize::new(0),
            most_sessions: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            most_probes: AtomicUsize::new(0),
            credential_users: AtomicUsize::new(0),
            most_credential_users: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
            own: Mutex::default(),
            logons: Mutex::default(),
            budget: Mutex::new(Arc::new(NoBudget)),
            join_user: Mutex::new("join-account".to_owned()),
            fetching: Mutex::default(),
            locals: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    fn local(&self, nth: usize) -> Option<&'static str> {
        self.locals.lock().unwrap().get(nth).copied()
    }

    pub fn plan(&self) -> RunPlan {
        let params: Map<String, Value> = json!({"domain": "join-account"})
            .as_object()
            .unwrap()
            .clone();
        RunPlan {
            mode: RunMode::Repair,
            job: Job::Playbook(Arc::new(program().into())),
            hosts: self
                .pcs
                .lock()
                .unwrap()
                .keys()
                .map(|name| Arc::new(Host::new(name)))
                .collect(),
            params,
            credentials_on_pcs: true,
            reboots: RebootPolicy::default(),
            elsewhere: Arc::default(),
            history: BTreeMap::default(),
            directory: None,
            offline_join: false,
            language: Language::default(),
            default_credential: CredentialRef("local-admin".into()),
            pace: fleetmend_engine::Pace::default(),
            operator: None,
            version: "test".into(),
            limits: RunLimits::default(),
        }
    }

    /// A plan with the playbook that goes through the directory, and with a directory.
    pub fn directory_plan(&self) -> RunPlan {
        RunPlan {
            job: Job::Playbook(Arc::new(directory_program().into())),
            directory: Some("CORP\\svc".to_owned()),
            credentials_on_pcs: false,
            ..self.plan()
        }
    }

    /// A plan with the playbook that restarts PCs, and a server on which blobs are made.
    pub fn rejoin_plan(&self) -> RunPlan {
        let plan = self.plan();
        let (server, hosts) = plan
            .hosts
            .iter()
            .cloned()
            .partition::<Vec<_>, _>(|host| host.name.0 == "server");
        RunPlan {
            job: Job::Playbook(Arc::new(rejoin_program().into())),
            hosts,
            reboots: RebootPolicy {
                max: 2,
                ..RebootPolicy::default()
            },
            elsewhere: Arc::new(
                server
                    .into_iter()
                    .map(|host| (host.name.clone(), host))
                    .collect(),
            ),
            credentials_on_pcs: false,
            ..plan
        }
    }

    /// Adds a host that is none of the fleet.
    pub fn add_server(&self, pc: Pc) {
        self.pcs.lock().unwrap().insert("server".to_owned(), pc);
    }

    /// How often the directory has given the account of this PC a password.
    pub fn resets(&self, host: &str) -> usize {
        self.pc(host).account.len()
    }

    pub fn sent(&self) -> Vec<(String, String)> {
        self.sent.lock().unwrap().clone()
    }

    pub fn assert_clean(&self) {
        let violations = self.violations.lock().unwrap();
        assert!(violations.is_empty(), "{violations:#?}");
        assert_eq!(
            self.sessions.load(Ordering::SeqCst),
            0,
            "a session was left open"
        );
    }

    pub fn is_up(&self, host: &str) -> bool {
        self.pcs.lock().unwrap().get_mut(host).unwrap().life.is_up()
    }

    fn refuses_now(&self, host: &str, user: &str) -> bool {
        let mut pcs = self.pcs.lock().unwrap();
        let life = &mut pcs.get_mut(host).unwrap().life;
        if life.refuses.contains(&user) {
            return true;
        }
        let refuses = life.boot > 1 && life.refusals > 0;
        life.refusals -= usize::from(refuses);
        refuses
    }

    pub fn pc(&self, host: &str) -> Pc {
        self.pcs.lock().unwrap()[host].clone()
    }

    pub fn violation(&self, text: String) {
        self.violations.lock().unwrap().push(text);
    }

    pub fn take_act(&self, host: &str, step: &str) -> Option<Act> {
        let mut pcs = self.pcs.lock().unwrap();
        let acts = pcs.get_mut(host)?.acts.get_mut(step)?;
        (!acts.is_empty()).then(|| acts.remove(0))
    }

    /// What must hold whenever anything is sent.
    pub fn watch(&self, host: &str, name: &str) {
        let sent = (host.to_owned(), name.to_owned());
        self.sent.lock().unwrap().push(sent);
        if self.journal.failed.load(Ordering::SeqCst) {
            self.violation(format!("{name} went to {host} after the journal failed"));
        }
        let announced = self.journal.announced(host).map(|step| step.step);
        if announced.as_deref() != Some(name) {
            self.violation(format!("{name} went to {host} unannounced: {announced:?}"));
        }
    }

    /// What the PC really does: steps mend it, diagnose and verify look.
    fn simulate(&self, host: &str, step: &str) -> Value {
        let mut pcs = self.pcs.lock().unwrap();
        let pc = pcs.get_mut(host).unwrap();
        if pc.cure == step && (step != "store" || pc.stored.last() == pc.account.last()) {
            pc.cause = None;
        }
        match step {
            "diagnose" => {
                let mut facts = pc.facts.clone();
                facts["cause"] = json!(pc.cause.unwrap_or("healthy"));
                facts
            }
            "safety" => json!({"safe": pc.facts.get("unsafe").is_none()}),
            "blob" => json!({"code": 0, "made": MADE_BLOB}),
            "verify" => json!({"proof": if pc.cause.is_none() { "yes" } else { "no" }}),
            "join" => json!({"credential_error": null}),
            _ => json!({"done": true}),
        }
    }
}

/// Runs the plan in the world, with a reader that counts, and checks what always must hold.
pub async fn run_world(world: &Arc<World>, plan: RunPlan, control: ControlReceiver) -> RunReport {
    run_from(world, plan, control, None).await
}

/// The same for a run that goes on after its records so far.
pub async fn resume_world(world: &Arc<World>, plan: RunPlan) -> RunReport {
    let past = Past::of(&world.journal.records());
    run_from(world, plan, control().1, Some(past)).await
}

/// Everything that a run in this world needs.
pub fn ports(
    world: &Arc<World>,
    reader: tokio::sync::mpsc::Sender<Record>,
    control: ControlReceiver,
) -> Ports {
    Ports {
        connector: Arc::new(FakeConnector(world.clone())),
        prober: Arc::new(FakeConnector(world.clone())),
        credentials: Arc::new(FakeConnector(world.clone())),
        directory: Some(Arc::new(FakeDirectory(world.clone()))),
        journal: world.journal.clone(),
        budget: world.budget.lock().unwrap().clone(),
        reader: Some(reader),
        control,
    }
}

async fn run_from(
    world: &Arc<World>,
    plan: RunPlan,
    control: ControlReceiver,
    past: Option<Past>,
) -> RunReport {
    let before = world.journal.records().len();
    let hosts: Vec<String> = plan.hosts.iter().map(|host| host.name.0.clone()).collect();
    let (reader, mut seen) = tokio::sync::mpsc::channel(64);
    let ports = ports(world, reader, control);
    let reading = tokio::spawn(async move {
        let mut records = Vec::new();
        while let Some(record) = seen.recv().await {
            records.push(record);
        }
        records
    });
    let report = match past {
        None => run(plan, ports).await,
        Some(past) => resume(plan, ports, past, Some("保守".to_owned()))
            .await
            .unwrap(),
    };
    // Dropped sessions clean up in tasks of their own.
    tokio::task::yield_now().await;
    let told = reading.await.unwrap();
    assert_eq!(
        told,
        world.journal.records()[before..],
        "the reader is told what is stored, in order"
    );
    let names: Vec<String> = report
        .results
        .iter()
        .map(|result| result.host.0.clone())
        .collect();
    assert_eq!(names, hosts, "one result for each PC, in order");
    for result in &report.results {
        let finished: Vec<_> = world
            .journal
            .of(&result.host.0)
            .into_iter()
            .filter(|event| matches!(event, HostEvent::Finished { .. }))
            .collect();
        if world.journal.failed.load(Ordering::SeqCst) {
            assert!(finished.len() <= 1);
        } else {
            assert_eq!(
                finished,
                [HostEvent::Finished {
                    result: result.clone()
                }]
            );
        }
    }
    let text = format!("{:?}{report:?}", world.journal.records());
    assert!(
        !text.contains(DOMAIN_PASSWORD),
        "a secret is in the journal"
    );
    for secret in [MADE, MADE_BLOB, RESCUE_PASSWORD] {
        assert!(!text.contains(secret), "{secret} is in the journal");
    }
    world.assert_clean();
    report
}

/// Counts outcomes by their text.
pub fn outcomes(report: &RunReport) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for result in &report.results {
        *counts.entry(result.outcome.to_string()).or_default() += 1;
    }
    counts
}

/// Waits until the journal holds so many records.
pub async fn wait_until(world: &World, count: usize) {
    let _ = world.journal.count().wait_for(|now| *now >= count).await;
}

/// Returns a control that nobody uses.
pub fn quiet() -> ControlReceiver {
    control().1
}

pub fn not_repaired(cause: &str) -> Outcome {
    Outcome::NotRepaired {
        cause: fleetmend_model::Cause::new(cause),
    }
}

struct FakeConnector(Arc<World>);

struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(now: &'a AtomicUsize, most: &AtomicUsize) -> Self {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        Self(now)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn unreachable(host: &Host, why: UnreachableWhy) -> ConnectError {
    ConnectError::Unreachable {
        address: host.address.clone(),
        why,
        source: None,
    }
}

#[async_trait]
impl Prober for FakeConnector {
    async fn probe(&self, host: &Host, limits: &Limits) -> Result<(), ConnectError> {
        let _counted = Counted::new(&self.0.probes, &self.0.most_probes);
        if !self.0.is_up(&host.name.0) {
            return Err(unreachable(host, UnreachableWhy::Refused));
        }
        let pc = self.0.pc(&host.name.0);
        if pc.dead {
            return tokio::select! {
                () = limits.cancel.cancelled() => Err(ConnectError::Cancelled),
                () = tokio::time::sleep_until(limits.deadline) => {
                    Err(unreachable(host, UnreachableWhy::TimedOut))
                }
            };
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}

#[async_trait]
impl CredentialSource for FakeConnector {
    async fn credential(
        &self,
        name: &CredentialRef,
        _: &Host,
    ) -> Result<Credential, CredentialError> {
        if self.0.logons.lock().unwrap().is_empty() {
            self.0.asked.lock().unwrap().push(name.0.clone());
        }
        let fetching = *self.0.fetching.lock().unwrap();
        tokio::time::sleep(fetching).await;
        let password = match name.0.as_str() {
            "local-admin" => self.0.local(0).unwrap_or("local"),
            "join-account" => DOMAIN_PASSWORD,
            "rescue" => RESCUE_PASSWORD,
            _ => {
                let detail = "nobody knows it".to_owned();
                return Err(CredentialError {
                    name: name.clone(),
                    detail,
                });
            }
        };
        let user = match name.0.as_str() {
            "join-account" => self.0.join_user.lock().unwrap().clone(),
            other => other.to_owned(),
        };
        Ok(Credential {
            user,
            password: Secret::new(password.to_owned()),
            ssh: None,
        })
    }

    async fn another(
        &self,
        name: &CredentialRef,
        _: &Host,
        refusals: &Refusals<'_>,
    ) -> Result<Option<Credential>, CredentialError> {
        assert_ne!(name.0, "join-account", "only what PCs judge themselves");
        if name.0 != "local-admin" {
            return Ok(None);
        }
        let passwords = self.0.locals.lock().unwrap().clone();
        let mut passwords = passwords.into_iter().skip(refusals.forgotten as usize);
        let user = [&*name.0, ".\\LOCAL-ADMIN"][refusals.count as usize % 2];
        let next = passwords.find(|password| {
            let password = Secret::new((*password).to_owned());
            !(refusals.judge)(user, &password).refused
        });
        Ok(next.map(|password| Credential::new(user, Secret::new(password.to_owned()))))
    }
}

#[async_trait]
impl Connector for FakeConnector {
    async fn connect(
        &self,
        host: &Host,
        credential: &Credential,
        limits: &Limits,
    ) -> Result<Box<dyn Session>, ConnectError> {
        let world = &self.0;
        let password = match credential.user.as_str() {
            "rescue" => RESCUE_PASSWORD,
            _ => "local",
        };
        let is_good = credential.password.reveal() == password;
        let known = world.locals.lock().unwrap().clone();
        assert!(is_good || known.contains(&credential.password.reveal()));
        let logon = (host.name.0.clone(), credential.user.clone());
        world.logons.lock().unwrap().push(logon);
        if world.journal.failed.load(Ordering::SeqCst) {
            world.violation(format!(
                "{} was connected to after the journal failed",
                host.name
            ));
        }
        let pc = world.pc(&host.name.0);
        let times = {
            let mut connects = world.connects.lock().unwrap();
            let times = connects.entry(host.name.0.clone()).or_default();
            *times += 1;
            *times
        };
        if pc.loses_answer {
            limits.mark.leaves();
        }
        assert!(!pc.connect_panics, "connect panics as told");
        tokio::select! {
            () = limits.cancel.cancelled() => return Err(ConnectError::Cancelled),
            () = tokio::time::sleep(pc.delay) => {}
        }
        if !world.is_up(&host.name.0) {
            return Err(unreachable(host, UnreachableWhy::TimedOut));
        }
        if pc.loses_answer {
            return Err(ConnectError::Protocol {
                address: host.address.clone(),
                detail: "the connection was lost after the password had been proven".into(),
            });
        }
        if !is_good || pc.refuses_logon || world.refuses_now(&host.name.0, &credential.user) {
            return Err(ConnectError::AccessDenied {
                address: host.address.clone(),
                user: credential.user.clone(),
                why: DeniedWhy::Logon,
                detail: "401".into(),
            });
        }
        if pc.once && times > 1 {
            return Err(unreachable(host, UnreachableWhy::Refused));
        }
        let now = world.sessions.fetch_add(1, Ordering::SeqCst) + 1;
        world.most_sessions.fetch_max(now, Ordering::SeqCst);
        let address = format!("{}:5985", host.address);
        Ok(Box::new(FakeSession {
            world: world.clone(),
            boot: world.pc(&host.name.0).life.boot,
            host: host.name.0.clone(),
            reached: Reached {
                transport: TransportKind::WinrmHttp,
                address,
            },
        }))
    }
}

struct FakeSession {
    world: Arc<World>,
    host: String,
    /// The boot in which it was opened; it ends with it.
    boot: u64,
    reached: Reached,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.world.sessions.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FakeSession {
    async fn act(&self, name: &str, act: Act, limits: &Limits) -> Result<StepReply, SessionError> {
        let reply = |answer| {
            Ok(StepReply {
                answer,
                diagnostics: vec!["said".into()],
            })
        };
        match act {
            Act::Answer(value) => {
                self.world.simulate(&self.host, name);
                reply(Ok(value))
            }
            Act::Fail(code) => reply(Err(ScriptFailure {
                error_id: "Failed".into(),
                code,
                // A PC that repeats the secret it was given.
                message: match name {
                    "join" => format!("パスワード {DOMAIN_PASSWORD} は間違い"),
                    "store" => format!("{:?} は不可", self.world.pc(&self.host).stored.last()),
                    _ => "失敗".to_owned(),
                },
            })),
            Act::Lose => {
                self.world.simulate(&self.host, name);
                Err(SessionError::Unknown {
                    detail: "reset by peer".into(),
                })
            }
            Act::NotRun | Act::Refuse(_) | Act::Forget => Err(SessionError::NotRun {
                detail: "closed".into(),
            }),
            Act::Hang => tokio::select! {
                () = limits.cancel.cancelled() => Err(SessionError::Cancelled { sent: true }),
                () = tokio::time::sleep_until(limits.deadline) => {
                    Err(SessionError::Deadline { limit: Duration::from_secs(60) })
                }
            },
            Act::Deaf => std::future::pending().await,
            Act::Panic => panic!("the session panics as told"),
        }
    }
}

async fn sleep_or_cut(delay: Duration, cancel: &CancellationToken) -> Result<(), SessionError> {
    tokio::select! {
        () = cancel.cancelled() => Err(SessionError::Cancelled { sent: true }),
        () = tokio::time::sleep(delay) => Ok(()),
    }
}

#[async_trait]
impl Session for FakeSession {
    fn reached(&self) -> &Reached {
        &self.reached
    }

    async fn run_step(
        &mut self,
        step: &StepRequest,
        limits: &Limits,
    ) -> Result<StepReply, SessionError> {
        let up = self.world.is_up(&self.host);
        if !up || self.world.pc(&self.host).life.boot != self.boot {
            return Err(SessionError::Unknown {
                detail: "the PC is gone".into(),
            });
        }
        if step.script.name.starts_with("engine/") {
            return super::life::run_own(&self.world, &self.host, step).await;
        }
        let name = step.script.name.trim_start_matches("test/").to_owned();
        if name == "blob" {
            // It runs for another PC, whose journal has it.
            assert_eq!(self.host, "server");
            let sent = (self.host.clone(), name.clone());
            self.world.sent.lock().unwrap().push(sent);
        } else {
            self.world.watch(&self.host, &name);
        }
        let world = self.world.clone();
        let _using = (!step.credentials.is_empty())
            .then(|| Counted::new(&world.credential_users, &world.most_credential_users));
        if name == "join" {
            assert_eq!(
                step.credentials["domain"].password.reveal(),
                DOMAIN_PASSWORD
            );
            let user = world.join_user.lock().unwrap().clone();
            assert_eq!(step.credentials["domain"].user, user);
        }
        if name == "keep_blob" {
            assert_eq!(step.secrets["blob"].reveal(), MADE_BLOB);
        }
        if name == "store" {
            let secret = step.secrets["machine_password"].reveal().to_owned();
            let mut pcs = self.world.pcs.lock().unwrap();
            pcs.get_mut(&self.host).unwrap().stored.push(secret);
        }
        sleep_or_cut(self.world.pc(&self.host).delay, &limits.cancel).await?;
        match self.world.take_act(&self.host, &name) {
            Some(act) => self.act(&name, act, limits).await,
            None => {
                let answer = self.world.simulate(&self.host, &name);
                Ok(StepReply {
                    answer: Ok(answer),
                    diagnostics: Vec::new(),
                })
            }
        }
    }

    async fn exec(
        &mut self,
        command: &ExecRequest,
        limits: &Limits,
    ) -> Result<ExecOutput, SessionError> {
        assert!(matches!(command, ExecRequest::Command(_)));
        self.world.watch(&self.host, "command");
        sleep_or_cut(self.world.pc(&self.host).delay, &limits.cancel).await?;
        match self.world.take_act(&self.host, "command") {
            Some(Act::Answer(value)) => Ok(ExecOutput {
                stdout: format!("出力 {}", self.host).into_bytes(),
                stderr: Vec::new(),
                exit_code: value
                    .as_i64()
                    .and_then(|code| i32::try_from(code).ok())
                    .unwrap(),
            }),
            Some(act) => match self.act("command", act, limits).await {
                Err(error) => Err(error),
                Ok(reply) => panic!("{reply:?}"),
            },
            None => Ok(ExecOutput {
                stdout: Vec::new(),
                stderr: Vec::new(),
                exit_code: 0,
            }),
        }
    }

    async fn close(self: Box<Self>) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
