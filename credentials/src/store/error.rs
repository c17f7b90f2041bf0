//! Why a credential is not to be had.

use fleetmend_model::{CredentialRef, Host, HostName};

use crate::SourceError;
use crate::template::TemplateError;

/// PCs that are named before the rest is a number.
const NAMED: usize = 5;

/// A credential is not to be had. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file has none of this name.
    #[error("there is no credential {name}")]
    Unknown {
        /// Its name.
        name: CredentialRef,
    },
    /// One of its texts cannot be worked out.
    #[error("{}the credential {name}: {why}", whom(.host.as_slice()))]
    Template {
        /// Its name.
        name: CredentialRef,
        /// For which PC; none: for the run.
        host: Option<HostName>,
        /// Why.
        why: TemplateError,
    },
    /// A source could not be asked, or gave what is unfit.
    #[error("the credential {name}: {}: {}", .why.from, .why.why)]
    Source {
        /// Its name.
        name: CredentialRef,
        /// Why.
        why: SourceError,
    },
    /// None of its sources has anything for these PCs.
    #[error("{}the credential {name} is nowhere: {}", whom(.hosts), reasons(.tried))]
    Nothing {
        /// Its name.
        name: CredentialRef,
        /// For whom; nobody: for the run.
        hosts: Vec<HostName>,
        /// What each source said.
        tried: Vec<SourceError>,
    },
    /// Nothing names an account for these PCs.
    #[error("{}the credential {name} names no account", whom(.hosts))]
    NoAccount {
        /// Its name.
        name: CredentialRef,
        /// For whom; nobody: for the run.
        hosts: Vec<HostName>,
    },
}

impl StoreError {
    pub(super) fn template(name: &CredentialRef, host: Option<&Host>, why: TemplateError) -> Self {
        Self::Template {
            name: name.clone(),
            host: host.map(|host| host.name.clone()),
            why,
        }
    }

    pub(super) fn source(name: &CredentialRef, why: SourceError) -> Self {
        Self::Source {
            name: name.clone(),
            why,
        }
    }

    /// Returns what to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Template {
                why: TemplateError::NoVariable { variable, .. },
                host: Some(host),
                ..
            } => Some(format!("set `{variable}` for {host} in the inventory")),
            Self::Template { host: None, .. } => {
                Some("a secret for the whole run can have no variables of a PC".to_owned())
            }
            Self::Unknown { .. } | Self::Template { .. } => None,
            Self::Source { why, .. } => Some(why.next.clone()).filter(|next| !next.is_empty()),
            Self::Nothing { tried, .. } => {
                let mut next = tried.iter().map(|error| error.next.clone());
                next.find(|next| !next.is_empty())
            }
            Self::NoAccount { name, .. } => Some(format!(
                "name it: `user` of {name} in the credentials, or of the PC in the inventory"
            )),
        }
    }
}

/// Returns the PCs with a colon, or nothing.
fn whom(hosts: &[HostName]) -> String {
    let names = hosts.iter().take(NAMED).map(|host| host.0.as_str());
    let names: Vec<&str> = names.collect();
    match hosts.len().checked_sub(NAMED) {
        _ if hosts.is_empty() => String::new(),
        None | Some(0) => format!("{}: ", names.join(", ")),
        Some(more) => format!("{} and {more} more: ", names.join(", ")),
    }
}

fn reasons(tried: &[SourceError]) -> String {
    let reasons = tried.iter();
    let reasons = reasons.map(|error| format!("{}: {}", error.from, error.why));
    reasons.collect::<Vec<_>>().join("; ")
}
