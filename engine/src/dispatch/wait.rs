//! Waiting for a PC that restarts. Meanwhile it has no session and no worker's slot.

use std::time::Duration;

use fleetmend_model::{Boot, HostEvent, StepEnd, StepRef};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::fresh_logon::{REFUSED, failed, own_request, with_reached};
use super::host_task::Pc;
use super::logon::{Unmade, told};
use super::reboot::{Order, Seen};
use super::recorder::Halted;
use crate::connect_failure::{AFTER_REBOOT, CREDENTIAL_REFUSED};
use crate::machine::{DID_NOT_RESTART, NOT_BACK, OTHER_CONTROLLER, is_new_boot};
use crate::own::{OWN_DEADLINE, OwnScripts};

/// How often a PC may refuse the logon after a restart: twice, for one that boots may refuse whom
/// it takes half a minute later, and two wrong passwords lock nobody.
const REFUSALS: u32 = 2;

/// A restart that is waited for.
pub(super) struct Wait {
    pub(super) step: StepRef,
    pub(super) params: Map<String, Value>,
    /// The boot that is to end.
    pub(super) before: Boot,
    /// How long after the order Windows restarts.
    pub(super) delay: Duration,
    /// How long ago the order was when the wait began.
    pub(super) since: Duration,
    /// When the wait began.
    pub(super) started: Instant,
    /// When it ends.
    pub(super) deadline: Instant,
    /// How long the PC may take, for words.
    pub(super) limit: Duration,
    /// Whether the PC has said that it took the order.
    pub(super) taken: bool,
    pub(super) token: CancellationToken,
}

impl Wait {
    fn since_order(&self) -> Duration {
        self.since + self.started.elapsed()
    }
}

/// What one look at the PC brought.
enum Look {
    /// The new boot, in a session that holds the PC.
    Back(Seen),
    /// The step's end.
    End(StepEnd),
    /// The old boot answers, in a session.
    Old(Boot),
    /// It does not answer, or not as it will, and why.
    Nothing(String),
    /// It refuses the account.
    Refused(Unmade),
}

impl Pc {
    /// Waits until the PC is back and ready; returns how the step ends. When it ended well the
    /// session is the new one, and the PC is held.
    pub(super) async fn wait_for_restart(
        &mut self,
        own: &OwnScripts,
        mut wait: Wait,
    ) -> Result<StepEnd, Halted> {
        let limits = self.shared.plan.limits.restart.clone();
        let mut pause = (wait.delay + limits.poll).saturating_sub(wait.since_order());
        let mut last = Look::Nothing("it was not looked at".to_owned());
        let mut refusals = 0;
        loop {
            self.give_up_session().await;
            if self.rest(pause.max(limits.poll), &wait).await?.is_none() {
                return Ok(cut());
            }
            if Instant::now() >= wait.deadline {
                return self.too_late(&wait, last).await;
            }
            pause = limits.poll;
            last = self.look(own, &wait).await?;
            match &last {
                Look::Back(seen) => {
                    let seen = *seen;
                    return self.back(&wait, seen).await;
                }
                Look::End(end) => return Ok(end.clone()),
                Look::Nothing(_) => {}
                Look::Old(boot) => {
                    let lost = wait.delay + limits.lost;
                    if !wait.taken && wait.since_order() > lost {
                        let boot = *boot;
                        if let Some(end) = self.order_again(own, &mut wait, boot).await? {
                            return Ok(end);
                        }
                        pause = wait.delay + limits.poll;
                    }
                }
                Look::Refused((why, reason)) => {
                    refusals += 1;
                    let closed = [CREDENTIAL_REFUSED, "no-credential", "settings"].contains(why);
                    if closed || refusals >= REFUSALS {
                        let (why, reason) = (*why, reason.clone());
                        return self.not_back(why, reason).await;
                    }
                    pause = limits.refused;
                }
            }
        }
    }

    /// Waits; nothing if the run is to be cut.
    async fn rest(&mut self, pause: Duration, wait: &Wait) -> Result<Option<()>, Halted> {
        let left = wait.deadline.saturating_duration_since(Instant::now());
        tokio::select! {
            biased;
            () = self.shared.recorder.halt().cancelled() => Err(Halted),
            () = wait.token.cancelled() => Ok(None),
            () = sleep(pause.min(left)) => Ok(Some(())),
        }
    }

    /// Asks whether anything answers, logs on, and looks which boot it is.
    async fn look(&mut self, own: &OwnScripts, wait: &Wait) -> Result<Look, Halted> {
        let shared = self.shared.clone();
        tokio::select! {
            biased;
            () = shared.recorder.halt().cancelled() => Err(Halted),
            () = wait.token.cancelled() => Ok(Look::End(cut())),
            look = self.look_in(own, wait) => Ok(look),
        }
    }

    async fn look_in(&mut self, own: &OwnScripts, wait: &Wait) -> Look {
        let time = self.shared.plan.limits.connect;
        if let Err(error) = self.probe(time, &wait.token).await {
            return Look::Nothing(told(&error).1);
        }
        if let Err(error) = self.take_worker(&wait.token).await {
            return Look::Nothing(told(&error).1);
        }
        match self.log_on(&wait.token).await {
            Ok(session) => self.session = Some(session),
            Err(unmade) if refuses(unmade.0) => return Look::Refused(unmade),
            Err((_, story)) => return Look::Nothing(story),
        }
        self.settle(own, wait).await
    }

