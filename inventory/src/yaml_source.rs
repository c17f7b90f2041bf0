//! One YAML file in Ansible's shape into the graph.

use std::borrow::Cow;

use fleetmend_yaml::{Document, Entry, Limits, Map, Node, Position, Value};

use crate::error::{ErrorList, InventoryError, Problem};
use crate::graph::{Graph, GroupId, HostId, start};
use crate::vars::{self, Vars};
use crate::vaults::FileText;
use crate::{Options, Place, directory_source, range};

/// The limits of YAML for a file that was already capped in bytes.
pub(crate) fn limits(options: &Options) -> Limits {
    let max_bytes = usize::try_from(options.max_bytes).unwrap_or(usize::MAX);
    Limits {
        max_bytes,
        ..Limits::default()
    }
}

/// Parses a YAML text; its errors go to the list, without a word of what was encrypted.
pub(crate) fn parse(
    text: &FileText,
    file: &Place,
    options: &Options,
    errors: &mut ErrorList,
) -> Option<Node> {
    match Document::parse(text.reveal(), &limits(options)) {
        Ok(document) => Some(document.root),
        Err(found) => {
            errors.extend(found.iter().map(|error| {
                let problem = match text.vaulted {
                    true => Problem::VaultedYaml,
                    false => Problem::Yaml(error.problem.clone()),
                };
                InventoryError::new(file.with(error.at), problem)
            }));
            None
        }
    }
}

/// Reads a YAML inventory into the graph.
pub(crate) fn read(text: &FileText, file: &Place, options: &Options, graph: &mut Graph) {
    if let Some(place) = ini_section(text.reveal(), file) {
        return graph.error(place, Problem::Ini);
    }
    let Some(root) = parse(text, file, options, &mut graph.errors) else {
        return;
    };
    if root.is_null() {
        return graph.error(start(file), Problem::Empty);
    }
    let Some(map) = root.as_map() else {
        // `pc-01 ansible_host=10.0.0.1`, an INI file without sections.
        if root.as_str().is_some_and(|text| text.contains('=')) {
            return graph.error(file.with(root.at), Problem::Ini);
        }
        let expected = "a mapping";
        let what = "an inventory".to_owned();
        let problem = Problem::Shape {
            what,
            expected,
            found: root.kind(),
        };
        return graph.error(file.with(root.at), problem);
    };
    if let Some(plugin) = map
        .entry("plugin")
        .filter(|entry| entry.value.as_str().is_some())
    {
        let name = plugin.value.as_str().unwrap_or_default().to_owned();
        return graph.error(file.with(plugin.key.at), Problem::Plugin { plugin: name });
    }
    if let Some(meta) = map
        .entry("_meta")
        .filter(|entry| entry.value.get("hostvars").is_some())
    {
        return graph.error(file.with(meta.key.at), Problem::ScriptOutput);
    }
    let mut source = Source {
        file,
        vaulted: text.vaulted,
        options,
        graph,
    };
    for entry in map {
        if directory_source::is_source(entry) {
            directory_source::read(entry, file, source.graph);
        } else {
            source.group(entry);
        }
    }
}

/// Finds the first section header if a text is an INI file: its first line that is neither
/// blank nor a comment is `[…]`, which no YAML inventory starts with.
fn ini_section(text: &str, file: &Place) -> Option<Place> {
    let mut lines = (1..).zip(text.lines());
    let is_content = |line: &str| !line.is_empty() && !line.starts_with(['#', ';']);
    let (number, line) = lines.find(|(_, line)| is_content(line.trim()))?;
    let section = line.trim().strip_prefix('[')?;
    let name = section.split_once(']').map(|(name, _)| name)?;
    let plain = !name.is_empty() && !name.contains([',', '{', '"', '\'', '[']);
    plain.then(|| file.with(Position::new(number, 1)))
}

struct Source<'a> {
    file: &'a Place,
    vaulted: bool,
    options: &'a Options,
    graph: &'a mut Graph,
}

