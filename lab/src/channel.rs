//! The PC's side of the step channel (docs/step-channel.md).

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::machine::Machine;
use crate::noise;
use crate::pc::{SimPc, now};
use crate::registry;
use crate::scripts::{self, StepContext, StepError, StepOutcome};
use crate::shared::count;
use crate::stdio::{Gone, Stdio};

/// How long powershell.exe takes to start.
const START_UP: Duration = Duration::from_millis(700);

/// What the bootstrap exits with when a request line is damaged.
const DAMAGED_LINE: i32 = 0x464D_0005;

/// The exit code of a process that somebody ended.
const KILLED: i32 = 1;

/// Error id of a step whose script the lab neither simulates nor was taught.
pub const UNKNOWN_SCRIPT: &str = "LabUnknownScript";

/// One request line, taken apart.
struct Request {
    marker: String,
    id: String,
    script: Vec<u8>,
    params: Map<String, Value>,
}

/// The process that serves a step channel.
#[derive(Clone, Copy)]
pub(crate) struct Process<'p> {
    /// Where it runs.
    pub(crate) pc: &'p SimPc,
    /// Which of the PC's processes it is.
    pub(crate) id: u64,
    /// As whom.
    pub(crate) user: &'p str,
}

/// Serves requests until the input ends; returns the exit code.
pub(crate) async fn serve(process: Process<'_>, stdio: &mut Stdio) -> Result<i32, Gone> {
    let pc = process.pc;
    pc.work(START_UP).await;
    let (noisy, japanese) = {
        let machine = pc.machine();
        (machine.noisy, machine.is_japanese())
    };
    if noisy {
        stdio.complain(noise::progress(japanese).as_bytes()).await?;
        stdio.print(&noise::banner(japanese)).await?;
    }
    while let Some(line) = stdio.line().await {
        let Some(request) = parse(&line) else {
            return Ok(DAMAGED_LINE);
        };
        if noisy {
            stdio.print(&noise::chatter(japanese)).await?;
        }
        let Some(reply) = answer(process, &request).await else {
            pc.obey();
            return Ok(KILLED);
        };
        let frame = frame(&request, &reply);
        let printed = stdio.print(frame.as_bytes()).await;
        pc.obey();
        printed?;
    }
    Ok(0)
}

fn parse(line: &[u8]) -> Option<Request> {
    let text = std::str::from_utf8(line).ok()?;
    let mut fields = text.split(' ');
    let (marker, id) = (fields.next()?, fields.next()?);
    let (script, params) = (fields.next()?, fields.next()?);
    if fields.next().is_some() || marker.len() != 32 || id.parse::<u64>().is_err() {
        return None;
    }
    let script = STANDARD.decode(script).ok()?;
    let params = serde_json::from_slice(&STANDARD.decode(params).ok()?).ok()?;
    Some(Request {
        marker: marker.to_owned(),
        id: id.to_owned(),
        script,
        params,
    })
}

/// Answers one request; `None` when the process dies over it. Never comes back for a step that
/// hangs.
async fn answer(process: Process<'_>, request: &Request) -> Option<Value> {
    let pc = process.pc;
    count(&pc.shared().counters.steps);
    let digest = registry::digest(&request.script);
    let name = pc.shared().scripts.name_of(&digest).map(str::to_owned);
    let host = pc.machine().name.clone();
    let taught = pc
        .shared()
        .answers
        .find(name.as_deref(), &digest, &host)
        .cloned();
    if let Some(taught) = taught {
        tokio::time::sleep(taught.delay).await;
        return Some(match taught.reply {
            Ok(answer) => success(answer, &[]),
            Err(error) => failure(&error.id, error.code, &error.message),
        });
    }
    let outcome = match name.as_deref() {
        Some(script) => {
            pc.work(scripts::base_duration(script)).await;
            simulate(process, script, request)
        }
        None => None,
    };
    let Some((outcome, diag)) = outcome else {
        count(&pc.shared().counters.unknown_scripts);
        return Some(failure(
            UNKNOWN_SCRIPT,
            None,
            &unknown(&digest, name.as_deref()),
        ));
    };
    match outcome {
        StepOutcome::Done(Ok(answer)) => Some(success(answer, &diag)),
        StepOutcome::Done(Err(StepError { id, code, message })) => {
            Some(failure(&id, code, &message))
        }
        StepOutcome::Hangs => std::future::pending().await,
        StepOutcome::Dies => None,
    }
}

fn simulate(
    process: Process<'_>,
    script: &str,
    request: &Request,
) -> Option<(StepOutcome, Vec<String>)> {
    let Process { pc, id, user } = process;
    let mut machine = pc.machine();
    let mut domain = pc.shared().domain();
    let elevated = machine.is_elevated(user);
    let mut context = StepContext {
        pc: &mut machine,
        domain: &mut domain,
        user,
        process: id,
        elevated,
        script: std::str::from_utf8(&request.script).unwrap_or_default(),
        params: &request.params,
        now: now(),
    };
    let outcome = scripts::run(script, &mut context)?;
    Some((outcome, diagnostics(&machine)))
}

/// What a talkative PC says beside its answer, in its own language.
fn diagnostics(pc: &Machine) -> Vec<String> {
    match (pc.noisy, pc.is_japanese()) {
        (false, false) => Vec::new(),
        (_, true) => {
            vec!["warning: 名前 '経理部 共有' の既定のプリンターが見つかりません。".to_owned()]
        }
        (true, false) => vec!["warning: The default printer was not found.".to_owned()],
    }
}

fn success(answer: Value, diag: &[String]) -> Value {
    json!({ "ok": true, "answer": answer, "diag": diag })
}

fn failure(id: &str, code: Option<i64>, message: &str) -> Value {
    json!({
        "ok": false,
        "error": { "id": id, "code": code, "message": message },
        "diag": [],
    })
}

fn unknown(digest: &str, name: Option<&str>) -> String {
    let what = name.map_or_else(
        || "the lab does not know this script".to_owned(),
        |name| format!("the lab knows {name} by its text but does not simulate it"),
    );
    format!(
        "{what} (SHA-256 {digest}); teach it with --answers FILE, where FILE holds \
         answers: [{{script: {digest}, host: \"*\", answer: …}}]"
    )
}

fn frame(request: &Request, reply: &Value) -> String {
    let mut text = String::with_capacity(256);
    let _ = write!(text, "\n{} {} ", request.marker, request.id);
    push_ascii(&mut text, &reply.to_string());
    text.push('\n');
    text
}

/// Appends JSON with everything beyond ASCII as `\uXXXX`.
fn push_ascii(text: &mut String, json: &str) {
    let mut units = [0u16; 2];
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut units) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_ascii_and_read_back_the_same() {
        let request =
            parse(format!("{} 7 eA== e30=", "a".repeat(32)).as_bytes()).expect("a good line");
        let reply = success(
            json!({ "name": "経理-😀", "quote": "\"\\\n" }),
            &["警告".to_owned()],
        );
        let frame = frame(&request, &reply);
        assert!(frame.is_ascii());
        let body = frame.trim().splitn(3, ' ').nth(2).unwrap();
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), reply);
    }

    #[test]
    fn damaged_lines_are_refused() {
        let marker = "a".repeat(32);
        for line in [
            String::new(),
            format!("{marker} 1 eA=="),
            format!("{marker} 1 eA== e30= more"),
            format!("{marker} x eA== e30="),
            format!("{marker} 1 eA== W10="),
            format!("{marker} 1 *** e30="),
        ] {
            assert!(parse(line.as_bytes()).is_none(), "{line:?}");
        }
    }
}
