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
