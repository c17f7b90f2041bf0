//! Scripts with what they include, and their schemas.

use std::collections::HashMap;
use std::sync::Arc;

use fleetmend_model::Platform;
use fleetmend_yaml::{Map, Position};
use serde_json::Value;

use crate::error::Problem;
use crate::read::reader::Reader;
use crate::{SchemaSide, ScriptFile};

/// Scripts read so far, by file name.
#[derive(Default)]
pub(crate) struct Scripts(HashMap<String, Option<Arc<ScriptFile>>>);

impl Reader<'_> {
    /// Reads a step's script alone, for its schemas.
    pub(crate) fn script(
        &mut self,
        map: &Map,
        step: &str,
        platform: Platform,
        scripts: &mut Scripts,
    ) -> Option<Arc<ScriptFile>> {
        let node = map.get("script")?;
        let file = self.text(node, step)?;
        let (ending, rule) = match platform {
            Platform::Windows => (
                ".ps1",
                "use the name of a .ps1 file in the playbook's folder",
            ),
            Platform::Posix => (".sh", "use the name of a .sh file in the playbook's folder"),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let stem = file.strip_suffix(ending).filter(|stem| !stem.is_empty());
        let Some(stem) = stem.filter(|stem| !stem.starts_with('.') && stem.chars().all(plain))
        else {
            let problem = Problem::BadName {
                what: "script",
                text: file.to_owned(),
                rule,
            };
            self.error(node.at, step, problem);
            return None;
        };
        if let Some(known) = scripts.0.get(file) {
            return known.clone();
        }
        let script = self.load_script(file, stem, node.at, step).map(Arc::new);
        scripts.0.insert(file.to_owned(), script.clone());
        script
    }

    fn load_script(
        &mut self,
        file: &str,
        stem: &str,
        at: Position,
        step: &str,
    ) -> Option<ScriptFile> {
        let name = format!("{}/{file}", self.folder);
        let text = self.file_text(&name, at, step);
        let text = text.and_then(|text| self.compose(&text, at, step));
        let takes = self.schema(stem, SchemaSide::Takes, at, step);
        let gives = self.schema(stem, SchemaSide::Gives, at, step);
        match ScriptFile::new(name, text?, takes?, gives?) {
            Ok(script) => Some(script),
            Err(error) => {
                let path = schema_path(self.folder, stem, error.side);
                let problem = Problem::BadSchema {
                    side: error.side,
                    path,
                    detail: error.detail,
                };
                self.error(at, step, problem);
                None
            }
        }
    }

    /// Puts files of a folder `include` where the script names them, each on a line
    /// `#include NAME`: the one beside the script, else the one beside the playbook, which
    /// playbooks share. What travels is one text, and an included file includes no other.
    fn compose(&mut self, text: &str, at: Position, step: &str) -> Option<String> {
        let mut whole = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            match line.strip_prefix("#include ") {
                Some(name) => {
                    let own = format!("{}/include/{}", self.folder, name.trim());
                    let shared = format!("include/{}", name.trim());
                    let is_shared = matches!(self.source.read(&own), Ok(None))
                        && !matches!(self.source.read(&shared), Ok(None));
                    let path = if is_shared { shared } else { own };
                    whole.push_str(&self.file_text(&path, at, step)?);
                }
                None => whole.push_str(line),
            }
        }
        Some(whole)
    }

    fn schema(&mut self, stem: &str, side: SchemaSide, at: Position, step: &str) -> Option<Value> {
        let path = schema_path(self.folder, stem, side);
        let text = self.file_text(&path, at, step)?;
        match serde_json::from_str(&text) {
            Ok(schema) => Some(schema),
            Err(error) => {
                let detail = error.to_string();
                self.error(at, step, Problem::BadSchema { side, path, detail });
                None
            }
        }
    }

    pub(crate) fn file_text(&mut self, path: &str, at: Position, step: &str) -> Option<String> {
        let path = path.to_owned();
        let problem = match self.source.read(&path) {
            Ok(Some(text)) => return Some(text),
            Ok(None) => Problem::MissingFile { path },
            Err(detail) => Problem::BadFile { path, detail },
        };
        self.error(at, step, problem);
        None
    }
}

fn schema_path(folder: &str, stem: &str, side: SchemaSide) -> String {
    format!("{folder}/{stem}.{side}.json")
}
