//! Changes (RFC 4511 section 4.6): all of a request, or nothing.

use jiff::Timestamp;
use rasn_ldap::{ChangeOperation, ModifyRequest, ModifyRequestChanges};

use crate::domain::{AccountState, ComputerAccount, Domain, Rights};
use crate::ldap::dn::Dn;
use crate::ldap::object::{Object, container};
use crate::ldap::refusal::Refusal;
use crate::ldap::tree::Tree;
use crate::ldap::view::View;
use crate::win32;
use fleetmend_model::Secret;

/// `ACCOUNTDISABLE` in `userAccountControl`.
const DISABLED: u32 = 2;
/// The policy's shortest password, in characters.
const SHORTEST: usize = 7;

/// What a change does to a computer account.
#[derive(Debug)]
enum Effect {
    Password(Secret),
    Enabled(bool),
    Unlock,
    Restore(Vec<String>),
}

/// Changes an object.
///
/// # Errors
/// The object is not there, the account may not, or a value does not do. Then nothing changed.
pub(super) fn modify(
    request: &ModifyRequest,
    deleted: bool,
    controller: &str,
    tree: &Tree,
    view: &View<'_>,
) -> Result<Change, Refusal> {
    let object = tree.named(&request.object, view, deleted)?;
    let Object::Computer(computer) = object else {
        return Err(Refusal::no_right());
    };
    let effects = if computer.state == AccountState::Deleted {
        vec![restored(request, computer, tree, view)?]
    } else {
        let rights = &view.rights;
        let effect = |change| effect(change, computer, rights, view);
        request
            .changes
            .iter()
            .map(effect)
            .collect::<Result<_, _>>()?
    };
    Ok(Change {
        computer: computer.name.clone(),
        controller: controller.to_owned(),
        effects,
    })
}

/// A change that may be made.
#[derive(Debug)]
pub(super) struct Change {
    computer: String,
    controller: String,
    effects: Vec<Effect>,
}

impl Change {
    /// Makes it.
    pub(super) fn make(self, domain: &mut Domain, now: Timestamp) {
        let name = &self.computer;
        for effect in self.effects {
            match effect {
                Effect::Password(text) => {
                    let (text, controller) = (text.reveal(), &self.controller);
                    domain.set_computer_password_at(name, text, controller, now);
                    domain.count_reset(name);
                }
                Effect::Enabled(enabled) => {
                    domain.change_computer(name, Some(enabled), false, now);
                }
                Effect::Unlock => domain.change_computer(name, None, true, now),
                Effect::Restore(unit) => {
                    domain.restore_computer(name, unit, now);
                }
            }
        }
    }
}

fn effect(
    change: &ModifyRequestChanges,
    computer: &ComputerAccount,
    rights: &Rights,
    view: &View<'_>,
) -> Result<Effect, Refusal> {
    let name = &change.modification.r#type;
    let Some((name, ..)) = view.attribute(name) else {
        return Err(Refusal::no_attribute(name));
    };
    let allowed = match name {
        "unicodePwd" => rights.reset,
        "userAccountControl" => rights.enable,
        "lockoutTime" => rights.unlock,
        _ => false,
    };
    if !allowed {
        return Err(Refusal::no_right());
    }
    let value = replacement(change)?;
    match name {
        "unicodePwd" => password(value).map(Effect::Password),
        "userAccountControl" => {
            let control: Option<u32> = decimal(value);
            let control = control.ok_or_else(|| Refusal::unwilling(win32::INVALID_PARAMETER))?;
            // What the account is for is not to be changed.
            if (control ^ computer.control()) & !DISABLED != 0 {
                return Err(Refusal::no_right());
            }
            Ok(Effect::Enabled(control & DISABLED == 0))
        }
        _ if decimal(value) == Some(0) => Ok(Effect::Unlock),
        _ => Err(Refusal::unwilling(win32::INVALID_PARAMETER)),
    }
}

