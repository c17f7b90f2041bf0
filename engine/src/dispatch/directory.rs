//! Taking one step in the directory, for one PC.

use std::sync::Arc;
use std::time::Duration;

use fleetmend_directory::{Acted, ActionError, ActionRequest, Directory};
use fleetmend_model::{DirectoryAction, HostEvent, Phase, Place, StepEnd, StepRef};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::gate::{Closed, Pass, Refusal, Role};
use super::host_task::{GRACE, Pc};
use super::recorder::Halted;
use crate::program::{Judge, StepPlan};

/// How long after a cut the directory may take to say how far it came.
const CUT_GRACE: Duration = Duration::from_secs(2);

impl Pc {
    /// Waits for leave to use the controller's account, stores the intent, acts, stores the end.
    /// Stores nothing if the account was refused or the run is to stop: the machine thinks again.
    pub(super) async fn run_action(
        &mut self,
        plan: &StepPlan,
        action: DirectoryAction,
        judge: &dyn Judge,
        (step, params): (StepRef, Map<String, Value>),
        token: CancellationToken,
    ) -> Result<(), Halted> {
        let shared = self.shared.clone();
        let pass = tokio::select! {
            biased;
            () = token.cancelled() => return Ok(()),
            () = shared.recorder.halt().cancelled() => return Err(Halted),
            entered = self.enter_directory() => match entered {
                Ok(pass) => pass,
                // The machine thinks again, and sees why.
                Err(Closed::Refused | Closed::Spared) => return Ok(()),
                Err(Closed::Doubted) => None,
            },
        };
        self.note(HostEvent::StepStarted {
            step: step.clone(),
            changes: plan.changes,
            place: plan.place(),
        })
        .await?;
        let start = Instant::now();
        let mut end = match (self.shared.directory.clone(), pass) {
            (Some(directory), Some(pass)) => {
                let request = ActionRequest {
                    host: self.host.name.clone(),
                    action,
                    params,
                    deadline: plan.deadline,
                    cancel: token,
                };
                let acted = act(directory, request).await;
                self.tell_directory_gate(&pass, &acted).await;
                self.take(plan, acted)
            }
            _ => StepEnd::NotRun {
                reason: "the controller has no directory".to_owned(),
            },
        };
        // A question whose answer does not fit counts as not answered; the PC goes on.
        if step.phase != Phase::Repair
            && let StepEnd::Answered { answer } = &end
            && let Err(error) = judge.accept(&step, answer)
        {
            end = StepEnd::Failed {
                error_id: "OddAnswer".to_owned(),
                code: None,
                message: error.to_string(),
            };
        }
        self.ended(step, end, start).await
    }

    /// Waits for leave to use the controller's account, if the run has one; a rung that was handed
    /// that account has it already.
    async fn enter_directory(&mut self) -> Result<Option<Arc<Pass>>, Closed> {
        let Some(key) = self.shared.directory_key() else {
            return Ok(None);
        };
        let mut guards = self.held.iter().filter_map(|held| held.guard.as_ref());
        if let Some((_, pass)) = guards.find(|(of, _)| *of == key) {
            return Ok(Some(pass.clone()));
        }
        let pass = self.shared.gate.enter(&key, Role::Directory).await?;
        Ok(Some(Arc::new(pass)))
    }

    /// Takes the secret that the step made, and returns how the step ended.
    fn take(&mut self, plan: &StepPlan, acted: Result<Acted, ActionError>) -> StepEnd {
        let Acted { answer, made } = match acted {
            Ok(acted) => acted,
            Err(ActionError::Failed {
                error_id,
                code,
                message,
                ..
            }) => {
                return StepEnd::Failed {
                    error_id,
                    code,
                    message,
                };
            }
            Err(ActionError::Unknown { message }) => return StepEnd::Unknown { reason: message },
        };
        match (&plan.makes, made) {
            (Some(name), Some(secret)) => {
                self.made.insert(name.clone(), secret);
            }
            (Some(name), None) => {
                return StepEnd::Unknown {
                    reason: format!("it made no {name}"),
                };
            }
            (None, _) => {}
        }
        StepEnd::Answered { answer }
    }

    /// Closes the gate on a refusal before anything else is awaited. Any other orderly end comes
    /// after the logon, or without one, as when no controller is reached; the others may then go
    /// on, for the directory itself sends no second logon before the first is accepted.
    async fn tell_directory_gate(&mut self, pass: &Pass, acted: &Result<Acted, ActionError>) {
        match acted {
            Err(ActionError::Failed {
                credential_refused: Some(code),
                ..
            }) => {
                let account = self.shared.plan.directory.clone().unwrap_or_default();
                let refusal = Refusal {
                    account,
                    host: self.host.name.clone(),
                    place: Place::Controller,
                    code: Some(*code),
                };
                if let Some(key) = self.shared.directory_key() {
                    self.shared.gate.refuse(&key, &refusal);
                    self.shared.gate.settled().await;
                }
            }
            Ok(_) | Err(ActionError::Failed { .. }) => pass.prove(),
            Err(ActionError::Unknown { .. }) => pass.used(),
        }
    }
}

/// Acts within the deadline; what does not come back, or not soon after a cut, is not known.
async fn act(directory: Arc<dyn Directory>, request: ActionRequest) -> Result<Acted, ActionError> {
    let limit = request.deadline + GRACE;
    let cancel = request.cancel.clone();
    let unknown = |message: String| Err(ActionError::Unknown { message });
    tokio::select! {
        biased;
        acted = timeout(limit, directory.act(request)) => acted.unwrap_or_else(|_| {
            unknown(format!("no answer within {limit:?}"))
        }),
        () = cut(&cancel) => unknown("cancelled".to_owned()),
    }
}

async fn cut(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(CUT_GRACE).await;
}
