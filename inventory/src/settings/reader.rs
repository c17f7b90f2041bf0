//! Reads typed settings out of variables and remembers which were used.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use fleetmend_yaml::{Map, Node, Value};

use crate::error::{InventoryError, Problem};
use crate::graph::found;
use crate::vars::{Var, Vars};
use crate::{Place, Warning, template};

/// The variables of one host, and what was found in them.
pub(super) struct Reader<'a> {
    pub(super) host: &'a str,
    pub(super) vars: &'a Vars,
    pub(super) used: BTreeSet<Arc<str>>,
    pub(super) secret: BTreeSet<Arc<str>>,
    pub(super) errors: Vec<InventoryError>,
    pub(super) warnings: Vec<Warning>,
}

/// A value with the name that set it.
#[derive(Clone, Debug)]
pub(super) struct Setting<T> {
    pub(super) name: String,
    pub(super) value: T,
    pub(super) place: Place,
}

impl<'a> Reader<'a> {
    pub(super) fn new(host: &'a str, vars: &'a Vars) -> Self {
        Self {
            host,
            vars,
            used: BTreeSet::new(),
            secret: BTreeSet::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
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
        if var.node.tag == Some(fleetmend_yaml::Tag::Vault) {
            let why = "it is encrypted by ansible-vault".to_owned();
            let name = name.to_owned();
            self.errors
                .push(InventoryError::new(place, Problem::Template { name, why }));
            return None;
        }
        let value = if template::is_template(var) {
            match template::expand(text, self.host, self.vars) {
                Ok(expanded) => expanded.text,
                Err(why) => {
                    let name = name.to_owned();
                    self.errors
                        .push(InventoryError::new(place, Problem::Template { name, why }));
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

    /// Returns a port: a number, or a text that is one.
    pub(super) fn port(&mut self, names: &[&str]) -> Option<Setting<u16>> {
        let (name, var) = self.pick(names)?;
        let place = var.place();
        let number = match &var.node.value {
            Value::Int(number) => u16::try_from(*number).ok(),
            Value::String(_) => self.text_of(&name, &var)?.value.parse().ok(),
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
        let value = match &var.node.value {
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
        map.iter()
            .map(|entry| {
                let var = Var {
                    key_at: file.with(entry.key.at),
                    node: entry.value.clone(),
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
        let mut inner = Reader::new(self.host, &all);
        let result = read(&mut inner);
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
