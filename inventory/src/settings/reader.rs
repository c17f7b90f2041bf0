//! Reads typed settings out of variables and remembers which were used.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use fleetmend_yaml::{Map, Node, Tag, Value};
use zeroize::Zeroizing;

use crate::error::{InventoryError, Problem};
use crate::graph::found;
use crate::template::{self, Scope, Stuck};
use crate::vars::{Var, Vars};
use crate::vaults::{Opener, VAULTED};
use crate::{Place, Warning};

/// The variables of one host, and what was found in them.
pub(super) struct Reader<'a> {
    pub(super) host: &'a str,
    pub(super) vars: &'a Vars,
    pub(super) opener: &'a Opener<'a>,
    pub(super) used: BTreeSet<Arc<str>>,
    pub(super) secret: BTreeSet<Arc<str>>,
    pub(super) errors: Vec<InventoryError>,
    pub(super) warnings: Vec<Warning>,
    /// What was encrypted and was read: no error may quote it.
    pub(super) opened: Vec<Zeroizing<String>>,
}

/// A value with the name that set it.
#[derive(Clone, Debug)]
pub(super) struct Setting<T> {
    pub(super) name: String,
    pub(super) value: T,
    pub(super) place: Place,
}

impl<'a> Reader<'a> {
    pub(super) fn new(host: &'a str, vars: &'a Vars, opener: &'a Opener<'a>) -> Self {
        Self {
            host,
            vars,
            opener,
            used: BTreeSet::new(),
            secret: BTreeSet::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            opened: Vec::new(),
        }
    }

    /// Returns the variable that counts among names for one setting, the strongest first. An
    /// `ansible_` name is stronger than our own, which may mean something else in an inventory
    /// that was written for Ansible; if both are there and differ, a warning says so.
    pub(super) fn pick(&mut self, names: &[&str]) -> Option<(Arc<str>, Arc<Var>)> {
        let mut chosen: Option<(Arc<str>, Arc<Var>)> = None;
        for name in names {
            let Some((name, var)) = self.vars.get_key_value(*name) else {
                continue;
            };
            self.used.insert(Arc::clone(name));
            if var.node.is_null() {
                continue;
            }
            match &chosen {
                None => chosen = Some((Arc::clone(name), Arc::clone(var))),
                Some((strong, kept)) => {
                    let ours = !name.starts_with("ansible_") && strong.starts_with("ansible_");
                    if ours && kept.node.to_json() != var.node.to_json() {
                        let text = format!("`{name}` is ignored: `{strong}` is set too and counts");
                        self.warnings.push(Warning {
                            place: var.key_at.clone(),
                            text,
                        });
                    }
                }
            }
        }
        if let Some((_, var)) = chosen.as_ref().filter(|(_, var)| var.vaulted) {
            note(&var.node, &mut self.opened);
        }
        chosen
    }

    /// Returns a text, its template worked out.
    pub(super) fn text(&mut self, names: &[&str]) -> Option<Setting<String>> {
        let (name, var) = self.pick(names)?;
        self.text_of(&name, &var)
    }

    pub(super) fn text_of(&mut self, name: &str, var: &Var) -> Option<Setting<String>> {
        let place = var.place();
        let Value::String(text) = &var.node.value else {
            let expected = match var.node.value {
                Value::Seq(_) | Value::Map(_) => "a text",
                _ => "a text (put it in quotes)",
            };
            self.bad(name, &var.node, &place, expected);
            return None;
        };
        let value = if var.node.tag == Some(Tag::Vault) {
            match self.opener.open(name, text, &place) {
                Ok(Some(secret)) => self.noted(secret.reveal()),
                Ok(None) => VAULTED.to_owned(),
                Err(problem) => {
                    self.errors.push(InventoryError::new(place, problem));
                    return None;
                }
            }
        } else if template::is_template(var) {
            match self.scope().expand(text) {
                Ok(expanded) if expanded.left => VAULTED.to_owned(),
                Ok(expanded) if expanded.vaulted => self.noted(&expanded.text),
                Ok(expanded) => expanded.text.to_string(),
                Err(stuck) => {
                    self.stuck(name, &place, stuck);
                    return None;
                }
            }
        } else {
            text.clone()
        };
        let value = value.trim().to_owned();
        (!value.is_empty()).then(|| Setting {
            name: name.to_owned(),
            value,
            place,
        })
    }

