//! The live view on a terminal, and plain lines elsewhere: both read the run's records.

mod fleet;
mod lines;

use std::time::{Duration, Instant};

use fleetmend_model::{OutcomeClass, Record};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

pub(crate) use fleet::Fleet;

use crate::printer::{Mode, Printer};

/// PCs at work that get a line of their own, if the terminal is high enough.
const PC_LINES: usize = 8;
/// How often plain output tells the numbers.
const PLAIN_EVERY: Duration = Duration::from_secs(15);
/// Above this many PCs the live view no longer prints a line for every one that ends well.
const SMALL_FLEET: usize = 60;

/// Shows a run while it goes on.
pub(crate) struct Live {
    printer: Printer,
    fleet: Fleet,
    /// One bar a line; indicatif only draws, the text is ours.
    bars: Vec<ProgressBar>,
    told: Instant,
}

impl Live {
    /// Returns a view that shows nothing yet.
    pub(crate) fn new(printer: &Printer) -> Self {
        Self {
            printer: printer.clone(),
            fleet: Fleet::default(),
            bars: Vec::new(),
            told: Instant::now(),
        }
    }

    /// Takes over what a run had come to before it was cut.
    pub(crate) fn go_on(&mut self, fleet: Fleet) {
        self.fleet = fleet;
    }

    /// Takes one record in, and says so where a PC ended.
    pub(crate) fn apply(&mut self, record: &Record) {
        let Some(result) = self.fleet.apply(record) else {
            return;
        };
        let class = result.outcome.class();
        let (_, total) = self.fleet.progress();
        match self.printer.mode() {
            Mode::Quiet => {}
            Mode::Plain | Mode::Verbose => {
                self.printer
                    .note(&lines::finished(&self.fleet, result, true));
            }
            // Healthy PCs are no news; in a large fleet repaired ones are not either.
            Mode::Live if class == OutcomeClass::Healthy => {}
            Mode::Live if class.is_well() && total > SMALL_FLEET => {}
            Mode::Live => {
                let line = lines::finished(&self.fleet, result, false);
                let columns = usize::from(self.printer.columns());
                self.printer.note(&lines::fit(&line, columns));
            }
        }
    }

    /// Draws again; call it about ten times a second.
    pub(crate) fn tick(&mut self, now: Timestamp) {
        match self.printer.mode() {
            Mode::Quiet => {}
            Mode::Plain | Mode::Verbose => {
                if self.told.elapsed() >= PLAIN_EVERY {
                    self.told = Instant::now();
                    self.printer.note(&lines::numbers(&self.fleet, now));
                }
            }
            Mode::Live => self.draw(now),
        }
    }

    /// Takes the view off the screen.
    pub(crate) fn finish(&mut self) {
        for bar in self.bars.drain(..) {
            bar.finish_and_clear();
            self.printer.screen().remove(&bar);
        }
    }

    fn draw(&mut self, now: Timestamp) {
        let rows = usize::from(self.printer.rows());
        let room = lines::Room {
            columns: usize::from(self.printer.columns()).saturating_sub(1),
            pcs: PC_LINES.min(rows.saturating_sub(4)),
        };
        let lines = lines::lines(&self.fleet, room, now);
        while self.bars.len() > lines.len() {
            if let Some(bar) = self.bars.pop() {
                bar.finish_and_clear();
                self.printer.screen().remove(&bar);
            }
        }
        while self.bars.len() < lines.len() {
            let bar = ProgressBar::new_spinner().with_style(raw());
            self.bars.push(self.printer.screen().add(bar));
        }
        let color = self.printer.color_on_stderr();
        for (bar, line) in self.bars.iter().zip(lines) {
            let line = if color {
                line
            } else {
                console::strip_ansi_codes(&line).into_owned()
            };
            bar.set_message(line);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}

fn raw() -> ProgressStyle {
    // The template is a constant; should it ever be wrong the default style shows the text too.
    ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests;
