//! What the engine itself runs on a PC, whatever the playbook: scripts and schemas.

use std::fmt;
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use serde_json::Value;

use crate::{SchemaError, SchemaSide, ScriptFile};

/// `NAME.ps1`, `NAME.takes.json` and `NAME.gives.json`.
static BUILTIN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/builtin");

/// What the engine itself does with a PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Builtin {
    /// Holds the PC for this run, so that no other controller repairs it at the same time: a
    /// named mutex that lives as long as the session's PowerShell.
    Lock,
    /// Reads which boot it is, and whether Windows is ready for a logon. Changes nothing.
    Boot,
    /// Orders the restart, by `shutdown /r`.
    Restart,
    /// Reads which account it runs as. Changes nothing.
    Account,
    /// Schemas of the step `reboot`, which the engine carries out with those above.
    Reboot,
    /// Schemas of the step `logon`, likewise.
    Logon,
}

impl Builtin {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::Lock,
        Self::Boot,
        Self::Restart,
        Self::Account,
        Self::Reboot,
        Self::Logon,
    ];

    /// Tells whether it is a script, and not only the schemas of a step.
    pub fn is_script(self) -> bool {
        !matches!(self, Self::Reboot | Self::Logon)
    }

    /// Returns the script, or the schemas of the step with an empty text, under the name
    /// `engine/NAME` (`engine/lock.ps1`, `engine/reboot`).
    ///
    /// # Errors
    /// [`SchemaError`] when a schema inside the binary is none, which a test rules out.
    pub fn file(self) -> Result<Arc<ScriptFile>, SchemaError> {
        let suffix = if self.is_script() { ".ps1" } else { "" };
        let text = BUILTIN
            .get_file(format!("{self}.ps1"))
            .and_then(include_dir::File::contents_utf8)
            .unwrap_or_default();
        ScriptFile::new(
            format!("engine/{self}{suffix}"),
            text.to_owned(),
            self.schema(SchemaSide::Takes)?,
            self.schema(SchemaSide::Gives)?,
        )
        .map(Arc::new)
    }

    fn schema(self, side: SchemaSide) -> Result<Value, SchemaError> {
        let path = format!("{self}.{side}.json");
        let bytes = BUILTIN.get_file(&path).map(include_dir::File::contents);
        serde_json::from_slice(bytes.unwrap_or_default()).map_err(|error| SchemaError {
            side,
            detail: error.to_string(),
        })
    }
}

impl fmt::Display for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lock => "lock",
            Self::Boot => "boot",
            Self::Restart => "restart",
            Self::Account => "account",
            Self::Reboot => "reboot",
            Self::Logon => "logon",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_one_has_its_schemas_and_scripts_their_text() {
        for builtin in Builtin::ALL {
            let file = builtin.file().unwrap();
            let ending = if builtin.is_script() { ".ps1" } else { "" };
            assert_eq!(file.name, format!("engine/{builtin}{ending}"));
            assert_eq!(file.text.is_empty(), !builtin.is_script(), "{builtin}");
            for schema in [&file.takes, &file.gives] {
                let fields = schema["properties"].as_object().unwrap();
                assert_eq!(schema["additionalProperties"], json!(false), "{builtin}");
                let required = schema["required"].as_array().unwrap();
                assert_eq!(required.len(), fields.len(), "{builtin}");
            }
        }
        let scripts = Builtin::ALL.iter().filter(|file| file.is_script()).count();
        assert_eq!(BUILTIN.files().count(), 2 * Builtin::ALL.len() + scripts);
    }

    #[test]
    fn every_field_says_what_it_means() {
        fn silent(schema: &Value, place: &str, found: &mut Vec<String>) {
            let fields = schema.get("properties").and_then(Value::as_object);
            for (name, field) in fields.into_iter().flatten() {
                let place = format!("{place}/{name}");
                if field["description"].as_str().is_none_or(str::is_empty) {
                    found.push(place.clone());
                }
                silent(field, &place, found);
                let others = field["oneOf"].as_array().into_iter().flatten();
                others.for_each(|other| silent(other, &place, found));
            }
        }
        let mut found = Vec::new();
        for builtin in Builtin::ALL {
            let file = builtin.file().unwrap();
            silent(&file.takes, &format!("{builtin}.takes"), &mut found);
            silent(&file.gives, &format!("{builtin}.gives"), &mut found);
        }
        assert!(found.is_empty(), "{found:?}");
    }

    /// The logon step answers what its script does, and where it got in.
    #[test]
    fn a_logon_answers_what_the_account_script_does() {
        let fields = |builtin: Builtin| {
            let gives = &builtin.file().unwrap().gives;
            gives["properties"].as_object().unwrap().clone()
        };
        let mut logon = fields(Builtin::Logon);
        assert!(logon.remove("address").is_some() && logon.remove("transport").is_some());
        assert_eq!(logon, fields(Builtin::Account));
    }

    #[test]
    fn the_lock_takes_the_id_of_a_run_only() {
        let file = Builtin::Lock.file().unwrap();
        let run = "0198f2b4-5f0a-7c3e-9d53-3c1f0a7a2b11";
        file.check_params(&json!({"run": run})).unwrap();
        for wrong in ["", "a\\b", "x y"] {
            assert!(
                file.check_params(&json!({"run": wrong})).is_err(),
                "{wrong}"
            );
        }
    }
}
