//! What the directory tells: clocks, computer accounts, LAPS.

use std::sync::Arc;

use fleetmend_directory::{ControllerFacts, ControllerState, LapsReading, Rights};
use fleetmend_model::{Host, HostName};
use futures::StreamExt as _;
use serde_json::Value;

use super::finding::Finding;
use crate::directory::{Open, ask};
use crate::statement::pcs_named;

/// Questions under way at once: a controller has others to serve.
const AT_ONCE: usize = 8;
/// How far clocks may be apart for Kerberos, in seconds.
const KERBEROS: i64 = 300;

/// Each controller: whether it answers, its clock against ours, and whether it can be written to.
pub(super) async fn controllers(open: &Open) -> Vec<Finding> {
    let all = match open.directory.each_controller(&ask()).await {
        Ok(all) => all,
        Err(error) => return vec![Finding::failed("controllers", error.to_string())],
    };
    let count = all.len();
    let mut findings = Vec::new();
    let mut answered = Vec::new();
    for ControllerState { dc, told } in &all {
        match told {
            Ok(facts) => answered.push((dc.as_str(), facts)),
            Err(why) => findings.push(
                Finding::warning("controllers", format!("{dc} does not answer: {why}"))
                    .then("PCs that are bound to it may fail; is it meant to be there?"),
            ),
        }
    }
    let of = |wanted: fn(&ControllerFacts) -> bool| {
        let of = answered.iter().filter(|(_, facts)| wanted(facts));
        of.map(|(dc, _)| *dc).collect::<Vec<_>>()
    };
    let read_only = of(|facts| facts.read_only);
    let behind = of(|facts| facts.synchronized == Some(false));
    let told = format!("{} of {count} answer", answered.len());
    findings.insert(
        0,
        if read_only.len() == answered.len() {
            Finding::failed("controllers", format!("{told}; each is read-only"))
                .then("name one that can be written to: --directory-server HOST")
        } else if read_only.is_empty() {
            Finding::ok("controllers", told)
        } else {
            let names = read_only.join(", ");
            Finding::ok("controllers", format!("{told}; read-only: {names}"))
        },
    );
    if !behind.is_empty() {
        let found = format!(
            "{} did not finish the first synchronisation",
            behind.join(", ")
        );
        findings.push(
            Finding::warning("controllers", found)
                .then("what is written there may not reach the others: repadmin /replsummary"),
        );
    }
    findings.push(clock(&answered));
    findings
}

/// The clock that is furthest from ours.
fn clock(answered: &[(&str, &ControllerFacts)]) -> Finding {
    let told = answered.iter().filter_map(|(dc, facts)| {
        let ahead = facts.clock_ahead?.as_secs();
        Some((ahead.abs(), ahead, *dc))
    });
    match told.max() {
        None => Finding::warning("clock", "no controller tells its time"),
        Some((apart, ahead, dc)) if apart > KERBEROS => Finding::failed(
            "clock",
            format!("{dc} is {ahead} s ahead of this computer; Kerberos allows {KERBEROS} s"),
        )
        .then("set this computer's clock, or the controller's; then look again"),
        Some((apart, _, dc)) => Finding::ok(
            "clock",
            format!("within {apart} s of every controller, the furthest {dc}"),
        ),
    }
}

