//! Whether every credential has a source that can give it.

use std::path::Path;
use std::sync::Arc;

use fleetmend_model::RunMode;

use super::finding::Finding;
use crate::args::JobArgs;
use crate::credentials::{CredentialsFile, Passwords};
use crate::plan::Pcs;

/// Gathers what a run would gather; none if something is missing, which is told.
pub(super) async fn look(
    job: &JobArgs,
    file: Option<&Arc<CredentialsFile>>,
    pcs: &Pcs,
    findings: &mut Vec<Finding>,
) -> Option<Passwords> {
    let everyone = pcs.everyone();
    let gathered = Passwords::gather(&job.logon, &job.domain, RunMode::Repair, &everyone, file);
    let passwords = match gathered.await {
        Ok(passwords) => passwords.unsealed_by(pcs.unseal.clone()),
        Err(error) => {
            let finding = Finding::of_error("credentials", &error);
            findings.push(match error.lines().1 {
                [] => {
                    finding.then("put it there, or name another source: docs/guide/credentials.md")
                }
                _ => finding,
            });
            return None;
        }
    };
    let accounts = passwords.accounts(&pcs.hosts);
    let each = accounts
        .iter()
        .map(|(user, pcs)| format!("{user} ({pcs} PCs)"));
    let each: Vec<String> = each.collect();
    findings.push(Finding::ok(
        "credentials",
        format!("a source for each: {}", each.join(", ")),
    ));
    findings.extend(programs(&passwords, &everyone));
    Some(passwords)
}

/// Looks for the programs that would be run for passwords, and runs none.
fn programs(passwords: &Passwords, hosts: &[Arc<fleetmend_model::Host>]) -> Option<Finding> {
    let programs = passwords.programs(hosts);
    let missing: Vec<String> = programs
        .iter()
        .filter(|program| !is_there(program))
        .map(|program| program.display().to_string())
        .collect();
    if programs.is_empty() {
        return None;
    }
    Some(if missing.is_empty() {
        let count = programs.len();
        Finding::ok(
            "programs",
            format!("{count} for passwords, found; none was run"),
        )
    } else {
        let found = format!("not found: {}", missing.join(", "));
        Finding::failed("programs", found)
            .then("a program must be in a folder of PATH, or named with its folder")
    })
}

/// Whether a program can be found, as the system would look for it.
fn is_there(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    // Without it the system has folders of its own.
    let Some(path) = std::env::var_os("PATH") else {
        return true;
    };
    let endings = std::env::var("PATHEXT").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| {
        let whole = folder.join(program);
        let mut named = endings.split(';').filter(|ending| !ending.is_empty());
        whole.is_file()
            || named.any(|ending| {
                let mut name = whole.clone().into_os_string();
                name.push(ending);
                Path::new(&name).is_file()
            })
    })
}
