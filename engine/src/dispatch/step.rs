//! Running one step on one PC.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetmend_model::{HostEvent, Place, Secret, StepEnd, StepRef};
use fleetmend_playbooks::SecretFrom;
use fleetmend_transport::{
    ExecOutput, Limits, Script, Session, SessionError, StepReply, StepRequest,
};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::gate::Refusal;
use super::host_task::{GRACE, Pc, millis};
use super::recorder::Halted;
use super::scrub::scrub;
use crate::machine::{self, Call};
use crate::own::is_lock;
use crate::program::{ExecJob, Job, Program, StepPlan, StepRun};

/// How much of each stream of a command by hand the journal keeps.
const KEPT_OUTPUT: usize = 64 * 1024;

/// The field in which a script answers the secret that it made.
const MADE: &str = "made";

impl Pc {
    /// Waits as long as the call says, stores the intent, sends, stores the end.
    pub(super) async fn run(&mut self, call: Call) -> Result<(), Halted> {
        let token = if call.shielded {
            self.shared.hard.clone()
        } else {
            self.shared.soft.clone()
        };
        tokio::select! {
            biased;
            () = token.cancelled(), if !call.pause.is_zero() => return Ok(()),
            () = self.shared.recorder.halt().cancelled() => return Err(Halted),
            () = tokio::time::sleep(call.pause) => {}
        }
        self.clock.note(&call.step);
        match self.shared.plan.job.clone() {
            Job::Exec(job) => self.run_exec(&job, call.step, token).await,
            Job::Playbook(programs) => match programs.on(self.host.platform) {
                Some(program) => self.run_step(program, call, token).await,
                // No such PC is worked on.
                None => Err(Halted),
            },
        }
    }

    async fn run_step(
        &mut self,
        program: &Program,
        call: Call,
        token: CancellationToken,
    ) -> Result<(), Halted> {
        let Some(plan) = program.step(&call.step) else {
            let reason = "the playbook has no such step".to_owned();
            return self
                .ended(call.step, StepEnd::NotRun { reason }, Instant::now())
                .await;
        };
        match &plan.run {
            StepRun::Script(script) => self.run_script(plan, script, call, token).await,
            StepRun::Action(action) => {
                let judge = program.judge.as_ref();
                self.run_action(plan, *action, judge, (call.step, call.params), token)
                    .await
            }
            StepRun::Reboot => Box::pin(self.run_reboot(program, plan, call, token)).await,
            StepRun::Logon(logon) => {
                Box::pin(self.run_logon(program, plan, logon, call.step, token)).await
            }
            StepRun::Elsewhere(script) => {
                Box::pin(self.run_elsewhere(plan, script, call, token)).await
            }
        }
    }

    async fn run_script(
        &mut self,
        plan: &StepPlan,
        script: &Arc<Script>,
        Call {
            step, mut params, ..
        }: Call,
        token: CancellationToken,
    ) -> Result<(), Halted> {
        if is_lock(&step) {
            params = self.lock_params();
        }
        let start = Instant::now();
        let request = match self.request(plan, script.clone(), params) {
            Ok(request) => request,
            // Never announced: it certainly did not come to the PC.
            Err(end) => return self.ended(step, end, start).await,
        };
        self.note(HostEvent::StepStarted {
            step: step.clone(),
            changes: plan.changes,
            place: plan.place(),
        })
        .await?;
        let start = Instant::now();
        let mut end = self.send(&request, plan.deadline, &token).await;
        self.take_made(plan, &mut end);
        self.tell_gate(plan, &end);
        self.ended(step, end, start).await
    }

    /// Takes the secret that a script has made out of its answer.
    pub(super) fn take_made(&mut self, plan: &StepPlan, end: &mut StepEnd) {
        let (Some(name), StepEnd::Answered { answer }) = (&plan.makes, end) else {
            return;
        };
        let Some(made) = answer.get_mut(MADE) else {
            return;
        };
        // Null is what its schema allows beside the secret.
        if let Value::String(secret) = made.take() {
            self.made.insert(name.clone(), Secret::new(secret));
        }
    }

