//! An inventory that names a directory: its computers are looked up when the inventory is used.

use fleetmend_yaml::{Entry, Map, Node, Value};

use crate::Place;
use crate::error::Problem;
use crate::graph::{ALL, Graph, UNGROUPED};

/// The top-level key.
pub(crate) const KEY: &str = "directory";
/// What a source may say.
const SETTINGS: [&str; 4] = ["domain", "ou", "filter", "group"];
/// What only a group says; a group may well be called `directory`.
const OF_A_GROUP: [&str; 3] = ["hosts", "children", "vars"];

/// Computers of an Active Directory domain that belong to the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorySource {
    /// Where it stands.
    pub place: Place,
    /// The domain's DNS name, lower case.
    pub domain: String,
    /// Below which organizational unit, by its distinguished name; none: the whole domain.
    pub ou: Option<String>,
    /// An LDAP filter that the computers must pass.
    pub filter: Option<String>,
    /// The group that they all come to be in, beside the groups of their organizational units.
    pub group: Option<String>,
}

/// Tells whether a top-level entry is a source and not a group of that name.
pub(crate) fn is_source(entry: &Entry) -> bool {
    if entry.key.text != KEY {
        return false;
    }
    let has = |map: &Map, keys: &[&str]| keys.iter().any(|key| map.get(key).is_some());
    match &entry.value.value {
        Value::Map(map) => has(map, &SETTINGS) && !has(map, &OF_A_GROUP),
        Value::Seq(_) | Value::String(_) => true,
        _ => false,
    }
}

/// Reads one source, or a list of them, into the graph.
pub(crate) fn read(entry: &Entry, file: &Place, graph: &mut Graph) {
    match entry.value.as_seq() {
        Some(nodes) => nodes.iter().for_each(|node| read_one(node, file, graph)),
        None => read_one(&entry.value, file, graph),
    }
}

fn read_one(node: &Node, file: &Place, graph: &mut Graph) {
    let place = file.with(node.at);
    let Some(map) = node.as_map() else {
        let problem = Problem::Shape {
            what: format!("`{KEY}`"),
            expected: "a mapping with `domain`, or a list of such mappings",
            found: node.kind(),
        };
        return graph.error(place, problem);
    };
    for entry in map.iter() {
        if !SETTINGS.contains(&entry.key.text.as_str()) {
            let problem = Problem::UnknownSetting {
                name: KEY.to_owned(),
                key: entry.key.text.clone(),
                known: &SETTINGS,
            };
            graph.error(file.with(entry.key.at), problem);
        }
    }
    let mut text = |key: &str, expected: &str, fits: fn(&str) -> bool| {
        let value = map.get(key).filter(|value| !value.is_null())?;
        let found = value.as_str().map(str::trim);
        if let Some(found) = found.filter(|found| fits(found)) {
            return Some(found.to_owned());
        }
        let problem = Problem::BadValue {
            name: format!("{KEY}.{key}"),
            expected: expected.to_owned(),
            found: crate::graph::found(value),
        };
        graph.error(file.with(value.at), problem);
        None
    };
    let domain = text(
        "domain",
        "the DNS name of a domain, as corp.example.jp",
        is_domain,
    );
    let ou = text(
        "ou",
        "a distinguished name, as OU=PCs,DC=corp,DC=example,DC=jp",
        is_distinguished_name,
    );
    let filter = text(
        "filter",
        "an LDAP filter in parentheses, as (operatingSystem=Windows*)",
        is_filter,
    );
    let group = text("group", "the name of a group other than all", is_group);
    let Some(domain) = domain else {
        if map.get("domain").is_none_or(Node::is_null) {
            let (name, key) = (KEY.to_owned(), "domain");
            graph.error(place, Problem::NeedsSetting { name, key });
        }
        return;
    };
    graph.sources.push(DirectorySource {
        place,
        domain: domain.trim_end_matches('.').to_lowercase(),
        ou,
        filter,
        group,
    });
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || "-_".contains(c))
    };
    text.trim_end_matches('.').split('.').all(label)
}

fn is_distinguished_name(text: &str) -> bool {
    text.contains('=') && !text.contains(|c: char| c.is_control())
}

fn is_filter(text: &str) -> bool {
    text.starts_with('(') && text.ends_with(')') && !text.contains(|c: char| c.is_control())
}

fn is_group(text: &str) -> bool {
    !text.is_empty()
        && ![ALL, UNGROUPED].contains(&text)
        && !text.contains(|c: char| c.is_control())
}
