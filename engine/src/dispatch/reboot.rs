//! Restarting a PC: which boot it is, the order, and going on after a cut.

use std::time::Duration;

use fleetmend_model::{Boot, HostEvent, StepEnd, StepRef};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clock::PhaseClock;
use super::fresh_logon::{failed, own_request};
use super::host_task::Pc;
use super::recorder::Halted;
use super::wait::Wait;
use crate::machine::{Call, RESTART_REFUSED, SOMEBODY_LOGGED_ON};
use crate::own::{OWN_DEADLINE, OwnScripts};
use crate::program::{Program, StepPlan};

/// Win32: a shutdown is in progress; one is scheduled already (field notes, 2.3).
const SHUTDOWN_IN_PROGRESS: i64 = 1115;
const SHUTDOWN_IS_SCHEDULED: i64 = 1190;

/// The parameter that lets it happen although somebody is logged on.
const EVEN_IF: &str = "even_if_logged_on";

/// What came of an order to restart.
pub(super) enum Order {
    /// Windows is to restart, after so long.
    Taken(Duration),
    /// Nobody knows whether the order came: the wait tells.
    Unheard,
    /// It does not restart: how the step ends.
    Not(StepEnd),
}

/// What a PC says of its boot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) boot: Boot,
    pub(super) logon_ready: Option<bool>,
    pub(super) servicing_busy: Option<bool>,
}

impl Seen {
    fn of(answer: &Value) -> Option<Self> {
        let flag = |name: &str| answer.get(name).and_then(Value::as_bool);
        Some(Self {
            boot: Boot {
                last_boot_unix: answer.get("last_boot_unix")?.as_f64()?,
                boot_id: answer.get("boot_id").and_then(Value::as_u64),
                uptime_seconds: answer.get("uptime_seconds")?.as_f64()?,
            },
            logon_ready: flag("logon_ready"),
            servicing_busy: flag("servicing_busy"),
        })
    }

    /// Tells whether Windows takes logons and is not at work on updates. What it cannot tell, as
    /// in the first moments, is not so.
    pub(super) fn is_ready(&self) -> bool {
        self.logon_ready == Some(true) && self.servicing_busy == Some(false)
    }
}

impl Pc {
    /// Stores the intent, notes the boot, orders the restart, waits for the PC, stores the end.
    pub(super) async fn run_reboot(
        &mut self,
        program: &Program,
        plan: &StepPlan,
        call: Call,
        token: CancellationToken,
    ) -> Result<(), Halted> {
        let Call { step, params, .. } = call;
        self.note(HostEvent::StepStarted {
            step: step.clone(),
            changes: plan.changes,
            place: plan.place(),
        })
        .await?;
        let start = Instant::now();
        let before = match self.read_boot(&program.own, &token).await {
            Ok(seen) => seen.boot,
            // It changes nothing: whatever was lost, the PC is as it was.
            Err(StepEnd::Unknown { reason }) => {
                let end = StepEnd::NotRun { reason };
                return self.ended(step, end, start).await;
            }
            Err(end) => return self.ended(step, end, start).await,
        };
        let order = self
            .order(&program.own, (&step, &params), before, &token)
            .await?;
        let (taken, delay) = match order {
            Order::Taken(delay) => (true, delay),
            Order::Unheard => (false, self.delay(&params)),
            Order::Not(end) => return self.ended(step, end, start).await,
        };
        let wait = Wait {
            step: step.clone(),
            params,
            before,
            delay,
            since: Duration::ZERO,
            started: start,
            deadline: Instant::now() + delay + plan.deadline,
            limit: plan.deadline,
            taken,
            token,
        };
        let end = self.wait_for_restart(&program.own, wait).await?;
        self.clock = PhaseClock::default();
        self.ended(step, end, start).await
    }

    /// Waits for a PC that was told to restart before the run was cut, and stores the step's end.
    pub(super) async fn await_reboot(&mut self, call: Call) -> Result<(), Halted> {
        let Call { step, params, .. } = call;
        let start = Instant::now();
        let program = self.shared.plan.program(&self.host).cloned();
        let plan = program.as_ref().and_then(|program| program.step(&step));
        let ordered = self.state.awaited().cloned();
        let (Some(program), Some(plan), Some(ordered)) = (&program, plan, ordered) else {
            let reason = "the journal does not tell which restart it was".to_owned();
            return self.ended(step, StepEnd::Unknown { reason }, start).await;
        };
        let delay = self.delay(&params);
        let since = Timestamp::now().duration_since(ordered.at);
        let since = Duration::try_from(since).unwrap_or_default();
        let wait = Wait {
            step: step.clone(),
            params,
            before: ordered.boot,
            delay,
            since,
            started: start,
            deadline: start + delay.saturating_sub(since) + plan.deadline,
            limit: plan.deadline,
            taken: false,
            token: self.shared.hard.clone(),
        };
        let end = self.wait_for_restart(&program.own, wait).await?;
        self.clock = PhaseClock::default();
        self.ended(step, end, start).await
    }

