//! A run that ended because too many PCs failed.

use fleetmend_model::ErrorsSpent;

/// Returns which batch stopped the run and why.
pub(crate) fn line(spent: &ErrorsSpent) -> String {
    let batch = match spent.of {
        0 | 1 => String::new(),
        of => format!(" in batch {} of {of}", spent.batch),
    };
    let hosts = crate::fold_names(&spent.hosts);
    let why = match &spent.new {
        Some(kind) => format!("a new kind of failure, {kind}, on {hosts}"),
        None => {
            let failures = if spent.count == 1 {
                "failure"
            } else {
                "failures"
            };
            format!(
                "{} {failures} of class {} ({hosts}), {} allowed",
                spent.count, spent.class, spent.allowed
            )
        }
    };
    let pcs = if spent.left == 1 { "PC" } else { "PCs" };
    format!("stopped{batch}: {why}; {} {pcs} not begun", spent.left)
}

#[cfg(test)]
mod tests {
    use fleetmend_model::HostName;

    use super::*;

    #[test]
    fn names_batch_reason_and_pcs() {
        let mut spent = ErrorsSpent {
            batch: 2,
            of: 4,
            class: "access-denied".into(),
            new: None,
            count: 3,
            allowed: 2,
            hosts: (1..4).map(|n| HostName(format!("経理-{n:02}"))).collect(),
            left: 1,
        };
        assert_eq!(
            line(&spent),
            "stopped in batch 2 of 4: 3 failures of class access-denied (経理-[01:03]), 2 allowed; \
             1 PC not begun"
        );
        spent.new = Some("blocked(x)".into());
        (spent.batch, spent.of, spent.left) = (1, 1, 5);
        assert_eq!(
            line(&spent),
            "stopped: a new kind of failure, blocked(x), on 経理-[01:03]; 5 PCs not begun"
        );
    }
}
