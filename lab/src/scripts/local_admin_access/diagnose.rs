//! `local-admin-access/diagnose.ps1`.

use serde_json::{Map, Value, json};

use super::account;
use crate::domain::account_name;
use crate::machine::Machine;
use crate::scripts::{StepContext, StepOutcome};

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let pc = &*context.pc;
    // Everybody but a domain controller has local accounts.
    let local = !pc.is_controller();
    let policy = json!({
        "uac": true,
        "remote_administrators": pc.remote_admins,
        "built_in_filtered": false,
        "laps": pc.laps,
        "lockout_threshold": local.then_some(pc.lockout_threshold),
        "lockout_window_seconds": local.then_some(600),
        "lockout_duration_seconds": local.then_some(600),
    });
    let administrators = local.then(|| {
        let members = pc.accounts.iter();
        let members = members.filter(|(_, account)| account.administrator);
        let facts = members.map(|(name, account)| told(context, name, account.rid));
        facts.map(Value::Object).collect::<Vec<_>>()
    });
    StepOutcome::Done(Ok(json!({
        "elevated": context.elevated,
        "computer": {
            "name": pc.name,
            "domain_role": pc.domain_role,
            "part_of_domain": pc.domain.is_some(),
        },
        "account": asked(context, local),
        "administrators": administrators,
        "policy": policy,
        "network_logon_denied": local.then(|| pc.network_denied.iter().collect::<Vec<_>>()),
        "network_logon_granted": local.then_some(["S-1-1-0", "S-1-5-32-544"]),
        "probe_errors": [],
    })))
}

/// What is told of an account, and whether it is the one that asks.
fn told(context: &StepContext<'_>, name: &str, rid: u32) -> Map<String, Value> {
    let pc: &Machine = context.pc;
    let Some(account) = pc.account(name) else {
        return Map::new();
    };
    let mut facts = account::facts(pc, name, account);
    let caller = account_name(context.user).to_lowercase();
    let own = pc.account(&caller).is_some_and(|caller| caller.rid == rid);
    facts.insert("own".to_owned(), json!(own));
    facts
}

fn asked(context: &StepContext<'_>, local: bool) -> Value {
    let name = context.text("account").filter(|_| local);
    let known = name.and_then(|name| context.pc.account(name).map(|account| (name, account.rid)));
    let mut facts = match known {
        Some((name, rid)) => told(context, name, rid),
        None => nobody(),
    };
    let found = name.map(|_| known.is_some());
    facts.insert("found".to_owned(), json!(found));
    Value::Object(facts)
}

/// The fields of an account without one.
fn nobody() -> Map<String, Value> {
    let account = crate::machine::LocalAccount::new("", false);
    let fields = account::facts(&Machine::new(""), "", &account);
    fields
        .into_iter()
        .map(|(field, _)| (field, Value::Null))
        .collect()
}
