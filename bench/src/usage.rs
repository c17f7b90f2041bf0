//! CPU time and memory of another process, as /proc tells them while it runs.

use std::time::Duration;

/// Clock ticks a second: `USER_HZ` is 100 on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// The largest values seen so far. The last few milliseconds of a process are not seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Largest resident set.
    pub(crate) peak_kib: u64,
}

impl Usage {
    /// Looks once.
    pub(crate) fn look(&mut self, process: u32) {
        if let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) {
            self.cpu = self.cpu.max(cpu(&stat));
        }
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/status")) {
            self.peak_kib = self.peak_kib.max(peak(&status));
        }
    }
}

/// Fields 14 and 15 of proc_pid_stat(5), counted behind the name in brackets.
fn cpu(stat: &str) -> Duration {
    let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
    let ticks: u32 = behind
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    TICK * ticks
}

fn peak(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proc() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 5";
        assert_eq!(cpu(stat), Duration::from_secs(2));
        assert_eq!(peak("VmPeak:\t 9 kB\nVmHWM:\t   5120 kB\n"), 5120);
    }
}
