//! Records of small runs, for the tests of this crate.

use fleetmend_model::{
    Cause, Event, HostEvent, HostName, HostResult, Outcome, Phase, Record, RunId, RunMode, StepEnd,
    StepRef, TransportKind,
};
use serde_json::json;

/// A repair of six PCs, one of each common end.
pub(crate) fn repair_run() -> Vec<Record> {
    let ends = [
        ("pc-001", Outcome::Healthy, "", ""),
        (
            "pc-002",
            Outcome::Repaired {
                rung: "restart-netlogon".into(),
            },
            "",
            "",
        ),
        (
            "pc-003.corp.example.jp",
            Outcome::NotRepaired {
                cause: Cause {
                    code: Some(1787),
                    ..Cause::new("no-account")
                },
            },
            "the domain has no account for this PC, or it is disabled (1787)",
            "enable or restore the account in Active Directory, then run again",
        ),
        (
            "経理-04",
            Outcome::NeedsHands {
                why: "bitlocker".into(),
            },
            "BitLocker は再起動で回復キーを求める状態です (0x80310000)",
            "回復キーを用意してから、この PC で手動で再起動してください",
        ),
        (
            "pc-005",
            Outcome::AccessDenied {
                why: "logon".into(),
            },
            "the PC refused .\\fleetadmin: 401 after NTLM\u{1b}[2J; a local account may be held \
             back by LocalAccountTokenFilterPolicy",
            "check the password of the local account, then run again with --limit pc-005",
        ),
        (
            "pc-006",
            Outcome::Unreachable {
                why: "timed-out".into(),
            },
            "nothing answered on 5986, 5985 and 22 within 5 s",
            "switch the PC on or check its network, then run again",
        ),
    ];
    let mut records = vec![started(
        RunMode::Repair,
        "trust-repair",
        &ends.each_ref().map(|e| e.0),
    )];
    let connected = HostEvent::Connected {
        transport: TransportKind::WinrmHttp,
        address: "127.0.1.2:5985".into(),
    };
    records.push(host("pc-002", HostEvent::Connecting));
    records.push(host("pc-002", connected));
    records.push(host(
        "pc-002",
        HostEvent::RungStarted {
            rung: "restart-netlogon".into(),
            caution: None,
        },
    ));
    let rung = "restart-netlogon".to_owned();
    records.push(host(
        "pc-002",
        HostEvent::RungEnded {
            rung,
            verified: true,
        },
    ));
    for (name, outcome, reason, next) in ends {
        records.push(finished(name, outcome, reason, next));
    }
    records.push(Event::RunEnded { exit_code: 1 });
    number(records)
}

/// Two healthy PCs.
pub(crate) fn healthy_run() -> Vec<Record> {
    number(vec![
        started(RunMode::Check, "trust-repair", &["pc-001", "pc-002"]),
        finished("pc-001", Outcome::Healthy, "", ""),
        finished("pc-002", Outcome::Healthy, "", ""),
        Event::RunEnded { exit_code: 0 },
    ])
}

/// A command on five PCs, three of which say the same.
pub(crate) fn exec_run() -> Vec<Record> {
    let names = ["pc-001", "pc-002", "pc-003", "pc-004", "pc-005"];
    let mut records = vec![started(
        RunMode::Exec,
        "nltest /sc_query:example.jp",
        &names,
    )];
    let good = json!({
        "stdout": "Trusted DC Connection Status Status = 0 0x0 NERR_Success\r\n\
                   コマンドは正常に完了しました\r\n",
        "stderr": "", "exit_code": 0,
    });
    let bad = json!({ "stdout": "", "stderr": "failed\u{1b}[31m\n", "exit_code": 5 });
    for (name, answer) in names.iter().zip([&good, &good, &bad, &good]) {
        let step = StepRef {
            phase: Phase::Exec,
            rung: None,
            step: "exec".into(),
        };
        let end = StepEnd::Answered {
            answer: answer.clone(),
        };
        records.push(host(
            name,
            HostEvent::StepEnded {
                step,
                end,
                elapsed_ms: 12,
            },
        ));
        records.push(finished(name, Outcome::Healthy, "", ""));
    }
    records.push(finished(
        "pc-005",
        Outcome::Unreachable {
            why: "refused".into(),
        },
        "the connection was refused",
        "start the WinRM service",
    ));
    records.push(Event::RunEnded { exit_code: 1 });
    number(records)
}

/// Columns that the line takes on a terminal, wide characters counted twice.
pub(crate) fn columns(line: &str) -> usize {
    line.chars()
        .map(|c| {
            if ('\u{1100}'..'\u{ffe0}').contains(&c) && c > '\u{2e7f}' {
                2
            } else {
                1
            }
        })
        .sum()
}

/// The text without its ANSI sequences and the blanks that they kept from being trimmed.
pub(crate) fn without_ansi(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

fn started(mode: RunMode, subject: &str, names: &[&str]) -> Event {
    Event::RunStarted {
        mode,
        subject: subject.into(),
        digest: "5e".repeat(32),
        version: "0.1.0".into(),
        hosts: names
            .iter()
            .map(|name| HostName((*name).to_owned()))
            .collect(),
        operator: None,
    }
}

fn host(name: &str, what: HostEvent) -> Event {
    Event::Host {
        host: HostName(name.to_owned()),
        what,
    }
}

fn finished(name: &str, outcome: Outcome, reason: &str, next: &str) -> Event {
    let result = HostResult {
        host: HostName(name.to_owned()),
        outcome,
        cause: None,
        reason: reason.into(),
        next: next.into(),
        evidence: None,
        elapsed_ms: 1_500,
    };
    host(name, HostEvent::Finished { result })
}

fn number(events: Vec<Event>) -> Vec<Record> {
    let run = RunId(uuid::Uuid::from_u128(
        0x0192_0000_0000_7000_8000_0000_0000_0001,
    ));
    let start: jiff::Timestamp = "2026-07-24T08:00:00Z".parse().unwrap();
    events
        .into_iter()
        .zip(1..)
        .map(|(event, seq)| Record {
            run,
            seq,
            at: start + jiff::SignedDuration::from_secs(i64::try_from(seq).unwrap()),
            event,
        })
        .collect()
}

/// A PC that was repaired, with what the directory said of it.
pub(crate) fn repaired(name: &str, evidence: Option<serde_json::Value>) -> HostResult {
    HostResult {
        host: HostName(name.into()),
        outcome: Outcome::Repaired { rung: "r".into() },
        cause: None,
        reason: String::new(),
        next: String::new(),
        evidence,
        elapsed_ms: 1,
    }
}
