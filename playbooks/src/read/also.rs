//! Playbooks for hosts of other platforms.

use fleetmend_model::Platform;
use fleetmend_yaml::{Document, Limits, Map, Node};

use crate::error::Problem;
use crate::read::playbook::LIMIT;
use crate::read::reader::Reader;
use fleetmend_yaml::nearest;

/// The words for the platforms, in the order of [`PLATFORMS`].
const WORDS: [&str; 2] = ["windows", "posix"];
const PLATFORMS: [Platform; 2] = [Platform::Windows, Platform::Posix];

impl Reader<'_> {
    /// Reads `platform`.
    pub(crate) fn platform(&mut self, map: &Map) -> Option<Platform> {
        let Some(node) = map.get("platform") else {
            return Some(Platform::default());
        };
        self.word(node, "", "platform", &WORDS, &PLATFORMS)
    }

    /// Reads `also`. Each name must be that of a playbook beside this one which is for another
    /// platform; what else is wrong with it is told when it is loaded itself.
    pub(crate) fn also(&mut self, map: &Map, stem: &str, platform: Platform) -> Vec<String> {
        let Some(items) = map.get("also").and_then(|node| self.list(node, "also")) else {
            return Vec::new();
        };
        let mut taken = vec![(platform, stem.to_owned())];
        let mut names = Vec::new();
        for item in items {
            let Some(name) = self.id(item, "also", "name") else {
                continue;
            };
            if let Some(platform) = self.sibling(item, name) {
                if let Some((_, other)) = taken.iter().find(|(known, _)| *known == platform) {
                    let problem = Problem::SamePlatform {
                        name: name.to_owned(),
                        platform: word(platform),
                        other: other.clone(),
                    };
                    self.error(item.at, "also", problem);
                }
                taken.push((platform, name.to_owned()));
            }
            names.push(name.to_owned());
        }
        names
    }

    /// Looks for whom a playbook beside this one is; nothing if that cannot be told.
    fn sibling(&mut self, node: &Node, name: &str) -> Option<Platform> {
        let others = self.source.playbooks();
        if !others.iter().any(|known| known == name) {
            let problem = Problem::Undefined {
                what: "playbook beside this one",
                name: name.to_owned(),
                nearest: nearest(name, others.iter().map(String::as_str)),
            };
            self.error(node.at, "also", problem);
            return None;
        }
        let text = self.file_text(&format!("{name}.yaml"), node.at, "also")?;
        let limits = Limits {
            max_bytes: LIMIT,
            ..Limits::default()
        };
        let root = Document::parse(&text, &limits).ok()?.root;
        if root.get("also").is_some() {
            let name = name.to_owned();
            self.error(node.at, "also", Problem::AlsoNested { name });
        }
        let Some(word) = root.get("platform") else {
            return Some(Platform::default());
        };
        let at = WORDS.iter().position(|known| Some(*known) == word.as_str());
        PLATFORMS.get(at?).copied()
    }
}

fn word(platform: Platform) -> &'static str {
    match platform {
        Platform::Windows => "windows",
        Platform::Posix => "posix",
    }
}
