//! What can be wrong with credentials.yaml.

use std::fmt;
use std::path::PathBuf;

use fleetmend_yaml::Position;

use crate::template::TemplateError;

/// One thing wrong, and where. Never holds a value that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{at}: {problem}", .file.display())]
pub struct SettingsError {
    /// In which file.
    pub file: PathBuf,
    /// Where in it.
    pub at: Position,
    /// What.
    pub problem: Problem,
}

/// What is wrong; the text does not repeat the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A fault of the YAML itself.
    #[error("{0}")]
    Yaml(fleetmend_yaml::Problem),
    /// A value that its own tag does not allow.
    #[error("a value does not fit its tag `{tag}`")]
    Tag {
        /// The tag.
        tag: String,
    },
    /// A tag that has no meaning.
    #[error("a value begins with `!` and has a tag that is not known")]
    UnknownTag,
    /// The file is of a form that this fleetmend does not know.
    #[error("`version` must be 1")]
    Version,
    /// Something other than what belongs there.
    #[error("{what} must be {expected}, found {found}")]
    Shape {
        /// What is meant.
        what: String,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// A key that means nothing.
    #[error("{what} has no key `{key}`{}", hint(.near.as_deref()))]
    UnknownKey {
        /// Of what.
        what: String,
        /// The key.
        key: String,
        /// What was probably meant.
        near: Option<String>,
        /// Those that there are.
        known: &'static [&'static str],
    },
    /// A key that means nothing, where a secret may have been written in its place.
    #[error("{what} has a key that is not known")]
    HiddenKey {
        /// Of what.
        what: String,
        /// Those that there are.
        known: &'static [&'static str],
    },
    /// A key that must be there.
    #[error("{what} lacks {keys}")]
    Lacks {
        /// What.
        what: String,
        /// Which.
        keys: &'static str,
    },
    /// Keys that exclude each other.
    #[error("{what} has both `{first}` and `{second}`; one of them must go")]
    Both {
        /// What.
        what: String,
        /// One.
        first: String,
        /// Another.
        second: String,
    },
    /// A secret in plain text.
    #[error("`{key}` holds a secret in plain text; it was not read")]
    PlainSecret {
        /// Its key.
        key: String,
    },
    /// A text encrypted by ansible-vault.
    #[error("`{key}` is encrypted by ansible-vault, which is not read here")]
    AnsibleVault {
        /// Its key.
        key: String,
    },
    /// A number out of its bounds.
    #[error("{what} must be a whole number from {least} to {most}")]
    Number {
        /// What.
        what: String,
        /// The least.
        least: i64,
        /// The most.
        most: i64,
    },
    /// A time that cannot be read.
    #[error("{what} must read 30s, 500ms or 2m, and be at most 10m")]
    Time {
        /// What.
        what: String,
    },
    /// A text with `{{ … }}` that cannot be read.
    #[error("{what}: {why}")]
    Template {
        /// What.
        what: String,
        /// Why.
        why: TemplateError,
    },
    /// A name that nothing here has.
    #[error("there is no {kind} `{name}` in this file{}", hint(.near.as_deref()))]
    Unknown {
        /// `credential` or `vault`.
        kind: &'static str,
        /// The name.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// Two names that are the same, in different forms of Unicode.
    #[error("{what} has `{name}` twice, in two forms of Unicode; the first stands at {first}")]
    SameName {
        /// Of what.
        what: String,
        /// The name.
        name: String,
        /// Where it stands first.
        first: Position,
    },
    /// One secret is needed for the whole run, and this has one for each PC.
    #[error("{what} needs one secret for the whole run, and `{name}` has another for each PC")]
    PerHost {
        /// What.
        what: String,
        /// The credential.
        name: String,
    },
}

impl Problem {
    /// Returns what to do about it, where that is not plain from the error itself.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Yaml(problem) => problem.hint().map(str::to_owned),
            Self::PlainSecret { key } => Some(format!(
                "put it into a vault (fleetmend vault set NAME) and write `{key}: {{vault: NAME}}`; \
                 this file holds no secret"
            )),
            Self::AnsibleVault { key } => Some(format!(
                "put the secret into fleetmend's own vault (fleetmend vault set NAME) and write \
                 `{key}: {{vault: NAME}}`"
            )),
            Self::UnknownKey { what, known, .. } | Self::HiddenKey { what, known } => {
                Some(format!("{what} takes {}", known.join(", ")))
            }
            Self::SameName { .. } => {
                Some("write one of them only: on the screen they look the same".to_owned())
            }
            Self::Version => Some("begin the file with `version: 1`".to_owned()),
            Self::Unknown { kind: "vault", .. } => {
                Some("name it under `vaults`: `NAME: {file: FILE}`".to_owned())
            }
            Self::PerHost { .. } => {
                Some("name a credential without templates and without LAPS there".to_owned())
            }
            _ => None,
        }
    }
}

/// Everything wrong with one file, at least one thing, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsErrors {
    errors: Vec<SettingsError>,
}

impl SettingsErrors {
    pub(super) fn of(mut errors: Vec<SettingsError>) -> Option<Self> {
        errors.sort_by_key(|error| error.at);
        (!errors.is_empty()).then_some(Self { errors })
    }

    /// Returns all errors in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &SettingsError> {
        self.errors.iter()
    }

    /// Returns what to do about them, each once.
    pub fn hints(&self) -> Vec<String> {
        let mut hints: Vec<String> = Vec::new();
        for hint in self.iter().filter_map(|error| error.problem.hint()) {
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
        hints
    }
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsErrors {}

fn hint(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(", did you mean `{near}`?"))
}
