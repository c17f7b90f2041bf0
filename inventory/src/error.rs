//! What can be wrong with an inventory.

use std::fmt;

use serde_json::{Value as Json, json};
use thiserror::Error;

use crate::Place;
use crate::range::RangeProblem;

/// One thing wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {problem}")]
pub struct InventoryError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Box<Problem>,
}

impl InventoryError {
    pub(crate) fn new(place: Place, problem: Problem) -> Self {
        Self {
            place,
            problem: Box::new(problem),
        }
    }

    /// Returns what to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

/// What is wrong; the text does not repeat the place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// No such file.
    #[error("no such file")]
    Missing,
    /// A folder where a file is needed.
    #[error("this is a directory, not an inventory file")]
    Directory,
    /// The operating system refused to read it.
    #[error("cannot be read: {kind}")]
    Unreadable {
        /// In the words of the standard library, the same on every system.
        kind: std::io::ErrorKind,
    },
    /// More bytes than [`crate::Options::max_bytes`].
    #[error("the file is too large: {}, at most {max} bytes are read", size(*.bytes))]
    TooLarge {
        /// How many, where it is known.
        bytes: Option<u64>,
        /// The cap.
        max: u64,
    },
    /// Bytes that are no UTF-8.
    #[error("byte 0x{byte:02X} is not UTF-8")]
    Encoding {
        /// The first such byte.
        byte: u8,
        /// The encoding in which the whole file would make sense.
        looks_like: Option<&'static str>,
    },
    /// Bytes that are neither UTF-8 nor cp932.
    #[error("byte 0x{byte:02X} is neither UTF-8 nor cp932 (Shift_JIS)")]
    CsvEncoding {
        /// The first byte that is not UTF-8.
        byte: u8,
    },
    /// A fault of the YAML itself.
    #[error("{0}")]
    Yaml(fleetmend_yaml::Problem),
    /// A file in Ansible's INI form.
    #[error("this is an INI inventory, only YAML and CSV are read")]
    Ini,
    /// A configuration of one of Ansible's inventory plugins.
    #[error("this configures the Ansible inventory plugin `{plugin}`, it holds no hosts")]
    Plugin {
        /// Its name.
        plugin: String,
    },
    /// JSON as dynamic inventories print it.
    #[error("this is the JSON output of an inventory script, not an inventory in YAML")]
    ScriptOutput,
    /// Encrypted as a whole by ansible-vault.
    #[error("this file is encrypted by ansible-vault")]
    Vault,
    /// A value that is needed, encrypted by ansible-vault.
    #[error("`{name}` is encrypted by ansible-vault")]
    Sealed {
        /// The variable.
        name: String,
    },
    /// A value that no password opens.
    #[error("`{name}` stays encrypted: {why}")]
    StaysClosed {
        /// The variable.
        name: String,
        /// Why.
        why: String,
        /// What to do about it.
        hint: String,
    },
    /// A file that no password opens.
    #[error("this file stays encrypted: {why}")]
    FileClosed {
        /// Why.
        why: String,
        /// What to do about it.
        hint: String,
    },
    /// What was encrypted as a whole file is no YAML; the place is one in the decrypted text.
    #[error("the decrypted text is not the YAML that is read here; no word of it is told")]
    VaultedYaml,
    /// A setting whose value was encrypted and cannot be what it is.
    #[error("what is encrypted for this setting is not a value that it can have")]
    Concealed,
    /// Nothing in it.
    #[error("the inventory is empty")]
    Empty,
    /// Something other than what belongs there.
    #[error("{what} must be {expected}, found {found}")]
    Shape {
        /// What is meant: "`hosts` of the group `web`".
        what: String,
        /// "a mapping".
        expected: &'static str,
        /// "a list".
        found: &'static str,
    },
    /// A host or group name that is a number, a boolean or null.
    #[error("{what} `{text}` must be a text")]
    NameNotText {
        /// "the host name" or "the group name".
        what: &'static str,
        /// As JSON writes it.
        text: String,
    },
    /// A host name or address that cannot be one.
    #[error("`{text}` cannot be {what}: {why}")]
    BadName {
        /// "a host name" or "an address".
        what: &'static str,
        /// The text.
        text: String,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// A range that makes no hosts.
    #[error("the range in `{pattern}` {problem}")]
    Range {
        /// The host pattern.
        pattern: String,
        /// Why.
        problem: RangeProblem,
    },
    /// More hosts than [`crate::Options::max_hosts`].
    #[error("more than {max} hosts")]
    TooManyHosts {
        /// The cap.
        max: usize,
    },
    /// Groups that contain each other.
    #[error("the group `{}` contains itself: {}", .path.first().map_or("", String::as_str), .path.join(" > "))]
    GroupCycle {
        /// From the group back to itself.
        path: Vec<String>,
    },
    /// A host with two addresses.
    #[error("the host `{host}` has the address `{second}` here and `{first}` at {first_place}")]
    TwoAddresses {
        /// The host.
        host: String,
        /// The earlier address.
        first: String,
        /// The address here.
        second: String,
        /// Where the earlier one stands.
        first_place: Place,
    },
    /// A host in two rows of a CSV.
    #[error("the host `{host}` stands in two rows, first at {first_place}")]
    TwoRows {
        /// The host.
        host: String,
        /// The earlier row.
        first_place: Place,
    },
    /// Two hosts whose names are the same, in different forms of Unicode.
    #[error(
        "the host `{name}` is there twice, in two forms of Unicode; the first stands at {first_place}"
    )]
    SameName {
        /// The name.
        name: String,
        /// Where it stands first.
        first_place: Place,
    },
    /// Two hosts that are the same PC.
    #[error("the hosts `{first}` and `{second}` share the address {address}")]
    SharedAddress {
        /// The earlier host.
        first: String,
        /// The later one.
        second: String,
        /// Address and port.
        address: String,
    },
    /// A setting with a value that it cannot have.
    #[error("`{name}` must be {expected}, found {found}")]
    BadValue {
        /// The variable as written.
        name: String,
        /// What it may be.
        expected: String,
        /// The value, or its kind.
        found: String,
    },
    /// A key of a setting's mapping that has no meaning.
    #[error("`{name}` has no setting `{key}`")]
    UnknownSetting {
        /// The variable: `tls`.
        name: String,
        /// The key in it.
        key: String,
        /// The keys it may have.
        known: &'static [&'static str],
    },
    /// A setting's mapping without a key that it must have.
    #[error("`{name}` needs `{key}`")]
    NeedsSetting {
        /// The setting: `directory`.
        name: String,
        /// The key that is missing.
        key: &'static str,
    },
    /// A template that cannot be worked out.
    #[error("the template in `{name}` cannot be worked out: {why}")]
    Template {
        /// The variable.
        name: String,
        /// Why.
        why: String,
    },
    /// A password for all to read.
    #[error("`{name}` holds a password in plain text")]
    PlainPassword {
        /// The variable.
        name: String,
    },
    /// A CSV without a header row that names the hosts.
    #[error("no column holds the hosts; the header row has: {columns}")]
    NoHostColumn {
        /// The header.
        columns: String,
    },
    /// A column twice in the header.
    #[error("the column `{name}` stands twice in the header row")]
    DuplicateColumn {
        /// Its name.
        name: String,
    },
    /// A row with more or fewer cells than the header.
    #[error("the row has {found} cells, the header row {expected}")]
    RowLength {
        /// Cells here.
        found: u64,
        /// Cells of the header.
        expected: u64,
    },
    /// A row that is no CSV.
    #[error("not valid CSV: {detail}")]
    Csv {
        /// The reader's words.
        detail: String,
    },
    /// Errors beyond those told.
    #[error("here and further on are more errors: only the first {max} are told")]
    More {
        /// How many are told.
        max: usize,
    },
    /// A limit pattern that names nothing.
    #[error("`{pattern}` matches no host and no group")]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// A name that differs in case only.
        similar: Option<String>,
    },
    /// Patterns that are each right, but leave nothing.
    #[error("`{pattern}` leaves no host")]
    NothingLeft {
        /// The whole expression.
        pattern: String,
    },
    /// A pattern that cannot be read.
    #[error("`{pattern}` is not a valid pattern: {why}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// Why.
        why: String,
    },
}

