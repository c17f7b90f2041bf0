//! What each operation does ([MS-WSMV] 3.1.4).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use super::Action;
use super::counters::{down, up};
use super::duration;
use super::envelope::Request;
use super::fault::Fault;
use super::reply::{self, CMD, Created, Envelope, SHELL};
use super::running::Running;
use super::service::Winrm;
use super::shell::Shell;
use super::xml::Element;
use crate::process::LabCommand;

/// Longest line that cmd.exe takes (KB830473) and that CreateProcess takes.
const CMD_LINE: usize = 8191;
const PROCESS_LINE: usize = 32_767;

/// What an envelope without streams takes, generously.
const HEAD: usize = 1600;

/// Who asks, and how it calls the PC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) user: &'a str,
    pub(crate) address: &'a str,
    pub(crate) client: &'a str,
}

/// Carries an operation out and returns the whole answer.
pub(crate) async fn operate(
    winrm: &Winrm,
    caller: Caller<'_>,
    request: &Request,
) -> Result<String, Fault> {
    if !winrm.pc().may_use_winrm(caller.user) {
        return Err(Fault::AccessDenied);
    }
    if request.action == Action::Identify {
        return Ok(reply::identify(Some(&winrm.options().product_version)));
    }
    let wait = match &request.timeout {
        None => Duration::from_secs(60),
        Some(Ok(wait)) => (*wait).min(winrm.options().max_operation),
        Some(Err(text)) => return Err(Fault::BadTimeout(text.clone())),
    };
    if request.action == Action::Other {
        return Err(Fault::Action(request.action_uri.clone()));
    }
    if request
        .resource
        .as_deref()
        .is_none_or(|uri| !uri.eq_ignore_ascii_case(CMD))
    {
        return Err(Fault::Resource);
    }
    let deadline = Instant::now() + wait;
    let (name, spaces, body) = match request.action {
        Action::Create => ("CreateResponse", "xwrp", create(winrm, caller, request)?),
        Action::Delete => ("DeleteResponse", "wp", delete(winrm, caller, request)?),
        action => {
            let shell = winrm
                .shells()
                .find(request.shell_id.as_deref(), caller.user)?;
            let done = in_shell(winrm, caller, request, &shell, deadline).await;
            shell.touch();
            let (name, spaces) = match action {
                Action::Command => ("CommandResponse", "xwrp"),
                Action::Send => ("SendResponse", "xwrp"),
                Action::Signal => ("SignalResponse", "xwrp"),
                _ => ("ReceiveResponse", "wrp"),
            };
            (name, spaces, done?)
        }
    };
    let prefix = match request.action {
        Action::Create | Action::Delete => "http://schemas.xmlsoap.org/ws/2004/09/transfer",
        _ => SHELL,
    };
    let relates_to = request.message_id.as_deref();
    let action = format!("{prefix}/{name}");
    Ok(Envelope {
        action: &action,
        relates_to,
        language: "en-US",
        spaces,
    }
    .write(&body))
}

async fn in_shell(
    winrm: &Winrm,
    caller: Caller<'_>,
    request: &Request,
    shell: &Shell,
    deadline: Instant,
) -> Result<String, Fault> {
    match request.action {
        Action::Command => command(winrm, caller, request, shell),
        Action::Send => send(request, shell, deadline).await,
        Action::Signal => signal(request, shell),
        _ => receive(winrm, request, shell, deadline).await,
    }
}

fn create(winrm: &Winrm, caller: Caller<'_>, request: &Request) -> Result<String, Fault> {
    let options = winrm.options();
    if winrm.quota_faults().take() {
        return Err(Fault::ShellQuota(options.max_shells_per_user));
    }
    let body = request.body("Shell")?;
    let mut idle = options.shell_idle;
    for name in ["IdleTimeOut", "IdleTimeout"] {
        if let Some(text) = body.text_of(name) {
            idle = idle.min(duration::parse(text).ok_or(Fault::Schema)?);
        }
    }
    let code_page = match request.options.get("WINRS_CODEPAGE") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Fault::InvalidParameter)?),
    };
    let id = match body.attribute("ShellId") {
        Some(id) => uuid::Uuid::parse_str(id)
            .map_err(|_| Fault::Schema)?
            .to_string()
            .to_uppercase(),
        None => reply::new_id(),
    };
    winrm.sweep();
    let shell = Shell::new(caller.user.to_owned(), idle, code_page);
    winrm
        .shells()
        .add(&id, shell, options.max_shells_per_user)?;
    up(&winrm.counters().shells_created);
    up(&winrm.counters().shells_open);
    let created = Created {
        address: request.to.as_deref().unwrap_or(caller.address),
        shell_id: &id,
        owner: caller.user,
        client: caller.client,
        working_directory: body.text_of("WorkingDirectory"),
        environment: body
            .child("Environment")
            .iter()
            .flat_map(|block| block.named("Variable"))
            .map(|each| {
                (
                    each.attribute("Name").unwrap_or_default(),
                    each.text.as_str(),
                )
            })
            .collect(),
        idle: &duration::idle(idle),
        input: body.text_of("InputStreams").unwrap_or("stdin"),
        output: body.text_of("OutputStreams").unwrap_or("stdout stderr"),
    };
    Ok(created.body())
}

