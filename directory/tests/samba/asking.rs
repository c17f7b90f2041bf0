//! Actions as the engine asks for them, held to their schemas.

use fleetmend_directory::{ActionError, ActiveDirectory, Directory};
use fleetmend_model::DirectoryAction;
use serde_json::{Value, json};

use crate::domain::request;

/// Checks an answer against the action's own schema.
pub(crate) fn fits(action: DirectoryAction, answer: &Value) {
    let path = format!(
        "{}/../playbooks/actions/{action}.gives.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(answer)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{action}: {errors:#?} in {answer:#}");
}

pub(crate) async fn done(
    directory: &ActiveDirectory,
    action: DirectoryAction,
    params: Value,
) -> Value {
    let acted = directory.act(request(action, params)).await.unwrap();
    fits(action, &acted.answer);
    acted.answer
}

pub(crate) async fn failure(
    directory: &ActiveDirectory,
    action: DirectoryAction,
    params: Value,
) -> (String, Option<i64>) {
    match directory.act(request(action, params)).await {
        Err(ActionError::Failed { error_id, code, .. }) => (error_id, code),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn on(computer: &str) -> Value {
    json!({"computer": computer, "domain_controller": null})
}

pub(crate) fn reset_of(computer: &str) -> Value {
    json!({"computer": computer, "domain_controller": null, "sid": null})
}
