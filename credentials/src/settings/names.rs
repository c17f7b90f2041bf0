//! Names that people type: the same in whatever form of Unicode. macOS and file names keep `ガ` as
//! two code points, what is typed is one, and nobody sees the difference.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fleetmend_model::CredentialRef;
use fleetmend_yaml::{Entry as YamlEntry, Node, Position, nearest};
use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::Settings;
use super::error::Problem;
use super::reader::Reader;

/// A group that the file names and the inventory lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LackingGroup<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it stands in the file.
    pub at: Position,
    /// The credential that it names.
    pub credential: &'a CredentialRef,
    /// The group of the inventory that was probably meant: one that has no credential in the file.
    pub near: Option<String>,
}

/// Returns a name in the form in which names are compared.
pub(crate) fn nfc(name: &str) -> Cow<'_, str> {
    match is_nfc_quick(name.chars()) {
        IsNormalized::Yes => Cow::Borrowed(name),
        IsNormalized::No | IsNormalized::Maybe => Cow::Owned(name.nfc().collect()),
    }
}

/// Returns the entries of a mapping whose keys are names. Two that are the same name are an error.
pub(super) fn entries<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    what: &str,
) -> Vec<(String, &'n YamlEntry)> {
    let mut first: BTreeMap<String, Position> = BTreeMap::new();
    let mut found = Vec::new();
    for entry in reader.map(node, what).unwrap_or_default() {
        let name = nfc(&entry.key.text).into_owned();
        if let Some(first) = first.get(&name) {
            let what = what.to_owned();
            let problem = Problem::SameName {
                what,
                name,
                first: *first,
            };
            reader.error(entry.key.at, problem);
            continue;
        }
        first.insert(name.clone(), entry.key.at);
        found.push((name, entry));
    }
    found
}

impl Settings {
    /// Returns the groups that name a credential and are none of these, in the order of the text.
    pub fn lacking_groups<'a>(
        &self,
        groups: impl IntoIterator<Item = &'a str>,
    ) -> Vec<LackingGroup<'_>> {
        let there: Vec<Cow<'_, str>> = groups.into_iter().map(nfc).collect();
        let lacking = self.groups.iter().filter(|(name, _)| {
            let name = name.as_str();
            !there.iter().any(|group| group == name)
        });
        let mut lacking: Vec<LackingGroup<'_>> = lacking
            .map(|(name, credential)| {
                let others = there.iter().map(AsRef::as_ref);
                let others = others.filter(|group| !self.groups.contains_key(*group));
                LackingGroup {
                    name,
                    at: self
                        .group_places
                        .get(name)
                        .copied()
                        .unwrap_or(Position::START),
                    credential,
                    near: nearest(name, others),
                }
            })
            .collect();
        lacking.sort_by_key(|group| group.at);
        lacking
    }
}
