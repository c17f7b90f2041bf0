//! Two tables for people: how many ended how, and every PC that is not well.

use std::time::Duration;

use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, ContentLineStyle,
    LineStyle, Table, TableStyle, presets,
};
use fleetmend_model::{HostResult, OutcomeClass, RunMode};

use super::{TextOptions, clean::clean};
use crate::{RunReport, Summary};

/// Below this many columns reason and next step share one.
const WIDE: u16 = 110;

/// A rule below the header; columns stand apart by blanks.
const RULED: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none());

/// The same with a faint rule between rows, which may take several lines.
const RULED_ROWS: TableStyle = RULED.row_separator(LineStyle::none().fill('┈').junction('┈'));

/// Returns the end of a run as text: a headline, the table by outcome, and a row with reason and
/// next step for every PC that is not well.
pub fn text(report: &RunReport, options: TextOptions) -> String {
    let summary = Summary::of(report);
    let mut text = headline(&summary);
    if let Some(spent) = &report.spent {
        text.push_str(&format!("{}\n", clean(&crate::spent::line(spent), false)));
    }
    text.push_str(&show(&outcomes(report, &summary, options)));
    for (title, lines) in [
        (
            "What the directory says of the repaired",
            crate::evidence::lines(report.results()),
        ),
        (
            "Repaired PCs that still use the password that was made for them",
            crate::rotation::lines(report.results()),
        ),
        (
            "Done by hand with a stick, after the run",
            crate::by_hand::lines(report),
        ),
    ] {
        if !lines.is_empty() {
            let lines = lines.iter().map(|line| format!(" {}", clean(line, false)));
            let lines = lines.collect::<Vec<_>>().join("\n");
            text.push_str(&format!("\n\n{title}:\n{lines}"));
        }
    }
    let not_well = report.not_well();
    if !not_well.is_empty() {
        text.push_str("\n\nNot well yet, and what to do next:\n");
        text.push_str(&show(&rows(&not_well, options)));
    }
    text.push('\n');
    text
}

/// Returns a duration as people say it: `850 ms`, `12.3 s`, `4 min 05 s`, `2 h 03 min`.
pub fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn headline(summary: &Summary) -> String {
    let after = elapsed(Duration::from_millis(summary.elapsed_ms));
    // Whether a process still writes cannot be told from what it has written.
    let state = match (summary.ended, summary.interrupted) {
        (true, true) => format!("interrupted after {after}"),
        (true, false) => format!("finished in {after}"),
        (false, interrupted) => {
            let interrupted = if interrupted { "interrupted; " } else { "" };
            let latest = summary.latest.map_or_else(String::new, |latest| {
                latest.strftime(" at %Y-%m-%d %H:%M:%SZ").to_string()
            });
            format!(
                "{interrupted}no end in the journal: cut off or still running; last event after \
                 {after}{latest}"
            )
        }
    };
    let mode = match summary.mode {
        Some(RunMode::Check) => "check of ",
        Some(RunMode::Exec) => "exec of ",
        Some(RunMode::Repair) | None => "",
    };
    format!(
        "{mode}{}: {state}, {} of {} PCs well\n",
        clean(&summary.subject, false),
        summary.well,
        summary.pcs,
    )
}

