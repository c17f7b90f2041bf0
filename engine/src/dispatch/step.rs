//! Running one step on one PC.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fleetmend_model::{HostEvent, Place, StepEnd, StepRef};
use fleetmend_playbooks::SecretFrom;
use fleetmend_transport::{ExecOutput, Limits, Script, SessionError, StepRequest};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::gate::{Key, Refusal};
use super::host_task::{GRACE, Pc, millis};
use super::recorder::Halted;
use super::scrub::scrub;
use crate::machine::{self, Call};
use crate::program::{ExecJob, Job, Program, StepPlan, StepRun};

/// How much of each stream of a command by hand the journal keeps.
const KEPT_OUTPUT: usize = 64 * 1024;

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
        let Call { step, params, .. } = call;
        let Some(plan) = program.step(&step) else {
            let reason = "the playbook has no such step".to_owned();
            return self
                .ended(step, StepEnd::NotRun { reason }, Instant::now())
                .await;
        };
        let script = match &plan.run {
            StepRun::Script(script) => script.clone(),
            StepRun::Reboot | StepRun::Logon(_) | StepRun::Elsewhere(_) => {
                let reason = "the engine cannot do this yet".to_owned();
                let end = StepEnd::NotRun { reason };
                return self.ended(step, end, Instant::now()).await;
            }
            StepRun::Action(action) => {
                let judge = program.judge.as_ref();
                return self
                    .run_action(plan, *action, judge, (step, params), token)
                    .await;
            }
        };
        let start = Instant::now();
        let request = match self.request(plan, script, params) {
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
        let end = self.send(&request, plan, &token).await;
        self.tell_gate(plan, &end);
        self.ended(step, end, start).await
    }

    /// Builds the request with the secrets that the step needs. One that was made by an earlier
    /// step is gone if the run was cut in between.
    fn request(
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
                    if let Some(held) = held {
                        credentials.insert(name.clone(), held.credential.clone());
                    }
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

    async fn send(
        &mut self,
        request: &StepRequest,
        plan: &StepPlan,
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
        let limits = Limits::within(plan.deadline, token);
        let reply = timeout(plan.deadline + GRACE, session.run_step(request, &limits)).await;
        let error = match reply {
            Ok(Ok(reply)) => {
                let secretless = self.held.is_empty() && self.made.is_empty();
                if secretless && !reply.diagnostics.is_empty() {
                    let host = &self.host.name;
                    tracing::debug!(%host, step = %plan.name, lines = ?reply.diagnostics, "said");
                }
                return match reply.answer {
                    Ok(answer) => StepEnd::Answered { answer },
                    Err(failure) => StepEnd::Failed {
                        error_id: failure.error_id,
                        code: failure.code,
                        message: failure.message,
                    },
                };
            }
            Ok(Err(error)) => error,
            Err(_) => SessionError::Deadline {
                limit: plan.deadline,
            },
        };
        self.session = None;
        lost(&error)
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
    fn tell_gate(&self, plan: &StepPlan, end: &StepEnd) {
        let given = |parameter: &String| plan.credentials().any(|name| name == parameter);
        for held in self.held.iter().filter(|held| given(&held.parameter)) {
            if let Some(code) = machine::credential_refusal(end) {
                let refusal = Refusal {
                    account: held.credential.user.clone(),
                    host: self.host.name.clone(),
                    place: Place::Pc,
                    code: Some(code),
                };
                let key = Key::Credential(held.name.clone());
                self.shared.gate.refuse(&key, &refusal);
            } else if machine::credential_proven(end) {
                held.pass.prove();
            } else if !matches!(end, StepEnd::NotRun { .. }) {
                held.pass.used();
            }
        }
    }
}

fn lost(error: &SessionError) -> StepEnd {
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
