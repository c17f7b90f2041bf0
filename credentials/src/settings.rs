//! `credentials.yaml`: which credential is kept where. It holds no secret itself.

mod credential;
mod error;
mod names;
mod origin;
mod reader;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fleetmend_model::CredentialRef;
use fleetmend_yaml::{Document, Entry as YamlEntry, Limits, Node, Position, Value};

pub use credential::{Alternative, Entry, Ssh};
pub use error::{Problem, SettingsError, SettingsErrors};
pub use names::LackingGroup;
pub(crate) use origin::whole as whole_path;
pub use origin::{DEFAULT_VAULT, Origin};

use credential::{Credentials, VaultUses};
use names::nfc;
use reader::{Reader, get};

use crate::template::Template;
use fleetmend_yaml::nearest;

const KEYS: &[&str] = &[
    "version",
    "vaults",
    "credentials",
    "groups",
    "playbook",
    "directory",
    "ansible_vault",
];

/// Room for tens of thousands of lines; nobody writes more by hand.
const LIMITS: Limits = Limits {
    max_bytes: 2 * 1024 * 1024,
    max_depth: 16,
    max_nodes: 200_000,
    max_alias_nodes: 20_000,
};

/// What `credentials.yaml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    file: PathBuf,
    vaults: BTreeMap<String, VaultPlace>,
    credentials: BTreeMap<CredentialRef, Entry>,
    groups: BTreeMap<String, CredentialRef>,
    group_places: BTreeMap<String, Position>,
    playbook: BTreeMap<String, CredentialRef>,
    directory: Option<CredentialRef>,
    ansible_vault: BTreeMap<String, Origin<Template>>,
}

/// Where a vault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultPlace {
    /// Its file.
    pub file: PathBuf,
    /// The file of the age key that opens it; none: a passphrase does, which is asked once.
    pub key_file: Option<PathBuf>,
}

/// A host is in two groups, neither inside the other, that name different credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: two groups that are equally near name different credentials: `{}` names {}, `{}` names {}",
    .host, .first.0, .first.1, .second.0, .second.1
)]
pub struct TwoGroups {
    /// The host.
    pub host: String,
    /// One group with its credential.
    pub first: (String, CredentialRef),
    /// The other.
    pub second: (String, CredentialRef),
}

/// A group of a host: its name, and how near it is to the host; the nearer is the greater.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearGroup<'a, R> {
    /// Its name.
    pub name: &'a str,
    /// How near.
    pub rank: R,
}

impl Settings {
    /// Reads the text of a file; touches nothing. Paths are taken from the file's folder.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place; no value that may be a secret.
    pub fn read(text: &str, file: &Path) -> Result<Self, SettingsErrors> {
        let mut reader = Reader {
            file,
            errors: Vec::new(),
        };
        let settings = match Document::parse(text, &LIMITS) {
            Ok(document) => whole(&mut reader, &document.root),
            Err(errors) => {
                for error in errors.iter() {
                    reader.error(error.at, unseen(&error.problem));
                }
                Self::default()
            }
        };
        match SettingsErrors::of(reader.errors) {
            Some(errors) => Err(errors),
            None => Ok(settings),
        }
    }

    /// Returns the file that it was read from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the folder that paths begin from.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Returns the vaults by name.
    pub fn vaults(&self) -> &BTreeMap<String, VaultPlace> {
        &self.vaults
    }

    /// Returns a credential by its name, in whatever form of Unicode.
    pub fn credential(&self, name: &CredentialRef) -> Option<&Entry> {
        let name = CredentialRef(nfc(&name.0).into_owned());
        self.credentials.get(&name)
    }

    /// Returns the names of all credentials.
    pub fn names(&self) -> impl Iterator<Item = &CredentialRef> {
        self.credentials.keys()
    }

    /// Returns the groups that name a credential.
    pub fn groups(&self) -> &BTreeMap<String, CredentialRef> {
        &self.groups
    }

    /// Returns the credentials for the playbook's parameters.
    pub fn playbook(&self) -> &BTreeMap<String, CredentialRef> {
        &self.playbook
    }

    /// Returns the credential for asking the directory.
    pub fn directory(&self) -> Option<&CredentialRef> {
        self.directory.as_ref()
    }

    /// Returns where the passwords of ansible-vault are, by label.
    pub fn ansible_vault(&self) -> &BTreeMap<String, Origin<Template>> {
        &self.ansible_vault
    }

