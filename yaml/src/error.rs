//! What can be wrong with a YAML text.

use std::fmt;

use thiserror::Error;

use crate::Position;

/// One thing wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem}")]
pub struct YamlError {
    /// Where.
    pub at: Position,
    /// What.
    pub problem: Problem,
}

/// What is wrong; the text does not repeat the place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// The text is longer than [`crate::Limits::max_bytes`].
    #[error("the text is too large: {bytes} bytes, at most {max} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The cap.
        max: usize,
    },
    /// Lists and mappings are nested deeper than [`crate::Limits::max_depth`].
    #[error("nested too deep: more than {max} levels")]
    TooDeep {
        /// The cap.
        max: usize,
    },
    /// There are more values than [`crate::Limits::max_nodes`].
    #[error("too many values: more than {max}")]
    TooManyNodes {
        /// The cap.
        max: usize,
    },
    /// Aliases expand to more values than [`crate::Limits::max_alias_nodes`].
    #[error("aliases expand to more than {max} values")]
    AliasBomb {
        /// The cap.
        max: usize,
    },
    /// An alias stands inside the value that its anchor names.
    #[error("an alias refers to the value it stands in")]
    RecursiveAlias,
    /// A character that YAML does not allow in a text.
    #[error("character U+{:04X} is not allowed in YAML", u32::from(*.0))]
    BadCharacter(
        /// The character.
        char,
    ),
    /// A tab where only blanks may indent.
    #[error("a tab is used for indentation")]
    Tab,
    /// The same key twice in one mapping.
    #[error("duplicate key `{key}`, first used at line {}, column {}", .first.line, .first.column)]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it stood first.
        first: Position,
    },
    /// A list or mapping used as a key.
    #[error("a key must be a single value, not a list or a mapping")]
    ComplexKey,
    /// `<<` with something that has no keys.
    #[error("`<<` needs a mapping or a list of mappings")]
    BadMerge,
    /// A tag that neither YAML nor Ansible gives a meaning that we know.
    #[error("unknown tag `{tag}`")]
    UnknownTag {
        /// The tag as written, its handle resolved.
        tag: String,
    },
    /// A value that its own tag does not allow: `!!int abc`.
    #[error("`{text}` is not a value of the tag `{tag}`")]
    TagMismatch {
        /// The tag.
        tag: String,
        /// The scalar.
        text: String,
    },
    /// A second document after `---`.
    #[error("the file holds a second YAML document, only one is read")]
    SecondDocument,
    /// Not YAML; the words are the parser's.
    #[error("not valid YAML: {detail}")]
    Syntax {
        /// What the parser says.
        detail: String,
    },
}

impl Problem {
    /// Returns what to do about it, where that is not plain from the error itself.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Tab => Some("indent with blanks; most editors can convert tabs"),
            Self::DuplicateKey { .. } => {
                Some("YAML would keep only the last of them; join the two or rename one")
            }
            Self::UnknownTag { .. } => Some(
                "known are !!str, !!int, !!float, !!bool, !!null, !!seq, !!map, !vault and !unsafe",
            ),
            Self::SecondDocument => Some("remove the line `---` or split the file"),
            Self::AliasBomb { .. } => Some("write the values out, or use group variables"),
            _ => None,
        }
    }
}

/// Everything wrong with one text, at least one thing, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlErrors {
    first: YamlError,
    rest: Vec<YamlError>,
}

impl YamlErrors {
    /// Returns the errors sorted by place, or none if there are none.
    pub(crate) fn from_vec(mut errors: Vec<YamlError>) -> Option<Self> {
        errors.sort_by_key(|error| error.at);
        let mut errors = errors.into_iter();
        let first = errors.next()?;
        Some(Self {
            first,
            rest: errors.collect(),
        })
    }

    /// Returns the first error in the text.
    pub fn first(&self) -> &YamlError {
        &self.first
    }

    /// Returns all errors in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &YamlError> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

impl From<YamlError> for YamlErrors {
    fn from(first: YamlError) -> Self {
        Self {
            first,
            rest: Vec::new(),
        }
    }
}

impl fmt::Display for YamlErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {error}", error.at)?;
        }
        Ok(())
    }
}

impl std::error::Error for YamlErrors {}
