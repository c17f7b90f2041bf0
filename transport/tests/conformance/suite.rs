//! One set of checks over [`Session`], for every transport.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::Secret;
use fleetmend_transport::{
    ExecOutput, ExecRequest, Limits, Script, Session, SessionError, StepReply, StepRequest,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Ten million characters.
pub(crate) const BIG: usize = 10_000_000;

/// What a far end is asked for, in its own language.
pub(crate) struct FarEnd {
    /// Answers [`answer`].
    pub(crate) answer: StepRequest,
    /// Fails.
    pub(crate) failure: StepRequest,
    /// How.
    pub(crate) failure_id: &'static str,
    /// With which number.
    pub(crate) failure_code: i64,
    /// Is itself [`BIG`]; answers 1.
    pub(crate) big_script: StepRequest,
    /// Answers a string of [`BIG`] times `x`.
    pub(crate) big_answer: StepRequest,
    /// Takes longer than any test.
    pub(crate) slow: StepRequest,
    /// Answers null, and prints `stray 1` to `stray 3` where the channel does not want it.
    pub(crate) stray: Option<StepRequest>,
    /// A command that prints [`PRINTED`] and ends with this exit code.
    pub(crate) command: Vec<String>,
    /// That exit code.
    pub(crate) exit_code: i32,
    /// What it prints to standard output.
    pub(crate) printed: &'static str,
    /// What it prints to standard error.
    pub(crate) complained: &'static str,
}

/// The answer that must come through unharmed.
pub(crate) fn answer() -> Value {
    json!({"名": "信頼関係に失敗しました 😀\"\\\n", "n": [1, null, -5, 1.5], "one": [7], "none": [], "ok": true})
}

/// Returns a request without parameters.
pub(crate) fn request(name: &str, text: &str) -> StepRequest {
    StepRequest {
        script: Arc::new(Script {
            name: name.to_owned(),
            text: text.to_owned(),
        }),
        params: Map::new(),
        secrets: BTreeMap::new(),
        credentials: BTreeMap::new(),
    }
}

/// Returns a request whose parameters, secret and not, are [`answer`].
pub(crate) fn echo(name: &str, text: &str) -> StepRequest {
    let mut request = request(name, text);
    let Value::Object(all) = answer() else {
        panic!("an object")
    };
    request.params = all;
    let secret = request.params.remove("名").unwrap();
    let secret = Secret::new(secret.as_str().unwrap().to_owned());
    request.secrets.insert("名".to_owned(), secret);
    request
}

/// Returns limits of a minute.
pub(crate) fn limits() -> Limits {
    Limits::within(Duration::from_secs(60), &CancellationToken::new())
}

/// Runs every check, each on a session of its own.
pub(crate) async fn run<F, Fut>(far: &FarEnd, connect: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Box<dyn Session>>,
{
    steps_share_a_process(far, connect().await).await;
    big_both_ways(far, connect().await).await;
    deadline_ends_the_process_only(far, connect().await).await;
    cancel_ends_the_process_only(far, connect().await).await;
    commands_stand_beside_steps(far, connect().await).await;
    nothing_runs_when_it_is_too_late(far, connect().await).await;
}

async fn step(session: &mut Box<dyn Session>, request: &StepRequest) -> StepReply {
    session.run_step(request, &limits()).await.unwrap()
}

async fn steps_share_a_process(far: &FarEnd, mut session: Box<dyn Session>) {
    assert!(session.reached().address.contains(':'));
    for _ in 0..3 {
        assert_eq!(step(&mut session, &far.answer).await.answer, Ok(answer()));
        let failure = step(&mut session, &far.failure).await.answer.unwrap_err();
        assert_eq!(
            (failure.error_id.as_str(), failure.code),
            (far.failure_id, Some(far.failure_code))
        );
    }
    if let Some(stray) = &far.stray {
        let mut reply = step(&mut session, stray).await;
        assert_eq!(reply.answer, Ok(Value::Null));
        // What is printed beside the answer may come only with the next one.
        let next = step(&mut session, &far.answer).await;
        assert_eq!(next.answer, Ok(answer()));
        reply.diagnostics.extend(next.diagnostics);
        let said = reply.diagnostics.join("\n");
        for word in ["stray 1", "stray 2", "stray 3"] {
            assert!(said.contains(word), "{word} is lost: {said}");
        }
    }
    session.close().await;
}

async fn big_both_ways(far: &FarEnd, mut session: Box<dyn Session>) {
    assert_eq!(
        step(&mut session, &far.big_script).await.answer,
        Ok(json!(1))
    );
    let big = step(&mut session, &far.big_answer).await.answer.unwrap();
    let big = big.as_str().unwrap();
    assert!(big.len() == BIG && big.bytes().all(|byte| byte == b'x'));
    assert_eq!(step(&mut session, &far.answer).await.answer, Ok(answer()));
    session.close().await;
}

async fn deadline_ends_the_process_only(far: &FarEnd, mut session: Box<dyn Session>) {
    assert_eq!(step(&mut session, &far.answer).await.answer, Ok(answer()));
    for _ in 0..2 {
        let began = Instant::now();
        let short = Limits::within(Duration::from_millis(700), &CancellationToken::new());
        let error = session.run_step(&far.slow, &short).await.unwrap_err();
        assert!(matches!(error, SessionError::Deadline { .. }), "{error}");
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(step(&mut session, &far.answer).await.answer, Ok(answer()));
    }
    session.close().await;
}

async fn cancel_ends_the_process_only(far: &FarEnd, mut session: Box<dyn Session>) {
    let limits = limits();
    let cancel = limits.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(700)).await;
        cancel.cancel();
    });
    let began = Instant::now();
    let error = session.run_step(&far.slow, &limits).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Cancelled { sent: true }),
        "{error}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(step(&mut session, &far.answer).await.answer, Ok(answer()));
    session.close().await;
}

async fn commands_stand_beside_steps(far: &FarEnd, mut session: Box<dyn Session>) {
    let command = ExecRequest::Command(far.command.clone());
    for _ in 0..2 {
        let ExecOutput {
            stdout,
            stderr,
            exit_code,
        } = session.exec(&command, &limits()).await.unwrap();
        let stdout = String::from_utf8_lossy(&stdout);
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(stdout.contains(far.printed), "{stdout} {stderr}");
        assert!(stderr.contains(far.complained), "{stdout} {stderr}");
        assert_eq!(exit_code, far.exit_code);
        assert_eq!(step(&mut session, &far.answer).await.answer, Ok(answer()));
    }
    session.close().await;
}

async fn nothing_runs_when_it_is_too_late(far: &FarEnd, mut session: Box<dyn Session>) {
    let limits = limits();
    limits.cancel.cancel();
    let error = session.run_step(&far.answer, &limits).await.unwrap_err();
    assert!(!error.may_have_run(), "{error}");
    let past = Limits::within(Duration::ZERO, &CancellationToken::new());
    let error = session.run_step(&far.answer, &past).await.unwrap_err();
    assert!(!error.may_have_run(), "{error}");
    let error = session
        .exec(&ExecRequest::Command(Vec::new()), &self::limits())
        .await;
    assert!(!error.unwrap_err().may_have_run());
    assert_eq!(step(&mut session, &far.answer).await.answer, Ok(answer()));
    session.close().await;
}