    /// Returns the credential that a host's groups name: that of the nearest.
    ///
    /// # Errors
    /// Of two that are equally near each names another.
    pub fn of_groups<'a, R: Ord>(
        &self,
        host: &str,
        groups: impl IntoIterator<Item = NearGroup<'a, R>>,
    ) -> Result<Option<&CredentialRef>, TwoGroups> {
        let mut best: Option<(NearGroup<'a, R>, &CredentialRef)> = None;
        let mut rival: Option<(&str, &CredentialRef)> = None;
        for group in groups {
            let Some(credential) = self.groups.get(nfc(group.name).as_ref()) else {
                continue;
            };
            match &best {
                Some((held, _)) if held.rank > group.rank => {}
                Some((held, named)) if held.rank == group.rank => {
                    if *named != credential {
                        rival = Some((group.name, credential));
                    }
                }
                _ => {
                    best = Some((group, credential));
                    rival = None;
                }
            }
        }
        match (best, rival) {
            (Some((group, named)), Some((other, second))) => Err(TwoGroups {
                host: host.to_owned(),
                first: (group.name.to_owned(), named.clone()),
                second: (other.to_owned(), second.clone()),
            }),
            (best, _) => Ok(best.map(|(_, credential)| credential)),
        }
    }
}

fn whole(reader: &mut Reader<'_>, root: &Node) -> Settings {
    let mut settings = Settings {
        file: reader.file.to_owned(),
        ..Settings::default()
    };
    if root.is_null() {
        reader.error(root.at, Problem::Version);
        return settings;
    }
    let Some(map) = reader.map(root, "the file") else {
        return settings;
    };
    reader.known(map, "the file", KEYS, false);
    let version = get(map, "version");
    if version.is_none_or(|node| node.value != Value::Int(1)) {
        reader.error(version.map_or(root.at, |node| node.at), Problem::Version);
    }
    if let Some(node) = get(map, "vaults") {
        settings.vaults = vaults(reader, node);
    }
    let mut uses = VaultUses::new();
    if let Some(node) = get(map, "credentials") {
        settings.credentials = credentials(reader, node, &mut uses);
    }
    if let Some(node) = get(map, "ansible_vault") {
        settings.ansible_vault = ansible_vault(reader, node, &mut uses);
    }
    check_vaults(reader, &settings.vaults, uses, get(map, "vaults").is_some());
    // Of a credential that is wrong itself nobody needs to be told that it is unknown.
    let written: Vec<Cow<'_, str>> = get(map, "credentials")
        .and_then(Node::as_map)
        .into_iter()
        .flat_map(|map| map.iter().map(|entry| nfc(&entry.key.text)))
        .collect();
    let named = Named { written };
    if let Some(node) = get(map, "groups") {
        settings.groups = named.read_all(reader, node, "`groups`");
        let entries = node.as_map().into_iter().flat_map(|map| map.iter());
        settings.group_places = entries
            .map(|entry| (nfc(&entry.key.text).into_owned(), entry.key.at))
            .collect();
    }
    if let Some(node) = get(map, "playbook") {
        settings.playbook = named.read_all(reader, node, "`playbook`");
    }
    if let Some(node) = get(map, "directory") {
        settings.directory = named.read(reader, node, "`directory`");
        once_for_all(
            reader,
            &settings,
            settings.directory.as_ref(),
            ("`directory`", node.at),
        );
    }
    settings
}

/// Refuses a credential that has another secret for each PC.
fn once_for_all(
    reader: &mut Reader<'_>,
    settings: &Settings,
    name: Option<&CredentialRef>,
    (what, at): (&str, Position),
) {
    let entry = name.and_then(|name| Some((name, settings.credentials.get(name)?)));
    if let Some((name, entry)) = entry
        && entry.is_per_host()
    {
        let problem = Problem::PerHost {
            what: what.to_owned(),
            name: name.0.clone(),
        };
        reader.error(at, problem);
    }
}

fn credentials(
    reader: &mut Reader<'_>,
    node: &Node,
    uses: &mut VaultUses,
) -> BTreeMap<CredentialRef, Entry> {
    let entries = names::entries(reader, node, "`credentials`");
    let mut credentials = Credentials {
        reader,
        vaults: uses,
    };
    let mut found = BTreeMap::new();
    for (name, YamlEntry { value, .. }) in entries {
        if let Some(entry) = credentials.read(&name, value) {
            found.insert(CredentialRef(name), entry);
        }
    }
    found
}

