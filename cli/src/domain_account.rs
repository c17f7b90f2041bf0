//! Domain accounts of a run, each tried once from here before any PC is touched.

use std::sync::Arc;

use fleetmend_directory::{LogonRefusal, NotProbed, Probe};
use fleetmend_engine::{
    AccountName, AccountPolicy, CredentialSource as _, RunPlan, domain_account,
};
use fleetmend_model::{Credential, CredentialRef, Host, RunMode};
use fleetmend_playbooks::Need;
use jiff::Timestamp;

use crate::budget::Budget;
use crate::commands::directory::policy;
use crate::credentials::{DOMAIN_PARAMETER, Logon, Passwords};
use crate::directory::{Open, ask};
use crate::directory_error::{probing, what_to_do};
use crate::error::CliError;
use crate::playbooks::Playbooks;
use crate::printer::Printer;

/// Tries every domain account of the run by one logon from here: a wrong password is then spent
/// once, and on no PC. Without a directory nothing can be tried from here, and that is said.
/// Returns those that were accepted.
///
/// # Errors
/// One is refused or spared, and nothing was touched.
pub(crate) async fn try_all(
    open: Option<&Open>,
    passwords: &Passwords,
    plan: &RunPlan,
    playbooks: &Playbooks,
    (budget, printer): (&Budget, &Printer),
) -> Result<Vec<String>, CliError> {
    let mut tried = try_logons(open, passwords, plan, (budget, printer)).await?;
    let Some(open) = open.filter(|_| plan.mode == RunMode::Repair) else {
        return Ok(tried);
    };
    for parameter in may_reach(plan, playbooks) {
        let found = match parameter == DOMAIN_PARAMETER {
            true => passwords.domain().await?,
            false => of_parameter(passwords, plan, &parameter).await?,
        };
        let Some(credential) = found else { continue };
        if !tried.contains(&credential.user) {
            try_one(open, &credential, budget, printer).await?;
            tried.push(credential.user);
        }
    }
    Ok(tried)
}

/// Tries the domain accounts with which PCs are logged on to. Returns those that were accepted.
///
/// # Errors
/// As [`try_all`].
pub(crate) async fn try_logons(
    open: Option<&Open>,
    passwords: &Passwords,
    plan: &RunPlan,
    (budget, printer): (&Budget, &Printer),
) -> Result<Vec<String>, CliError> {
    let mut tried = Vec::new();
    for DomainLogon {
        account,
        host,
        logon,
    } in logons(passwords, plan).await?
    {
        let Some(open) = open else {
            printer.note(&format!(
                "{account} is a domain account, and no directory is given to try it from here: its \
                 password is first tried on one PC"
            ));
            continue;
        };
        let found = passwords.logon(&host, &logon).await;
        let found = found.map_err(|why| not_to_be_had(&account, why))?;
        // A key alone says nothing to the directory.
        let found = found.filter(|found| !found.password.reveal().is_empty());
        let Some(credential) = found else { continue };
        try_one(open, &credential, budget, printer).await?;
        tried.push(credential.user);
    }
    Ok(tried)
}

/// A domain account with which a PC may be logged on to.
pub(crate) struct DomainLogon {
    /// The account, as it is named.
    pub(crate) account: String,
    /// One of the PCs.
    pub(crate) host: Arc<Host>,
    /// Where its password is for this PC.
    logon: Logon,
}

/// Returns each domain account with which PCs may be logged on to, with one of the PCs.
///
/// # Errors
/// A vault cannot be asked whose an entry is.
pub(crate) async fn logons(
    passwords: &Passwords,
    plan: &RunPlan,
) -> Result<Vec<DomainLogon>, CliError> {
    let mut found = Vec::new();
    let mut known = Vec::new();
    // A step may run on a PC that the run is not for.
    for host in plan.hosts.iter().chain(plan.elsewhere.values()) {
        let accounts = passwords.logons(host).await;
        let accounts = accounts.map_err(|why| {
            CliError::config(format!("{}: its account cannot be told: {why}", host.name))
        })?;
        for (logon, account) in accounts {
            let Some(name) = domain_account(&account, host) else {
                continue;
            };
            if !known.contains(&name) {
                known.push(name);
                let host = Arc::clone(host);
                found.push(DomainLogon {
                    account,
                    host,
                    logon,
                });
            }
        }
    }
    Ok(found)
}

