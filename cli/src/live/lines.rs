//! The live view as lines of text: a fleet in, lines out.

use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use fleetmend_model::{HostResult, Outcome, OutcomeClass, Phase};
use fleetmend_report::format::elapsed;
use jiff::Timestamp;

use super::fleet::{Doing, Fleet, Stopping};

const BAR: std::ops::RangeInclusive<usize> = 6..=30;
/// Columns of an outcome, so that times stand below each other.
const OUTCOME: usize = 32;
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Columns of the terminal.
    pub(crate) columns: usize,
    /// Lines for PCs at work, at most.
    pub(crate) pcs: usize,
}

/// Returns the fleet's line and one for each PC at work, as far as there is room.
///
/// Styled with ANSI; no line is wider than the terminal.
pub(crate) fn lines(fleet: &Fleet, room: Room, now: Timestamp) -> Vec<String> {
    let mut lines = vec![fleet_line(fleet, room.columns, now)];
    let at_work = fleet.at_work(now);
    // The last line says how many more there are; one more is shown rather than counted.
    let shown = if at_work.len() > room.pcs {
        room.pcs.saturating_sub(1)
    } else {
        at_work.len()
    };
    let names = fleet.names.min(room.columns / 2);
    for pc in at_work.iter().take(shown) {
        let name = console::pad_str(&pc.host.0, names, console::Alignment::Left, Some("…"));
        let spinner = spinner(pc.place, pc.for_long);
        let line = format!(
            "  {spinner} {name}  {:<26} {}",
            doing(pc.doing),
            seconds(pc.for_long)
        );
        lines.push(fit(&line, room.columns));
    }
    if shown < at_work.len() && room.pcs > 0 {
        let more = format!("  … {} more at work", at_work.len() - shown);
        lines.push(fit(&more, room.columns));
    }
    lines
}

