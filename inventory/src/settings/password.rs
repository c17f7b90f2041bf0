//! Passwords in an inventory: refused, unless encrypted, referred to or allowed.

use std::sync::Arc;

use fleetmend_model::{SealedPassword, Secret};
use fleetmend_yaml::{Tag, Value};

use super::reader::Reader;
use crate::Options;
use crate::error::{InventoryError, Problem};
use crate::template::{self, Stuck};
use crate::vars::{Var, Vars};

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

/// A password for logging on.
pub(super) enum Password {
    /// As it is sent: in the clear and allowed, or out of an encrypted file.
    Plain(Secret),
    /// Encrypted by itself; it is opened for logging on.
    Sealed(SealedPassword),
}

/// Reads the password, if there is one that may be used.
pub(super) fn read(reader: &mut Reader<'_>, options: &Options) -> Option<Password> {
    let mut password = None;
    for name in LOGON {
        let found = one(reader, name, options);
        password = password.or(found);
    }
    for name in OTHERS {
        let closed = |var: &Arc<Var>| var.vaulted || var.node.tag == Some(Tag::Vault);
        let is_closed = reader.vars.get(name).is_some_and(closed);
        if is_closed && let Some((key, _)) = reader.vars.get_key_value(name) {
            reader.used.insert(Arc::clone(key));
        }
        if (is_closed || one(reader, name, options).is_some())
            && let Some(var) = reader.vars.get(name)
        {
            let text = format!("`{name}` is not used");
            reader.warn(&var.key_at.clone(), text);
        }
    }
    password
}

fn one(reader: &mut Reader<'_>, name: &str, options: &Options) -> Option<Password> {
    let vars = reader.vars;
    let (key, var) = vars.get_key_value(name)?;
    reader.used.insert(Arc::clone(key));
    if var.node.is_null() {
        return None;
    }
    // The ciphertext may be shown, as Ansible does.
    if var.node.tag == Some(Tag::Vault) {
        return sealed(reader, name, var);
    }
    let Value::String(text) = &var.node.value else {
        if !var.vaulted {
            reader.secret.insert(Arc::clone(key));
        }
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
    if !var.vaulted {
        reader.secret.insert(Arc::clone(key));
    }
    plain(reader, name, var, Secret::new(text.clone()), options)
}

/// A password that is encrypted by itself: it stays so.
fn sealed(reader: &mut Reader<'_>, name: &str, var: &Var) -> Option<Password> {
    let Value::String(text) = &var.node.value else {
        return None;
    };
    let place = var.place();
    if let Err(problem) = reader.opener.keep(name, text, &place) {
        reader.errors.push(InventoryError::new(place, problem));
        return None;
    }
    if reader.opener.leaves() {
        let text = format!(
            "`{name}` is encrypted by ansible-vault: a run needs its password (`--vault-password-file`)"
        );
        reader.warn(&var.key_at, text);
    }
    Some(Password::Sealed(SealedPassword {
        text: text.as_str().into(),
        place: place.to_string(),
    }))
}

/// A password that another variable holds: that one is a secret too.
fn referred(
    reader: &mut Reader<'_>,
    name: &str,
    var: &Var,
    text: &str,
    options: &Options,
) -> Option<Password> {
    if let Some((name, var)) = one_sealed(reader.vars, text) {
        reader.used.insert(Arc::clone(name));
        return sealed(reader, name, var);
    }
    match reader.scope().expand(text) {
        Ok(expanded) if expanded.left => None,
        Ok(expanded) => {
            let vars = reader.vars;
            let source = expanded
                .names
                .last()
                .and_then(|name| reader.vars.get_key_value(name));
            let (name, var) = match source {
                Some((name, var)) => (name.to_string(), Arc::clone(var)),
                None => (name.to_owned(), Arc::new(var.clone())),
            };
            let open = |name: &&Arc<str>| vars.get(*name).is_some_and(|var| !var.vaulted);
            let in_the_clear = expanded.names.iter().filter(open).cloned();
            reader.secret.extend(in_the_clear);
            reader.used.extend(expanded.names.iter().cloned());
            let text = Secret::new(expanded.text.to_string());
            if expanded.vaulted {
                return (!text.is_empty()).then_some(Password::Plain(text));
            }
            plain(reader, &name, &var, text, options)
        }
        Err(Stuck::Closed(error)) => {
            reader.errors.push(error);
            None
        }
        Err(Stuck::Why(why)) => {
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
    text: Secret,
    options: &Options,
) -> Option<Password> {
    if text.is_empty() {
        return None;
    }
    if !var.vaulted && !options.allow_plaintext_passwords {
        let problem = Problem::PlainPassword {
            name: name.to_owned(),
        };
        reader
            .errors
            .push(InventoryError::new(var.place(), problem));
        return None;
    }
    Some(Password::Plain(text))
}

/// Follows a template that is one variable and nothing else to a value that is encrypted by
/// itself.
fn one_sealed<'a>(vars: &'a Vars, text: &str) -> Option<(&'a Arc<str>, &'a Arc<Var>)> {
    let mut found = template::alone(text, vars)?;
    // As far as templates go elsewhere.
    for _ in 0..8 {
        let text = found.1.node.as_str()?;
        match found.1.node.tag {
            Some(Tag::Vault) => return Some(found),
            Some(Tag::Unsafe) => return None,
            None => found = template::alone(text, vars)?,
        }
    }
    None
}