fn not_to_be_had(account: &str, why: impl std::fmt::Display) -> CliError {
    CliError::config(format!(
        "the domain account {account} cannot be tried: {why}"
    ))
}

/// Returns the parameters of which a rung may hand the account to PCs or use it elsewhere.
fn may_reach(plan: &RunPlan, playbooks: &Playbooks) -> Vec<String> {
    let rungs = playbooks.all().flat_map(|playbook| &playbook.ladder);
    let needs = rungs.flat_map(|rung| &rung.needs);
    let mut names: Vec<String> = needs
        .filter_map(|need| match need {
            Need::CredentialOnPc(name) if plan.credentials_on_pcs => Some(name.clone()),
            Need::Credential(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Returns the account of a parameter, if it is one of a domain and the same for all PCs.
async fn of_parameter(
    passwords: &Passwords,
    plan: &RunPlan,
    parameter: &str,
) -> Result<Option<Credential>, CliError> {
    let given = passwords.given();
    let Some((_, account)) = given.iter().find(|(name, _)| *name == parameter) else {
        return Ok(None);
    };
    let Some(host) = plan.hosts.first() else {
        return Ok(None);
    };
    let situation = plan.situation(host).ok();
    let name = situation.and_then(|situation| {
        let name = situation.params.get(parameter)?.as_str()?;
        Some(CredentialRef(name.to_owned()))
    });
    let Some(name) = name.filter(|name| !passwords.is_per_host(name)) else {
        return Ok(None);
    };
    let found = passwords.credential(&name, host).await;
    let found = found.map_err(|error| not_to_be_had(account, error))?;
    Ok(Some(found).filter(|found| domain_account(&found.user, host).is_some()))
}

/// Reads how the account stands, tries it by one logon, and notes what came of it.
async fn try_one(
    open: &Open,
    credential: &Credential,
    budget: &Budget,
    printer: &Printer,
) -> Result<(), CliError> {
    if open.is_proven(credential) {
        return Ok(());
    }
    let user = &credential.user;
    let probe = spend(open, credential, budget).await?;
    match probe.refusal {
        None => {
            printer.note(&format!(
                "{} accepts {user}; lockout: {}",
                probe.dc,
                policy(&probe)
            ));
            Ok(())
        }
        Some(refusal) => Err(refused(user, &probe.dc, refusal, &policy(&probe))),
    }
}

/// Tries an account by one logon within the budget of this machine, after reading how it stands.
///
/// # Errors
/// It is spared, or could not be tried. That it is refused is part of the answer.
pub(crate) async fn spend(
    open: &Open,
    credential: &Credential,
    budget: &Budget,
) -> Result<Probe, CliError> {
    let user = &credential.user;
    let name = AccountName::of(user);
    let standing = open.directory.standing(user, &ask()).await;
    let standing = standing.map_err(|error| probing(error.into(), user))?;
    let now = Timestamp::now();
    let account = standing.account.as_ref();
    let learned = AccountPolicy {
        threshold: standing.policy.threshold,
        window: standing.policy.window,
        bad: account.map(|account| account.counting(&standing.policy, now)),
        read: now,
    };
    budget.learned(&name, learned).await?;
    // Its own words say more than that its budget is spent.
    if let Some(refusal) = account.and_then(|account| account.hopeless(now)) {
        let (user, dc) = (user.clone(), open.domain.clone());
        let error = NotProbed::Hopeless { user, dc, refusal };
        return Err(probing(error, &credential.user));
    }
    budget.leave(&name, user).await?;
    let probe = open.directory.probe(credential, &ask()).await;
    match &probe {
        Ok(probe) => match probe.refusal {
            None => budget.accepted(&name).await?,
            Some(refusal) => budget.refused(&name, Some(refusal.win32())).await?,
        },
        Err(NotProbed::Unanswered { .. }) => budget.refused(&name, None).await?,
        Err(_) => budget.untold(&name).await?,
    }
    probe.map_err(|error| probing(error, user))
}

fn refused(user: &str, dc: &str, refusal: LogonRefusal, policy: &str) -> CliError {
    CliError::budget(format!(
        "{dc} refuses the domain account {user}: {refusal}; it was tried once, and nothing was touched"
    ))
    .hint(format!("{}; lockout: {policy}", what_to_do(refusal)))
}
