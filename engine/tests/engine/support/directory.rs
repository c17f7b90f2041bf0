//! A directory that plays along with the scripted PCs.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use fleetmend_directory::{Acted, ActionError, ActionRequest, Directory};
use fleetmend_model::{DirectoryAction, Secret};
use serde_json::json;

use super::World;
use super::world::Act;

pub struct FakeDirectory(pub Arc<World>);

/// What the machine passwords have in common.
pub const MADE: &str = "made-機密-";

fn unknown(message: &str) -> ActionError {
    ActionError::Unknown {
        message: message.into(),
    }
}

impl FakeDirectory {
    /// What the directory really does.
    fn simulate(&self, action: DirectoryAction, host: &str) -> Acted {
        let world = &self.0;
        if action == DirectoryAction::ReadComputer {
            let sets = world.resets(host);
            let answer = json!({
                "found": true, "dc": "dc1", "enabled": true, "pwd_last_set": format!("set {sets}"),
                "controllers": [{"dc": "dc1", "answered": true}],
            });
            return Acted { answer, made: None };
        }
        let secret = format!("{MADE}{}", world.made.fetch_add(1, Ordering::SeqCst));
        let mut pcs = world.pcs.lock().unwrap();
        let pc = pcs.get_mut(host).unwrap();
        pc.account.push(secret.clone());
        // Its own password is no good any more.
        pc.cause = Some("mismatch");
        // A directory that repeats the secret.
        Acted {
            answer: json!({"dc": "dc1", "echo": secret}),
            made: Some(Secret::new(secret)),
        }
    }
}

#[async_trait]
impl Directory for FakeDirectory {
    async fn act(&self, request: ActionRequest) -> Result<Acted, ActionError> {
        let world = &self.0;
        let host = request.params["computer"].as_str().unwrap().to_owned();
        assert_eq!(request.host.0, host, "each PC asks for itself");
        let step = request.params["step"].as_str().unwrap().to_owned();
        world.watch(&host, step.rsplit('/').next().unwrap());
        let name = request.action.name();
        tokio::select! {
            () = request.cancel.cancelled() => return Err(unknown("cancelled")),
            () = tokio::time::sleep(world.pc(&host).delay) => {}
        }
        let failed = |code, credential_refused| ActionError::Failed {
            error_id: "LdapInsufficientAccessRights".into(),
            code,
            message: "不可".into(),
            credential_refused,
        };
        match world.take_act(&host, name) {
            None => Ok(self.simulate(request.action, &host)),
            Some(Act::Answer(answer)) => {
                let acted = self.simulate(request.action, &host);
                Ok(Acted { answer, ..acted })
            }
            Some(Act::Forget) => {
                let acted = self.simulate(request.action, &host);
                Ok(Acted {
                    made: None,
                    ..acted
                })
            }
            Some(Act::Fail(code)) => Err(failed(code, None)),
            Some(Act::Refuse(code)) => Err(failed(Some(49), Some(code))),
            Some(Act::Lose) => {
                self.simulate(request.action, &host);
                Err(unknown("接続が切れました"))
            }
            Some(Act::NotRun) => Err(failed(None, None)),
            Some(Act::Hang) => tokio::select! {
                () = request.cancel.cancelled() => Err(unknown("cancelled")),
                () = tokio::time::sleep(request.deadline) => Err(unknown("deadline")),
            },
            Some(Act::Deaf) => std::future::pending().await,
            Some(Act::Panic) => panic!("the directory panics as told"),
        }
    }
}
