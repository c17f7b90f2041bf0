//! Computers as a directory lists them, as an inventory.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use crate::graph::Graph;
use crate::group_names::GroupNames;
use crate::vaults::FileText;
use crate::{DirectorySource, Options, Place, yaml_source};

/// The unit in which Active Directory keeps domain controllers; its name is the same in every
/// language.
const CONTROLLERS: &str = "Domain Controllers";

/// Computers as a directory lists them.
#[derive(Clone, Debug)]
pub struct DirectoryListing {
    /// What was asked for.
    pub source: DirectorySource,
    /// What came.
    pub computers: Vec<ListedPc>,
}

/// One computer of a listing. Every text comes from the directory and may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedPc {
    /// Its account's name without the `$`.
    pub name: String,
    /// Its DNS name.
    pub dns_name: Option<String>,
    /// The organizational units that it lies in, outermost first.
    pub ou: Vec<String>,
    /// `Windows 11 Pro 10.0 (26100)`.
    pub operating_system: Option<String>,
    /// The day of its last logon: `2026-11-20`.
    pub last_logon: Option<String>,
    /// Whether its account is enabled; none: not known.
    pub enabled: Option<bool>,
    /// What the administrators wrote about it.
    pub description: Option<String>,
}

/// Computers of a listing that no host was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// They are domain controllers, which are mended by other means.
    pub controllers: Vec<String>,
    /// Their accounts are disabled.
    pub disabled: Vec<String>,
    /// Their names cannot be those of hosts.
    pub unusable: Vec<String>,
    /// Their DNS names are those of other computers, which logged on later.
    pub doubles: Vec<String>,
}

impl LeftOut {
    /// Returns one line for each reason that there is.
    pub fn lines(&self) -> Vec<String> {
        [
            (&self.controllers, "in the unit of the domain controllers"),
            (&self.disabled, "with a disabled account"),
            (&self.unusable, "with a name that no host can have"),
            (&self.doubles, "with the DNS name of another computer"),
        ]
        .into_iter()
        .filter(|(names, _)| !names.is_empty())
        .map(|(names, why)| {
            let told: Vec<String> = names.iter().take(20).map(|name| one_line(name)).collect();
            let more = if names.len() > told.len() {
                ", …"
            } else {
                ""
            };
            let computers = if names.len() == 1 {
                "computer"
            } else {
                "computers"
            };
            let names_told = told.join(", ");
            format!(
                "{} {computers} {why} left out: {names_told}{more}",
                names.len()
            )
        })
        .collect()
    }
}

impl DirectoryListing {
    /// Returns the computers that hosts are made of, by name, and the others.
    pub fn sort(&self) -> (Vec<&ListedPc>, LeftOut) {
        let mut out = LeftOut::default();
        let mut by_name: BTreeMap<String, &ListedPc> = BTreeMap::new();
        let mut by_dns: HashMap<String, String> = HashMap::new();
        // The one that was used last is the one that there is.
        let mut computers: Vec<&ListedPc> = self.computers.iter().collect();
        computers.sort_by(|a, b| (&b.last_logon, &a.name).cmp(&(&a.last_logon, &b.name)));
        for pc in computers {
            let name = pc.host_name();
            if pc.ou.first().is_some_and(|unit| unit == CONTROLLERS) {
                out.controllers.push(name);
            } else if pc.enabled == Some(false) {
                out.disabled.push(name);
            } else if !is_host(&name) || pc.dns_name.as_deref().is_some_and(|dns| !is_host(dns)) {
                out.unusable.push(name);
            } else if by_name.contains_key(&name)
                || by_dns.contains_key(&pc.address(&self.source.domain))
            {
                out.doubles.push(name);
            } else {
                by_dns.insert(pc.address(&self.source.domain), name.clone());
                by_name.insert(name, pc);
            }
        }
        let LeftOut {
            controllers,
            disabled,
            unusable,
            doubles,
        } = &mut out;
        for names in [controllers, disabled, unusable, doubles] {
            names.sort();
        }
        (by_name.into_values().collect(), out)
    }

    /// Returns an inventory in YAML that [`crate::load`] reads: the organizational units as groups
    /// in groups, the computers as hosts. Each line of `about` stands on top as a comment.
    pub fn to_yaml(&self, about: &[String]) -> String {
        let (computers, left_out) = self.sort();
        let mut text = String::new();
        for line in about.iter().chain(&left_out.lines()) {
            let _ = writeln!(text, "# {}", one_line(line));
        }
        text.push_str(&self.hosts_yaml(&computers, &HashMap::new(), &Graph::new()));
        text
    }

    /// Adds the computers to what the files say, which outweighs what the directory says.
    pub(crate) fn add_to(&self, graph: &mut Graph, options: &Options) {
        let (computers, left_out) = self.sort();
        for line in left_out.lines() {
            graph.warn(self.source.place.clone(), line);
        }
        let known: HashMap<String, String> = graph
            .hosts()
            .iter()
            .flat_map(|host| {
                let address = host.address().map(str::to_lowercase);
                let names = [Some(host.name.to_lowercase()), address];
                let names = names.into_iter().flatten();
                names.map(|name| (name, host.name.clone()))
            })
            .collect();
        let text = self.hosts_yaml(&computers, &known, graph);
        let place = Place {
            file: format!("the directory {}", self.source.domain).into(),
            at: None,
        };
        yaml_source::read(&FileText::plain(text), &place, options, graph);
    }

