//! The programs of a simulated Windows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::line;
use super::nltest;
use super::powershell::{self, Script};
use super::text::{Printed, not_recognized};
use crate::pc::{SimPc, now};

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

/// Runs one program or built-in command to its end.
pub(crate) fn program(pc: &SimPc, user: &str, text: &str, through_shell: bool) -> Printed {
    let words = line::words(text);
    let Some((first, arguments)) = words.split_first() else {
        return Printed::default();
    };
    match line::program_name(first).as_str() {
        "hostname" => Printed::lines([pc.machine().name.as_str()]),
        "whoami" => {
            let line = format!(r"{}\{user}", pc.machine().name).to_lowercase();
            Printed::lines([line.as_str()])
        }
        "echo" if through_shell => {
            let said = text.get(first.len()..).unwrap_or("");
            let said = said.strip_prefix(' ').unwrap_or(said);
            Printed::lines([said])
        }
        "ver" if through_shell => version(pc),
        "exit" if through_shell => Printed {
            code: arguments
                .last()
                .and_then(|code| code.parse::<i64>().ok())
                .map_or(0, exit_code),
            ..Printed::default()
        },
        "ipconfig" => ipconfig(pc),
        "nltest" if pc.machine().nltest => {
            let mut machine = pc.machine();
            let mut domain = pc.shared().domain();
            let elevated = machine.is_elevated(user);
            nltest::run(&mut machine, &mut domain, elevated, arguments, now())
        }
        "powershell" => run_powershell(pc, user, arguments),
        _ => {
            let japanese = pc.machine().is_japanese();
            let code = if through_shell { 1 } else { 9009 };
            Printed::complaint(&not_recognized(first, japanese), code)
        }
    }
}

/// Exit codes are 32 bits, with or without a sign.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low 32 bits are the exit code"
)]
pub(crate) fn exit_code(number: i64) -> i32 {
    number as i32
}

/// Returns what `ver` prints.
pub(super) fn version(pc: &SimPc) -> Printed {
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

fn run_powershell(pc: &SimPc, user: &str, arguments: &[String]) -> Printed {
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
        Some(text) => powershell::evaluate(pc, &Script::command(&text, user)),
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
