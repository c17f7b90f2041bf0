//! The steps that a playbook takes in the directory.

mod failure;
mod flags;
mod given;
mod offline_join;
mod reset;
mod restore;
mod samba_net;

pub(crate) use given::Given;
pub use offline_join::offline_join_available;

use async_trait::async_trait;
use fleetmend_model::DirectoryAction;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::computer::{Twins, read_computer};
use crate::{Acted, ActionError, ActionRequest, ActiveDirectory, Directory, Limit};

/// The parameters of an action on one computer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnComputer {
    computer: String,
    domain_controller: Option<String>,
}

#[async_trait]
impl Directory for ActiveDirectory {
    async fn act(&self, request: ActionRequest) -> Result<Acted, ActionError> {
        let limit = Limit::within(request.deadline, &request.cancel);
        let params = request.params;
        let host = &request.host;
        match request.action {
            DirectoryAction::ReadComputer => {
                let OnComputer {
                    computer,
                    domain_controller: dc,
                } = taken(params)?;
                let answer =
                    read_computer(self, &computer, dc.as_deref(), Twins::Unasked, &limit).await?;
                Ok(Acted { answer, made: None })
            }
            DirectoryAction::ResetComputerPassword => {
                reset::reset(self, taken(params)?, host, &limit).await
            }
            DirectoryAction::EnableComputer => flags::enable(self, taken(params)?, &limit).await,
            DirectoryAction::UnlockComputer => flags::unlock(self, taken(params)?, &limit).await,
            DirectoryAction::RestoreComputer => {
                restore::restore(self, taken(params)?, &limit).await
            }
            DirectoryAction::ProvisionOfflineJoin => {
                offline_join::provision(self, taken(params)?, host, &limit).await
            }
        }
    }
}

fn taken<T: DeserializeOwned>(params: Map<String, Value>) -> Result<T, ActionError> {
    serde_json::from_value(Value::Object(params))
        .map_err(|error| failure::failed("DirectoryParameters", error.to_string()))
}
