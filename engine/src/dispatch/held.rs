//! Credentials in the hands of a rung.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::{Credential, CredentialRef, CredentialUse, HostEvent, Phase};
use tokio::time::{Instant, timeout};

use super::account::handed;
use super::clock::PhaseClock;
use super::gate::{Closed, DOUBTS, Key, Pass, Role};
use super::host_task::{Pc, Shared};
use super::lanes::Turn;
use super::recorder::Halted;
use crate::machine::{self, Action, Call, Ending, PcState};
use crate::program::{RungPlan, StepPlan, StepRun};

/// A credential in the hands of a rung.
pub(super) struct Held {
    pub(super) parameter: String,
    pub(super) name: CredentialRef,
    pub(super) credential: Credential,
    /// What guards it, with leave to use it; none for an account of the PC itself, which no other
    /// PC can lock.
    pub(super) guard: Option<(Key, Arc<Pass>)>,
    /// How long the PC waited at the gate for that leave.
    waited: Duration,
}

/// Whose a credential is that a rung needs, and whom it reaches.
#[derive(Clone, Copy)]
struct Reach {
    /// A step of the rung logs on with it: it is an account of this PC.
    own: bool,
    /// Every step that is given it runs on another PC.
    elsewhere: bool,
}

impl Reach {
    fn of(plan: &RungPlan, parameter: &str) -> Self {
        let own = plan.all().any(|step| match &step.run {
            StepRun::Logon(logon) => logon.credential.as_deref() == Some(parameter),
            _ => false,
        });
        let given = |step: &&StepPlan| step.credentials().any(|name| name == parameter);
        let away = |step: &StepPlan| matches!(step.run, StepRun::Elsewhere(_));
        Self {
            own,
            elsewhere: plan.all().filter(given).all(away),
        }
    }
}

impl Pc {
    /// Takes hold of the credentials of a rung that was begun before a cut; returns the parameter
    /// whose credential is not to be had.
    pub(super) async fn hold_again(&mut self) -> Result<Result<(), String>, Halted> {
        let rung = self.state.rung.as_ref().map(|rung| rung.id.clone());
        let rung = rung.unwrap_or_default();
        let program = self.shared.plan.program(&self.host).cloned();
        let Some(plan) = program.as_ref().and_then(|all| all.rungs.get(&rung)) else {
            return Ok(Ok(()));
        };
        let given = plan.steps.iter().flat_map(StepPlan::credentials);
        for parameter in self.to_hold(given) {
            match self.hold(plan, &parameter).await {
                Ok(Some(held)) => self.held.push(held),
                Ok(None) | Err(_) => {
                    self.held.clear();
                    return Ok(Err(parameter));
                }
            }
        }
        self.note_held(&rung).await.map(Ok)
    }

    /// Waits until the PC may restart, if the rung restarts it, takes hold of the credentials that
    /// the rung needs, then notes its beginning. Returns the PC's ending if a credential is not to
    /// be had; notes nothing if the machine must think again.
    pub(super) async fn start_rung(
        &mut self,
        rung: String,
        caution: Option<String>,
    ) -> Result<Option<Ending>, Halted> {
        self.held.clear();
        self.made.clear();
        self.must_hold = false;
        let Some(program) = self.shared.plan.program(&self.host).cloned() else {
            return Ok(None);
        };
        let Some(plan) = program.rungs.get(&rung) else {
            return Ok(None);
        };
        match self.take_dc().await? {
            Turn::Now => {}
            Turn::ThinkAgain => return Ok(None),
            Turn::End(ending) => return Ok(Some(ending)),
        }
        if plan.reboots() {
            match self.take_lane(&program).await? {
                Turn::Now => {}
                Turn::ThinkAgain => return Ok(None),
                Turn::End(ending) => return Ok(Some(ending)),
            }
        } else {
            self.lane = None;
        }
        let given = plan.steps.iter().flat_map(StepPlan::credentials);
        let given = self.to_hold(given);
        match self.hold_all(plan, given).await {
            Turn::Now => {}
            Turn::ThinkAgain => return Ok(None),
            Turn::End(ending) => return Ok(Some(ending)),
        }
        // The hours for restarts, of which it needs enough, go on while it waits.
        let still = matches!(
            self.next(),
            Action::Note(HostEvent::RungStarted { rung: now, .. }) if now == rung
        );
        if !still {
            self.held.clear();
            self.lane = None;
            return Ok(None);
        }
        self.clock = PhaseClock::default();
        self.note_held(&rung).await?;
        self.note(HostEvent::RungStarted { rung, caution })
            .await
            .map(|()| None)
    }

    /// Takes hold of the credentials that a step of a preflight needs. Returns false if the
    /// machine must think again, or the PC's ending.
    pub(super) async fn hold_for_preflight(
        &mut self,
        call: &Call,
    ) -> Result<Result<bool, Ending>, Halted> {
        let rung = call
            .step
            .rung
            .as_ref()
            .filter(|_| call.step.phase == Phase::Preflight);
        let program = self.shared.plan.program(&self.host).cloned();
        let plan = program
            .as_ref()
            .and_then(|program| Some((program.rungs.get(rung?)?, program.step(&call.step)?)));
        let Some((plan, step)) = plan else {
            return Ok(Ok(true));
        };
        self.held.clear();
        let given = self.to_hold(step.credentials());
        match self.hold_all(plan, given).await {
            Turn::Now => {}
            Turn::ThinkAgain => return Ok(Ok(false)),
            Turn::End(ending) => return Ok(Err(ending)),
        }
        let rung = rung.map(String::as_str).unwrap_or_default();
        self.note_held(rung).await?;
        Ok(Ok(true))
    }

