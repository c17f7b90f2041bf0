//! The one kind of template that is worked out: `{{ name }}`, as in
//! `ansible_host: "{{ inventory_hostname }}.corp.example.jp"`.

use std::sync::Arc;

use fleetmend_yaml::{Tag, Value};
use zeroize::Zeroizing;

use crate::error::InventoryError;
use crate::vars::{Var, Vars};
use crate::vaults::{Opener, VAULTED};

/// How far variables may refer to variables.
const MAX_DEPTH: usize = 8;
/// So much a text may grow without being moved in memory, which would leave a copy.
const ROOM: usize = 512;

/// A text without templates, and the variables it was made of.
#[derive(Default)]
pub(crate) struct Expanded {
    pub(crate) text: Zeroizing<String>,
    pub(crate) names: Vec<Arc<str>>,
    /// Whether any of them was encrypted.
    pub(crate) vaulted: bool,
    /// Whether any of them stayed so: the text is not to be used.
    pub(crate) left: bool,
}

/// Why a template is not worked out.
pub(crate) enum Stuck {
    /// In words.
    Why(String),
    /// Something encrypted stands in the way.
    Closed(InventoryError),
}

/// What a template is worked out with.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) host: &'a str,
    pub(crate) vars: &'a Vars,
    pub(crate) opener: &'a Opener<'a>,
}

/// Tells whether a value is a template.
pub(crate) fn is_template(var: &Var) -> bool {
    var.node.tag != Some(Tag::Unsafe)
        && var
            .node
            .as_str()
            .is_some_and(|text| ["{{", "{%", "{#"].iter().any(|b| text.contains(b)))
}

/// Returns the variable for which a template stands alone: `{{ name }}`.
pub(crate) fn alone<'a>(text: &str, vars: &'a Vars) -> Option<(&'a Arc<str>, &'a Arc<Var>)> {
    let inside = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    vars.get_key_value(inside.trim())
}

impl Scope<'_> {
    /// Works a template out with the variables of a host; the error says what stands in the way.
    pub(crate) fn expand(self, text: &str) -> Result<Expanded, Stuck> {
        let mut expanded = Expanded::default();
        expanded.text = self.expand_into(text, &mut expanded, 0)?;
        Ok(expanded)
    }

    fn expand_into(
        self,
        text: &str,
        notes: &mut Expanded,
        depth: usize,
    ) -> Result<Zeroizing<String>, Stuck> {
        if text.contains("{%") || text.contains("{#") {
            return Err(Stuck::Why("only `{{ name }}` is understood".to_owned()));
        }
        let mut made = Zeroizing::new(String::with_capacity(text.len() + ROOM));
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (expression, tail) = after
                .split_once("}}")
                .ok_or_else(|| Stuck::Why("`{{` is not closed".to_owned()))?;
            made.push_str(before);
            made.push_str(&self.value(expression.trim(), notes, depth)?);
            rest = tail;
        }
        made.push_str(rest);
        Ok(made)
    }

    fn value(
        self,
        expression: &str,
        notes: &mut Expanded,
        depth: usize,
    ) -> Result<Zeroizing<String>, Stuck> {
        let plain = |text: &str| Ok(Zeroizing::new(text.to_owned()));
        match expression {
            "inventory_hostname" => return plain(self.host),
            "inventory_hostname_short" => {
                return plain(self.host.split('.').next().unwrap_or(self.host));
            }
            _ => {}
        }
        let is_name =
            !expression.is_empty() && expression.chars().all(|c| c.is_alphanumeric() || c == '_');
        if !is_name {
            let why = format!("`{expression}` is more than the name of a variable");
            return Err(Stuck::Why(why));
        }
        let Some((name, var)) = self.vars.get_key_value(expression) else {
            // It may be in a file that stays closed.
            if self.opener.files_left.get() {
                notes.left = true;
                return plain(VAULTED);
            }
            let why = format!("there is no variable `{expression}`");
            return Err(Stuck::Why(why));
        };
        if depth >= MAX_DEPTH {
            let why = format!("`{expression}` refers to itself or too far");
            return Err(Stuck::Why(why));
        }
        notes.names.push(Arc::clone(name));
        notes.vaulted |= var.vaulted;
        match (&var.node.value, var.node.tag) {
            (Value::String(text), Some(Tag::Vault)) => {
                notes.vaulted = true;
                let place = var.place();
                match self.opener.open(name, text, &place) {
                    Ok(Some(secret)) => plain(secret.reveal()),
                    Ok(None) => {
                        notes.left = true;
                        plain(VAULTED)
                    }
                    Err(problem) => Err(Stuck::Closed(InventoryError::new(place, problem))),
                }
            }
            (Value::String(text), None) => {
                let made = self.expand_into(text, notes, depth + 1);
                // The reason would quote what was encrypted.
                made.map_err(|stuck| match stuck {
                    Stuck::Why(_) if var.vaulted => {
                        Stuck::Why(format!("`{expression}` is itself no plain text"))
                    }
                    stuck => stuck,
                })
            }
            (Value::String(text), Some(Tag::Unsafe)) => plain(text),
            (Value::Int(number), _) => plain(&number.to_string()),
            _ => Err(Stuck::Why(format!("`{expression}` is {}", var.node.kind()))),
        }
    }
}