fn delete(winrm: &Winrm, caller: Caller<'_>, request: &Request) -> Result<String, Fault> {
    winrm
        .shells()
        .find(request.shell_id.as_deref(), caller.user)?;
    if winrm
        .shells()
        .remove(request.shell_id.as_deref().unwrap_or_default())
    {
        down(&winrm.counters().shells_open);
    }
    Ok(String::new())
}

fn command(
    winrm: &Winrm,
    caller: Caller<'_>,
    request: &Request,
    shell: &Shell,
) -> Result<String, Fault> {
    let body = request.body("CommandLine")?;
    let program = body.text_of("Command").ok_or(Fault::Schema)?;
    if program.is_empty() {
        return Err(Fault::InvalidParameter);
    }
    let mut line = program.to_owned();
    for argument in body.named("Arguments") {
        line.push(' ');
        line.push_str(&argument.text);
    }
    let through_shell = !request.has("WINRS_SKIP_CMD_SHELL");
    let path = program.trim_matches('"');
    let found = through_shell || (is_full_path(path) && winrm.pc().has_program(path));
    if !found {
        return Err(Fault::FileNotFound);
    }
    let length = line.encode_utf16().count();
    if length > PROCESS_LINE {
        return Err(Fault::CommandLineTooLong);
    }
    let limit = winrm.options().max_processes_per_shell;
    if shell.running() >= limit {
        return Err(Fault::ProcessQuota(limit));
    }
    let id = match body.attribute("CommandId") {
        Some(id) => uuid::Uuid::parse_str(id)
            .map_err(|_| Fault::Schema)?
            .to_string()
            .to_uppercase(),
        None => reply::new_id(),
    };
    if shell.command(&id).is_ok() {
        return Err(Fault::InvalidParameter);
    }
    let running = if through_shell && length > CMD_LINE {
        Running::ended("The command line is too long.\r\n", 1)
    } else {
        Running::new(winrm.pc().spawn(LabCommand {
            user: caller.user.to_owned(),
            line,
            through_shell,
            code_page: shell.code_page,
        }))
    };
    shell.add(&id, running)?;
    up(&winrm.counters().commands_started);
    Ok(reply::command(&id))
}

/// CreateProcess, unlike cmd.exe, is called here with a module name: no search, no extension.
fn is_full_path(program: &str) -> bool {
    let mut letters = program.chars();
    letters
        .next()
        .is_some_and(|drive| drive.is_ascii_alphabetic())
        && letters.next() == Some(':')
        && letters.next() == Some('\\')
}

async fn send(request: &Request, shell: &Shell, deadline: Instant) -> Result<String, Fault> {
    let body = request.body("Send")?;
    let mut streams = body.named("Stream").peekable();
    streams.peek().ok_or(Fault::InvalidParameter)?;
    for stream in streams {
        if stream.attribute("Name") != Some("stdin") {
            return Err(Fault::InvalidParameter);
        }
        let text: String = stream.text.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(text).map_err(|_| Fault::Schema)?;
        let end = stream
            .attribute("End")
            .is_some_and(|end| end.eq_ignore_ascii_case("true") || end == "1");
        command_of(stream, shell)?
            .write(bytes, end, deadline)
            .await?;
    }
    Ok("<rsp:SendResponse/>".to_owned())
}

async fn receive(
    winrm: &Winrm,
    request: &Request,
    shell: &Shell,
    deadline: Instant,
) -> Result<String, Fault> {
    let body = request.body("Receive")?;
    let desired = body.child("DesiredStream").ok_or(Fault::InvalidParameter)?;
    let id = desired
        .attribute("CommandId")
        .ok_or(Fault::InvalidParameter)?;
    let known = |name: &str| matches!(name, "stdout" | "stderr");
    if !desired.text.split_ascii_whitespace().all(known) {
        return Err(Fault::InvalidParameter);
    }
    let running = shell.command(id)?;
    let own = winrm.options().max_envelope;
    let room = request.max_envelope.map_or(own, |theirs| theirs.min(own));
    let room = room.saturating_sub(HEAD).max(2 * reply::PIECE);
    let (pieces, exit) = tokio::select! {
        biased;
        () = shell.gone.cancelled() => return Err(Fault::Aborted),
        read = running.read(room, deadline) => read?,
    };
    Ok(reply::receive(&id.to_ascii_uppercase(), &pieces, exit))
}

fn signal(request: &Request, shell: &Shell) -> Result<String, Fault> {
    let body = request.body("Signal")?;
    let code = body.text_of("Code").unwrap_or_default();
    let code = code
        .strip_prefix(SHELL)
        .and_then(|rest| rest.strip_prefix("/signal/"));
    let id = body.attribute("CommandId").ok_or(Fault::InvalidParameter)?;
    match code.map(str::to_ascii_lowercase).as_deref() {
        Some("terminate") => {
            if let Ok(running) = shell.command(id) {
                running.end(false);
                shell.forget(id);
            }
        }
        Some("ctrl_c" | "ctrl_break") => {
            // A recorded host answers a ctrl_c for a command that never was with success.
            if let Ok(running) = shell.command(id)
                && !running.has_ended()
            {
                running.end(true);
            }
        }
        _ => return Err(Fault::InvalidParameter),
    }
    Ok("<rsp:SignalResponse/>".to_owned())
}

fn command_of(stream: &Element, shell: &Shell) -> Result<std::sync::Arc<Running>, Fault> {
    shell.command(
        stream
            .attribute("CommandId")
            .ok_or(Fault::InvalidParameter)?,
    )
}
