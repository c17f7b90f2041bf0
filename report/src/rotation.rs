//! Repaired PCs that still use a secret which was made for them, in words.

use fleetmend_model::{HostResult, OutcomeClass};
use serde_json::Value;

/// So many PCs are named; of more only their number is told.
const NAMED: usize = 5;

/// Tells whether the PC was given a secret in its repair and is not known to have replaced it by
/// one of its own (`rotated` in its evidence).
pub(crate) fn not_rotated(result: &HostResult) -> bool {
    told(result).is_some_and(|rotated| rotated != &Value::Bool(true))
}

/// Returns the PCs that still use a secret which was made for them, and what to do about it; none
/// if there are none.
pub(crate) fn lines<'a>(results: impl Iterator<Item = &'a HostResult>) -> Vec<String> {
    let kept: Vec<&HostResult> = results.filter(|result| not_rotated(result)).collect();
    if kept.is_empty() {
        return Vec::new();
    }
    let (failed, untold): (Vec<&HostResult>, Vec<&HostResult>) = kept
        .into_iter()
        .partition(|result| told(result) == Some(&Value::Bool(false)));
    let mut lines = Vec::new();
    for (which, what) in [
        (failed, "failed to renew it"),
        (
            untold,
            "were not asked to renew it, or did not say whether they did",
        ),
    ] {
        if !which.is_empty() {
            lines.push(format!("{} {what}: {}", which.len(), names(&which)));
        }
    }
    lines.push(
        "the machine that ran fleetmend held these passwords, and they hold until each PC renews \
         its own (Windows: within 30 days, unless that is switched off); at once: nltest \
         /sc_change_pwd:DOMAIN on a Windows PC, net ads changetrustpw on a Samba member"
            .to_owned(),
    );
    lines
}

fn told(result: &HostResult) -> Option<&Value> {
    let repaired = result.outcome.class() == OutcomeClass::Repaired;
    let evidence = result.evidence.as_ref().filter(|_| repaired)?;
    evidence.get("rotated")
}

fn names(which: &[&HostResult]) -> String {
    let mut names: Vec<String> = which
        .iter()
        .take(NAMED)
        .map(|result| result.host.to_string())
        .collect();
    if which.len() > NAMED {
        names.push(format!("and {} more", which.len() - NAMED));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::repaired;

    #[test]
    fn names_who_kept_what_was_made() {
        let well = [
            repaired("pc-1", Some(json!({"rotated": true}))),
            repaired("pc-2", Some(json!({"dc": "dc1"}))),
            repaired("pc-3", None),
        ];
        assert!(lines(well.iter()).is_empty());
        let mut kept = vec![
            repaired("経理-1", Some(json!({"rotated": false}))),
            repaired("pc-0", Some(json!({"rotated": null}))),
        ];
        assert!(kept.iter().all(not_rotated));
        kept.extend(well);
        let told = lines(kept.iter());
        assert_eq!(
            told[..2],
            [
                "1 failed to renew it: 経理-1",
                "1 were not asked to renew it, or did not say whether they did: pc-0",
            ]
        );
        assert!(told[2].contains("nltest /sc_change_pwd"));
        let many: Vec<HostResult> = (0..7)
            .map(|_| repaired("pc", Some(json!({"rotated": false}))))
            .collect();
        assert_eq!(
            lines(many.iter())[0],
            "7 failed to renew it: pc, pc, pc, pc, pc, and 2 more"
        );
    }
}
