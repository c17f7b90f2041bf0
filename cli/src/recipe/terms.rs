//! What of a run's beginning stands on the audit trail: what it may do beyond the ordinary, with
//! which accounts, and how it goes about it.

use serde_json::{Map, Value, json};

use super::{Pace, Recipe};
use crate::args::{DirectoryArgs, LogonArgs, PaceArgs};
use crate::credentials::CredentialsFile;
use crate::operator;
use crate::plan::{Pcs, is_unverified};

impl Recipe {
    /// Returns the parameters and accounts of the run, its pace, and what widens what it may do;
    /// no secret.
    pub(crate) fn terms(&self) -> Value {
        let parameters: Map<String, Value> = self
            .domain
            .set
            .iter()
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        let accounts: Map<String, Value> = self
            .domain
            .credentials
            .iter()
            .map(|account| (account.parameter.clone(), account.user.as_str().into()))
            .collect();
        let unverified = self.hosts.iter().filter(|host| is_unverified(host));
        let new_keys = self
            .hosts
            .iter()
            .filter(|host| host.ssh.accept_new_host_keys);
        let mut terms = json!({
            "of_pcs": self.of,
            "parameters": parameters,
            "user": self.logon.user,
            "domain_user": self.domain.user,
            "accounts": accounts,
            "credentials_file": self.credentials,
            "credentials_file_sha256": self.credentials_digest,
            "directory": self.directory.domain,
            "directory_user": self.directory.user,
            "try_again": self.directory.try_again,
            "allow_credential_on_pcs": self.domain.allow_credential_on_pcs,
            "max_reboots": self.reboot.max,
            "reboot_window": self.reboot.window,
            "max_rebooting": self.reboot.at_once,
            "max_concurrency": self.logon.max_concurrency,
            "pcs_with_unverified_certificates": unverified.count(),
            "pcs_with_new_host_keys_accepted": new_keys.count(),
        });
        add_pace(&mut terms, &self.pace);
        terms
    }
}

/// Returns the terms of a command by hand, which keeps no plan.
pub(crate) fn of_exec(
    pcs: &Pcs,
    logon: &LogonArgs,
    directory: &DirectoryArgs,
    pace: &PaceArgs,
    file: Option<&CredentialsFile>,
) -> Value {
    let unverified = pcs.hosts.iter().filter(|host| is_unverified(host));
    let new_keys = pcs
        .hosts
        .iter()
        .filter(|host| host.ssh.accept_new_host_keys);
    let mut terms = json!({
        "of_pcs": pcs.of,
        "user": logon.user,
        "credentials_file": file.map(CredentialsFile::path),
        "credentials_file_sha256": file.map(CredentialsFile::digest),
        "directory": directory.directory,
        "directory_user": directory.directory_user,
        "try_again": directory.try_again,
        "max_concurrency": logon.max_concurrency,
        "pcs_with_unverified_certificates": unverified.count(),
        "pcs_with_new_host_keys_accepted": new_keys.count(),
    });
    add_pace(&mut terms, &Pace::of(pace));
    terms
}

/// Returns who goes on with a run, and what is otherwise than when it was begun: the rest is as its
/// beginning says.
pub(crate) fn of_resume(try_again: &[String], file: Option<&CredentialsFile>) -> Value {
    json!({
        "operator": operator::current(),
        "try_again": try_again,
        "credentials_file": file.map(CredentialsFile::path),
        "credentials_file_sha256": file.map(CredentialsFile::digest),
    })
}

/// Adds the options of the pace by their names.
fn add_pace(terms: &mut Value, pace: &Pace) {
    let told = json!({
        "batches": pace.batches,
        "max_errors": pace.max_errors,
        "expect": pace.expect,
        "max_per_site": pace.max_per_site,
        "max_per_dc": pace.max_per_dc,
        "ramp": pace.ramp,
    });
    if let (Value::Object(terms), Value::Object(told)) = (terms, told) {
        terms.extend(told);
    }
}
