//! A fresh logon at the PC, beside the session that there is: proves an account.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmend_model::{CredentialUse, HostEvent, StepEnd, StepRef};
use fleetmend_playbooks::Logon;
use fleetmend_transport::{Reached, Script, Session, StepRequest};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::host_task::{CLOSE, Pc};
use super::logon::Unmade;
use super::recorder::Halted;
use super::step::{ask, told};
use crate::connect_failure::{CREDENTIAL_REFUSED, DOMAIN_LOGON, INTERRUPTED, UNANSWERED};
use crate::machine::LOGON_REFUSED;
use crate::program::{Program, StepPlan};

/// Short codes of connections that the host refused: the account is not tried again.
pub(super) const REFUSED: [&str; 5] = [
    "logon",
    DOMAIN_LOGON,
    CREDENTIAL_REFUSED,
    "authorization",
    "no-common-method",
];

/// The error of a logon of which nothing came back after the password was sent.
pub(super) const LOGON_UNANSWERED: &str = "LogonUnanswered";

impl Pc {
    /// Stores the intent, logs on once, asks who that is, stores the end.
    pub(super) async fn run_logon(
        &mut self,
        program: &Program,
        plan: &StepPlan,
        logon: &Logon,
        step: StepRef,
        token: CancellationToken,
    ) -> Result<(), Halted> {
        self.note(HostEvent::StepStarted {
            step: step.clone(),
            changes: plan.changes,
            place: plan.place(),
        })
        .await?;
        let start = Instant::now();
        let end = if self.state.refused_logons.contains(&step) {
            let message = "the account was refused before in this run; it was not tried again";
            failed(LOGON_REFUSED, message.to_owned())
        } else {
            let shared = self.shared.clone();
            let rung = step.rung.as_deref();
            tokio::select! {
                biased;
                () = shared.recorder.halt().cancelled() => return Err(Halted),
                end = self.fresh_logon(program, plan, (logon, rung), &token) => end,
            }
        };
        self.ended(step, end, start).await
    }

    async fn fresh_logon(
        &mut self,
        program: &Program,
        plan: &StepPlan,
        (logon, rung): (&Logon, Option<&str>),
        token: &CancellationToken,
    ) -> StepEnd {
        let whose = match &logon.credential {
            Some(parameter) => self.account_of_parameter(parameter),
            None => self.account(),
        };
        let opened = match whose {
            Ok(whose) => {
                let rung = rung.unwrap_or_default().to_owned();
                let noted = self.noted(CredentialUse::Rung { rung });
                self.shared.log_on(&self.host, &whose, &noted, token).await
            }
            Err(unmade) => Err(unmade),
        };
        let mut session = match opened {
            Ok(session) => session,
            Err(unmade) => return not_opened(unmade),
        };
        let request = own_request(&program.own.account, Map::new());
        let reply = ask(session.as_mut(), &request, plan.deadline, token).await;
        let reached = session.reached().clone();
        close(session).await;
        match reply.map(told) {
            Ok(StepEnd::Answered { answer }) => StepEnd::Answered {
                answer: with_reached(answer, &reached),
            },
            Ok(end) => end,
            Err(error) => failed("LogonFailed", error.to_string()),
        }
    }
}

/// Returns the request for one of the engine's own scripts.
pub(super) fn own_request(script: &Arc<Script>, params: Map<String, Value>) -> StepRequest {
    StepRequest {
        script: script.clone(),
        params,
        secrets: BTreeMap::new(),
        credentials: BTreeMap::new(),
    }
}

/// Closes a session within its time; dropped, it ends in a task of its own.
pub(super) async fn close(session: Box<dyn Session>) {
    let _ = timeout(CLOSE, session.close()).await;
}

/// Adds over what and where a host was reached.
pub(super) fn with_reached(mut answer: Value, reached: &Reached) -> Value {
    if let Value::Object(fields) = &mut answer {
        fields.insert("address".to_owned(), reached.address.clone().into());
        let transport = serde_json::to_value(reached.transport).unwrap_or_default();
        fields.insert("transport".to_owned(), transport);
    }
    answer
}

fn not_opened((why, story): Unmade) -> StepEnd {
    match why {
        INTERRUPTED => StepEnd::NotRun { reason: story },
        why if REFUSED.contains(&why) => failed(LOGON_REFUSED, story),
        UNANSWERED => failed(LOGON_UNANSWERED, story),
        _ => failed("LogonFailed", story),
    }
}

pub(super) fn failed(error_id: &str, message: String) -> StepEnd {
    StepEnd::Failed {
        error_id: error_id.to_owned(),
        code: None,
        message,
    }
}