/// Reads where the passwords of ansible-vault are: `password` is that of the label `default`.
fn ansible_vault(
    reader: &mut Reader<'_>,
    node: &Node,
    uses: &mut VaultUses,
) -> BTreeMap<String, Origin<Template>> {
    let map = reader.map(node, "`ansible_vault`").unwrap_or_default();
    let mut found = BTreeMap::new();
    for YamlEntry { key, value } in map {
        let label = match key.text.as_str() {
            "password" => "default",
            label => label,
        };
        let mut credentials = Credentials {
            reader,
            vaults: uses,
        };
        let asks = format!("the password of ansible-vault ({label})");
        let Some(origin) = credentials.origin(&key.text, value, asks) else {
            continue;
        };
        if origin.is_per_host() {
            let problem = Problem::PerHost {
                what: "`ansible_vault`".to_owned(),
                name: key.text.clone(),
            };
            reader.error(value.at, problem);
        } else {
            found.insert(label.to_owned(), origin);
        }
    }
    found
}

fn vaults(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<String, VaultPlace> {
    let folder = reader.file.parent().unwrap_or(Path::new("")).to_owned();
    let mut found = BTreeMap::new();
    for YamlEntry { key, value } in reader.map(node, "`vaults`").unwrap_or_default() {
        let what = format!("the vault `{}`", key.text);
        let Some(map) = reader.map(value, &what) else {
            continue;
        };
        reader.known(map, &what, &["file", "key_file"], false);
        let Some(file) = get(map, "file") else {
            let lacks = Problem::Lacks {
                what,
                keys: "`file`",
            };
            reader.error(key.at, lacks);
            continue;
        };
        let path = |reader: &mut Reader<'_>, node: &Node, key: &str| {
            let text = reader.text(node, &format!("`{key}` of {what}"))?;
            Some(origin::whole(&text, &folder))
        };
        let file = path(reader, file, "file");
        let key_file = get(map, "key_file").map(|node| path(reader, node, "key_file"));
        if let (Some(file), None | Some(Some(_))) = (file, &key_file) {
            let key_file = key_file.flatten();
            found.insert(key.text.clone(), VaultPlace { file, key_file });
        }
    }
    found
}

fn check_vaults(
    reader: &mut Reader<'_>,
    vaults: &BTreeMap<String, VaultPlace>,
    uses: VaultUses,
    written: bool,
) {
    for (name, at) in uses {
        let known = vaults.contains_key(&name);
        let unread = written && reader.errors.iter().any(is_of_vaults);
        if !known && !unread {
            let near = nearest(&name, vaults.keys().map(String::as_str));
            let kind = "vault";
            reader.error(at, Problem::Unknown { kind, name, near });
        }
    }
}

/// Tells whether a vault could not be read, and may be the one that seems to be missing.
fn is_of_vaults(error: &SettingsError) -> bool {
    match &error.problem {
        Problem::Shape { what, .. } | Problem::Lacks { what, .. } => what.contains("the vault `"),
        _ => false,
    }
}

/// Reads names of credentials.
struct Named<'n> {
    written: Vec<Cow<'n, str>>,
}

impl Named<'_> {
    fn read_all(
        &self,
        reader: &mut Reader<'_>,
        node: &Node,
        what: &str,
    ) -> BTreeMap<String, CredentialRef> {
        let mut found = BTreeMap::new();
        for (key, YamlEntry { value, .. }) in names::entries(reader, node, what) {
            let what = format!("`{key}` of {what}");
            if let Some(name) = self.read(reader, value, &what) {
                found.insert(key, name);
            }
        }
        found
    }

    fn read(&self, reader: &mut Reader<'_>, node: &Node, what: &str) -> Option<CredentialRef> {
        let name = nfc(&reader.text(node, what)?).into_owned();
        if self.written.iter().any(|written| *written == name) {
            return Some(CredentialRef(name));
        }
        let near = nearest(&name, self.written.iter().map(AsRef::as_ref));
        let kind = "credential";
        reader.error(node.at, Problem::Unknown { kind, name, near });
        None
    }
}

/// Returns a fault of the YAML without what may be a secret.
fn unseen(problem: &fleetmend_yaml::Problem) -> Problem {
    match problem {
        fleetmend_yaml::Problem::TagMismatch { tag, .. } => Problem::Tag { tag: tag.clone() },
        // A password that begins with `!` looks like one.
        fleetmend_yaml::Problem::UnknownTag { .. } => Problem::UnknownTag,
        other => Problem::Yaml(other.clone()),
    }
}
