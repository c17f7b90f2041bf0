//! Inventories written for Ansible may use our plain words for things of their own.

use crate::Warning;
use crate::error::{InventoryError, Problem};

use super::reader::Reader;

/// In an inventory that names its connection as Ansible does, a value that is no valid setting
/// of ours (`address: 1-2 Chiyoda, Tokyo`, `tls: {cert: …}`) is a variable of its own and no
/// error. Passwords in plain text and Ansible's own names stay errors.
pub(super) fn tolerate(reader: &mut Reader<'_>) {
    if !reader.vars.contains_key("ansible_connection") {
        return;
    }
    for error in std::mem::take(&mut reader.errors) {
        match own_name(&error, reader) {
            Some(name) => {
                let text = format!(
                    "`{name}` is no setting: its value is not one, so it is a variable like any other"
                );
                reader.used.remove(name.as_str());
                reader.warnings.push(Warning {
                    place: error.place,
                    text,
                });
            }
            None => reader.errors.push(error),
        }
    }
}

/// Returns which of our own names an error is about.
fn own_name(error: &InventoryError, reader: &Reader<'_>) -> Option<String> {
    let name = match &*error.problem {
        Problem::BadValue { name, .. }
        | Problem::UnknownSetting { name, .. }
        | Problem::Template { name, .. } => name.split('.').next().unwrap_or(name),
        Problem::BadName { .. } => {
            let var = reader.vars.get("address")?;
            (var.place() == error.place).then_some("address")?
        }
        _ => return None,
    };
    (!name.starts_with("ansible_") && name != "password").then(|| name.to_owned())
}