/// Returns the numbers of a fleet in one line of plain text: what a live view's line says.
pub(crate) fn numbers(fleet: &Fleet, now: Timestamp) -> String {
    parts(fleet, now)
        .into_iter()
        .map(|(text, _)| text)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Returns the line for a PC that ended: `✓ pc-003  repaired(netlogon-restart)  2.1 s`.
pub(crate) fn finished(fleet: &Fleet, result: &HostResult, plain: bool) -> String {
    let class = result.outcome.class();
    let (sign, style) = sign(class);
    let name = &result.host.0;
    let time = elapsed(Duration::from_millis(result.elapsed_ms));
    let outcome = ended(fleet, result);
    if plain {
        let (done, total) = (fleet.done, fleet.total);
        let digits = total.to_string().len();
        let mut line = format!("[{done:digits$}/{total}] {name}: {outcome} ({time})");
        if !class.is_well() && !result.reason.is_empty() {
            let _ = write!(line, ": {}", one_line(&result.reason));
        }
        line
    } else {
        let name = console::pad_str(name, fleet.names, console::Alignment::Left, None);
        let outcome = format!("{outcome:<OUTCOME$}");
        format!("{style}{sign}{style:#} {name}  {style}{outcome}{style:#}  {time:>8}")
    }
}

/// The outcome in words; of a command by hand its exit code.
fn ended(fleet: &Fleet, result: &HostResult) -> String {
    match &result.outcome {
        Outcome::Healthy if fleet.exec => "exit 0".to_owned(),
        Outcome::NotRepaired { cause } if fleet.exec => match cause.code {
            Some(code) => format!("exit {code}"),
            None => cause.to_string(),
        },
        outcome => outcome.to_string(),
    }
}

fn fleet_line(fleet: &Fleet, columns: usize, now: Timestamp) -> String {
    let parts = parts(fleet, now);
    let plain: usize = parts.iter().map(|(text, _)| width(text) + 2).sum();
    let mut line = String::new();
    let bar = columns.saturating_sub(plain + 2).min(*BAR.end());
    if BAR.contains(&bar) {
        line.push_str(&draw_bar(fleet, bar));
        line.push_str("  ");
    }
    let texts: Vec<String> = parts
        .iter()
        .map(|(text, style)| format!("{style}{text}{style:#}"))
        .collect();
    line.push_str(&texts.join(", "));
    fit(&line, columns)
}

fn parts(fleet: &Fleet, now: Timestamp) -> Vec<(String, Style)> {
    let plain = Style::new();
    let count = |class| fleet.by_class.get(&class).copied().unwrap_or(0);
    let mut parts = vec![(format!("{}/{} done", fleet.done, fleet.total), plain.bold())];
    if let Some((number, of)) = fleet.batch {
        parts.push((format!("batch {number} of {of}"), plain));
    }
    let green = plain.fg_color(Some(AnsiColor::Green.into()));
    let healthy = if fleet.exec { "exit 0" } else { "healthy" };
    parts.push((format!("{} {healthy}", count(OutcomeClass::Healthy)), green));
    let would = count(OutcomeClass::WouldRepair);
    if would > 0 {
        let cyan = plain.fg_color(Some(AnsiColor::Cyan.into()));
        parts.push((format!("{would} to repair"), cyan));
    } else if !fleet.exec {
        parts.push((format!("{} repaired", count(OutcomeClass::Repaired)), green));
    }
    let red = if fleet.failed() > 0 {
        plain.fg_color(Some(AnsiColor::Red.into()))
    } else {
        plain
    };
    parts.push((format!("{} failed", fleet.failed()), red));
    parts.push((format!("{} running", fleet.running()), plain));
    if let Some(rate) = fleet.rate(now) {
        parts.push((format!("{rate:.1}/s"), plain));
    }
    if let Some(left) = fleet.left(now) {
        parts.push((format!("{} left", whole_seconds(left)), plain));
    }
    let yellow = plain.fg_color(Some(AnsiColor::Yellow.into()));
    match fleet.stopping {
        Some(Stopping::Waiting) => parts.push(("stopping".to_owned(), yellow)),
        Some(Stopping::Cutting) => parts.push(("cutting".to_owned(), yellow)),
        None => {}
    }
    parts
}

/// A bar whose parts are the classes: green well, cyan to repair, red the rest, faint undone.
fn draw_bar(fleet: &Fleet, columns: usize) -> String {
    let plain = Style::new();
    let would = fleet
        .by_class
        .get(&OutcomeClass::WouldRepair)
        .copied()
        .unwrap_or(0);
    let failed = fleet.failed();
    let well = fleet.done - would - failed;
    let mut bar = String::new();
    let mut drawn = 0;
    let mut counted = 0;
    for (pcs, color) in [
        (well, AnsiColor::Green),
        (would, AnsiColor::Cyan),
        (failed, AnsiColor::Red),
    ] {
        counted += pcs;
        let end = (counted * columns).checked_div(fleet.total).unwrap_or(0);
        let style = plain.fg_color(Some(color.into()));
        let _ = write!(bar, "{style}{}{style:#}", "━".repeat(end - drawn));
        drawn = end;
    }
    let faint = plain.dimmed();
    let _ = write!(bar, "{faint}{}{faint:#}", "─".repeat(columns - drawn));
    bar
}

fn doing(doing: &Doing) -> String {
    match doing {
        Doing::Connecting => "connect".to_owned(),
        Doing::Phase(Phase::Verify, Some(rung)) => format!("verify {rung}"),
        Doing::Phase(Phase::Repair, Some(rung)) => format!("repair {rung}"),
        Doing::Phase(phase, _) => phase.to_string(),
    }
}

fn sign(class: OutcomeClass) -> (char, Style) {
    let (sign, color) = match class {
        OutcomeClass::Healthy => ('✓', AnsiColor::Green),
        OutcomeClass::Repaired => ('✚', AnsiColor::Green),
        OutcomeClass::WouldRepair | OutcomeClass::RebootPending => ('→', AnsiColor::Cyan),
        OutcomeClass::Blocked | OutcomeClass::Skipped => ('•', AnsiColor::Yellow),
        OutcomeClass::Unknown => ('?', AnsiColor::Magenta),
        OutcomeClass::NotRepaired
        | OutcomeClass::Unreachable
        | OutcomeClass::AccessDenied
        | OutcomeClass::NeedsHands => ('✗', AnsiColor::Red),
    };
    (sign, Style::new().fg_color(Some(color.into())))
}

fn spinner(place: u64, for_long: Duration) -> char {
    let step = u128::from(place) * 3 + for_long.as_millis() / 100;
    let step = usize::try_from(step % SPINNER.len() as u128).unwrap_or(0);
    SPINNER.get(step).copied().unwrap_or(' ')
}

fn seconds(duration: Duration) -> String {
    if duration.as_secs() < 60 {
        format!("{:>4.1} s", duration.as_secs_f64())
    } else {
        elapsed(duration)
    }
}

fn whole_seconds(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..60 => format!("{} s", seconds.max(1)),
        _ => elapsed(duration),
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// Cuts a line to the terminal, styles apart; its time goes first.
pub(crate) fn fit(line: &str, columns: usize) -> String {
    console::truncate_str(line, columns, "…").into_owned()
}
