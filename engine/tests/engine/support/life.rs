//! Scripted PCs that restart: which boot it is, who holds it, who may log on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fleetmend_transport::{ScriptFailure, SessionError, StepReply, StepRequest};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::World;
use super::world::{Act, Pc};

/// How a PC restarts.
#[derive(Clone, Debug)]
pub struct Life {
    /// Counts boots.
    pub boot: u64,
    /// Whether Windows tells the number.
    pub counts: bool,
    /// When it booted; long ago, if unset.
    booted: Option<Instant>,
    /// From when to when it is down.
    down: Option<(Instant, Instant)>,
    /// How long a restart takes.
    pub takes: Duration,
    /// It never comes back.
    pub lost: bool,
    /// It takes the order and stays up.
    pub stays: bool,
    /// How often it refuses logons after a restart.
    pub refusals: usize,
    /// How long after the boot Windows is busy.
    pub busy: Duration,
    /// Orders to restart that it took.
    pub orders: usize,
    /// Another controller holds it from this boot on.
    pub held_from: Option<u64>,
    /// Accounts that it refuses.
    pub refuses: &'static [&'static str],
}

impl Default for Life {
    fn default() -> Self {
        Self {
            boot: 1,
            counts: true,
            booted: None,
            down: None,
            takes: Duration::from_secs(60),
            lost: false,
            stays: false,
            refusals: 0,
            busy: Duration::from_secs(20),
            orders: 0,
            held_from: None,
            refuses: &[],
        }
    }
}

impl Life {
    /// Lets time pass; tells whether the PC is up.
    pub fn is_up(&mut self) -> bool {
        let now = Instant::now();
        match self.down {
            Some((from, _)) if now < from => true,
            Some((_, to)) if now < to || self.lost => false,
            Some((_, to)) => {
                self.boot += 1;
                self.booted = Some(to);
                self.down = None;
                true
            }
            None => true,
        }
    }

    fn order(&mut self, delay: u64) {
        self.orders += 1;
        if self.down.is_none() && !self.stays {
            let from = Instant::now() + Duration::from_secs(delay);
            self.down = Some((from, from + self.takes));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn told(&self) -> Value {
        let up = self
            .booted
            .map_or(1e6, |booted| booted.elapsed().as_secs_f64());
        let busy = self.booted.is_some() && up < self.busy.as_secs_f64();
        json!({
            "last_boot_unix": 1.7e9 + self.boot as f64 * 1e5,
            "boot_id": self.counts.then_some(self.boot),
            "uptime_seconds": up, "logon_ready": !busy, "servicing_busy": busy,
            "netlogon_running": true, "computer_name": "PC", "domain": "例.jp",
            "part_of_domain": true,
        })
    }
}

impl Pc {
    pub fn restarts(mut self, change: impl FnOnce(&mut Life)) -> Self {
        change(&mut self.life);
        self
    }
}

fn reply(answer: Result<Value, ScriptFailure>) -> Result<StepReply, SessionError> {
    Ok(StepReply {
        answer,
        diagnostics: Vec::new(),
    })
}

/// What the engine's own scripts do on a PC.
pub async fn run_own(
    world: &World,
    host: &str,
    step: &StepRequest,
) -> Result<StepReply, SessionError> {
    let name = step.script.name.trim_start_matches("engine/");
    let name = name.trim_end_matches(".ps1").to_owned();
    world.watch_own(host, &name);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let act = world.take_act(host, &format!("engine/{name}"));
    let mut pcs = world.pcs.lock().unwrap();
    let life = &mut pcs.get_mut(host).unwrap().life;
    let simulated = match name.as_str() {
        "lock" => {
            assert!(
                step.params["run"]
                    .as_str()
                    .is_some_and(|run| !run.is_empty())
            );
            let held = life.held_from.is_none_or(|from| life.boot < from);
            json!({"held": held, "error": null})
        }
        "boot" => life.told(),
        "restart" => json!({"ordered": true, "code": 0}),
        "account" => json!({
            "name": "PC\\管理者", "sid": "S-1-5-21-1-2-3-500", "local": true,
            "administrator": true, "elevated": true, "enabled": true,
            "built_in_administrator": true, "computer_name": "PC",
        }),
        other => panic!("{other}"),
    };
    let delay = || step.params["delay_seconds"].as_u64().unwrap();
    match act {
        None => {
            if name == "restart" {
                life.order(delay());
            }
            reply(Ok(simulated))
        }
        Some(Act::Answer(value)) => {
            if matches!(value["code"].as_u64(), Some(1115 | 1190)) {
                life.order(delay());
            }
            reply(Ok(value))
        }
        Some(Act::Fail(code)) => reply(Err(ScriptFailure {
            error_id: "Failed".into(),
            code,
            message: "失敗".into(),
        })),
        Some(Act::Lose) => {
            if name == "restart" {
                life.order(delay());
            }
            Err(SessionError::Unknown {
                detail: "reset by peer".into(),
            })
        }
        Some(Act::NotRun) => Err(SessionError::NotRun {
            detail: "closed".into(),
        }),
        Some(Act::Forget) => Err(SessionError::Unknown {
            detail: "lost on the way there".into(),
        }),
        Some(act) => panic!("{act:?}"),
    }
}

impl World {
    /// What must hold whenever a script of the engine's own is sent.
    fn watch_own(&self, host: &str, name: &str) {
        self.own
            .lock()
            .unwrap()
            .push((host.to_owned(), name.to_owned()));
        if self.journal.failed.load(Ordering::SeqCst) {
            self.violation(format!("{name} went to {host} after the journal failed"));
        }
        let events = self.journal.of(host);
        if !super::memory::is_amid_step(&events) {
            self.violation(format!("{name} went to {host} outside of a step"));
        }
        let ordered = super::memory::is_ordered(&events);
        if name == "restart" && !ordered {
            self.violation(format!("{host} is told to restart without its intent"));
        }
    }

    /// How often a script of the engine's own went to a PC.
    pub fn own_count(&self, name: &str) -> usize {
        let own = self.own.lock().unwrap();
        own.iter().filter(|(_, sent)| sent == name).count()
    }
}
