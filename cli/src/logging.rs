//! Log messages to standard error, without breaking the live view or telling secrets.

use std::io::{self, Write};
use std::sync::Arc;

use anstream::{AutoStream, ColorChoice};
use indicatif::MultiProgress;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::printer::Printer;

/// Starts logging: warnings; with `-v` what fleetmend does; with `-vv` also how.
///
/// No environment variable can raise a level: see [`targets`].
pub(crate) fn start(printer: &Printer, verbose: u8) {
    let writer = Suspending {
        screen: Arc::clone(printer.screen()),
        color: printer.color(),
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(printer.color_on_stderr())
        .without_time()
        .with_target(verbose > 0);
    // It fails only where a subscriber exists already, which then does its work.
    let _ = tracing_subscriber::registry()
        .with(targets(verbose))
        .with(layer)
        .try_init();
}

/// Which crates may say what.
///
/// Only our own may go beyond `info`: `sspi` logs message bytes in clear at `debug`, and russh
/// the packets of a password logon at `trace`. A list of what is allowed cannot forget a crate.
fn targets(verbose: u8) -> Targets {
    let (ours, others) = match verbose {
        0 => (LevelFilter::WARN, LevelFilter::ERROR),
        1 => (LevelFilter::INFO, LevelFilter::WARN),
        _ => (LevelFilter::DEBUG, LevelFilter::INFO),
    };
    Targets::new()
        .with_default(others)
        .with_target("fleetmend", ours)
        .with_target("sspi", LevelFilter::OFF)
        .with_target("picky", LevelFilter::OFF)
}

/// Takes the live view off the screen while a line is written.
struct Suspending {
    screen: Arc<MultiProgress>,
    color: ColorChoice,
}

struct Line {
    screen: Arc<MultiProgress>,
    color: ColorChoice,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Suspending {
    type Writer = Line;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            screen: Arc::clone(&self.screen),
            color: self.color,
            bytes: Vec::new(),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.screen.suspend(|| {
            let mut err = AutoStream::new(io::stderr().lock(), self.color);
            // Nobody is left to be told when standard error is closed.
            let _ = err.write_all(&self.bytes);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn only_our_own_crates_go_beyond_info() {
        let all = targets(9);
        assert!(all.would_enable("fleetmend_transport::winrm", &Level::DEBUG));
        assert!(!all.would_enable("fleetmend_transport::winrm", &Level::TRACE));
        for other in ["russh::client", "hyper", "rustls"] {
            assert!(all.would_enable(other, &Level::INFO));
            assert!(!all.would_enable(other, &Level::DEBUG), "{other}");
        }
        for silent in ["sspi", "sspi::ntlm", "picky_krb"] {
            assert!(!all.would_enable(silent, &Level::ERROR), "{silent}");
        }
        assert!(!targets(0).would_enable("fleetmend_engine", &Level::INFO));
    }
}