/// Which of these PCs have an account, and whether it is enabled.
pub(super) async fn computers(open: &Open, hosts: &[Arc<Host>]) -> Vec<Finding> {
    let answers: Vec<(HostName, Option<Value>)> = futures::stream::iter(hosts)
        .map(|host| async move {
            let read = open.directory.computer_alone(&name_of(host), &ask()).await;
            (host.name.clone(), read.ok())
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let with = |wanted: fn(&Value) -> bool| -> Vec<&HostName> {
        let of = answers.iter();
        of.filter(|(_, answer)| answer.as_ref().is_some_and(wanted))
            .map(|(name, _)| name)
            .collect()
    };
    let found = with(|answer| answer.get("found") == Some(&Value::Bool(true)));
    let missing = with(|answer| answer.get("found") == Some(&Value::Bool(false)));
    let disabled = with(|answer| answer.get("enabled") == Some(&Value::Bool(false)));
    let count = hosts.len();
    let mut findings = vec![Finding::ok(
        "computers",
        format!(
            "{} of {count} asked have an account that this one sees",
            found.len()
        ),
    )];
    if !missing.is_empty() {
        findings.push(
            Finding::warning("computers", format!("no account: {}", pcs_named(missing)))
                .then("deleted, renamed, or hidden from this account: fleetmend directory show PC"),
        );
    }
    if !disabled.is_empty() {
        findings.push(
            Finding::warning("computers", format!("disabled: {}", pcs_named(disabled)))
                .then("a run enables them only with --set enable_accounts=true"),
        );
    }
    let silent = answers.iter().filter(|(_, answer)| answer.is_none());
    let silent: Vec<&HostName> = silent.map(|(name, _)| name).collect();
    if !silent.is_empty() {
        findings.push(
            Finding::warning(
                "computers",
                format!("could not be read: {}", pcs_named(silent)),
            )
            .then("see why: fleetmend directory show PC"),
        );
    }
    findings
}

/// What the account that asks the directory may do to the PCs' accounts.
pub(super) async fn rights(open: &Open, hosts: &[Arc<Host>]) -> Vec<Finding> {
    let all: Vec<Rights> = futures::stream::iter(hosts)
        .map(|host| async move { open.directory.rights(&name_of(host), &ask()).await.ok() })
        .buffer_unordered(AT_ONCE)
        .filter_map(|rights| async move { rights })
        .collect()
        .await;
    let count = all.len();
    let told = |of: fn(&Rights) -> Option<bool>| {
        let may = all.iter().filter(|rights| of(rights) == Some(true)).count();
        let unknown = all.iter().filter(|rights| of(rights).is_none()).count();
        (may, unknown)
    };
    let user = &open.user;
    let mut findings = Vec::new();
    for (word, of, switch) in [
        (
            "reset the password of",
            (|rights| rights.reset_password) as fn(&Rights) -> Option<bool>,
            "",
        ),
        ("unlock", |rights| rights.unlock, ""),
        (
            "enable",
            |rights| rights.enable,
            " (only with --set enable_accounts=true)",
        ),
    ] {
        let (may, unknown) = told(of);
        let found = format!("{user} may {word} {may} of {count} accounts{switch}");
        findings.push(match (may, unknown) {
            _ if count == 0 => Finding::skipped("rights", "no account could be read"),
            (_, unknown) if unknown == count => Finding::skipped(
                "rights",
                format!("the controller does not tell whether {user} may {word} the PCs' accounts"),
            ),
            (_, unknown) if unknown > 0 => Finding::skipped(
                "rights",
                format!("{found}; of {unknown} the controller does not tell"),
            ),
            (may, _) if may == count => Finding::ok("rights", found),
            _ if word.starts_with("reset") => Finding::warning("rights", found)
                .then("grant it on the PCs' unit, or those PCs need other rungs: docs/guide/domain-rights.md"),
            _ => Finding::ok("rights", found),
        });
    }
    findings
}

/// For how many PCs LAPS can be read.
pub(super) async fn laps(open: &Open, hosts: &[Arc<Host>]) -> Finding {
    let readings: Vec<&'static str> = futures::stream::iter(hosts)
        .map(|host| async move {
            let read = open.directory.laps(&name_of(host), None, &ask()).await;
            read.map_or("not found", |laps| {
                if laps.password().is_some() {
                    return "readable";
                }
                match (&laps.windows, &laps.legacy) {
                    (LapsReading::Encrypted { .. }, _) => "encrypted",
                    (LapsReading::Unreadable { .. }, _) | (_, LapsReading::Unreadable { .. }) => {
                        "hidden from this account"
                    }
                    (LapsReading::Malformed, _) | (_, LapsReading::Malformed) => {
                        "not what LAPS writes"
                    }
                    _ => "nothing kept",
                }
            })
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let of = |word: &str| readings.iter().filter(|one| **one == word).count();
    let mut told = vec![format!(
        "readable for {} of {} asked",
        of("readable"),
        hosts.len()
    )];
    for word in [
        "encrypted",
        "hidden from this account",
        "not what LAPS writes",
        "nothing kept",
        "not found",
    ] {
        if of(word) > 0 {
            told.push(format!("{word}: {}", of(word)));
        }
    }
    let told = told.join("; ");
    match of("hidden from this account") {
        0 => Finding::ok("LAPS", told),
        _ => Finding::warning("LAPS", told)
            .then("give the account the right to read them: docs/guide/domain-rights.md"),
    }
}

/// What the directory knows the PC by.
fn name_of(host: &Host) -> String {
    let own = host.vars.get("computer_name").and_then(Value::as_str);
    own.unwrap_or(&host.name.0).to_owned()
}
