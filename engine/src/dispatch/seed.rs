//! What a run that goes on remembers of its accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmend_model::{Credential, CredentialRef, Host, HostName, Place};
use tokio::time::timeout;

use super::account::domain_logon;
use super::gate::{DOUBTS, Key, Refusal};
use super::host_task::Shared;
use super::past::{Of, Seen, Word};
use crate::program::{RungPlan, StepPlan};

/// Closes the gate for every account that was refused before the cut, and counts the uses that
/// told nothing. That an account worked is forgotten: its password has been given anew.
pub(super) async fn seed(shared: &Shared, seen: &[Seen]) {
    let hosts = shared.plan.hosts.iter();
    let hosts: BTreeMap<&HostName, &Arc<Host>> = hosts.map(|host| (&host.name, host)).collect();
    let mut proven: BTreeSet<Key> = BTreeSet::new();
    let mut doubts: BTreeMap<Key, usize> = BTreeMap::new();
    for one in seen {
        let Some(host) = hosts.get(&one.host) else {
            continue;
        };
        for (key, account) in accounts(shared, host, one).await {
            match one.word {
                Word::Refused(code) => {
                    let place = match one.of {
                        Of::Directory => Place::Controller,
                        Of::Logon | Of::Step(_) | Of::Rung(_) => Place::Pc,
                    };
                    let refusal = Refusal {
                        account,
                        host: one.host.clone(),
                        place,
                        code,
                    };
                    shared.gate.refuse(&key, &refusal);
                }
                Word::Proven => {
                    proven.insert(key);
                }
                Word::Nothing => *doubts.entry(key).or_default() += 1,
            }
        }
    }
    for (key, uses) in doubts {
        if proven.contains(&key) {
            continue;
        }
        for _ in 0..uses.min(DOUBTS) {
            if let Ok(pass) = shared.gate.enter(&key).await {
                pass.used();
            }
        }
    }
}

/// Returns the guarded accounts of which the event speaks, each with its name in words.
async fn accounts(shared: &Shared, host: &Host, seen: &Seen) -> Vec<(Key, String)> {
    match &seen.of {
        Of::Directory => {
            let user = shared.plan.directory.clone();
            return vec![(Key::Directory, user.unwrap_or_default())];
        }
        Of::Logon => {
            let name = host.credential.as_ref();
            let name = name.unwrap_or(&shared.plan.default_credential);
            let user = match &host.user {
                Some(user) => Some(user.clone()),
                None => ask(shared, name, host).await.map(|found| found.user),
            };
            let logon = user.and_then(|user| Some((domain_logon(&user, host)?, user)));
            return logon.into_iter().collect();
        }
        Of::Step(_) | Of::Rung(_) => {}
    }
    let mut found = Vec::new();
    for name in given(shared, host, &seen.of) {
        let user = ask(shared, &name, host).await.map(|found| found.user);
        let user = user.unwrap_or_else(|| name.to_string());
        found.push((Key::Credential(name), user));
    }
    found
}

/// Returns the credentials that the step or the rung was given.
fn given(shared: &Shared, host: &Host, of: &Of) -> BTreeSet<CredentialRef> {
    let program = shared.plan.program(host);
    let (Some(program), Ok(situation)) = (program, shared.plan.situation(host)) else {
        return BTreeSet::new();
    };
    let parameters: Vec<&str> = match of {
        Of::Step(step) => {
            let plan = program.step(step).into_iter();
            plan.flat_map(StepPlan::credentials).collect()
        }
        Of::Rung(rung) => {
            let plan = program.rungs.get(rung).into_iter();
            plan.flat_map(RungPlan::credentials).collect()
        }
        Of::Logon | Of::Directory => Vec::new(),
    };
    let names = parameters.into_iter();
    let names = names.filter_map(|parameter| situation.params.get(parameter)?.as_str());
    names.map(|name| CredentialRef(name.to_owned())).collect()
}

async fn ask(shared: &Shared, name: &CredentialRef, host: &Host) -> Option<Credential> {
    let found = shared.credentials.credential(name, host);
    timeout(shared.plan.limits.logon, found).await.ok()?.ok()
}