    /// Waits in the session until the new boot is ready.
    async fn settle(&mut self, own: &OwnScripts, wait: &Wait) -> Look {
        let limits = self.shared.plan.limits.restart.clone();
        let until = (Instant::now() + limits.settle).min(wait.deadline);
        let mut held = false;
        loop {
            let seen = match self.read_boot(own, &wait.token).await {
                Ok(seen) => seen,
                // A script that fails may do better once Windows is up.
                Err(end) if self.session.is_none() => return Look::Nothing(reason(end)),
                Err(end) if Instant::now() >= until => return Look::Nothing(reason(end)),
                Err(_) => {
                    sleep(limits.poll).await;
                    continue;
                }
            };
            if !is_new_boot(&wait.before, &seen.boot, wait.since_order()) {
                return Look::Old(seen.boot);
            }
            let late = Instant::now() >= until;
            if !held {
                held = match self.take_hold(own, wait).await {
                    Ok(held) => held,
                    Err(reason) => return Look::Nothing(reason),
                };
            }
            if held && (seen.is_ready() || late) {
                return Look::Back(seen);
            }
            if late {
                let message = "the PC is back, but another controller has taken hold of it";
                return Look::End(failed(OTHER_CONTROLLER, message.to_owned()));
            }
            sleep(limits.poll).await;
        }
    }

    /// Holds the PC against other controllers, as before the restart; or why the session is lost.
    async fn take_hold(&mut self, own: &OwnScripts, wait: &Wait) -> Result<bool, String> {
        let crate::StepRun::Script(script) = &own.lock.run else {
            return Ok(false);
        };
        let request = own_request(script, self.lock_params());
        match self.send(&request, OWN_DEADLINE, &wait.token).await {
            StepEnd::Answered { answer } => Ok(answer.get("held") == Some(&Value::Bool(true))),
            StepEnd::Failed { .. } => Ok(false),
            end => Err(reason(end)),
        }
    }

    /// Stores over what the PC is reached now, and returns the step's answer.
    async fn back(&mut self, wait: &Wait, seen: Seen) -> Result<StepEnd, Halted> {
        let Some(reached) = self
            .session
            .as_ref()
            .map(|session| session.reached().clone())
        else {
            return Ok(cut());
        };
        self.note(HostEvent::Connected {
            transport: reached.transport,
            address: reached.address.clone(),
        })
        .await?;
        let answer = json!({
            "before": wait.before,
            "after": seen.boot,
            "seconds": wait.since_order().as_secs_f64(),
            "ready": seen.is_ready(),
            "logon_ready": seen.logon_ready,
            "servicing_busy": seen.servicing_busy,
        });
        Ok(StepEnd::Answered {
            answer: with_reached(answer, &reached),
        })
    }

    /// Orders the restart again that the PC seems never to have heard of; the step's end if it
    /// does not restart.
    async fn order_again(
        &mut self,
        own: &OwnScripts,
        wait: &mut Wait,
        boot: Boot,
    ) -> Result<Option<StepEnd>, Halted> {
        let step = (&wait.step, &wait.params);
        let order = self.order(own, step, boot, &wait.token).await?;
        wait.since = Duration::ZERO;
        wait.started = Instant::now();
        match order {
            Order::Taken(delay) => (wait.taken, wait.delay) = (true, delay),
            Order::Unheard => {}
            // It was never sent; the next look may find a better session.
            Order::Not(StepEnd::NotRun { .. }) => {}
            Order::Not(end) => return Ok(Some(end)),
        }
        Ok(None)
    }

    async fn too_late(&mut self, wait: &Wait, last: Look) -> Result<StepEnd, Halted> {
        let limit = humantime(wait.limit);
        let reason = match last {
            Look::Old(_) => {
                let message = format!("the PC still runs its old boot {limit} after the order");
                return Ok(failed(DID_NOT_RESTART, message));
            }
            Look::Refused((why, reason)) => return self.not_back(why, reason).await,
            Look::Nothing(reason) => reason,
            Look::Back(_) => String::new(),
            Look::End(end) => return Ok(end),
        };
        let reason = format!("it did not come back within {limit} of its restart: {reason}");
        self.not_back(AFTER_REBOOT, reason).await
    }

    async fn not_back(&mut self, why: &str, reason: String) -> Result<StepEnd, Halted> {
        self.note(HostEvent::ConnectFailed {
            why: why.to_owned(),
            reason: reason.clone(),
        })
        .await?;
        Ok(failed(NOT_BACK, reason))
    }
}

/// Tells whether the code means that asking again is not for the PC to decide.
fn refuses(why: &str) -> bool {
    REFUSED.contains(&why) || ["identity", "no-credential", "settings"].contains(&why)
}

fn cut() -> StepEnd {
    StepEnd::Unknown {
        reason: "cancelled".to_owned(),
    }
}

fn reason(end: StepEnd) -> String {
    match end {
        StepEnd::NotRun { reason } | StepEnd::Unknown { reason } => reason,
        StepEnd::Failed { message, .. } => message,
        StepEnd::Answered { .. } => String::new(),
    }
}

/// Returns whole minutes, or seconds below two of them.
fn humantime(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
