//! Running a step for one PC on another one of the inventory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fleetmend_model::{CredentialUse, Host, HostEvent, HostName, Platform, StepEnd};
use fleetmend_transport::{Script, Session, StepRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::attempt::{Noted, Whose};
use super::fresh_logon::{REFUSED, close};
use super::host_task::{Pc, Shared};
use super::logon::Unmade;
use super::recorder::Halted;
use super::step::{ask, lost, told};
use crate::connect_failure::INTERRUPTED;
use crate::machine::Call;
use crate::program::StepPlan;

/// How many sessions at once one such PC is given: a small server bears them, and Windows allows
/// thirty shells an account.
const AT_ONCE: usize = 4;

/// Who may use which PC on which steps for others run.
///
/// The first logon at each goes alone, and a refused one closes it for the whole run: else a wrong
/// password would be tried there once for every PC of the fleet.
#[derive(Debug, Default)]
pub(super) struct Elsewhere(Mutex<BTreeMap<HostName, Arc<Site>>>);

#[derive(Debug)]
struct Site {
    permits: Arc<Semaphore>,
    proven: AtomicBool,
    refused: OnceLock<String>,
}

impl Elsewhere {
    fn site(&self, name: &HostName) -> Arc<Site> {
        let mut sites = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let site = sites.entry(name.clone()).or_insert_with(|| {
            Arc::new(Site {
                permits: Arc::new(Semaphore::new(1)),
                proven: AtomicBool::new(false),
                refused: OnceLock::new(),
            })
        });
        site.clone()
    }
}

impl Site {
    /// Waits for a place; returns why there is none any more.
    async fn enter(&self) -> Result<OwnedSemaphorePermit, String> {
        let permit = self.permits.clone().acquire_owned().await;
        let closed = || "it is closed".to_owned();
        match self.refused.get() {
            Some(why) => Err(format!("{why}; it was not tried again")),
            None => permit.map_err(|_| closed()),
        }
    }

    fn told(&self, opened: &Result<Box<dyn Session>, Unmade>) {
        match opened {
            Ok(_) if !self.proven.swap(true, Ordering::Relaxed) => {
                self.permits.add_permits(AT_ONCE - 1);
            }
            Err((why, story)) if REFUSED.contains(why) => {
                let _ = self.refused.set(story.clone());
            }
            Ok(_) | Err(_) => {}
        }
    }
}

impl Pc {
    /// Stores the intent, logs on at the other PC, runs the script there, stores the end.
    pub(super) async fn run_elsewhere(
        &mut self,
        plan: &StepPlan,
        script: &Arc<Script>,
        call: Call,
        token: CancellationToken,
    ) -> Result<(), Halted> {
        let Call {
            step, on, params, ..
        } = call;
        let start = Instant::now();
        let prepared = self
            .other(on)
            .and_then(|other| Ok((other, self.request(plan, script.clone(), params)?)));
        let (other, request) = match prepared {
            Ok(prepared) => prepared,
            Err(end) => return self.ended(step, end, start).await,
        };
        self.note(HostEvent::StepStarted {
            step: step.clone(),
            changes: plan.changes,
            place: plan.place(),
        })
        .await?;
        let start = Instant::now();
        let shared = self.shared.clone();
        let rung = step.rung.clone().unwrap_or_default();
        let on = other.name.clone();
        let noted = self.noted(CredentialUse::Elsewhere { rung, on });
        let mut end = tokio::select! {
            biased;
            () = shared.recorder.halt().cancelled(), if !plan.changes => return Err(Halted),
            end = shared.run_on(&other, plan, &request, (&noted, &token)) => end,
        };
        self.take_made(plan, &mut end);
        self.tell_gate(plan, &end);
        self.ended(step, end, start).await
    }

    /// Returns the PC of that name.
    fn other(&self, name: Option<HostName>) -> Result<Arc<Host>, StepEnd> {
        let not_run = |reason: String| Err(StepEnd::NotRun { reason });
        let Some(name) = name else {
            return not_run("it is not said on which PC it runs".to_owned());
        };
        match self.shared.plan.elsewhere.get(&name) {
            Some(host) if host.platform == Platform::Windows => Ok(host.clone()),
            Some(_) => not_run(format!("{name}, on which it runs, is no Windows host")),
            None => not_run(format!(
                "the inventory has no {name}, on which it is to run"
            )),
        }
    }
}

impl Shared {
    async fn run_on(
        &self,
        host: &Arc<Host>,
        plan: &StepPlan,
        request: &StepRequest,
        (noted, token): (&Noted<'_>, &CancellationToken),
    ) -> StepEnd {
        let not_run = |why: &str| StepEnd::NotRun {
            reason: format!("{} could not be used: {why}", host.name),
        };
        let site = self.elsewhere.site(&host.name);
        let entered = tokio::select! {
            biased;
            () = token.cancelled() => return not_run("cancelled"),
            entered = site.enter() => entered,
        };
        let _permit = match entered {
            Ok(permit) => permit,
            Err(why) => return not_run(&why),
        };
        // Others wait for this place: whoever waits here for an account that one of them holds
        // would wait for ever.
        let logon = self.log_on(host, &Whose::Host, noted, token);
        let opened = match timeout(self.plan.limits.phase, logon).await {
            Ok(opened) => opened,
            Err(_) => return not_run("its account was in use for too long"),
        };
        site.told(&opened);
        let mut session = match opened {
            Ok(session) => session,
            Err((INTERRUPTED, _)) => return not_run("cancelled"),
            Err((_, story)) => return not_run(&story),
        };
        let reply = ask(session.as_mut(), request, plan.deadline, token).await;
        close(session).await;
        match reply {
            Ok(reply) => told(reply),
            Err(error) => lost(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_refusal_closes_it_for_all() {
        let elsewhere = Elsewhere::default();
        let site = elsewhere.site(&HostName("dc1".into()));
        let first = site.enter().await.unwrap();
        assert!(site.permits.try_acquire().is_err(), "the first goes alone");
        site.told(&Err(("timed-out", "no answer".to_owned())));
        drop(first);
        let second = site.enter().await.unwrap();
        site.told(&Err(("logon", "拒否されました".to_owned())));
        drop(second);
        let again = elsewhere.site(&HostName("dc1".into())).enter().await;
        assert!(again.unwrap_err().contains("拒否"));
        let other = elsewhere.site(&HostName("dc2".into()));
        assert!(other.enter().await.is_ok());
    }
}