    /// Returns the parameters with which a PC is held.
    pub(super) fn lock_params(&self) -> Map<String, Value> {
        let run = Value::from(self.shared.run.to_string());
        [("run".to_owned(), run)].into_iter().collect()
    }

    /// Builds the request with the secrets that the step needs. One that was made by an earlier
    /// step is gone if the run was cut in between.
    pub(super) fn request(
        &self,
        plan: &StepPlan,
        script: Arc<Script>,
        params: Map<String, Value>,
    ) -> Result<StepRequest, StepEnd> {
        let mut credentials = BTreeMap::new();
        let mut secrets = BTreeMap::new();
        for (name, from) in &plan.secrets {
            match from {
                SecretFrom::Credential(parameter) => {
                    let held = self.held.iter().find(|held| held.parameter == *parameter);
                    let Some(held) = held else {
                        return Err(StepEnd::NotRun {
                            reason: format!("the credential {parameter} that it needs is not set"),
                        });
                    };
                    credentials.insert(name.clone(), held.credential.clone());
                }
                SecretFrom::Made(made) => {
                    let Some(secret) = self.made.get(made) else {
                        return Err(StepEnd::NotRun {
                            reason: format!("the secret {made} that it needs is gone"),
                        });
                    };
                    secrets.insert(name.clone(), secret.clone());
                }
            }
        }
        Ok(StepRequest {
            script,
            params,
            secrets,
            credentials,
        })
    }

    pub(super) async fn send(
        &mut self,
        request: &StepRequest,
        deadline: Duration,
        token: &CancellationToken,
    ) -> StepEnd {
        let Some(session) = self.session.as_mut() else {
            return StepEnd::NotRun {
                reason: "there is no session".to_owned(),
            };
        };
        if token.is_cancelled() {
            return StepEnd::NotRun {
                reason: "cancelled".to_owned(),
            };
        }
        match ask(session.as_mut(), request, deadline, token).await {
            Ok(reply) => {
                let secretless = self.held.is_empty() && self.made.is_empty();
                if secretless && !reply.diagnostics.is_empty() {
                    let (host, script) = (&self.host.name, &request.script.name);
                    tracing::debug!(%host, %script, lines = ?reply.diagnostics, "said");
                }
                told(reply)
            }
            Err(error) => {
                self.session = None;
                lost(&error)
            }
        }
    }

    async fn run_exec(
        &mut self,
        job: &ExecJob,
        step: StepRef,
        token: CancellationToken,
    ) -> Result<(), Halted> {
        // A command by hand may do anything.
        self.note(HostEvent::StepStarted {
            step: step.clone(),
            changes: true,
            place: Place::Pc,
        })
        .await?;
        let start = Instant::now();
        let end = self.send_exec(job, &token).await;
        self.ended(step, end, start).await
    }

    async fn send_exec(&mut self, job: &ExecJob, token: &CancellationToken) -> StepEnd {
        let Some(session) = self.session.as_mut() else {
            return StepEnd::NotRun {
                reason: "there is no session".to_owned(),
            };
        };
        if token.is_cancelled() {
            return StepEnd::NotRun {
                reason: "cancelled".to_owned(),
            };
        }
        let limits = Limits::within(job.deadline, token);
        let output = timeout(job.deadline + GRACE, session.exec(&job.request, &limits)).await;
        match output.unwrap_or(Err(SessionError::Deadline {
            limit: job.deadline,
        })) {
            Ok(output) => {
                let answer = exec_answer(&output);
                self.output = Some(output);
                StepEnd::Answered { answer }
            }
            Err(error) => {
                self.session = None;
                lost(&error)
            }
        }
    }

    /// Stores a step's end, without any secret of the rung in progress that may stand in it.
    pub(super) async fn ended(
        &mut self,
        step: StepRef,
        mut end: StepEnd,
        start: Instant,
    ) -> Result<(), Halted> {
        // What was spent is kept before anything else is.
        if machine::credential_refusal(&end).is_some() {
            self.shared.gate.settled().await;
        }
        let held = self.held.iter().map(|held| &held.credential.password);
        scrub(&mut end, held.chain(self.made.values()));
        self.note(HostEvent::StepEnded {
            step,
            end,
            elapsed_ms: millis(start),
        })
        .await
    }