    /// Returns how long after the order Windows restarts at the latest: where somebody may be
    /// logged on.
    fn delay(&self, params: &Map<String, Value>) -> Duration {
        if params.get(EVEN_IF) == Some(&Value::Bool(false)) {
            return self.shared.plan.limits.restart.delay;
        }
        let minutes = params.get("grace_minutes").and_then(Value::as_u64);
        let grace = Duration::from_secs(minutes.unwrap_or(0).min(60) * 60);
        grace.max(self.shared.plan.limits.restart.delay)
    }

    /// Asks which boot it is. Stores nothing.
    pub(super) async fn read_boot(
        &mut self,
        own: &OwnScripts,
        token: &CancellationToken,
    ) -> Result<Seen, StepEnd> {
        let request = own_request(&own.boot, Map::new());
        match self.send(&request, OWN_DEADLINE, token).await {
            StepEnd::Answered { answer } => Seen::of(&answer)
                .ok_or_else(|| failed("OddAnswer", format!("it does not tell its boot: {answer}"))),
            end => Err(end),
        }
    }

    /// Stores the intent and orders the restart.
    pub(super) async fn order(
        &mut self,
        own: &OwnScripts,
        (step, params): (&StepRef, &Map<String, Value>),
        boot: Boot,
        token: &CancellationToken,
    ) -> Result<Order, Halted> {
        self.note(HostEvent::RebootOrdered {
            step: step.clone(),
            boot,
            ordered: Timestamp::now(),
        })
        .await?;
        let message = params.get("message").cloned().unwrap_or_default();
        let (longest, at_once) = (self.delay(params), self.shared.plan.limits.restart.delay);
        let seconds = |delay: Duration| delay.as_secs().max(2);
        let asked = json!({
            "delay_seconds": seconds(longest),
            "at_once_seconds": seconds(at_once),
            "message": message,
            EVEN_IF: params.get(EVEN_IF) == Some(&Value::Bool(true)),
        });
        let asked = asked.as_object().cloned().unwrap_or_default();
        let request = own_request(&own.restart, asked);
        let end = self.send(&request, OWN_DEADLINE, token).await;
        let empty = matches!(&end, StepEnd::Answered { answer }
            if answer.get("users").and_then(Value::as_u64) == Some(0));
        Ok(judge_order(end, if empty { at_once } else { longest }))
    }
}

/// Why nothing was ordered, if the PC found somebody at it.
fn not_alone(answer: &Value) -> Option<Order> {
    let not_asked = answer.get("code") == Some(&Value::Null);
    let who = match answer.get("users").and_then(Value::as_u64) {
        Some(1) => "somebody is logged on".to_owned(),
        Some(users) => format!("{users} people are logged on"),
        None => "it is not known whether somebody is logged on".to_owned(),
    };
    let message = format!("{who}, so the PC was not restarted; it waits for its next restart");
    not_asked.then(|| Order::Not(failed(SOMEBODY_LOGGED_ON, message)))
}

fn judge_order(end: StepEnd, delay: Duration) -> Order {
    let refused = |code: Option<i64>, message: String| {
        Order::Not(StepEnd::Failed {
            error_id: RESTART_REFUSED.to_owned(),
            code,
            message,
        })
    };
    match end {
        StepEnd::Answered { answer } => match answer.get("code").and_then(Value::as_i64) {
            Some(0 | SHUTDOWN_IN_PROGRESS | SHUTDOWN_IS_SCHEDULED) => Order::Taken(delay),
            code => not_alone(&answer).unwrap_or_else(|| {
                refused(code, "Windows did not take the order to restart".to_owned())
            }),
        },
        StepEnd::Failed { code, message, .. } => refused(code, message),
        StepEnd::Unknown { .. } => Order::Unheard,
        StepEnd::NotRun { .. } => Order::Not(end),
    }
}
