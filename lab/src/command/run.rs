//! Runs a command line that was typed by hand.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::line;
use super::nltest;
use super::powershell::{Script, evaluate};
use super::text::{Printed, encode, not_recognized};
use crate::pc::{SimPc, now};
use crate::process::LabCommand;
use crate::shared::count;
use crate::stdio::{Gone, Stdio};

/// How long a small program takes.
const TIME: Duration = Duration::from_millis(250);

/// Runs the command; returns its exit code.
pub(crate) async fn serve(
    pc: &SimPc,
    command: &LabCommand,
    stdio: &mut Stdio,
) -> Result<i32, Gone> {
    count(&pc.shared().counters.commands);
    pc.work(TIME).await;
    let japanese = pc.machine().is_japanese();
    let mut utf8 = command.code_page == Some(65001);
    let (rest, shell) = line::without_shell(&command.line);
    let mut code = 0;
    for (only_if, part) in line::chain(rest) {
        if only_if && code != 0 {
            continue;
        }
        let lower = part.to_ascii_lowercase();
        if lower.starts_with("chcp") {
            utf8 = lower.contains("65001");
            code = 0;
            continue;
        }
        code = match special(pc, &lower, stdio).await? {
            Some(code) => code,
            None => {
                let through = command.through_shell || shell;
                let printed = program(pc, &command.user, &part, through);
                stdio
                    .print(&encode(&printed.stdout, japanese, utf8))
                    .await?;
                stdio
                    .complain(&encode(&printed.stderr, japanese, utf8))
                    .await?;
                printed.code
            }
        };
        if lower.starts_with("exit") {
            break;
        }
    }
    Ok(code)
}

/// The programs that a simulated Windows has in its own folders.
const PROGRAMS: [&str; 10] = [
    "cmd.exe",
    "powershell.exe",
    "hostname.exe",
    "whoami.exe",
    "ipconfig.exe",
    "nltest.exe",
    "ping.exe",
    "findstr.exe",
    "sort.exe",
    "more.com",
];

/// Tells whether there is a program at this full path.
pub(crate) fn exists(path: &str, nltest: bool) -> bool {
    let path = path.to_ascii_lowercase().replace('/', "\\");
    let name = path.rsplit('\\').next().unwrap_or_default();
    let windows = path.starts_with("c:\\windows\\") || path.starts_with("%systemroot%\\");
    windows && PROGRAMS.contains(&name) && (nltest || name != "nltest.exe")
}

/// Runs the commands that read standard input or take time.
async fn special(pc: &SimPc, lower: &str, stdio: &mut Stdio) -> Result<Option<i32>, Gone> {
    let words = line::words(lower);
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    match word(0) {
        // The usual ways to see one's own input again.
        "more" | "more.com" | "sort" | "sort.exe" | "findstr" | "findstr.exe" => {
            let input = stdio.all().await;
            stdio.print(&input).await?;
            Ok(Some(0))
        }
        "ping" if word(1) == "-n" => {
            let seconds = word(2).parse::<u64>().unwrap_or(1).saturating_sub(1);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            stdio
                .print(b"\r\nPing statistics for 127.0.0.1:\r\n")
                .await?;
            Ok(Some(0))
        }
        "powershell" | "powershell.exe" if words.last().is_some_and(|last| last == "-") => {
            let text = String::from_utf8_lossy(&stdio.all().await).into_owned();
            let printed = evaluate(
                pc,
                &Script {
                    text: &text,
                    user: "",
                },
            );
            stdio.print(printed.stdout.as_bytes()).await?;
            stdio.complain(printed.stderr.as_bytes()).await?;
            Ok(Some(printed.code))
        }
        _ => Ok(None),
    }
}

/// Runs one program or built-in command to its end.
pub(crate) fn program(pc: &SimPc, user: &str, text: &str, through_shell: bool) -> Printed {
    let words = line::words(text);
    let Some((first, arguments)) = words.split_first() else {
        return Printed::default();
    };
    let name = first
        .rsplit(['\\', '/'])
        .next()
        .unwrap_or(first)
        .to_ascii_lowercase();
    match name.strip_suffix(".exe").unwrap_or(&name) {
        "hostname" => Printed::lines([pc.machine().name.as_str()]),
        "whoami" => {
            let line = format!(r"{}\{user}", pc.machine().name).to_lowercase();
            Printed::lines([line.as_str()])
        }
        "echo" if through_shell => {
            let said = text.get(first.len()..).unwrap_or("").trim_start();
            Printed::lines([said])
        }
        "ver" if through_shell => version(pc),
        "exit" if through_shell => Printed {
            code: arguments
                .last()
                .and_then(|code| code.parse().ok())
                .unwrap_or(0),
            ..Printed::default()
        },
        "ipconfig" => ipconfig(pc),
        "nltest" if pc.machine().nltest => {
            let mut machine = pc.machine();
            let mut domain = pc.shared().domain();
            let elevated = machine.is_elevated(user);
            nltest::run(&mut machine, &mut domain, elevated, arguments, now())
        }
        "powershell" => powershell(pc, user, arguments),
        _ => {
            let japanese = pc.machine().is_japanese();
            let code = if through_shell { 1 } else { 9009 };
            Printed::complaint(&not_recognized(first, japanese), code)
        }
    }
}

fn version(pc: &SimPc) -> Printed {
    let machine = pc.machine();
    let (build, ubr) = (machine.os.build, machine.os.ubr);
    Printed::lines([
        "",
        &format!("Microsoft Windows [Version 10.0.{build}.{ubr}]"),
    ])
}

fn ipconfig(pc: &SimPc) -> Printed {
    let suffix = pc.shared().domain().dns_name.clone();
    let (title, adapter, address) = if pc.machine().is_japanese() {
        (
            "Windows IP 構成",
            "イーサネット アダプター イーサネット:",
            "IPv4 アドレス",
        )
    } else {
        (
            "Windows IP Configuration",
            "Ethernet adapter Ethernet:",
            "IPv4 Address",
        )
    };
    Printed::lines([
        "",
        title,
        "",
        adapter,
        "",
        &format!("   DNS Suffix  . . . . . . . . . : {suffix}"),
        &format!("   {address} . . . . . . . . . . : 10.20.4.17"),
    ])
}

fn powershell(pc: &SimPc, user: &str, arguments: &[String]) -> Printed {
    let at = |names: &[&str]| {
        arguments
            .iter()
            .position(|word| names.contains(&word.to_ascii_lowercase().as_str()))
    };
    let encoded = at(&["-encodedcommand", "-enc", "-ec", "-e"]);
    let text = if let Some(at) = encoded {
        arguments.get(at + 1).and_then(|base64| decode(base64))
    } else if let Some(at) = at(&["-command", "-c"]) {
        Some(arguments.get(at + 1..).unwrap_or_default().join(" "))
    } else {
        let plain: Vec<&str> = arguments
            .iter()
            .map(String::as_str)
            .filter(|word| !word.starts_with('-'))
            .collect();
        Some(plain.join(" "))
    };
    match text {
        Some(text) => evaluate(pc, &Script { text: &text, user }),
        None => Printed::complaint("Cannot process the command: the encoding is not valid.", 1),
    }
}

/// Decodes base64 of UTF-16LE.
fn decode(base64: &str) -> Option<String> {
    let bytes = STANDARD.decode(base64).ok()?;
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| {
            pair.iter()
                .rev()
                .fold(0, |unit, byte| unit << 8 | u16::from(*byte))
        })
        .collect();
    String::from_utf16(&units).ok()
}
