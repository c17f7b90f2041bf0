//! `nltest.exe`: what it prints, in the shapes of real recordings.

use jiff::Timestamp;

use super::text::Printed;
use crate::domain::Domain;
use crate::machine::Machine;
use crate::secure_channel::{self, ChannelAnswer};
use crate::win32;

/// Runs nltest with these arguments.
pub(crate) fn run(
    pc: &mut Machine,
    domain: &mut Domain,
    elevated: bool,
    arguments: &[String],
    now: Timestamp,
) -> Printed {
    let japanese = pc.is_japanese();
    for argument in arguments {
        let lower = argument.to_ascii_lowercase();
        let (switch, _) = lower.split_once(':').unwrap_or((&lower, ""));
        let value = argument.split_once(':').map_or("", |(_, value)| value);
        let (asked, pinned) = match value.split_once('\\') {
            Some((asked, pinned)) => (asked, Some(pinned)),
            None => (value, None),
        };
        let answer = match switch {
            "/sc_query" => secure_channel::query(pc, domain, asked),
            "/sc_verify" if elevated => secure_channel::verify(pc, domain, asked, now),
            "/sc_reset" if elevated => secure_channel::reset(pc, domain, asked, pinned, now),
            "/sc_verify" | "/sc_reset" => return refused(win32::ACCESS_DENIED, japanese),
            "/dsgetdc" => return locate(pc, domain, value, japanese),
            "/server" | "/force" => continue,
            _ => break,
        };
        return channel(&answer, switch == "/sc_verify", japanese);
    }
    let usage = if japanese {
        "使用法: nltest [/オプション] ..."
    } else {
        "Usage: nltest [/OPTIONS]"
    };
    Printed {
        code: 1,
        ..Printed::lines([usage])
    }
}

fn status(status: u32) -> String {
    format!("Status = {status} 0x{status:x} {}", win32::name(status))
}

fn refused(code: u32, japanese: bool) -> Printed {
    let failed = if japanese {
        "I_NetLogonControl 失敗:"
    } else {
        "I_NetLogonControl failed:"
    };
    Printed {
        code: 1,
        ..Printed::lines([format!("{failed} {}", status(code)).as_str()])
    }
}

fn channel(answer: &ChannelAnswer, verifying: bool, japanese: bool) -> Printed {
    if answer.call != win32::OK {
        return refused(answer.call, japanese);
    }
    let fine = answer.connection == win32::OK;
    let flags = match (fine, verifying) {
        (true, true) => "b0 HAS_IP  HAS_TIMESERV",
        (true, false) => "30 HAS_IP  HAS_TIMESERV",
        (false, true) => "80 ",
        (false, false) => "0",
    };
    let name = answer
        .controller
        .as_deref()
        .map(|dc| format!(r"\\{dc}"))
        .unwrap_or_default();
    let words = words(japanese);
    let mut printed = Printed::lines([
        format!("{} {flags}", words.flags).as_str(),
        format!("{} {name}", words.controller).as_str(),
        format!("{}{}", words.connection, status(answer.connection)).as_str(),
    ]);
    if let Some(verification) = answer.verification {
        printed.line(&format!("{}{}", words.verification, status(verification)));
    }
    printed.line(words.done);
    printed
}

fn locate(pc: &Machine, domain: &Domain, asked: &str, japanese: bool) -> Printed {
    let found = secure_channel::locate(pc, domain).filter(|_| domain.is_named(asked));
    let Some(controller) = found else {
        let failed = if japanese {
            "DC 名の取得に失敗しました:"
        } else {
            "Getting DC name failed:"
        };
        let line = format!("{failed} {}", status(win32::NO_SUCH_DOMAIN));
        return Printed {
            code: 1,
            ..Printed::lines([line.as_str()])
        };
    };
    let name = &domain.dns_name;
    let mut printed = Printed::lines([
        format!(r"           DC: \\{}", controller.dns_name).as_str(),
        format!(r"      Address: \\{}", controller.address).as_str(),
        "     Dom Guid: 7d0c9b8e-2f64-4f0e-9a55-3c1d5f1f7a10",
        format!("     Dom Name: {name}").as_str(),
        format!("  Forest Name: {name}").as_str(),
        " Dc Site Name: Default-First-Site-Name",
        "Our Site Name: Default-First-Site-Name",
        "        Flags: PDC GC DS LDAP KDC TIMESERV WRITABLE DNS_DC DNS_DOMAIN DNS_FOREST \
         CLOSE_SITE FULL_SECRET WS",
    ]);
    printed.line(words(japanese).done);
    printed
}

struct Words {
    flags: &'static str,
    controller: &'static str,
    connection: &'static str,
    verification: &'static str,
    done: &'static str,
}

/// The numbers and symbols are the same in every language, the words around them are not.
fn words(japanese: bool) -> Words {
    if japanese {
        Words {
            flags: "フラグ:",
            controller: "信頼された DC 名",
            connection: "信頼された DC の接続状態",
            verification: "信頼の検証",
            done: "コマンドは正常に完了しました。",
        }
    } else {
        Words {
            flags: "Flags:",
            controller: "Trusted DC Name",
            connection: "Trusted DC Connection Status ",
            verification: "Trust Verification ",
            done: "The command completed successfully",
        }
    }
}
