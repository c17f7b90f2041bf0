//! What of a run's beginning stands on the audit trail: what it may do beyond the ordinary, with
//! which accounts, and how it goes about it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Pace, Recipe};
use crate::args::{DirectoryArgs, LogonArgs, PaceArgs};
use crate::credentials::{CredentialsFile, Passwords};
use crate::directory::{Directory, Open};
use crate::operator;
use crate::plan::{Pcs, is_unverified};

/// Whose accounts are used for the directory and by the playbook, wherever they are named: by an
/// option, or in `credentials.yaml`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Used {
    directory: Option<String>,
    directory_user: Option<String>,
    /// The credential that it is in `credentials.yaml`.
    directory_credential: Option<String>,
    domain_user: Option<String>,
}

impl Used {
    /// Returns them for a run.
    pub(crate) fn of(
        open: Option<&Open>,
        directory: &Directory<'_>,
        passwords: &Passwords,
    ) -> Self {
        let credential = open.and_then(|_| directory.credential());
        Self {
            directory: open.map(|open| open.domain.clone()),
            directory_user: open.map(|open| open.user.clone()),
            directory_credential: credential.map(ToString::to_string),
            domain_user: passwords.domain_user().map(str::to_owned),
        }
    }
}

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
            "domain_user": self.used.domain_user.as_ref().or(self.domain.user.as_ref()),
            "accounts": accounts,
            "credentials_file": self.credentials,
            "credentials_file_sha256": self.credentials_digest,
            "directory": self.used.directory.as_ref().or(self.directory.domain.as_ref()),
            "directory_user": self.used.directory_user.as_ref().or(self.directory.user.as_ref()),
            "directory_credential": self.used.directory_credential,
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
    (file, used): (Option<&CredentialsFile>, &Used),
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
        "directory": used.directory,
        "directory_user": used.directory_user,
        "directory_credential": used.directory_credential,
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