    /// Closes the gate on a refusal before anything else is awaited.
    pub(super) fn tell_gate(&self, plan: &StepPlan, end: &StepEnd) {
        let given = |parameter: &String| plan.credentials().any(|name| name == parameter);
        for held in self.held.iter().filter(|held| given(&held.parameter)) {
            let Some((key, pass)) = &held.guard else {
                continue;
            };
            if let Some(code) = machine::credential_refusal(end) {
                let refusal = Refusal {
                    account: held.credential.user.clone(),
                    host: self.host.name.clone(),
                    place: Place::Pc,
                    code: Some(code),
                };
                self.shared.gate.refuse(key, &refusal);
            } else if machine::credential_proven(end) {
                pass.prove();
            } else if !matches!(end, StepEnd::NotRun { .. }) {
                pass.used();
            }
        }
    }
}

/// Sends one step over a session and waits for its answer.
pub(super) async fn ask(
    session: &mut dyn Session,
    request: &StepRequest,
    deadline: Duration,
    token: &CancellationToken,
) -> Result<StepReply, SessionError> {
    let limits = Limits::within(deadline, token);
    let reply = timeout(deadline + GRACE, session.run_step(request, &limits)).await;
    reply.unwrap_or(Err(SessionError::Deadline { limit: deadline }))
}

/// Returns how a step ended that told something.
pub(super) fn told(reply: StepReply) -> StepEnd {
    match reply.answer {
        Ok(answer) => StepEnd::Answered { answer },
        Err(failure) => StepEnd::Failed {
            error_id: failure.error_id,
            code: failure.code,
            message: failure.message,
        },
    }
}

pub(super) fn lost(error: &SessionError) -> StepEnd {
    let reason = error.to_string();
    if error.may_have_run() {
        StepEnd::Unknown { reason }
    } else {
        StepEnd::NotRun { reason }
    }
}

/// Returns what the journal keeps of a command: exit code, and each stream as text if it is
/// UTF-8, else its raw bytes in base64 (`stdout_base64`).
fn exec_answer(output: &ExecOutput) -> Value {
    let mut answer = Map::new();
    answer.insert("exit_code".to_owned(), Value::from(output.exit_code));
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        let mut cut = bytes.len().min(KEPT_OUTPUT);
        // Not amid a character: that would turn a whole text into base64.
        while cut < bytes.len() && bytes.get(cut).is_some_and(|byte| byte & 0xC0 == 0x80) {
            cut -= 1;
        }
        let kept = bytes.get(..cut).unwrap_or_default();
        match std::str::from_utf8(kept) {
            Ok(text) => answer.insert(name.to_owned(), Value::from(text)),
            Err(_) => answer.insert(format!("{name}_base64"), STANDARD.encode(kept).into()),
        };
        if cut < bytes.len() {
            answer.insert(format!("{name}_bytes"), Value::from(bytes.len()));
        }
    }
    Value::Object(answer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn output(stdout: &[u8]) -> ExecOutput {
        ExecOutput {
            stdout: stdout.to_vec(),
            stderr: Vec::new(),
            exit_code: 5,
        }
    }

    #[test]
    fn keeps_text_as_text_and_other_bytes_whole() {
        assert_eq!(
            exec_answer(&output("成功\r\n".as_bytes())),
            json!({"exit_code": 5, "stdout": "成功\r\n", "stderr": ""})
        );
        // 成功 in cp932.
        assert_eq!(
            exec_answer(&output(b"\x90\xac\x8c\xf7")),
            json!({"exit_code": 5, "stdout_base64": "kKyM9w==", "stderr": ""})
        );
    }

    #[test]
    fn cuts_long_output_between_characters() {
        let text = "あ".repeat(KEPT_OUTPUT);
        let answer = exec_answer(&output(text.as_bytes()));
        assert_eq!(
            answer["stdout"].as_str().unwrap().len(),
            KEPT_OUTPUT / 3 * 3
        );
        assert_eq!(answer["stdout_bytes"], 3 * KEPT_OUTPUT);
    }
}