    /// Returns the parameters of which hold must be taken: each once, without those that nobody
    /// set, whose steps are left out.
    fn to_hold<'a>(&self, parameters: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let set = |name: &&str| {
            let value = self.situation.params.get(*name);
            value.is_some_and(|value| !value.is_null())
        };
        parameters.filter(set).map(str::to_owned).collect()
    }

    /// Takes hold of the credentials of these parameters. A PC that waited long for them gives all
    /// back: who works at it, and what else was found, may have changed while others tried the
    /// account.
    async fn hold_all(&mut self, plan: &RungPlan, parameters: BTreeSet<String>) -> Turn {
        let mut waited = Duration::ZERO;
        for parameter in parameters {
            match self.hold(plan, &parameter).await {
                Ok(Some(held)) => {
                    waited += held.waited;
                    self.held.push(held);
                }
                Ok(None) => {
                    self.held.clear();
                    return Turn::ThinkAgain;
                }
                Err(lack) => return Turn::End(lack.ending(&self.state, &parameter)),
            }
        }
        if waited >= self.shared.plan.limits.restart.facts {
            self.held.clear();
            // Others may restart while this one is looked at.
            self.lane = None;
            self.aged = true;
            return Turn::ThinkAgain;
        }
        Turn::Now
    }

    /// Returns the credential with leave to use it; `None` when the gate is closed or the run
    /// is to stop.
    async fn hold(&mut self, plan: &RungPlan, parameter: &str) -> Result<Option<Held>, Lack> {
        let Some(name) = self.credential_name(parameter) else {
            return Err(Lack::Missing(format!(
                "the parameter {parameter} names no credential"
            )));
        };
        let reach = Reach::of(plan, parameter);
        let allowed = self.situation.credentials_for_pcs.contains(parameter);
        if !(allowed || reach.own || reach.elsewhere) {
            return Err(Lack::Missing(format!(
                "the credential {name} is not among those of the run that may reach PCs"
            )));
        }
        if !(reach.own || self.shared.gate.knows(&name)) {
            return Err(Lack::Missing(format!(
                "the credential {name} is not among those of the run"
            )));
        }
        // Which account it is must be known before it may be used: that is what can be locked.
        let found = tokio::select! {
            biased;
            () = self.shared.soft.cancelled() => return Ok(None),
            found = timeout(
                self.shared.plan.limits.credential,
                self.shared.credentials.credential(&name, &self.host),
            ) => found,
        };
        let credential = match found {
            Ok(Ok(credential)) => credential,
            Ok(Err(error)) => return Err(Lack::Missing(error.to_string())),
            Err(_) => {
                return Err(Lack::Missing(format!(
                    "the credential {name} did not come in time"
                )));
            }
        };
        let mut guard = None;
        let asked = Instant::now();
        if !reach.own {
            let key = handed(&credential.user, &name, &self.host);
            self.keys.insert(parameter.to_owned(), key.clone());
            // Under another name the rung may hold it already, and would wait for itself.
            let guards = self.held.iter().filter_map(|held| held.guard.as_ref());
            let mut same = guards.filter(|(of, _)| *of == key).map(|(_, pass)| pass);
            guard = match same.next().cloned() {
                Some(pass) => Some((key, pass)),
                None => match self.shared.enter(&key, &credential).await {
                    None | Some(Err(Closed::Refused | Closed::Spared)) => return Ok(None),
                    Some(Err(Closed::Doubted)) => return Err(Lack::Unproven(name)),
                    Some(Ok(pass)) => Some((key, Arc::new(pass))),
                },
            };
        }
        Ok(Some(Held {
            parameter: parameter.to_owned(),
            name,
            credential,
            guard,
            waited: asked.elapsed(),
        }))
    }

    /// Stores of every credential in the rung's hands that it is about to be used.
    async fn note_held(&mut self, rung: &str) -> Result<(), Halted> {
        for held in self.held.iter().filter(|held| held.guard.is_some()) {
            let rung = rung.to_owned();
            let noted = self.noted(CredentialUse::Rung { rung });
            let shared = &self.shared;
            let stored = shared.note_use(&held.name, &held.credential, &noted).await;
            stored.map_err(|_| Halted)?;
        }
        Ok(())
    }
}

impl Shared {
    /// Waits for leave to hand an account to a rung; nothing if the run is to stop.
    async fn enter(&self, key: &Key, credential: &Credential) -> Option<Result<Pass, Closed>> {
        tokio::select! {
            biased;
            () = self.soft.cancelled() => None,
            pass = self.gate.enter(key, Role::Handed(&credential.password)) => Some(pass),
        }
    }
}

/// Why a rung does not get its credential.
enum Lack {
    Missing(String),
    Unproven(CredentialRef),
}

impl Lack {
    fn ending(self, state: &PcState, parameter: &str) -> Ending {
        let (guard, reason, next) = match self {
            Self::Missing(reason) => (
                "credential-missing",
                reason,
                format!("provide the credential of the parameter {parameter}"),
            ),
            Self::Unproven(name) => (
                "credential-unproven",
                format!(
                    "the credential {name} was used on {DOUBTS} PCs and none could tell whether \
                     it works; it was not used here, so that it is not locked"
                ),
                "see why the PCs on which it was used could not tell (fleetmend show), then run \
                 again"
                    .to_owned(),
            ),
        };
        machine::blocked(state, guard, reason, next)
    }
}
