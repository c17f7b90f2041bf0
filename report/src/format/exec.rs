//! What a command by hand printed on each PC; PCs that said the same stand together.

use fleetmend_model::{HostName, HostResult};

use super::{TextOptions, clean::clean};
use crate::{ExecResult, RunReport, Stream, fold_names};

/// Returns standard output, standard error and exit code of every PC, identical ones once.
///
/// Standard error's lines begin with `! `, so that they can be told apart without colour.
pub fn exec(report: &RunReport, options: TextOptions) -> String {
    let mut text = String::new();
    for group in groups(report) {
        text.push_str(&header(&group, options));
        match group.said {
            Said::Exec(result) => {
                push_stream(&mut text, "", &result.stdout);
                push_stream(&mut text, "! ", &result.stderr);
            }
            Said::Nothing(result) => {
                push_lines(&mut text, "! ", &result.reason);
                push_lines(&mut text, "→ ", &result.next);
            }
            Said::Unfinished => {}
        }
        text.push('\n');
    }
    text
}

/// PCs that gave the same.
struct Group<'a> {
    hosts: Vec<&'a HostName>,
    said: Said<'a>,
}

#[derive(Clone, Copy)]
enum Said<'a> {
    /// The command ended.
    Exec(&'a ExecResult),
    /// It gave no answer; the PC's result says why.
    Nothing(&'a HostResult),
    /// The PC has no result.
    Unfinished,
}

impl Said<'_> {
    fn same_as(self, other: Self) -> bool {
        match (self, other) {
            (Self::Exec(a), Self::Exec(b)) => a.reads_as(b),
            (Self::Nothing(a), Self::Nothing(b)) => {
                a.outcome == b.outcome && a.reason == b.reason && a.next == b.next
            }
            (Self::Unfinished, Self::Unfinished) => true,
            _ => false,
        }
    }
}

fn groups(report: &RunReport) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for host in &report.hosts {
        let said = match (&host.exec, &host.result) {
            (Some(result), _) => Said::Exec(result),
            (None, Some(result)) => Said::Nothing(result),
            (None, None) => Said::Unfinished,
        };
        match groups.iter_mut().find(|group| group.said.same_as(said)) {
            Some(group) => group.hosts.push(&host.host),
            None => groups.push(Group {
                hosts: vec![&host.host],
                said,
            }),
        }
    }
    groups
}

fn header(group: &Group<'_>, options: TextOptions) -> String {
    // Sorted, so that neighbours fold although they stand in different groups.
    let mut sorted = group.hosts.clone();
    sorted.sort();
    let names = fold_names(sorted).replace(',', ", ");
    let count = match group.hosts.len() {
        1 => String::new(),
        many => format!(" ({many} PCs)"),
    };
    let (end, good) = match group.said {
        Said::Exec(ExecResult {
            exit_code: Some(code),
            ..
        }) => (format!("exit {code}"), *code == 0),
        Said::Exec(_) => ("no exit code".to_owned(), false),
        Said::Nothing(result) => (
            clean(&result.outcome.to_string(), false).into_owned(),
            false,
        ),
        Said::Unfinished => ("no result".to_owned(), false),
    };
    let names = clean(&names, false);
    if options.color {
        let color = if good { 32 } else { 31 };
        format!("\u{1b}[1m{names}\u{1b}[0m{count}: \u{1b}[{color}m{end}\u{1b}[0m\n")
    } else {
        format!("{names}{count}: {end}\n")
    }
}

fn push_stream(text: &mut String, mark: &str, stream: &Stream) {
    push_lines(text, mark, &stream.text());
    if stream.cut() > 0 {
        push_lines(text, mark, &format!("… {} bytes more", stream.cut()));
    }
}

fn push_lines(text: &mut String, mark: &str, lines: &str) {
    for line in clean(lines, true).lines() {
        text.push_str("  ");
        text.push_str(mark);
        text.push_str(line);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn groups_identical_answers() {
        let report = RunReport::from_records(&testing::exec_run());
        insta::assert_snapshot!(exec(&report, TextOptions::default()), @r"
        pc-[001:002], pc-004 (3 PCs): exit 0
          Trusted DC Connection Status Status = 0 0x0 NERR_Success
          コマンドは正常に完了しました

        pc-003: exit 5
          ! failed\u{1b}[31m

        pc-005: unreachable(refused)
          ! the connection was refused
          → start the WinRM service
        ");
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let report = RunReport::from_records(&testing::exec_run());
        let colored = exec(
            &report,
            TextOptions {
                width: None,
                color: true,
            },
        );
        assert_eq!(
            testing::without_ansi(&colored),
            exec(&report, TextOptions::default())
        );
    }
}