impl Problem {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Yaml(problem) => return problem.hint().map(str::to_owned),
            Self::Range { problem, .. } => return problem.hint().map(str::to_owned),
            Self::UnknownSetting { known, .. } => {
                return Some(format!("it may have: {}", known.join(", ")));
            }
            Self::Encoding {
                looks_like: Some(encoding),
                ..
            } => {
                return Some(format!("the file looks like {encoding}; save it as UTF-8"));
            }
            Self::NoMatch {
                similar: Some(similar),
                ..
            } => {
                return Some(format!("upper and lower case differ; there is `{similar}`"));
            }
            Self::Directory => "name each file in it: `-i FILE -i FILE`",
            Self::Encoding {
                looks_like: None, ..
            } => "save the file as UTF-8",
            Self::CsvEncoding { .. } => "in Excel, save as `CSV UTF-8 (comma delimited)`",
            Self::Ini => {
                "convert it once: `ansible-inventory -i FILE --list --yaml --output FILE.yaml`"
            }
            Self::Plugin { .. } | Self::ScriptOutput => {
                "let Ansible write the hosts out: `ansible-inventory -i SOURCE --list --yaml --output FILE.yaml`"
            }
            Self::Vault | Self::Sealed { .. } => {
                "give its password as to Ansible: `--vault-password-file FILE` or `--vault-id LABEL@FILE`; or set `ansible_vault` in credentials.yaml"
            }
            Self::StaysClosed { hint, .. } | Self::FileClosed { hint, .. } => hint,
            Self::VaultedYaml => "look at it: `ansible-vault view FILE`",
            Self::Shape {
                expected: "a mapping",
                found: "a list",
                ..
            } => "write the names as keys: `name:` on a line of its own, not `- name`",
            Self::Shape {
                expected: "a mapping",
                found: "a text",
                ..
            } => "end the name with a colon, so that it is a key",
            Self::NameNotText { .. } => "put it in quotes",
            Self::TwoAddresses { .. } => "two PCs need two names; remove the address that is wrong",
            Self::TwoRows { .. } => "remove one of the rows",
            Self::SameName { .. } => "write one of them only: on the screen they look the same",
            Self::SharedAddress { .. } => {
                "two repairs at once would run on one PC; remove one, or give each its own port"
            }
            Self::PlainPassword { .. } => {
                "remove it and give the password at the prompt, or name a `credential`; `--allow-plaintext-passwords` accepts it"
            }
            Self::Template { .. } => {
                "write the value out, or refer to a plain variable: `{{ name }}`"
            }
            Self::NoHostColumn { .. } => "name one of them `host`",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(
        || "it does not end".to_owned(),
        |bytes| format!("{bytes} bytes"),
    )
}

