//! Measures the controller against a lab in another process: this program is the lab, its child
//! is the real binary. Linux only: the figures come from /proc.
//!
//!     cargo build --release && cargo run --release -p fleetmend-bench

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

mod fleet;
mod usage;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use fleetmend_lab::{PcPlan, Scenario};
use fleetmend_model::TransportKind;

use crate::fleet::{Fleet, Measured};

type Error = Box<dyn std::error::Error>;

/// Measure wall time, CPU and memory of the controller over simulated PCs
#[derive(Debug, Parser)]
struct Args {
    /// Simulate this many PCs
    #[arg(long, default_value_t = 1_000)]
    pcs: usize,
    /// Let every answer of a PC come this many milliseconds late
    #[arg(long, default_value_t = 200)]
    latency: u64,
    /// The binary to measure
    #[arg(long, default_value = "target/release/fleetmend")]
    binary: PathBuf,
    /// Measure this often and show the median
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    println!(
        "{} PCs, {} ms latency, {} cores, median of {}\n",
        args.pcs,
        args.latency,
        std::thread::available_parallelism()?,
        args.rounds
    );
    println!(
        "| transport | fleet | one PC alone (s) | whole fleet (s) | ratio | CPU (ms/PC) | memory (KiB/PC) |"
    );
    println!("|---|---|---|---|---|---|---|");
    for transport in [
        TransportKind::WinrmHttp,
        TransportKind::WinrmHttps,
        TransportKind::Ssh,
    ] {
        for (name, scenario) in [
            ("healthy: diagnose only", Scenario::Healthy),
            (
                "broken: diagnose, two rungs, verify",
                Scenario::PasswordMismatch,
            ),
        ] {
            let row = measure(&args, PcPlan::new(scenario).over(transport)).await?;
            println!("| {transport} | {name} | {row} |");
        }
    }
    Ok(())
}

/// One row: the slowest PC's own chain is a fleet of one such PC, since all are alike.
async fn measure(args: &Args, plan: PcPlan) -> Result<String, Error> {
    let latency = Duration::from_millis(args.latency);
    let mut rounds = Vec::new();
    for _ in 0..args.rounds.max(1) {
        let one = Fleet::start(1, plan, latency)
            .await?
            .run(&args.binary)
            .await?;
        let all = Fleet::start(args.pcs, plan, latency)
            .await?
            .run(&args.binary)
            .await?;
        rounds.push((one, all));
    }
    rounds.sort_by_key(|(_, all)| all.wall);
    let middle = rounds.len() / 2;
    let Some((one, all)) = rounds.get(middle) else {
        return Err("nothing measured".into());
    };
    Ok(row(one, all, args.pcs))
}

fn row(one: &Measured, all: &Measured, pcs: usize) -> String {
    let ratio = all.wall.as_secs_f64() / one.wall.as_secs_f64();
    let pcs = pcs as f64;
    let cpu = (all.cpu.saturating_sub(one.cpu)).as_secs_f64() * 1_000.0 / pcs;
    let memory = all.peak_kib.saturating_sub(one.peak_kib) as f64 / pcs;
    format!(
        "{:.2} | {:.2} | {ratio:.2} | {cpu:.2} | {memory:.1}",
        one.wall.as_secs_f64(),
        all.wall.as_secs_f64()
    )
}
