//! One credential of the file: one source, or several in order.

use std::time::Duration;

use fleetmend_yaml::{Entry as YamlEntry, Node, Position, Tag, Value};

use super::error::Problem;
use super::origin::{DEFAULT_VAULT, Origin};
use super::reader::{Reader, entry, get};
use crate::template::Template;

/// A program may take this long if the file does not say.
const TIMEOUT: Duration = Duration::from_secs(30);
/// More different passwords than this are never tried on one PC: Windows' own default locks an
/// account at ten.
const MOST_ATTEMPTS: i64 = 9;
/// More of the older passwords than this is not readable over LDAP.
const MOST_OLDER: i64 = 1;

const CREDENTIAL: &[&str] = &["user", "password", "laps", "ssh", "attempts", "from"];
const ALTERNATIVE: &[&str] = &["user", "password", "laps", "ssh"];
const SOURCE: &[&str] = &["vault", "command", "timeout", "file", "env", "keyring"];
const SOURCES: &[&str] = &["vault", "command", "file", "env", "keyring"];
const SSH: &[&str] = &["key_file", "passphrase", "agent"];

/// One credential of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How many different passwords may be tried on one PC in one run.
    pub attempts: u32,
    /// Where it may be, in order; at least one.
    pub from: Vec<Alternative>,
}

/// One place where a credential may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The account, where the source does not know it or is overridden.
    pub user: Option<Template>,
    /// Where the password is; none: SSH needs none.
    pub password: Option<Origin<Template>>,
    /// How SSH logs on before it tries the password.
    pub ssh: Option<Ssh>,
}

/// How SSH logs on without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    /// The file of the private key.
    pub key_file: Option<Template>,
    /// What opens the key.
    pub passphrase: Option<Origin<Template>>,
    /// Whether the agent is asked.
    pub agent: bool,
}

impl Entry {
    /// Tells whether each PC may have its own.
    pub fn is_per_host(&self) -> bool {
        self.from.iter().any(Alternative::is_per_host)
    }
}

impl Alternative {
    fn is_per_host(&self) -> bool {
        let ssh = self.ssh.as_ref();
        let key = ssh.and_then(|ssh| ssh.key_file.as_ref());
        let passphrase = ssh.and_then(|ssh| ssh.passphrase.as_ref());
        self.user.as_ref().is_some_and(Template::is_per_host)
            || self.password.as_ref().is_some_and(Origin::is_per_host)
            || key.is_some_and(Template::is_per_host)
            || passphrase.is_some_and(Origin::is_per_host)
    }
}

/// Names of vaults in use, each with its place.
pub(super) type VaultUses = Vec<(String, Position)>;

/// Reads credentials.
pub(super) struct Credentials<'r, 'f> {
    pub(super) reader: &'r mut Reader<'f>,
    pub(super) vaults: &'r mut VaultUses,
}

impl Credentials<'_, '_> {
    /// Reads one credential.
    pub(super) fn read(&mut self, name: &str, node: &Node) -> Option<Entry> {
        let what = format!("the credential `{name}`");
        let map = self.reader.map(node, &what)?;
        self.reader.known(map, &what, CREDENTIAL, false);
        let attempts = match get(map, "attempts") {
            Some(node) => {
                let what = format!("`attempts` of {what}");
                self.reader.number(node, &what, (1, MOST_ATTEMPTS))?
            }
            None => 1,
        };
        let from = match get(map, "from") {
            Some(list) => self.several(&what, name, map, list)?,
            None => self.alternative(&what, name, None, node, map)?,
        };
        Some(Entry { attempts, from })
    }

