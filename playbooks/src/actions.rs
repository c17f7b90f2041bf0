//! The schemas of what the controller can do in the directory.

use std::sync::Arc;

use fleetmend_model::DirectoryAction;
use include_dir::{Dir, include_dir};
use serde_json::Value;

use crate::{SchemaError, SchemaSide, ScriptFile};

/// `ACTION.takes.json` and `ACTION.gives.json` of every action.
static ACTIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/actions");

/// Returns what a step has in place of a script when the controller takes it in the directory:
/// the action's schemas under the name `directory/ACTION`, and no text.
///
/// # Errors
/// [`SchemaError`] when a schema inside the binary is none, which a test rules out.
pub fn action_file(action: DirectoryAction) -> Result<Arc<ScriptFile>, SchemaError> {
    let name = format!("directory/{action}");
    let takes = schema(action, SchemaSide::Takes)?;
    let gives = schema(action, SchemaSide::Gives)?;
    ScriptFile::new(name, String::new(), takes, gives).map(Arc::new)
}

fn schema(action: DirectoryAction, side: SchemaSide) -> Result<Value, SchemaError> {
    let path = format!("{action}.{side}.json");
    let bytes = ACTIONS.get_file(&path).map(include_dir::File::contents);
    serde_json::from_slice(bytes.unwrap_or_default()).map_err(|error| SchemaError {
        side,
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_action_has_its_schemas() {
        for action in DirectoryAction::ALL {
            let file = action_file(action).unwrap();
            assert_eq!(file.name, format!("directory/{action}"));
            assert!(file.text.is_empty());
            for schema in [&file.takes, &file.gives] {
                let fields = schema["properties"].as_object().unwrap();
                assert_eq!(schema["additionalProperties"], json!(false), "{action}");
                assert_eq!(
                    schema["required"].as_array().unwrap().len(),
                    fields.len(),
                    "{action}"
                );
            }
        }
        assert_eq!(ACTIONS.files().count(), 2 * DirectoryAction::ALL.len());
    }

    #[test]
    fn an_answer_that_nobody_could_give_fits() {
        let file = action_file(DirectoryAction::ReadComputer).unwrap();
        let mut answer: serde_json::Map<_, _> = file.gives["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(|key| (key.clone(), Value::Null))
            .collect();
        answer.insert("duplicates".into(), json!(0));
        answer.insert("controllers".into(), json!([]));
        let failed = json!({"code": 50, "error_id": "LdapInsufficientAccessRights", "message": ""});
        answer.insert("error".into(), failed);
        file.check_answer(&Value::Object(answer.clone())).unwrap();
        answer.insert("pwd_last_set".into(), json!("yesterday"));
        assert!(file.check_answer(&Value::Object(answer)).is_err());
    }
}