impl Source<'_> {
    fn group(&mut self, entry: &Entry) -> Option<GroupId> {
        let place = self.file.with(entry.key.at);
        let name = &entry.key.text;
        if !entry.key.is_text || name.is_empty() {
            let text = name.clone();
            self.graph.error(
                place,
                Problem::NameNotText {
                    what: "the group name",
                    text,
                },
            );
            return None;
        }
        let id = self.graph.add_group(name, &place);
        if entry.value.is_null() {
            return Some(id);
        }
        let Some(sections) = entry.value.as_map() else {
            self.shape(format!("the group `{name}`"), &entry.value);
            return Some(id);
        };
        for section in sections {
            match section.key.text.as_str() {
                "vars" => self.vars(id, name, &section.value),
                "children" => self.children(id, name, section),
                "hosts" => self.hosts(id, name, section),
                other => {
                    let text = format!(
                        "`{other}` in the group `{name}` is ignored: a group has `hosts`, `children` and `vars`"
                    );
                    self.graph.warn(self.file.with(section.key.at), text);
                }
            }
        }
        Some(id)
    }

    fn vars(&mut self, id: GroupId, name: &str, node: &Node) {
        match vars::from_node(node, self.file, self.vaulted) {
            Some(vars) => self.graph.set_group_vars(id, vars),
            None => self.shape(format!("`vars` of the group `{name}`"), node),
        }
    }

    fn children(&mut self, id: GroupId, name: &str, section: &Entry) {
        let Some(map) = self.names(name, section) else {
            return;
        };
        for entry in map.iter() {
            if let Some(child) = self.group(entry) {
                self.graph
                    .add_child(id, child, &self.file.with(entry.key.at));
            }
        }
    }

    fn hosts(&mut self, id: GroupId, name: &str, section: &Entry) {
        let Some(map) = self.names(name, section) else {
            return;
        };
        for entry in map.iter() {
            self.host(id, entry);
        }
    }

    /// Returns the names in `hosts` or `children`; a lone text is one name, as Ansible has it.
    fn names<'e>(&mut self, group: &str, section: &'e Entry) -> Option<Cow<'e, Map>> {
        match &section.value.value {
            Value::Null => None,
            Value::Map(map) => Some(Cow::Borrowed(map)),
            Value::String(name) if section.value.tag.is_none() => {
                Some(Cow::Owned(Map::of(name, section.value.at)))
            }
            _ => {
                self.shape(
                    format!("`{}` of the group `{group}`", section.key.text),
                    &section.value,
                );
                None
            }
        }
    }

    fn host(&mut self, group: GroupId, entry: &Entry) {
        let pattern = &entry.key.text;
        let place = self.file.with(entry.key.at);
        if !entry.key.is_text {
            let text = pattern.clone();
            return self.graph.error(
                place,
                Problem::NameNotText {
                    what: "the host name",
                    text,
                },
            );
        }
        let Some(vars) = vars::from_node(&entry.value, self.file, self.vaulted) else {
            return self.shape(
                format!("the variables of the host `{pattern}`"),
                &entry.value,
            );
        };
        add_hosts(self.graph, self.options, group, pattern, &place, vars);
    }

    fn shape(&mut self, what: String, node: &Node) {
        let problem = Problem::Shape {
            what,
            expected: "a mapping",
            found: node.kind(),
        };
        self.graph.error(self.file.with(node.at), problem);
    }
}

/// Adds every host of a pattern to a group with the same variables.
pub(crate) fn add_hosts(
    graph: &mut Graph,
    options: &Options,
    group: GroupId,
    pattern: &str,
    place: &Place,
    vars: Vars,
) -> Vec<HostId> {
    let room = options.max_hosts;
    if graph.hosts().len() > room {
        return Vec::new();
    }
    let expansion = match range::expand(pattern, room) {
        Ok(expansion) => expansion,
        Err(problem) => {
            let place = match place.at {
                Some(at) => place.with(range::bracket_position(pattern, at)),
                None => place.clone(),
            };
            graph.error(
                place,
                Problem::Range {
                    pattern: pattern.to_owned(),
                    problem,
                },
            );
            return Vec::new();
        }
    };
    let mut all = Vars::new();
    if let Some(port) = expansion.port {
        let node = Node::new(place.at.unwrap_or(Position::START), Value::Int(port.into()));
        let var = vars::Var {
            key_at: place.clone(),
            node,
            vaulted: false,
        };
        all.insert("ansible_port".into(), var.into());
    }
    vars::merge(&mut all, &vars);
    let mut ids = Vec::with_capacity(expansion.names.len());
    for name in expansion.names {
        if let Some(why) = bad_name(&name) {
            graph.error(
                place.clone(),
                Problem::BadName {
                    what: "a host name",
                    text: name,
                    why,
                },
            );
            break;
        }
        let id = graph.add_host(&name, group, place);
        graph.set_host_vars(id, &all);
        if graph.hosts().len() > room {
            graph.error(place.clone(), Problem::TooManyHosts { max: room });
            break;
        }
        ids.push(id);
    }
    ids
}

fn bad_name(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("it is empty")
    } else if name.trim() != name {
        Some("it begins or ends with a blank")
    } else if name.contains(|c: char| c.is_control()) {
        Some("it holds a control character")
    } else {
        None
    }
}