    /// `known`: the hosts that there are already, by their names and addresses.
    fn hosts_yaml(
        &self,
        computers: &[&ListedPc],
        known: &HashMap<String, String>,
        graph: &Graph,
    ) -> String {
        let mut root = Unit::default();
        for pc in computers {
            let mut unit = &mut root;
            for name in &pc.ou {
                unit = unit.units.entry(name.clone()).or_default();
            }
            let address = pc.address(&self.source.domain);
            let host = pc.host_name();
            let name = known.get(&host).or_else(|| known.get(&address));
            let name = name.cloned().unwrap_or(host);
            let raw = graph.host_id(&name).and_then(|id| graph.host(id));
            let settings = pc.settings(address);
            // The file's own word about a host counts.
            let is_set = |key: &str| {
                raw.is_some_and(|raw| {
                    raw.vars.contains_key(key) || (key == "address" && raw.address().is_some())
                })
            };
            unit.hosts.push(Line {
                name,
                settings: settings
                    .into_iter()
                    .filter(|(key, _)| !is_set(key))
                    .collect(),
                comment: pc.description.as_deref().map(one_line),
            });
        }
        let mut text = "all:\n".to_owned();
        let mut names = GroupNames::default();
        match &self.source.group {
            None => root.write(0, &[], &mut names, &mut text),
            Some(group) => {
                names.take(group);
                let _ = writeln!(text, "  children:\n    {}:", scalar(group));
                root.write(2, &[], &mut names, &mut text);
            }
        }
        text
    }
}

impl ListedPc {
    /// The name in the inventory: lower case, as in DNS.
    fn host_name(&self) -> String {
        self.name.trim_end_matches('$').to_lowercase()
    }

    /// Its DNS name, or the one that it would have in its domain.
    fn address(&self, domain: &str) -> String {
        match &self.dns_name {
            Some(name) => name.trim_end_matches('.').to_lowercase(),
            None => format!("{}.{domain}", self.host_name()),
        }
    }

    fn settings(&self, address: String) -> Vec<(&'static str, String)> {
        let mut settings = vec![("address", scalar(&address))];
        let os = self.operating_system.as_deref().map(plain_words);
        if os.as_deref().is_some_and(is_posix) {
            settings.push(("platform", "posix".to_owned()));
            settings.push(("transport", "ssh".to_owned()));
        }
        if let Some(os) = os.filter(|os| !os.is_empty()) {
            settings.push(("operating_system", quoted(&os)));
        }
        if let Some(day) = &self.last_logon {
            settings.push(("last_logon", quoted(&plain_words(day))));
        }
        settings
    }
}

/// What Samba, adcli and realmd write of themselves when they join.
fn is_posix(operating_system: &str) -> bool {
    let name = operating_system.to_lowercase();
    ["samba", "linux"].iter().any(|word| name.contains(word))
}

#[derive(Default)]
struct Unit {
    units: BTreeMap<String, Unit>,
    hosts: Vec<Line>,
}

struct Line {
    name: String,
    settings: Vec<(&'static str, String)>,
    comment: Option<String>,
}

impl Unit {
    fn write(&self, depth: usize, path: &[&str], names: &mut GroupNames, text: &mut String) {
        let indent = "  ".repeat(depth + 1);
        if !self.hosts.is_empty() {
            let _ = writeln!(text, "{indent}hosts:");
        }
        for host in &self.hosts {
            let settings: Vec<String> = host
                .settings
                .iter()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect();
            let settings = match settings.as_slice() {
                [] => String::new(),
                settings => format!(" {{{}}}", settings.join(", ")),
            };
            let comment = host
                .comment
                .as_deref()
                .filter(|comment| !comment.is_empty());
            let comment = comment.map_or_else(String::new, |comment| format!("   # {comment}"));
            let name = scalar(&host.name);
            let _ = writeln!(text, "{indent}  {name}:{settings}{comment}");
        }
        if !self.units.is_empty() {
            let _ = writeln!(text, "{indent}children:");
        }
        for (name, unit) in &self.units {
            let path = [path, &[name.as_str()]].concat();
            let group = names.of_path(&path);
            let _ = writeln!(text, "{indent}  {}:", scalar(&group));
            unit.write(depth + 2, &path, names, text);
        }
    }
}

/// Tells whether a text can be a host's name, and is no pattern, range or option.
fn is_host(text: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && !text.starts_with(['-', '.']) && text.chars().all(fits)
}

/// A text for a value: what could mean something to a template engine or a terminal goes.
fn plain_words(text: &str) -> String {
    let fits = |c: &char| c.is_alphanumeric() || " .,()-_/+®™".contains(*c);
    text.chars()
        .filter(fits)
        .take(80)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// A text for a comment: one line of it.
fn one_line(text: &str) -> String {
    let clean = |c: char| {
        let odd = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
            // They turn the direction of what follows.
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if odd { ' ' } else { c }
    };
    let text: String = text.chars().map(clean).take(1_000).collect();
    text.trim().to_owned()
}

/// Writes a text so that every YAML reader takes it for that text.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let plain = text.starts_with(char::is_alphabetic)
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.".contains(c))
        && !WORDS.contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// Double quotes, with the escapes that YAML shares with JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