    /// Returns what templates are worked out with.
    pub(super) fn scope(&self) -> Scope<'a> {
        Scope {
            host: self.host,
            vars: self.vars,
            opener: self.opener,
        }
    }

    fn noted(&mut self, text: &str) -> String {
        self.opened.push(Zeroizing::new(text.trim().to_owned()));
        text.to_owned()
    }

    fn stuck(&mut self, name: &str, place: &Place, stuck: Stuck) {
        let error = match stuck {
            Stuck::Why(why) => {
                let name = name.to_owned();
                InventoryError::new(place.clone(), Problem::Template { name, why })
            }
            Stuck::Closed(error) => error,
        };
        self.errors.push(error);
    }

    /// Takes what was encrypted out of errors and warnings, where they quote it.
    pub(super) fn conceal(&mut self) {
        let opened = std::mem::take(&mut self.opened);
        let quotes = |text: &str| {
            let text = text.to_lowercase();
            let mut values = opened.iter().filter(|value| !value.is_empty());
            values.any(|value| {
                let value = Zeroizing::new(value.to_lowercase());
                ["`", ": "].iter().any(|before| {
                    let quoted = Zeroizing::new(format!("{before}{}`", value.as_str()));
                    text.contains(quoted.as_str())
                })
            })
        };
        for error in &mut self.errors {
            if quotes(&error.problem.to_string()) {
                *error = InventoryError::new(error.place.clone(), Problem::Concealed);
            }
        }
        for warning in &mut self.warnings {
            if quotes(&warning.text) {
                warning.text = "what is encrypted for this setting was not understood".to_owned();
            }
        }
    }

    /// Returns a port: a number, or a text that is one.
    pub(super) fn port(&mut self, names: &[&str]) -> Option<Setting<u16>> {
        let (name, var) = self.pick(names)?;
        let place = var.place();
        let number = match &var.node.value {
            Value::Int(number) => u16::try_from(*number).ok(),
            Value::String(_) => {
                let text = self.text_of(&name, &var)?.value;
                if text == VAULTED {
                    return None;
                }
                text.parse().ok()
            }
            _ => None,
        };
        match number.filter(|number| *number != 0) {
            Some(value) => Some(Setting {
                name: name.to_string(),
                value,
                place,
            }),
            None => {
                self.bad(&name, &var.node, &place, "a port from 1 to 65535");
                None
            }
        }
    }

    /// Returns one of several words, case aside.
    pub(super) fn word<T: Copy>(
        &mut self,
        names: &[&str],
        words: &[(&str, T)],
    ) -> Option<Setting<T>> {
        let setting = self.text(names)?;
        self.word_of(setting, words)
    }

    pub(super) fn word_of<T: Copy>(
        &mut self,
        setting: Setting<String>,
        words: &[(&str, T)],
    ) -> Option<Setting<T>> {
        let Setting { name, value, place } = setting;
        if value == VAULTED {
            return None;
        }
        let wanted = value.to_lowercase();
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == wanted) {
            return Some(Setting {
                name,
                value: *value,
                place,
            });
        }
        let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let expected = words.join(" or ");
        let found = format!("`{value}`");
        self.errors.push(InventoryError::new(
            place,
            Problem::BadValue {
                name,
                expected,
                found,
            },
        ));
        None
    }

    /// Returns a yes or no, also as a text like Ansible's.
    pub(super) fn flag(&mut self, names: &[&str]) -> Option<Setting<bool>> {
        let (name, var) = self.pick(names)?;
        let place = var.place();
        let opened;
        let mut said = &var.node.value;
        if var.node.tag == Some(Tag::Vault) {
            let text = self.text_of(&name, &var)?.value;
            if text == VAULTED {
                return None;
            }
            opened = Value::String(text);
            said = &opened;
        }
        let value = match said {
            Value::Bool(flag) => Some(*flag),
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            Value::String(text) => match text.to_lowercase().as_str() {
                "yes" | "true" | "on" | "1" => Some(true),
                "no" | "false" | "off" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        if value.is_none() {
            self.bad(&name, &var.node, &place, "`true` or `false`");
        }
        value.map(|value| Setting {
            name: name.to_string(),
            value,
            place,
        })
    }

    /// Opens a mapping of settings as if its keys were variables of their own, after refusing
    /// keys that have no meaning.
    pub(super) fn within(
        &mut self,
        name: &str,
        map: &Map,
        place: &Place,
        known: &'static [&'static str],
    ) -> Vars {
        for entry in map {
            let key = entry.key.text.clone();
            if !known.contains(&key.as_str()) {
                let problem = Problem::UnknownSetting {
                    name: name.to_owned(),
                    key,
                    known,
                };
                self.errors
                    .push(InventoryError::new(place.with(entry.key.at), problem));
            }
        }
        let file = place.clone();
        let vaulted = self.vars.get(name).is_some_and(|var| var.vaulted);
        map.iter()
            .map(|entry| {
                let var = Var {
                    key_at: file.with(entry.key.at),
                    node: entry.value.clone(),
                    vaulted,
                };
                (
                    Arc::from(format!("{name}.{}", entry.key.text).as_str()),
                    Arc::new(var),
                )
            })
            .collect()
    }

    /// Runs a reading over other variables, keeping what it finds.
    pub(super) fn over<T>(&mut self, vars: &Vars, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        let mut all = self.vars.clone();
        crate::vars::merge(&mut all, vars);
        let mut inner = Reader::new(self.host, &all, self.opener);
        let result = read(&mut inner);
        self.opened.append(&mut inner.opened);
        self.errors.append(&mut inner.errors);
        self.warnings.append(&mut inner.warnings);
        result
    }

    /// Returns a path: `~/` is the user's own folder; a relative one starts at `base`.
    pub(super) fn path(&self, text: &str, base: Option<&Place>) -> PathBuf {
        if let Some(rest) = text.strip_prefix("~/").or_else(|| text.strip_prefix("~\\"))
            && let Some(home) = std::env::home_dir()
        {
            return home.join(rest);
        }
        let path = PathBuf::from(text);
        let folder = base.map(|place| PathBuf::from(&*place.file));
        match folder.as_ref().and_then(|file| file.parent()) {
            Some(folder) if path.is_relative() => folder.join(path),
            _ => path,
        }
    }

    pub(super) fn bad(&mut self, name: &str, node: &Node, place: &Place, expected: &str) {
        let problem = Problem::BadValue {
            name: name.to_owned(),
            expected: expected.to_owned(),
            found: found(node),
        };
        self.errors
            .push(InventoryError::new(place.clone(), problem));
    }

    pub(super) fn warn(&mut self, place: &Place, text: String) {
        self.warnings.push(Warning {
            place: place.clone(),
            text,
        });
    }
}

/// Notes every scalar of a value.
fn note(node: &Node, into: &mut Vec<Zeroizing<String>>) {
    match &node.value {
        Value::Seq(items) => items.iter().for_each(|item| note(item, into)),
        Value::Map(map) => map.iter().for_each(|entry| note(&entry.value, into)),
        Value::String(text) => {
            into.push(Zeroizing::new(text.trim().to_owned()));
        }
        _ => {
            into.push(Zeroizing::new(node.to_json().to_string()));
        }
    }
}
