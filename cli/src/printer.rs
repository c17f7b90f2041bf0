//! What goes to the terminal: quiet, plain, live or verbose is decided here, once.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::error::CliError;

/// How much is said beside the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Data and errors only (`-q`).
    Quiet,
    /// A line for each PC that ends: standard error is not a terminal, or data goes there too.
    Plain,
    /// A live view of the fleet: standard error is a terminal.
    Live,
    /// Lines and log messages (`-v`); a live view would drown.
    Verbose,
}

/// Writes data to standard output and all else to standard error.
#[derive(Clone)]
pub(crate) struct Printer {
    mode: Mode,
    color: ColorChoice,
    screen: Arc<MultiProgress>,
}

impl Printer {
    /// Decides how to print.
    ///
    /// `stream_on_stdout`: data is written while the run goes on, so a live view must not share
    /// a terminal with it.
    pub(crate) fn new(
        quiet: bool,
        verbose: u8,
        color: ColorChoice,
        stream_on_stdout: bool,
    ) -> Self {
        let terminal = io::stderr().is_terminal() && !dumb_terminal();
        let shared = stream_on_stdout && io::stdout().is_terminal();
        let mode = match (quiet, verbose) {
            (true, _) => Mode::Quiet,
            (false, 1..) => Mode::Verbose,
            (false, 0) if terminal && !shared => Mode::Live,
            (false, 0) => Mode::Plain,
        };
        let target = match mode {
            Mode::Live => ProgressDrawTarget::stderr_with_hz(10),
            _ => ProgressDrawTarget::hidden(),
        };
        let screen = Arc::new(MultiProgress::with_draw_target(target));
        Self {
            mode,
            color,
            screen,
        }
    }

    /// Returns how much is said.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns when to use colours, as the operator wants it.
    pub(crate) fn color(&self) -> ColorChoice {
        self.color
    }

    /// Returns where the live view is drawn; whoever else writes to standard error goes through
    /// its `suspend`.
    pub(crate) fn screen(&self) -> &Arc<MultiProgress> {
        &self.screen
    }

    /// Tells whether standard output takes colours.
    pub(crate) fn color_on_stdout(&self) -> bool {
        self.choice(&io::stdout()) != ColorChoice::Never
    }

    /// Tells whether standard error takes colours.
    pub(crate) fn color_on_stderr(&self) -> bool {
        self.choice(&io::stderr()) != ColorChoice::Never
    }

    /// Returns the columns of standard output, if it is a terminal.
    pub(crate) fn stdout_width(&self) -> Option<u16> {
        io::stdout().is_terminal().then(|| self.columns())
    }

    /// Returns the columns of standard error, if it is a terminal.
    pub(crate) fn stderr_width(&self) -> Option<u16> {
        io::stderr().is_terminal().then(|| self.columns())
    }

    /// Returns the columns of the terminal, 80 where nobody knows.
    pub(crate) fn columns(&self) -> u16 {
        self.size().1
    }

    /// Returns the rows of the terminal, 24 where nobody knows.
    pub(crate) fn rows(&self) -> u16 {
        self.size().0
    }

    /// Writes data to standard output.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(crate) fn data(&self, text: &str) -> Result<(), CliError> {
        self.screen.suspend(|| {
            let mut out = AutoStream::new(io::stdout().lock(), self.color);
            match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => other.map_err(CliError::from),
            }
        })
    }

    /// Writes a line for people to standard error, unless quiet.
    pub(crate) fn note(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.line(text);
        }
    }

    /// Writes a line for people to standard error, even when quiet.
    pub(crate) fn say(&self, text: &str) {
        self.line(text);
    }

    /// Writes a warning to standard error, even when quiet.
    pub(crate) fn warning(&self, text: &str) {
        self.labelled("warning", AnsiColor::Yellow, text);
    }

    /// Shows an error and its hints.
    pub(crate) fn error(&self, error: &CliError) {
        let (message, hints) = error.lines();
        self.labelled("error", AnsiColor::Red, &message);
        for hint in hints {
            self.labelled("hint", AnsiColor::Cyan, hint);
        }
    }

    fn labelled(&self, label: &str, color: AnsiColor, text: &str) {
        let style = Style::new().fg_color(Some(color.into())).bold();
        self.line(&format!("{style}{label}:{style:#} {text}"));
    }

    fn line(&self, text: &str) {
        self.screen.suspend(|| {
            let mut err = AutoStream::new(io::stderr().lock(), self.color);
            // Nobody is left to be told when standard error is closed.
            let _ = writeln!(err, "{text}");
        });
    }

    fn choice(&self, stream: &impl anstream::stream::RawStream) -> ColorChoice {
        match self.color {
            ColorChoice::Auto => AutoStream::choice(stream),
            fixed => fixed,
        }
    }

    fn size(&self) -> (u16, u16) {
        console::Term::stderr()
            .size_checked()
            .or_else(|| console::Term::stdout().size_checked())
            .unwrap_or((24, 80))
    }
}

fn dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}
