//! What of a run's beginning stands on the audit trail.

use serde_json::{Map, Value, json};

use super::Recipe;
use crate::plan::is_unverified;

impl Recipe {
    /// Returns the parameters and accounts of the run, and what widens what it may do; no secret.
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
        json!({
            "of_pcs": self.of,
            "parameters": parameters,
            "user": self.logon.user,
            "domain_user": self.domain.user,
            "accounts": accounts,
            "directory": self.directory.domain,
            "directory_user": self.directory.user,
            "allow_credential_on_pcs": self.domain.allow_credential_on_pcs,
            "max_reboots": self.reboot.max,
            "reboot_window": self.reboot.window,
            "max_rebooting": self.reboot.at_once,
            "max_concurrency": self.logon.max_concurrency,
            "pcs_with_unverified_certificates": unverified.count(),
            "pcs_with_new_host_keys_accepted": new_keys.count(),
        })
    }
}