    fn several(
        &mut self,
        what: &str,
        name: &str,
        map: &[YamlEntry],
        list: &Node,
    ) -> Option<Vec<Alternative>> {
        for key in ["password", "laps", "ssh"] {
            if let Some(other) = entry(map, key) {
                let both = Problem::Both {
                    what: what.to_owned(),
                    first: "from".to_owned(),
                    second: key.to_owned(),
                };
                self.reader.error(other.key.at, both);
            }
        }
        let shared = match get(map, "user") {
            Some(node) => Some(self.reader.template(node, &format!("`user` of {what}"))?),
            None => None,
        };
        let items = list.as_seq().filter(|items| !items.is_empty());
        let Some(items) = items else {
            let what = format!("`from` of {what}");
            self.reader.shape(list, &what, "a list of sources");
            return None;
        };
        let mut from = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let what = format!("source {} of {what}", index + 1);
            let name = format!("{name}, {}", index + 1);
            if let Some(map) = self.reader.map(item, &what) {
                self.reader.known(map, &what, ALTERNATIVE, false);
                from.extend(
                    self.alternative(&what, &name, shared.as_ref(), item, map)
                        .into_iter()
                        .flatten(),
                );
            }
        }
        Some(from)
    }

    /// Reads what stands for one source; with LAPS' history it is several.
    fn alternative(
        &mut self,
        what: &str,
        name: &str,
        shared: Option<&Template>,
        node: &Node,
        map: &[YamlEntry],
    ) -> Option<Vec<Alternative>> {
        let user = match get(map, "user") {
            Some(node) => Some(self.reader.template(node, &format!("`user` of {what}"))?),
            None => shared.cloned(),
        };
        let ssh = match get(map, "ssh") {
            Some(node) => Some(self.ssh(what, name, node)?),
            None => None,
        };
        let asks = |user: Option<&Template>| match user {
            Some(user) if !user.is_per_host() => format!("the password of {user} ({name})"),
            _ => format!("the password of {name}"),
        };
        let passwords = match (entry(map, "password"), entry(map, "laps")) {
            (Some(_), Some(laps)) => {
                let both = Problem::Both {
                    what: what.to_owned(),
                    first: "password".to_owned(),
                    second: "laps".to_owned(),
                };
                self.reader.error(laps.key.at, both);
                return None;
            }
            (Some(password), None) => {
                let asks = asks(user.as_ref());
                vec![Some(self.origin("password", &password.value, asks)?)]
            }
            (None, Some(laps)) => {
                let (older, computer) = self.laps(&laps.value)?;
                (0..=older)
                    .map(|older| {
                        Some(Origin::Laps {
                            older,
                            computer: computer.clone(),
                        })
                    })
                    .collect()
            }
            (None, None) if ssh.is_some() => vec![None],
            (None, None) => {
                let lacks = Problem::Lacks {
                    what: what.to_owned(),
                    keys: "a source: `password`, `laps` or `ssh`",
                };
                self.reader.error(node.at, lacks);
                return None;
            }
        };
        let made = |password| Alternative {
            user: user.clone(),
            password,
            ssh: ssh.clone(),
        };
        Some(passwords.into_iter().map(made).collect())
    }

    fn laps(&mut self, node: &Node) -> Option<(u32, Option<Template>)> {
        let map = self.reader.map(node, "`laps`")?;
        self.reader
            .known(map, "`laps`", &["history", "computer"], false);
        let older = match get(map, "history") {
            Some(node) => self.reader.number(node, "`history`", (0, MOST_OLDER))?,
            None => 0,
        };
        let computer = match get(map, "computer") {
            Some(node) => Some(self.reader.template(node, "`computer`")?),
            None => None,
        };
        Some((older, computer))
    }

    fn ssh(&mut self, what: &str, name: &str, node: &Node) -> Option<Ssh> {
        let within = format!("`ssh` of {what}");
        let map = self.reader.map(node, &within)?;
        self.reader.known(map, &within, SSH, false);
        let key_file = match get(map, "key_file") {
            Some(node) => Some(self.reader.template(node, "`key_file`")?),
            None => None,
        };
        let passphrase = match get(map, "passphrase") {
            Some(node) => {
                let asks = format!("the passphrase of the SSH key ({name})");
                Some(self.origin("passphrase", node, asks)?)
            }
            None => None,
        };
        let agent = match get(map, "agent") {
            Some(node) => self.reader.flag(node, "`agent`")?,
            None => false,
        };
        if key_file.is_none() && !agent {
            let lacks = Problem::Lacks {
                what: within,
                keys: "`key_file` or `agent: true`",
            };
            self.reader.error(node.at, lacks);
            return None;
        }
        Some(Ssh {
            key_file,
            passphrase,
            agent,
        })
    }

    /// Reads where a secret is. Whatever may be the secret itself is refused and not shown.
    pub(super) fn origin(
        &mut self,
        key: &str,
        node: &Node,
        asks: String,
    ) -> Option<Origin<Template>> {
        let owned = key.to_owned();
        match (&node.value, node.tag) {
            (Value::String(text), None) if text == "prompt" => {
                return Some(Origin::Prompt { asks });
            }
            (_, Some(Tag::Vault)) => {
                self.reader
                    .error(node.at, Problem::AnsibleVault { key: owned });
                return None;
            }
            (Value::Map(_), _) => {}
            (Value::Null, _) => {
                let what = format!("`{key}`");
                self.reader.shape(node, &what, "`prompt` or a source");
                return None;
            }
            _ => {
                self.reader
                    .error(node.at, Problem::PlainSecret { key: owned });
                return None;
            }
        }
        let what = format!("`{key}`");
        let map = self.reader.map(node, &what)?;
        self.reader.known(map, &what, SOURCE, true);
        let mut sources = map
            .iter()
            .filter(|entry| SOURCES.contains(&entry.key.text.as_str()));
        let Some(source) = sources.next() else {
            let lacks = Problem::Lacks {
                what,
                keys: "a source: vault, command, file, env or keyring",
            };
            self.reader.error(node.at, lacks);
            return None;
        };
        if let Some(second) = sources.next() {
            let both = Problem::Both {
                what,
                first: source.key.text.clone(),
                second: second.key.text.clone(),
            };
            self.reader.error(second.key.at, both);
            return None;
        }
        let timeout = match entry(map, "timeout") {
            Some(timeout) if source.key.text == "command" => {
                self.reader.time(&timeout.value, "`timeout`")?
            }
            Some(timeout) => {
                let problem = Problem::Both {
                    what,
                    first: source.key.text.clone(),
                    second: "timeout".to_owned(),
                };
                self.reader.error(timeout.key.at, problem);
                return None;
            }
            None => TIMEOUT,
        };
        self.source(&source.key.text, &source.value, timeout)
    }

    fn source(&mut self, kind: &str, node: &Node, timeout: Duration) -> Option<Origin<Template>> {
        match kind {
            "vault" => self.vault(node),
            "command" => self.command(node, timeout),
            "file" => self.reader.template(node, "`file`").map(Origin::File),
            "env" => self.env(node),
            _ => self.keyring(node),
        }
    }

    fn vault(&mut self, node: &Node) -> Option<Origin<Template>> {
        let (vault, at, entry) = if node.as_map().is_some() {
            let map = self.reader.map(node, "`vault`")?;
            self.reader.known(map, "`vault`", &["name", "entry"], true);
            let (vault, at) = match get(map, "name") {
                Some(name) => (self.reader.text(name, "`name` of `vault`")?, name.at),
                None => (DEFAULT_VAULT.to_owned(), node.at),
            };
            let Some(entry) = get(map, "entry") else {
                let lacks = Problem::Lacks {
                    what: "`vault`".to_owned(),
                    keys: "`entry`",
                };
                self.reader.error(node.at, lacks);
                return None;
            };
            let entry = self.reader.template(entry, "`entry` of `vault`")?;
            (vault, at, entry)
        } else {
            let entry = self.reader.template(node, "`vault`")?;
            (DEFAULT_VAULT.to_owned(), node.at, entry)
        };
        self.vaults.push((vault.clone(), at));
        Some(Origin::Vault { vault, entry })
    }

    fn command(&mut self, node: &Node, timeout: Duration) -> Option<Origin<Template>> {
        let items = node.as_seq().filter(|items| !items.is_empty());
        let Some(items) = items else {
            self.reader.shape(
                node,
                "`command`",
                "a list: the program and its arguments; no shell reads them",
            );
            return None;
        };
        let words: Vec<Option<Template>> = items
            .iter()
            .map(|item| self.reader.template(item, "a word of `command`"))
            .collect();
        let words: Vec<Template> = words.into_iter().collect::<Option<_>>()?;
        Some(Origin::Command { words, timeout })
    }

    fn env(&mut self, node: &Node) -> Option<Origin<Template>> {
        let name = self.reader.text(node, "`env`")?;
        let fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.chars().all(fit) && !name.starts_with(|c: char| c.is_ascii_digit()) {
            return Some(Origin::Env(name));
        }
        self.reader.shape(
            node,
            "`env`",
            "the name of an environment variable that names a file",
        );
        None
    }

    fn keyring(&mut self, node: &Node) -> Option<Origin<Template>> {
        let map = self.reader.map(node, "`keyring`")?;
        self.reader
            .known(map, "`keyring`", &["service", "account"], true);
        let (Some(service), Some(account)) = (get(map, "service"), get(map, "account")) else {
            let lacks = Problem::Lacks {
                what: "`keyring`".to_owned(),
                keys: "`service` and `account`",
            };
            self.reader.error(node.at, lacks);
            return None;
        };
        Some(Origin::Keyring {
            service: self.reader.template(service, "`service`")?,
            account: self.reader.template(account, "`account`")?,
        })
    }
}
