//! An offline join blob, made by Samba's `net` on this machine.

use serde::Deserialize;

use crate::{Acted, ActionError, ActiveDirectory, Limit};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provision {
    computer: String,
    domain: String,
    domain_controller: Option<String>,
    ou: Option<String>,
}

pub(super) async fn provision(
    _directory: &ActiveDirectory,
    _provision: Provision,
    _limit: &Limit,
) -> Result<Acted, ActionError> {
    Err(super::failure::failed(
        "OfflineJoinUnavailable",
        "not yet".to_owned(),
    ))
}
