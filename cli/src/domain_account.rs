//! The domain account whose password may reach PCs, tried once from here before it does.

use fleetmend_engine::RunPlan;
use fleetmend_model::RunMode;
use fleetmend_playbooks::Need;

use crate::commands::directory::policy;
use crate::credentials::{DOMAIN_PARAMETER, Passwords};
use crate::directory::{Open, ask};
use crate::directory_error::probing;
use crate::error::CliError;
use crate::playbooks::Playbooks;
use crate::printer::Printer;

/// Tries the account by one logon if its password may reach PCs in this run: a wrong one is then
/// spent once, and on no PC.
///
/// # Errors
/// It is refused or spared, and nothing was touched.
pub(crate) async fn try_once(
    open: &Open,
    passwords: &Passwords,
    plan: &RunPlan,
    playbooks: &Playbooks,
    printer: &Printer,
) -> Result<(), CliError> {
    let mut rungs = playbooks.all().flat_map(|playbook| &playbook.ladder);
    let asked_for = rungs.any(|rung| {
        let mut needs = rung.needs.iter();
        needs.any(|need| match need {
            Need::CredentialOnPc(name) => name == DOMAIN_PARAMETER && plan.credentials_on_pcs,
            Need::Credential(name) => name == DOMAIN_PARAMETER,
            _ => false,
        })
    });
    let may_reach = asked_for && plan.mode == RunMode::Repair;
    let credential = match may_reach {
        true => passwords.domain().await?,
        false => None,
    };
    let Some(credential) = &credential else {
        return Ok(());
    };
    let user = &credential.user;
    if open.is_proven(credential) {
        return Ok(());
    }
    let probe = open.directory.probe(credential, &ask()).await;
    let probe = probe.map_err(|error| probing(error, user))?;
    match &probe.refusal {
        None => {
            printer.note(&format!("{} accepts {user}; lockout: {}", probe.dc, policy(&probe)));
            Ok(())
        }
        Some(refusal) => Err(CliError::budget(format!(
            "{} refuses the domain account {user}: {refusal}; it was tried once, and nothing was touched",
            probe.dc
        ))
        .hint(format!(
            "check account and password before the next run; lockout: {}",
            policy(&probe)
        ))),
    }
}
