//! Names of credentials that cannot be told apart: one account's password must not reach the PCs
//! of another.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmend_model::Host;

use super::{DOMAIN, name_of, needed};
use crate::args::DomainArgs;
use crate::error::CliError;
use crate::password;

/// The variable that names the password file of the directory account.
const DIRECTORY_VARIABLE: &str = "FLEETMEND_DIRECTORY_PASSWORD_FILE";
/// The same of the domain account.
const DOMAIN_VARIABLE: &str = "FLEETMEND_DOMAIN_PASSWORD_FILE";

/// Refuses inventories whose credentials are named like accounts that are for something else, or
/// of which two would take their password from one variable that is set.
///
/// # Errors
/// Names the PC, the credential and what it is taken for.
pub(super) fn check(hosts: &[Arc<Host>], domain: &DomainArgs) -> Result<(), CliError> {
    // Also for commands that take no domain account: the variable is set for those that do.
    let has_domain = domain.domain_user.is_some() || password::file_of(DOMAIN_VARIABLE).is_some();
    for host in hosts {
        let Some(name) = &host.credential else {
            continue;
        };
        let variable = password::variable(name);
        let is_given = domain.credential.iter().any(|given| given.name == name.0);
        let other = match variable.as_str() {
            DIRECTORY_VARIABLE => "the directory account, which logs on to no PC".to_owned(),
            DOMAIN_VARIABLE if has_domain => "the account of --domain-user".to_owned(),
            _ if has_domain && name.0 == DOMAIN => "the account of --domain-user".to_owned(),
            _ if is_given => format!("the account of --credential {name}"),
            _ => continue,
        };
        return Err(CliError::user(format!(
            "{}: the credential name {name} means {other}",
            host.name
        ))
        .hint("give the credential another name"));
    }
    one_variable_each(hosts)
}

/// A variable has fewer letters than a name: `営業` and `経理` have the same.
fn one_variable_each(hosts: &[Arc<Host>]) -> Result<(), CliError> {
    let mut by_variable = BTreeMap::new();
    for name in needed(hosts) {
        let variable = password::variable(&name);
        if password::file_of(&variable).is_none() {
            continue;
        }
        let Some(before) = by_variable.insert(variable.clone(), name.clone()) else {
            continue;
        };
        let host = hosts.iter().find(|host| name_of(host) == name);
        let host = host.map_or_else(String::new, |host| format!("{}: ", host.name));
        return Err(CliError::user(format!(
            "{host}the credentials {before} and {name} would both take their password from {variable}"
        ))
        .hint(
            "unset it and say in credentials.yaml where their passwords are, or rename one of them: \
             whatever is not a letter from A to Z or a digit is `_` in a variable",
        ));
    }
    Ok(())
}
