//! Passwords in an inventory: refused, unless encrypted, referred to or allowed.

use std::sync::Arc;

use fleetmend_model::Secret;
use fleetmend_yaml::{Tag, Value};

use super::reader::Reader;
use crate::Options;
use crate::error::{InventoryError, Problem};
use crate::template;
use crate::vars::Var;

/// The password for logging on, the strongest first.
const LOGON: [&str; 9] = [
    "ansible_winrm_password",
    "ansible_winrm_pass",
    "ansible_psrp_password",
    "ansible_psrp_pass",
    "ansible_ssh_password",
    "ansible_ssh_pass",
    "ansible_password",
    "ansible_pass",
    "password",
];

/// Other secrets that Ansible knows: not used here, and never shown.
const OTHERS: [&str; 8] = [
    "ansible_become_password",
    "ansible_become_pass",
    "ansible_sudo_pass",
    "ansible_su_pass",
    "ansible_private_key_passphrase",
    "ansible_ssh_private_key_passphrase",
    "ansible_winrm_cert_key_password",
    "ansible_psrp_certificate_key_password",
];

/// Reads the password, if there is one that may be used.
pub(super) fn read(reader: &mut Reader<'_>, options: &Options) -> Option<Secret> {
    let mut password = None;
    for name in LOGON {
        let found = one(reader, name, options);
        password = password.or(found);
    }
    for name in OTHERS {
        if one(reader, name, options).is_some()
            && let Some(var) = reader.vars.get(name)
        {
            let text = format!("`{name}` is not used");
            reader.warn(&var.key_at.clone(), text);
        }
    }
    password
}

fn one(reader: &mut Reader<'_>, name: &str, options: &Options) -> Option<Secret> {
    let vars = reader.vars;
    let (key, var) = vars.get_key_value(name)?;
    reader.used.insert(Arc::clone(key));
    if var.node.is_null() {
        return None;
    }
    // The ciphertext may be shown, as Ansible does.
    if var.node.tag == Some(Tag::Vault) {
        let text = format!(
            "`{name}` is encrypted by ansible-vault and not read: the password comes from the credential"
        );
        reader.warn(&var.key_at, text);
        return None;
    }
    let Value::String(text) = &var.node.value else {
        reader.secret.insert(Arc::clone(key));
        // Without the value: it is a password all the same.
        let problem = Problem::BadValue {
            name: name.to_owned(),
            expected: "a text (put it in quotes)".to_owned(),
            found: var.node.kind().to_owned(),
        };
        reader
            .errors
            .push(InventoryError::new(var.place(), problem));
        return None;
    };
    if template::is_template(var) {
        return referred(reader, name, var, text, options);
    }
    reader.secret.insert(Arc::clone(key));
    plain(reader, name, var, text.clone(), options)
}

/// A password that another variable holds: that one is a secret too.
fn referred(
    reader: &mut Reader<'_>,
    name: &str,
    var: &Var,
    text: &str,
    options: &Options,
) -> Option<Secret> {
    match template::expand(text, reader.host, reader.vars) {
        Ok(expanded) => {
            let source = expanded
                .names
                .last()
                .and_then(|name| reader.vars.get_key_value(name));
            let (name, var) = match source {
                Some((name, var)) => (name.to_string(), Arc::clone(var)),
                None => (name.to_owned(), Arc::new(var.clone())),
            };
            reader.used.extend(expanded.names.iter().cloned());
            reader.secret.extend(expanded.names);
            plain(reader, &name, &var, expanded.text, options)
        }
        Err(why) => {
            let text = format!(
                "the template in `{name}` is not worked out ({why}): the password comes from the credential"
            );
            reader.warn(&var.key_at, text);
            None
        }
    }
}

fn plain(
    reader: &mut Reader<'_>,
    name: &str,
    var: &Var,
    text: String,
    options: &Options,
) -> Option<Secret> {
    if text.is_empty() {
        return None;
    }
    if !options.allow_plaintext_passwords {
        let problem = Problem::PlainPassword {
            name: name.to_owned(),
        };
        reader
            .errors
            .push(InventoryError::new(var.place(), problem));
        return None;
    }
    Some(Secret::new(text))
}
