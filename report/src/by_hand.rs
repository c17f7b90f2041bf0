//! What people did by hand, with a stick, after the run could not.

use crate::RunReport;

/// Returns a line for each PC whose result was handed in.
pub(crate) fn lines(report: &RunReport) -> Vec<String> {
    let handed = report.hosts.iter().filter_map(|host| {
        let handed = host.by_hand.as_ref()?;
        let outcome = &handed.result.outcome;
        let (computer, by) = (&handed.computer, &handed.by);
        let ended = handed.ended.strftime("%Y-%m-%d %H:%M:%SZ");
        let name = &host.host;
        Some(format!("{name}: {outcome} on {computer} by {by}, {ended}"))
    });
    handed.collect()
}