fn outcomes(report: &RunReport, summary: &Summary, options: TextOptions) -> Table {
    let mut table = empty(options);
    table.set_header(header(["OUTCOME", "PCS", "OF THEM"], options));
    for count in &summary.outcomes {
        let details: Vec<String> = count
            .details
            .iter()
            .map(|part| {
                let detail = clean(&part.detail, false);
                if part.pcs == count.pcs {
                    detail.into_owned()
                } else {
                    format!("{} {detail}", part.pcs)
                }
            })
            .collect();
        table.add_row([
            class_cell(count.class, count.class.name().to_owned(), options),
            Cell::new(count.pcs),
            Cell::new(details.join(", ")),
        ]);
    }
    let without = report
        .hosts
        .iter()
        .filter(|host| host.result.is_none())
        .count();
    if without > 0 {
        table.add_row(["(no result)".to_owned(), without.to_string(), String::new()]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn rows(results: &[&HostResult], options: TextOptions) -> Table {
    let wide = options.width.is_some_and(|width| width >= WIDE);
    let mut table = empty(options);
    if options.width.is_none() {
        table.set_header(header(["PC", "ENDED AS", "WHY → NEXT"], options));
        for result in results {
            let (name, ended) = name_and_end(result, options);
            table.add_row([name, ended, Cell::new(why_and_next(result))]);
        }
    } else if wide {
        table.set_header(header(["PC", "ENDED AS", "WHY", "NEXT"], options));
        for result in results {
            let (name, ended) = name_and_end(result, options);
            let (why, next) = (clean(&result.reason, false), clean(&result.next, false));
            table.add_row([name, ended, Cell::new(why), Cell::new(next)]);
        }
    } else {
        table.set_header(header(["PC", "ENDED AS, WHY, → NEXT"], options));
        for result in results {
            table.add_row(<[Cell; 2]>::from(name_and_end(result, options)));
            add_below(&mut table, "", &result.reason);
            add_below(&mut table, "→ ", &result.next);
        }
    }
    if let Some(width) = options.width {
        keep_names_whole(&mut table, results, width);
        if wide {
            table.load_style(RULED_ROWS);
        }
    }
    table
}

/// Reason and next step in one line, which stays one in a pipe.
fn why_and_next(result: &HostResult) -> String {
    let (why, next) = (clean(&result.reason, false), clean(&result.next, false));
    match (why.is_empty(), next.is_empty()) {
        (_, true) => why.into_owned(),
        (true, false) => format!("→ {next}"),
        (false, false) => format!("{why} → {next}"),
    }
}

fn name_and_end(result: &HostResult, options: TextOptions) -> (Cell, Cell) {
    let ended = clean(&result.outcome.to_string(), false).into_owned();
    (
        Cell::new(clean(&result.host.0, false)),
        class_cell(result.outcome.class(), ended, options),
    )
}

fn add_below(table: &mut Table, mark: &str, text: &str) {
    if !text.is_empty() {
        table.add_row([String::new(), format!("{mark}{}", clean(text, false))]);
    }
}

/// Lets the text columns wrap before the names do: a cut name cannot be copied.
fn keep_names_whole(table: &mut Table, results: &[&HostResult], width: u16) {
    let longest = results
        .iter()
        .map(|result| result.host.0.chars().count())
        .max()
        .unwrap_or(0);
    if longest < usize::from(width) / 3
        && let Some(column) = table.column_mut(0)
    {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
}

fn empty(options: TextOptions) -> Table {
    let mut table = Table::new();
    match options.width {
        Some(width) => table
            .load_style(RULED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width),
        None => table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled),
    };
    if options.color {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table
}

fn header<const N: usize>(names: [&str; N], options: TextOptions) -> Vec<Cell> {
    names
        .into_iter()
        .map(|name| {
            let cell = Cell::new(name);
            if options.color {
                cell.add_attribute(Attribute::Dim)
            } else {
                cell
            }
        })
        .collect()
}

fn class_cell(class: OutcomeClass, text: String, options: TextOptions) -> Cell {
    let cell = Cell::new(text);
    if options.color {
        cell.fg(color(class))
    } else {
        cell
    }
}

fn color(class: OutcomeClass) -> Color {
    match class {
        OutcomeClass::Healthy | OutcomeClass::Repaired => Color::Green,
        OutcomeClass::WouldRepair | OutcomeClass::RebootPending => Color::Cyan,
        OutcomeClass::Blocked | OutcomeClass::Skipped => Color::Yellow,
        OutcomeClass::NotRepaired
        | OutcomeClass::Unreachable
        | OutcomeClass::AccessDenied
        | OutcomeClass::NeedsHands => Color::Red,
        OutcomeClass::Unknown => Color::Magenta,
    }
}

fn show(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn shown(width: Option<u16>) -> String {
        let report = RunReport::from_records(&testing::repair_run());
        text(
            &report,
            TextOptions {
                width,
                color: false,
            },
        )
    }

    #[test]
    fn at_80_columns() {
        let text = shown(Some(80));
        assert!(
            text.lines().all(|line| testing::columns(line) <= 80),
            "{text}"
        );
        insta::assert_snapshot!(text, @r"
        trust-repair: finished in 11.0 s, 2 of 6 PCs well
         OUTCOME         PCS   OF THEM
        ────────────────────────────────────────
         healthy           1
         repaired          1   restart-netlogon
         not-repaired      1   no-account(1787)
         unreachable       1   timed-out
         access-denied     1   logon
         needs-hands       1   bitlocker

        Not well yet, and what to do next:
         PC                       ENDED AS, WHY, → NEXT
        ────────────────────────────────────────────────────────────────────────────────
         pc-003.corp.example.jp   not-repaired(no-account(1787))
                                  the domain has no account for this PC, or it is
                                  disabled (1787)
                                  → enable or restore the account in Active Directory,
                                  then run again
         pc-006                   unreachable(timed-out)
                                  nothing answered on 5986, 5985 and 22 within 5 s
                                  → switch the PC on or check its network, then run
                                  again
         pc-005                   access-denied(logon)
                                  the PC refused .\fleetadmin: 401 after NTLM\u{1b}[2J;
                                  a local account may be held back by
                                  LocalAccountTokenFilterPolicy
                                  → check the password of the local account, then run
                                  again with --limit pc-005
         経理-04                  needs-hands(bitlocker)
                                  BitLocker は再起動で回復キーを求める状態です
                                  (0x80310000)
                                  → 回復キーを用意してから、この PC
                                  で手動で再起動してください
        ");
    }

    #[test]
    fn at_160_columns() {
        insta::assert_snapshot!(shown(Some(160)), @r"
        trust-repair: finished in 11.0 s, 2 of 6 PCs well
         OUTCOME         PCS   OF THEM
        ────────────────────────────────────────
         healthy           1
         repaired          1   restart-netlogon
         not-repaired      1   no-account(1787)
         unreachable       1   timed-out
         access-denied     1   logon
         needs-hands       1   bitlocker

        Not well yet, and what to do next:
         PC                       ENDED AS                         WHY                                                 NEXT
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
         pc-003.corp.example.jp   not-repaired(no-account(1787))   the domain has no account for this PC, or it is     enable or restore the account in Active
                                                                   disabled (1787)                                     Directory, then run again
        ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
         pc-006                   unreachable(timed-out)           nothing answered on 5986, 5985 and 22 within 5 s    switch the PC on or check its network, then run
                                                                                                                       again
        ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
         pc-005                   access-denied(logon)             the PC refused .\fleetadmin: 401 after              check the password of the local account, then
                                                                   NTLM\u{1b}[2J; a local account may be held back     run again with --limit pc-005
                                                                   by LocalAccountTokenFilterPolicy
        ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
         経理-04                  needs-hands(bitlocker)           BitLocker は再起動で回復キーを求める状態です        回復キーを用意してから、この PC
                                                                   (0x80310000)                                        で手動で再起動してください
        ");
    }

    #[test]
    fn in_a_pipe_each_pc_is_one_line() {
        insta::assert_snapshot!(shown(None), @r"
        trust-repair: finished in 11.0 s, 2 of 6 PCs well
         OUTCOME        PCS  OF THEM
         healthy          1
         repaired         1  restart-netlogon
         not-repaired     1  no-account(1787)
         unreachable      1  timed-out
         access-denied    1  logon
         needs-hands      1  bitlocker

        Not well yet, and what to do next:
         PC                      ENDED AS                        WHY → NEXT
         pc-003.corp.example.jp  not-repaired(no-account(1787))  the domain has no account for this PC, or it is disabled (1787) → enable or restore the account in Active Directory, then run again
         pc-006                  unreachable(timed-out)          nothing answered on 5986, 5985 and 22 within 5 s → switch the PC on or check its network, then run again
         pc-005                  access-denied(logon)            the PC refused .\fleetadmin: 401 after NTLM\u{1b}[2J; a local account may be held back by LocalAccountTokenFilterPolicy → check the password of the local account, then run again with --limit pc-005
         経理-04                 needs-hands(bitlocker)          BitLocker は再起動で回復キーを求める状態です (0x80310000) → 回復キーを用意してから、この PC で手動で再起動してください
        ");
    }

    #[test]
    fn a_cut_run_names_first_what_nobody_knows() {
        let mut report = RunReport::from_records(&testing::repair_run()[..4]);
        report.settle();
        insta::assert_snapshot!(text(&report, TextOptions::default()), @"
        trust-repair: no end in the journal: cut off or still running; last event after 3.0 s at 2026-07-24 08:00:04Z, 0 of 6 PCs well
         OUTCOME  PCS  OF THEM
         skipped    5  not-reached
         unknown    1  repair/restart-netlogon

        Not well yet, and what to do next:
         PC                      ENDED AS                          WHY → NEXT
         pc-002                  unknown(repair/restart-netlogon)  the journal has no result after repair/restart-netlogon: what it left behind is not known → if the run is over, run check on it to see how it is
         pc-001                  skipped(not-reached)              the run has not come to this PC; nothing was changed → if the run is over, run again on it
         pc-003.corp.example.jp  skipped(not-reached)              the run has not come to this PC; nothing was changed → if the run is over, run again on it
         経理-04                 skipped(not-reached)              the run has not come to this PC; nothing was changed → if the run is over, run again on it
         pc-005                  skipped(not-reached)              the run has not come to this PC; nothing was changed → if the run is over, run again on it
         pc-006                  skipped(not-reached)              the run has not come to this PC; nothing was changed → if the run is over, run again on it
        ");
    }

    #[test]
    fn a_repair_shows_what_the_directory_says() {
        let mut records = testing::repair_run();
        for record in &mut records {
            if let fleetmend_model::Event::Host {
                what: fleetmend_model::HostEvent::Finished { result },
                ..
            } = &mut record.event
                && result.host.0 == "pc-002"
            {
                result.evidence = Some(serde_json::json!({
                    "dc": "dc1", "pwd_last_set": "2026-07-24T08:00:01Z", "bad_pwd_count": 0,
                    "controllers": 1, "controllers_answered": 1, "rotated": false,
                }));
            }
        }
        let report = RunReport::from_records(&records);
        let text = text(&report, TextOptions::default());
        assert!(
            text.contains(
                "\n\nWhat the directory says of the repaired:\n pc-002: dc1: password set \
                 2026-07-24T08:00:01Z, 0 failed logons, 1 of 1 controllers answered\n\n\
                 Repaired PCs that still use the password that was made for them:\n \
                 1 failed to renew it: pc-002\n"
            ),
            "{text}"
        );
        let json = crate::format::json(&report).unwrap();
        assert!(json.contains("\"bad_pwd_count\": 0"), "{json}");
        assert!(json.contains("\"not_rotated\": 1"), "{json}");
    }

    #[test]
    fn nothing_to_do_shows_no_second_table() {
        let report = RunReport::from_records(&testing::healthy_run());
        insta::assert_snapshot!(text(&report, TextOptions::default()), @"
        check of trust-repair: finished in 3.0 s, 2 of 2 PCs well
         OUTCOME  PCS  OF THEM
         healthy    2
        ");
    }

    #[test]
    fn colour_adds_nothing_but_colour() {
        let report = RunReport::from_records(&testing::repair_run());
        let plain = text(
            &report,
            TextOptions {
                width: Some(100),
                color: false,
            },
        );
        let colored = text(
            &report,
            TextOptions {
                width: Some(100),
                color: true,
            },
        );
        assert_eq!(testing::without_ansi(&colored), plain);
    }

    #[test]
    fn durations_read_well() {
        let shown: Vec<String> = [850, 12_340, 245_000, 7_380_000]
            .map(|ms| elapsed(Duration::from_millis(ms)))
            .to_vec();
        assert_eq!(shown, ["850 ms", "12.3 s", "4 min 05 s", "2 h 03 min"]);
    }
}
