//! The passwords of ansible-vault: from where the operator says, once, before anything else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_credentials::ansible_vault::password_file;
use fleetmend_credentials::{AnsibleVault, AnsibleVaultError, SourceError};
use fleetmend_directory::Limit;
use fleetmend_inventory::{Unseal, UnsealError};
use fleetmend_model::Secret;
use tokio_util::sync::CancellationToken;

use crate::args::VaultArgs;
use crate::credentials::CredentialsFile;
use crate::error::CliError;
use crate::password;

/// A password program may ask somebody.
const PATIENCE: Duration = Duration::from_secs(600);
/// The label of a password that is given none.
const DEFAULT: &str = "default";
/// What stands for a file where the operator is to be asked, as in Ansible.
const PROMPT: [&str; 2] = ["prompt", "prompt_ask_vault_pass"];

/// Opens what ansible-vault encrypted in an inventory.
#[derive(Debug)]
struct Opener(AnsibleVault);

impl Unseal for Opener {
    fn label(&self, text: &str) -> Result<String, UnsealError> {
        AnsibleVault::check(text).map_err(|error| told(&error))
    }

    fn unseal(&self, text: &str) -> Result<Secret, UnsealError> {
        self.0.unseal(text).map_err(|error| told(&error))
    }
}

fn told(error: &AnsibleVaultError) -> UnsealError {
    UnsealError {
        why: error.to_string(),
        hint: error.hint().to_owned(),
    }
}

/// Reads or asks for the passwords that the options give, else those of the file of credentials;
/// none if there are none.
///
/// # Errors
/// A file is missing or unfit, or there is nobody to ask.
pub(super) async fn opener(
    args: &VaultArgs,
    credentials: Option<&Arc<CredentialsFile>>,
) -> Result<Option<Arc<dyn Unseal>>, CliError> {
    let limit = Limit::within(PATIENCE, &CancellationToken::new());
    let mut passwords = Vec::new();
    let files = args.vault_password_file.iter();
    for file in files {
        passwords.push((DEFAULT.to_owned(), read(file, DEFAULT, &limit).await?));
    }
    for id in &args.vault_id {
        // As Ansible splits it: a label may not hold `@`, a path may.
        let (label, from) = match id.split_once('@') {
            Some((label, from)) if !label.is_empty() => (label, from),
            Some((_, from)) => (DEFAULT, from),
            None => (DEFAULT, id.as_str()),
        };
        let secret = if PROMPT.contains(&from) {
            password::ask(
                &format!("the ansible-vault password ({label})"),
                "name a file that holds it: --vault-password-file FILE",
            )?
        } else {
            read(Path::new(from), label, &limit).await?
        };
        passwords.push((label.to_owned(), secret));
    }
    if passwords.is_empty()
        && let Some(file) = credentials
    {
        passwords = file.ansible_vault().await?;
    }
    if passwords.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Opener(AnsibleVault::new(passwords)))))
}

async fn read(file: &Path, label: &str, limit: &Limit) -> Result<Secret, CliError> {
    let read = password_file(file, label, limit).await;
    read.map_err(|error| {
        let SourceError {
            ref from, ref why, ..
        } = error;
        let failed = CliError::config(format!("failed to read {from}: {why}"));
        if error.next.is_empty() {
            failed
        } else {
            failed.hint(error.next)
        }
    })
}
