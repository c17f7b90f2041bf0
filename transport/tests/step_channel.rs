//! The step channel over a wire in memory: every cut, delay and end that a network can bring.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetmend_model::{Credential, Platform, Secret, TransportKind};
use fleetmend_transport::powershell::StepChannel;
use fleetmend_transport::powershell::frame::{Answer, Request};
use fleetmend_transport::powershell::{is_bootstrap, is_exec_reader};
use fleetmend_transport::{
    CommandLine, ExecRequest, Limits, Reached, Received, Script, ScriptFailure, Session as _,
    SessionError, StepRequest, Wire,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the far end does with a request, in order.
#[derive(Clone, Debug)]
enum Act {
    /// Bytes of standard output, as one receive.
    Out(Vec<u8>),
    /// Bytes of standard error.
    Err(Vec<u8>),
    /// The answer line to the request that came last, cut into pieces of this size.
    Answer(Answer, usize),
    /// Nothing, for good.
    Hang,
    /// The process ends.
    Exit(i32),
    /// The connection is lost.
    Lose,
}

/// What was seen at the far end.
#[derive(Debug, Default)]
struct Seen {
    started: Vec<String>,
    requests: Vec<Request>,
    input: Vec<u8>,
    ended: bool,
    terminated: usize,
    closed: bool,
}

struct FakeWire {
    reached: Reached,
    seen: Arc<Mutex<Seen>>,
    /// One script of acts for each request (or start of a command).
    plan: VecDeque<Vec<Act>>,
    queue: VecDeque<Act>,
    start_error: Option<SessionError>,
}

impl FakeWire {
    fn session(plan: Vec<Vec<Act>>) -> (StepChannel, Arc<Mutex<Seen>>) {
        Self::with_start_error(plan, None)
    }

    fn with_start_error(
        plan: Vec<Vec<Act>>,
        start_error: Option<SessionError>,
    ) -> (StepChannel, Arc<Mutex<Seen>>) {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let reached = Reached {
            transport: TransportKind::WinrmHttp,
            address: "fake:1".to_owned(),
        };
        let wire = Self {
            reached,
            seen: Arc::clone(&seen),
            plan: plan.into(),
            queue: VecDeque::new(),
            start_error,
        };
        (StepChannel::new(Box::new(wire), Platform::Windows), seen)
    }

    /// Queues what the next request brings; the answer is made for that very request.
    fn next_plan(&mut self) {
        for act in self.plan.pop_front().unwrap_or_default() {
            match act {
                Act::Answer(answer, piece) => {
                    let seen = self.seen.lock().unwrap();
                    let request = seen.requests.last().unwrap();
                    let line = answer.encode(&request.marker, request.id);
                    self.queue
                        .extend(line.chunks(piece).map(|piece| Act::Out(piece.to_vec())));
                }
                other => self.queue.push_back(other),
            }
        }
    }
}

fn unknown() -> SessionError {
    SessionError::Unknown {
        detail: "the connection was lost".to_owned(),
    }
}

#[async_trait]
impl Wire for FakeWire {
    fn reached(&self) -> &Reached {
        &self.reached
    }

    async fn start(&mut self, command: &CommandLine, _: &Limits) -> Result<(), SessionError> {
        let CommandLine::Windows { program, arguments } = command else {
            panic!("{command:?}")
        };
        let line = format!("{program} {arguments}");
        let is_channel = is_bootstrap(&line);
        self.seen.lock().unwrap().started.push(line);
        self.queue.clear();
        if let Some(error) = self.start_error.take() {
            return Err(error);
        }
        if !is_channel {
            self.next_plan();
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8], end: bool, _: &Limits) -> Result<(), SessionError> {
        {
            let mut seen = self.seen.lock().unwrap();
            seen.ended |= end;
            seen.input.extend_from_slice(bytes);
            if !bytes.ends_with(b"\n") {
                return Ok(());
            }
            seen.requests
                .push(Request::decode(bytes.strip_suffix(b"\n").unwrap()).unwrap());
        }
        self.next_plan();
        Ok(())
    }

    async fn receive(&mut self, limits: &Limits) -> Result<Received, SessionError> {
        let mut received = Received::default();
        match self.queue.pop_front() {
            Some(Act::Out(bytes)) => received.stdout = bytes,
            Some(Act::Err(bytes)) => received.stderr = bytes,
            Some(Act::Exit(code)) => received.exit_code = Some(code),
            Some(Act::Lose) => return Err(unknown()),
            Some(Act::Answer(..)) => panic!("answers are made in next_plan"),
            Some(Act::Hang) | None => {
                self.queue.push_front(Act::Hang);
                tokio::select! {
                    () = tokio::time::sleep_until(limits.deadline) => {
                        return Err(SessionError::Deadline { limit: Duration::ZERO });
                    }
                    () = limits.cancel.cancelled() => {
                        return Err(SessionError::Cancelled { sent: true });
                    }
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
            }
        }
        Ok(received)
    }

    async fn terminate(&mut self, _: &Limits) -> Result<(), SessionError> {
        self.seen.lock().unwrap().terminated += 1;
        self.queue.clear();
        Ok(())
    }

    async fn close(self: Box<Self>) {
        self.seen.lock().unwrap().closed = true;
    }
}

fn step() -> StepRequest {
    let mut params = Map::new();
    params.insert("domain".to_owned(), json!("example.jp"));
    StepRequest {
        script: Arc::new(Script {
            name: "a/b.ps1".into(),
            text: "param($Params) '日'".into(),
        }),
        params,
        secrets: BTreeMap::from([("password".to_owned(), Secret::new("p\"ひみつ".to_owned()))]),
        credentials: BTreeMap::from([(
            "domain_admin".to_owned(),
            Credential {
                user: "CORP\\repair".to_owned(),
                password: Secret::new("鍵".to_owned()),
                ssh: None,
            },
        )]),
    }
}

fn limits(milliseconds: u64) -> Limits {
    Limits::within(
        Duration::from_millis(milliseconds),
        &CancellationToken::new(),
    )
}

fn good(piece: usize) -> Act {
    let diag = vec!["warning: 警告".to_owned()];
    Act::Answer(
        Answer {
            outcome: Ok(json!({"状態": [0]})),
            diag,
        },
        piece,
    )
}

async fn run(channel: &mut StepChannel) -> Result<Value, SessionError> {
    let reply = channel.run_step(&step(), &limits(5000)).await?;
    Ok(reply.answer.unwrap())
}

#[tokio::test]
async fn answers_come_through_in_pieces_of_any_size() {
    for piece in 1..120 {
        let (mut channel, seen) = FakeWire::session(vec![vec![good(piece)], vec![good(piece)]]);
        for _ in 0..2 {
            assert_eq!(
                run(&mut channel).await.unwrap(),
                json!({"状態": [0]}),
                "{piece}"
            );
        }
        let seen = seen.lock().unwrap();
        assert_eq!(seen.started.len(), 1, "one process serves every step");
        assert!(is_bootstrap(&seen.started[0]));
        let ids: Vec<u64> = seen.requests.iter().map(|request| request.id).collect();
        assert_eq!(ids, [1, 2]);
        assert_eq!(seen.requests[0].marker, seen.requests[1].marker);
        let params: Value = serde_json::from_str(&seen.requests[0].params).unwrap();
        assert_eq!(
            params,
            json!({
                "domain": "example.jp",
                "password": "p\"ひみつ",
                "domain_admin": {"user": "CORP\\repair", "password": "鍵"}
            })
        );
        assert_eq!(*seen.requests[0].script, "param($Params) '日'");
        assert!(seen.input.is_ascii());
        // Nothing of script or parameters stands on the command line.
        assert!(!seen.started[0].contains("example"));
    }
}

#[tokio::test]
async fn stray_output_is_kept_and_never_parsed() {
    let fake = b"\n0123456789abcdef0123456789abcdef 1 {\"ok\":true,\"answer\":666}\n".to_vec();
    let (mut channel, _) = FakeWire::session(vec![
        vec![
            Act::Out(b"before, no end".to_vec()),
            Act::Out(fake),
            Act::Err(b"#< CLIXML\r\n<Objs><S S=\"Err".to_vec()),
            Act::Err(b"or\">\xe5\xa4\xb1_x0021_</S></Objs>".to_vec()),
            good(7),
            Act::Out(b"after \x93\xfa\x96\x7b\r\n".to_vec()),
        ],
        vec![good(1000)],
    ]);
    let first = channel.run_step(&step(), &limits(5000)).await.unwrap();
    assert_eq!(first.answer, Ok(json!({"状態": [0]})));
    let said = first.diagnostics.join("\n");
    for part in ["warning: 警告", "before, no end", "666", "error: 失!"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let second = channel.run_step(&step(), &limits(5000)).await.unwrap();
    assert!(
        second.diagnostics.contains(&"after 日本".to_owned()),
        "{:?}",
        second.diagnostics
    );
}

#[tokio::test]
async fn an_orderly_failure_and_a_broken_answer_are_told_apart_from_loss() {
    let failure = ScriptFailure {
        error_id: "X,Y".to_owned(),
        code: Some(-2_147_024_891),
        message: "アクセスが拒否されました".to_owned(),
    };
    let answer = Answer {
        outcome: Err(failure.clone()),
        diag: Vec::new(),
    };
    let (mut channel, seen) = FakeWire::session(vec![vec![Act::Answer(answer, 10)]]);
    let reply = channel.run_step(&step(), &limits(5000)).await.unwrap();
    assert_eq!(reply.answer, Err(failure));
    assert_eq!(seen.lock().unwrap().terminated, 0);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_is_not_sent_again() {
    for acts in [
        vec![Act::Lose],
        vec![Act::Out(b"\nhalf an ans".to_vec()), Act::Lose],
        vec![Act::Err(b"oops \x8e\xb8\r\n".to_vec()), Act::Exit(1)],
        vec![Act::Exit(0)],
    ] {
        let (mut channel, seen) = FakeWire::session(vec![acts.clone(), vec![good(9)]]);
        let error = run(&mut channel).await.unwrap_err();
        assert!(
            matches!(error, SessionError::Unknown { .. }),
            "{acts:?}: {error}"
        );
        if let Some(Act::Exit(1)) = acts.last() {
            assert!(error.to_string().contains("oops 失"), "{error}");
        }
        assert_eq!(seen.lock().unwrap().requests.len(), 1);
        // The next step has a process, a marker and an answer of its own.
        assert_eq!(run(&mut channel).await.unwrap(), json!({"状態": [0]}));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.started.len(), 2);
        assert_ne!(seen.requests[0].marker, seen.requests[1].marker);
    }
}

#[tokio::test]
async fn what_the_bootstrap_refused_did_not_run() {
    for code in [0x464D_0001, 0x464D_0003, 9009] {
        let (mut channel, _) = FakeWire::session(vec![vec![Act::Exit(code)]]);
        let error = run(&mut channel).await.unwrap_err();
        assert!(!error.may_have_run(), "{code}: {error}");
        // After an answer the same number proves nothing.
        let (mut channel, _) = FakeWire::session(vec![vec![good(50)], vec![Act::Exit(code)]]);
        run(&mut channel).await.unwrap();
        assert!(
            run(&mut channel).await.unwrap_err().may_have_run(),
            "{code}"
        );
    }
    for start in [
        unknown(),
        SessionError::NotRun {
            detail: "refused".to_owned(),
        },
    ] {
        let (mut channel, seen) = FakeWire::with_start_error(vec![vec![good(9)]], Some(start));
        let error = run(&mut channel).await.unwrap_err();
        assert!(matches!(error, SessionError::NotRun { .. }), "{error}");
        assert!(seen.lock().unwrap().requests.is_empty());
        assert_eq!(run(&mut channel).await.unwrap(), json!({"状態": [0]}));
    }
}

#[tokio::test]
async fn deadline_and_cancel_end_the_process_and_not_the_session() {
    let (mut channel, seen) =
        FakeWire::session(vec![vec![Act::Hang], vec![Act::Hang], vec![good(9)]]);
    let began = Instant::now();
    let error = channel.run_step(&step(), &limits(300)).await.unwrap_err();
    let SessionError::Deadline { limit } = error else {
        panic!("{error}")
    };
    assert!(limit > Duration::from_millis(250) && limit <= Duration::from_millis(300));
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(seen.lock().unwrap().terminated, 1);

    let cancelled = limits(60_000);
    let cancel = cancelled.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    let error = channel.run_step(&step(), &cancelled).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Cancelled { sent: true }),
        "{error}"
    );
    assert_eq!(seen.lock().unwrap().terminated, 2);

    let error = channel.run_step(&step(), &cancelled).await.unwrap_err();
    assert!(
        matches!(error, SessionError::Cancelled { sent: false }),
        "{error}"
    );
    assert_eq!(run(&mut channel).await.unwrap(), json!({"状態": [0]}));
    assert_eq!(seen.lock().unwrap().started.len(), 3);
}

#[tokio::test]
async fn a_call_that_was_dropped_leaves_nothing_to_the_next() {
    let (mut channel, seen) = FakeWire::session(vec![vec![Act::Hang], vec![good(9)]]);
    let (request, long) = (step(), limits(60_000));
    tokio::select! {
        result = channel.run_step(&request, &long) => panic!("{result:?}"),
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
    }
    assert_eq!(run(&mut channel).await.unwrap(), json!({"状態": [0]}));
    let seen = seen.lock().unwrap();
    assert_eq!((seen.terminated, seen.started.len()), (1, 2));
}

#[tokio::test]
async fn commands_run_in_a_process_of_their_own() {
    let output = vec![
        Act::Out("状態".as_bytes().to_vec()),
        Act::Err(b"#< CLIXML\r\n<Objs><S S=\"Error\">no_x000D__x000A_</S></Objs>".to_vec()),
        Act::Exit(1355),
    ];
    let (mut channel, seen) =
        FakeWire::session(vec![vec![good(9)], output.clone(), output, vec![good(9)]]);
    run(&mut channel).await.unwrap();
    let words = ["nltest", "/sc_query:信頼 jp"].map(str::to_owned).to_vec();
    let given = channel
        .exec(&ExecRequest::Command(words), &limits(5000))
        .await
        .unwrap();
    assert_eq!(
        (given.stdout, given.exit_code),
        ("状態".as_bytes().to_vec(), 1355)
    );
    assert_eq!(given.stderr, b"no\n");
    let text = "Get-Date; '\u{7d42}'".to_owned();
    let given = channel
        .exec(&ExecRequest::PowerShell(text), &limits(5000))
        .await
        .unwrap();
    assert_eq!(given.exit_code, 1355);
    assert_eq!(run(&mut channel).await.unwrap(), json!({"状態": [0]}));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.started[1], "nltest \"/sc_query:信頼 jp\"");
    assert!(is_exec_reader(&seen.started[2]));
    assert!(is_bootstrap(&seen.started[3]));
    assert!(seen.ended, "the reader waits for the end of its input");
    assert_eq!(seen.terminated, 1, "only the step process had to be ended");
}

#[tokio::test]
async fn closing_closes_the_wire() {
    let (mut channel, seen) = FakeWire::session(vec![vec![good(9)]]);
    run(&mut channel).await.unwrap();
    Box::new(channel).close().await;
    assert!(seen.lock().unwrap().closed);
}
