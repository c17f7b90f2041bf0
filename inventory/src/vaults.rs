//! What ansible-vault encrypted in an inventory: who opens it, and when nobody does.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use fleetmend_model::Secret;
use fleetmend_yaml::{Node, Tag, Value};

use crate::Place;
use crate::error::Problem;
use crate::graph::{Graph, start};

/// What is shown in place of a value that is encrypted, or stood in an encrypted file.
pub(crate) const VAULTED: &str = "<vaulted>";

/// Opens texts of ansible-vault. The crate that knows how may not be known here.
pub trait Unseal: Send + Sync + fmt::Debug {
    /// Takes a text apart without opening it, and returns the label of the password it wants.
    ///
    /// # Errors
    /// It is damaged, or of another form.
    fn label(&self, text: &str) -> Result<String, UnsealError>;

    /// Opens a text. Works for some milliseconds.
    ///
    /// # Errors
    /// It is damaged, or no password fits.
    fn unseal(&self, text: &str) -> Result<Secret, UnsealError>;
}

/// Why a text stays closed. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsealError {
    /// What happened.
    pub why: String,
    /// What to do about it.
    pub hint: String,
}

/// What to do with values and files that ansible-vault encrypted.
#[derive(Clone, Debug, Default)]
pub enum Vaults {
    /// One that is needed is an error: there is no password.
    #[default]
    Refuse,
    /// Leave them closed and say where they stand ([`crate::Inventory::vaulted`]): good for
    /// showing, and to learn whether a password is needed. Not for a run, if there are any.
    Leave,
    /// Open what reading needs; passwords for logging on stay closed until then.
    Open(Arc<dyn Unseal>),
}

impl Vaults {
    /// Returns who opens what is still closed.
    pub fn unseal(&self) -> Option<Arc<dyn Unseal>> {
        match self {
            Self::Open(unseal) => Some(Arc::clone(unseal)),
            Self::Refuse | Self::Leave => None,
        }
    }
}

/// Opens during one reading, each text once.
pub(crate) struct Opener<'a> {
    vaults: &'a Vaults,
    opened: RefCell<HashMap<String, Result<Secret, UnsealError>>>,
    labels: RefCell<BTreeSet<String>>,
    waiting: RefCell<BTreeSet<Place>>,
    /// Files of variables stayed closed: what is not there may be in them.
    pub(crate) files_left: Cell<bool>,
}

impl<'a> Opener<'a> {
    pub(crate) fn new(vaults: &'a Vaults) -> Self {
        Self {
            vaults,
            opened: RefCell::default(),
            labels: RefCell::default(),
            waiting: RefCell::default(),
            files_left: Cell::new(false),
        }
    }

    /// Tells whether closed things are left closed.
    pub(crate) fn leaves(&self) -> bool {
        matches!(self.vaults, Vaults::Leave)
    }

    /// Opens a value; none if it is left closed.
    pub(crate) fn open(
        &self,
        name: &str,
        text: &str,
        place: &Place,
    ) -> Result<Option<Secret>, Problem> {
        let unseal = match self.vaults {
            Vaults::Refuse => return Err(sealed(name)),
            Vaults::Leave => {
                self.waiting.borrow_mut().insert(place.clone());
                return Ok(None);
            }
            Vaults::Open(unseal) => unseal,
        };
        let mut opened = self.opened.borrow_mut();
        let found = match opened.get(text) {
            Some(found) => found.clone(),
            None => {
                let found = unseal.unseal(text);
                opened.insert(text.to_owned(), found.clone());
                found
            }
        };
        found.map(Some).map_err(|error| closed(name, error))
    }

    /// Looks at a value that is to be opened later. One of each label is opened now, so that a
    /// wrong password is told before anything begins.
    pub(crate) fn keep(&self, name: &str, text: &str, place: &Place) -> Result<(), Problem> {
        if let Vaults::Open(unseal) = self.vaults {
            let label = unseal.label(text).map_err(|error| closed(name, error))?;
            if !self.labels.borrow_mut().insert(label) {
                return Ok(());
            }
        }
        self.open(name, text, place).map(|_| ())
    }

    /// Opens a file; none if it is left closed.
    pub(crate) fn open_file(&self, text: &str, place: &Place) -> Result<Option<Secret>, Problem> {
        match self.vaults {
            Vaults::Refuse => Err(Problem::Vault),
            Vaults::Leave => {
                self.waiting.borrow_mut().insert(place.clone());
                self.files_left.set(true);
                Ok(None)
            }
            Vaults::Open(unseal) => match unseal.unseal(text) {
                Ok(secret) => Ok(Some(secret)),
                Err(UnsealError { why, hint }) => Err(Problem::FileClosed { why, hint }),
            },
        }
    }

    /// Returns where something was left closed.
    pub(crate) fn into_waiting(self) -> Vec<Place> {
        self.waiting.into_inner().into_iter().collect()
    }
}

fn sealed(name: &str) -> Problem {
    let name = name.to_owned();
    Problem::Sealed { name }
}

fn closed(name: &str, UnsealError { why, hint }: UnsealError) -> Problem {
    let name = name.to_owned();
    Problem::StaysClosed { name, why, hint }
}

/// Tells whether a text is one that ansible-vault made.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.starts_with("$ANSIBLE_VAULT;")
}

/// Tells whether a value, or one within it, is encrypted.
pub(crate) fn holds_sealed(node: &Node) -> bool {
    node.tag == Some(Tag::Vault)
        || match &node.value {
            Value::Seq(items) => items.iter().any(holds_sealed),
            Value::Map(map) => map.iter().any(|entry| holds_sealed(&entry.value)),
            _ => false,
        }
}

/// The text of a file, as it is to be read.
pub(crate) struct FileText {
    text: Secret,
    /// Whether the file was encrypted as a whole.
    pub(crate) vaulted: bool,
}

impl FileText {
    /// Returns a text that was not encrypted.
    pub(crate) fn plain(text: String) -> Self {
        Self {
            text: Secret::new(text),
            vaulted: false,
        }
    }

    pub(crate) fn reveal(&self) -> &str {
        self.text.reveal()
    }
}

/// Opens the text of a file if it is encrypted; none if it stays closed.
pub(crate) fn file_text(
    text: String,
    file: &Place,
    opener: &Opener<'_>,
    graph: &mut Graph,
) -> Option<FileText> {
    if !is_sealed(&text) {
        return Some(FileText::plain(text));
    }
    match opener.open_file(&text, file) {
        Ok(Some(text)) => Some(FileText {
            text,
            vaulted: true,
        }),
        Ok(None) => {
            let text = "this file is encrypted by ansible-vault and not shown: a run needs its password (`--vault-password-file`)";
            graph.warn(file.clone(), text.to_owned());
            None
        }
        Err(problem) => {
            graph.error(start(file), problem);
            None
        }
    }
}