/// How many errors are told: a fault in a long file repeats itself.
const MAX_TOLD: usize = 100;

/// Gathers errors, each once, up to [`MAX_TOLD`].
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorList {
    told: Vec<InventoryError>,
    first_untold: Option<Place>,
}

impl ErrorList {
    pub(crate) fn push(&mut self, error: InventoryError) {
        if self.told.contains(&error) {
            return;
        }
        if self.told.len() < MAX_TOLD {
            self.told.push(error);
        } else {
            self.first_untold.get_or_insert(error.place);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Returns what was gathered, if anything.
    pub(crate) fn into_errors(mut self) -> Option<InventoryErrors> {
        if let Some(place) = self.first_untold.take() {
            self.told
                .push(InventoryError::new(place, Problem::More { max: MAX_TOLD }));
        }
        (!self.told.is_empty()).then_some(InventoryErrors(self.told))
    }
}

impl Extend<InventoryError> for ErrorList {
    fn extend<T: IntoIterator<Item = InventoryError>>(&mut self, errors: T) {
        errors.into_iter().for_each(|error| self.push(error));
    }
}

/// Everything wrong, at least one thing, in the order in which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryErrors(Vec<InventoryError>);

impl InventoryErrors {
    /// Returns the errors in order.
    pub fn iter(&self) -> impl Iterator<Item = &InventoryError> {
        self.0.iter()
    }

    /// Returns the errors as JSON: a list of `{"place", "problem", "hint"}`.
    pub fn to_json(&self) -> Json {
        self.iter()
            .map(|error| {
                json!({
                    "place": error.place,
                    "problem": error.problem.to_string(),
                    "hint": error.hint(),
                })
            })
            .collect()
    }
}

impl From<InventoryError> for InventoryErrors {
    fn from(first: InventoryError) -> Self {
        Self(vec![first])
    }
}

impl fmt::Display for InventoryErrors {
    /// One error a line, without the hints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InventoryErrors {}
