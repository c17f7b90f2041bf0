//! Who changed a vault or was shown what is in it, on the audit trail.

use std::path::{Path, PathBuf};

use fleetmend_credentials::vault::{EntryName, Lock};
use serde_json::{Value, json};

use crate::printer::Printer;
use crate::trail::{Entry, note};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Vault")]
pub(super) struct TrailArgs {
    /// Note who did it on the audit trail of the journal in DIR instead of your data folder
    #[arg(long, value_name = "DIR", env = "FLEETMEND_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl TrailArgs {
    /// Puts on the trail what is about to be done to a vault, with an entry of it. Where that
    /// cannot be stored it is said and done all the same: whoever opens a vault can do so without
    /// fleetmend, and it must open where nothing can be written any more.
    pub(super) fn note(
        &self,
        (kind, vault): (&'static str, &Path),
        entry: Option<&EntryName>,
        more: Value,
        printer: &Printer,
    ) {
        let vault = std::path::absolute(vault).unwrap_or_else(|_| vault.to_owned());
        let mut body = json!({ "vault": vault, "entry": entry.map(EntryName::as_str) });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        let host = None;
        if let Err(error) = note(self.data_dir.as_deref(), &Entry { kind, host, body }) {
            let (words, _) = error.lines();
            printer.warning(&format!("not on the audit trail: {words}"));
        }
    }
}

/// Returns what locks a vault, for the trail: no passphrase, and of keys the public halves.
pub(super) fn told(lock: &Lock) -> Value {
    let lock = match lock {
        Lock::Passphrase(..) => json!("passphrase"),
        Lock::Recipients(all) => {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            json!(all)
        }
    };
    json!({ "lock": lock })
}
