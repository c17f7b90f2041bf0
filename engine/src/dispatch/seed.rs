//! What a run that goes on remembers of its accounts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmend_model::{Credential, CredentialRef, Host, HostName, Place};
use tokio::time::timeout;

use super::account::{domain_account, handed};
use super::gate::{DOUBTS, Key, Refusal};
use super::host_task::Shared;
use super::past::{Of, Seen, Word};
use super::past_uses::OwnBefore;
use crate::account_budget::AccountName;
use crate::program::{RungPlan, StepPlan};

/// Closes the gate for every account that was refused before the cut, and counts the uses that
/// told nothing. That an account worked is forgotten: its password has been given anew.
pub(super) async fn seed(shared: &Shared, seen: &[Seen]) {
    let hosts = shared.plan.hosts.iter();
    let hosts: BTreeMap<&HostName, &Arc<Host>> = hosts.map(|host| (&host.name, host)).collect();
    // An account that the operator will have tried again begins anew.
    let mut proven: BTreeSet<Key> = BTreeSet::new();
    let mut doubts: BTreeMap<Key, usize> = BTreeMap::new();
    for one in seen {
        let Some(host) = hosts.get(&one.host) else {
            continue;
        };
        for (key, account) in accounts(shared, host, one).await {
            let consented = shared.budget.is_consented(&AccountName::of(&account));
            match one.word {
                _ if consented => {}
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
                    shared.gate.refused_before(&key, &refusal);
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
            shared.gate.doubted_before(&key);
        }
    }
}

/// Takes over what PCs said of their own accounts before the cut.
pub(super) fn seed_own(shared: &Shared, own: &[OwnBefore]) {
    // Steps for them may have logged on to others.
    let hosts = shared
        .plan
        .hosts
        .iter()
        .chain(shared.plan.elsewhere.values());
    let hosts: BTreeMap<&HostName, &Arc<Host>> = hosts.map(|host| (&host.name, host)).collect();
    for one in own {
        let account = AccountName::of(&one.account);
        let of_domain = hosts
            .get(&one.host)
            .is_none_or(|host| domain_account(&one.account, host).is_some());
        if !of_domain && !shared.budget.is_consented(&account) {
            shared.locals.seed(&one.host, &one.account, &one.before);
        }
    }
}

/// Returns the guarded accounts of which the event speaks, each with its name in words.
async fn accounts(shared: &Shared, host: &Host, seen: &Seen) -> Vec<(Key, String)> {
    match &seen.of {
        Of::Directory => {
            let user = shared.plan.directory.clone().unwrap_or_default();
            let key = shared.directory_key().map(|key| (key, user));
            return key.into_iter().collect();
        }
        Of::Logon => {
            let name = host.credential.as_ref();
            let name = name.unwrap_or(&shared.plan.default_credential);
            let user = match (&seen.named, &host.user) {
                (Some(named), _) => named.values().next().cloned(),
                (None, Some(user)) => Some(user.clone()),
                (None, None) => ask(shared, name, host).await.map(|found| found.user),
            };
            let logon = user.and_then(|user| {
                let account = domain_account(&user, host)?;
                Some((Key::Account(account), user))
            });
            return logon.into_iter().collect();
        }
        Of::Step(_) | Of::Rung(_) => {}
    }
    let mut found = Vec::new();
    for name in given(shared, host, &seen.of) {
        let user = match &seen.named {
            // What is not named was not used.
            Some(named) => named.get(&name).cloned(),
            None => ask(shared, &name, host).await.map(|found| found.user),
        };
        if let Some(user) = user {
            found.push((handed(&user, &name, host), user));
        }
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

/// Asks the source, as only runs of an earlier fleetmend need it: their journal names no account.
async fn ask(shared: &Shared, name: &CredentialRef, host: &Host) -> Option<Credential> {
    let found = shared.credentials.credential(name, host);
    timeout(shared.plan.limits.logon, found).await.ok()?.ok()
}
