//! In which batches a run goes, how fast, and after how many failures it stops.

use fleetmend_engine::{Batches, ErrorBudgets, Expected, Pace, Rate};

/// In which batches a run goes, how fast, and after how many failures it stops.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Pace")]
pub(crate) struct PaceArgs {
    /// Work in batches of so many PCs, one after the other, as 1,5,10%,rest; the last size repeats
    #[arg(long, value_name = "SIZES", env = "FLEETMEND_BATCHES")]
    pub(crate) batches: Option<Batches>,
    /// Stop when more PCs than this fail in one way: N of the run or N% of a batch, for each class
    /// but unreachable, or as CLASS=N,CLASS=N%
    #[arg(long, value_name = "N|N%", env = "FLEETMEND_MAX_ERRORS")]
    pub(crate) max_errors: Option<ErrorBudgets>,
    /// Do not stop for this kind of failure when it is new in the first batch: CLASS,
    /// CLASS(DETAIL) or any; repeatable
    #[arg(long, value_name = "KIND")]
    pub(crate) expect: Vec<Expected>,
    /// Work on at most N PCs of one site at once; counts only those with a variable site
    #[arg(long, value_name = "N", value_parser = at_once())]
    pub(crate) max_per_site: Option<usize>,
    /// Repair at most N PCs of one domain controller at once
    #[arg(long, value_name = "N", value_parser = at_once())]
    pub(crate) max_per_dc: Option<usize>,
    /// Begin at most so many PCs in a time, evenly: N/s or N/m
    #[arg(long, value_name = "N/s")]
    pub(crate) ramp: Option<Rate>,
}

fn at_once() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..=10_000)
}

impl PaceArgs {
    /// Returns what the engine is told; which kinds of failures are known is not asked here.
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            batches: self.batches.clone().unwrap_or_default(),
            max_errors: self.max_errors.clone().unwrap_or_default(),
            expected: self.expect.clone(),
            per_site: self.max_per_site,
            per_dc: self.max_per_dc,
            ramp: self.ramp,
            ..Pace::default()
        }
    }
}