/// Returns the one value that replaces what was there.
fn replacement(change: &ModifyRequestChanges) -> Result<&[u8], Refusal> {
    let mut values = change.modification.vals.to_vec().into_iter();
    match (change.operation, values.next(), values.next()) {
        (ChangeOperation::Replace, Some(value), None) => Ok(value),
        _ => Err(Refusal::unwilling(win32::INVALID_PARAMETER)),
    }
}

/// Reads a password: UTF-16, between double quotes ([MS-ADTS] 3.1.1.3.1.5.1).
fn password(value: &[u8]) -> Result<Secret, Refusal> {
    let not_one = || Refusal::unwilling(win32::GEN_FAILURE);
    if !value.len().is_multiple_of(2) {
        return Err(not_one());
    }
    let units = value.chunks_exact(2);
    let units = units.map(|pair| {
        pair.iter()
            .rev()
            .fold(0, |unit, byte| unit << 8 | u16::from(*byte))
    });
    let text = Secret::new(
        char::decode_utf16(units)
            .collect::<Result<_, _>>()
            .map_err(|_| not_one())?,
    );
    let inner = text
        .reveal()
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let inner = inner.ok_or_else(not_one)?;
    if inner.chars().count() < SHORTEST {
        return Err(Refusal::unwilling(win32::PASSWORD_RESTRICTION));
    }
    Ok(Secret::new(inner.to_owned()))
}

/// Reads the change that brings a deleted object back: `isDeleted` goes, the name is a new one
/// ([MS-ADTS] 3.1.1.5.3.7).
fn restored(
    request: &ModifyRequest,
    computer: &ComputerAccount,
    tree: &Tree,
    view: &View<'_>,
) -> Result<Effect, Refusal> {
    if !view.rights.restore {
        return Err(Refusal::no_right());
    }
    let bad = || Refusal::unwilling(win32::INVALID_PARAMETER);
    let find = |name: &str, operation| {
        let mut changes = request.changes.iter();
        changes.find(|change| {
            change.modification.r#type.eq_ignore_ascii_case(name) && change.operation == operation
        })
    };
    find("isDeleted", ChangeOperation::Delete).ok_or_else(bad)?;
    let renamed = find("distinguishedName", ChangeOperation::Replace).ok_or_else(bad)?;
    let name = std::str::from_utf8(replacement(renamed)?).map_err(|_| bad())?;
    let dn = Dn::parse(name).ok_or_else(|| Refusal::bad_name(name))?;
    let (_, own) = dn.first().ok_or_else(bad)?;
    let parent = dn.parent().ok_or_else(bad)?;
    // The simulation brings it back under its own name only.
    if !own.eq_ignore_ascii_case(&computer.name) {
        return Err(Refusal::unsupported());
    }
    tree.named(&parent.to_string(), view, false)?;
    if parent.is(&container(computer, &view.head)) {
        return Ok(Effect::Restore(computer.ou.clone()));
    }
    let mut units = view.domain.units();
    let unit = units.find(|unit| {
        let below = |dn: Dn, name: &String| dn.child("OU", name);
        unit.iter().fold(view.head.clone(), below).is(&parent)
    });
    unit.map(|unit| Effect::Restore(unit.to_vec()))
        .ok_or_else(Refusal::unsupported)
}

fn decimal<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_password_is_wide_quoted_and_long_enough() {
        assert_eq!(
            password(&wide("\"日本語のパスワード1\"")).unwrap().reveal(),
            "日本語のパスワード1"
        );
        let code = |value: &[u8]| password(value).unwrap_err().text[..8].to_owned();
        assert_eq!(code(b"\"plain-text\""), "0000001F");
        assert_eq!(code(&wide("no-quotes")), "0000001F");
        assert_eq!(code(&wide("\"")), "0000001F");
        assert_eq!(code(b"x"), "0000001F");
        assert_eq!(code(&wide("\"short\"")), "0000052D");
    }
}
