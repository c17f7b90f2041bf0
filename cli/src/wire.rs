//! The parts of a run, put together: transports, journal, passwords.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_directory::Directory;
use fleetmend_engine::{AccountBudget, CredentialSource, Journal, Prober, TcpProber};
use fleetmend_journal::{Beginning, Head, SqliteJournal, StorageError};
use fleetmend_model::{Record, RunId};
use fleetmend_transport::{AutoConnector, Connector, ConnectorOptions};
use serde_json::Value;

use crate::budget::Budget;
use crate::credentials::Passwords;
use crate::data_dir::data_dir;
use crate::error::CliError;
use crate::quoted::quoted;
use crate::recipe::Recipe;

/// The journal's name in its folder; it holds every run.
pub(crate) const JOURNAL: &str = "journal.sqlite";

/// What the engine needs of the world, except its operator.
pub(crate) struct Wiring {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) directory: Option<Arc<dyn Directory>>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) budget: Arc<dyn AccountBudget>,
}

impl Wiring {
    /// Wires the transports that there are: WinRM and SSH, whichever a PC answers on
    /// within `connect`.
    pub(crate) fn new(
        passwords: Passwords,
        directory: Option<Arc<dyn Directory>>,
        journal: &RunJournal,
        connect: Duration,
    ) -> Self {
        let options = ConnectorOptions {
            connect_timeout: connect,
            ..ConnectorOptions::default()
        };
        Self {
            connector: Arc::new(AutoConnector::new(options)),
            prober: Arc::new(TcpProber),
            credentials: Arc::new(passwords),
            directory,
            journal: Arc::clone(&journal.journal) as Arc<dyn Journal>,
            budget: Arc::clone(&journal.budget.0),
        }
    }
}

/// The journal of one run.
#[derive(Clone)]
pub(crate) struct RunJournal {
    journal: Arc<SqliteJournal>,
    /// What was spent on accounts, by all runs.
    budget: Budget,
    /// The folder, where it must be named to find the run again.
    named: Option<PathBuf>,
}

impl RunJournal {
    /// Opens the journal for a new run, in the folder given or the user's own.
    ///
    /// # Errors
    /// It cannot be opened or written.
    pub(crate) fn open(given: Option<&Path>) -> Result<Self, CliError> {
        Self::create(given, SqliteJournal::create)
    }

    /// The same, and puts on the audit trail what a command by hand is begun with.
    ///
    /// # Errors
    /// It cannot be opened or written.
    pub(crate) fn open_by_hand(given: Option<&Path>, terms: Value) -> Result<Self, CliError> {
        let (plan, terms) = (None, Some(terms));
        Self::create(given, |path| {
            SqliteJournal::begin(path, Beginning { plan, terms })
        })
    }

    /// The same, and keeps what the run is begun with: the plan to go on with it, and the terms
    /// for the audit trail.
    ///
    /// # Errors
    /// It cannot be opened or written.
    pub(crate) fn open_with(given: Option<&Path>, plan: String) -> Result<Self, CliError> {
        // The trail tells what the journal keeps, so it is taken from the same text.
        let terms = Some(Recipe::read(&plan)?.terms());
        let plan = Some(plan);
        Self::create(given, |path| {
            SqliteJournal::begin(path, Beginning { plan, terms })
        })
    }

    /// Opens the journal to go on with a run, and gives its records so far; `terms` say on the audit
    /// trail who goes on with it.
    ///
    /// # Errors
    /// Another process works on the run, or the journal is damaged or cannot be written.
    pub(crate) fn resume(
        path: &Path,
        run: RunId,
        given: Option<&Path>,
        terms: Value,
        take: impl FnMut(Record),
    ) -> Result<Self, CliError> {
        let journal = SqliteJournal::resume_with(path, run, Some(terms), take).map_err(|error| {
            let hint = match &error {
                StorageError::Held { .. } => "wait for its end, or end that process first",
                StorageError::Corrupt { .. } => {
                    "what was done to PCs cannot be trusted from it; check the PCs in a run of their own, \
                     with another --data-dir"
                }
                _ => "without its journal a run cannot go on; nothing was done to any PC",
            };
            CliError::config(format!("failed to open the journal {}", path.display()))
                .because(error)
                .hint(hint)
        })?;
        Ok(Self {
            journal: Arc::new(journal),
            budget: Budget::none(),
            named: given.map(Path::to_owned),
        })
    }

    fn create(
        given: Option<&Path>,
        create: impl FnOnce(&Path) -> Result<SqliteJournal, StorageError>,
    ) -> Result<Self, CliError> {
        let path = data_dir(given)?.join(JOURNAL);
        let journal = create(&path).map_err(|error| {
            CliError::config(format!("failed to open the journal {}", path.display()))
                .because(error)
                .hint("without a journal nothing is done to any PC; name another folder: --data-dir DIR")
        })?;
        Ok(Self {
            journal: Arc::new(journal),
            budget: Budget::none(),
            named: given.map(Path::to_owned),
        })
    }

    /// Returns the same with what was spent on accounts.
    pub(crate) fn with(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.journal.path().to_owned()
    }

    /// Returns the end of the audit trail, as of the last entry of this run.
    pub(crate) fn head(&self) -> Option<Head> {
        self.journal.head()
    }

    /// Closes the file.
    pub(crate) async fn close(&self) {
        self.journal.close().await;
    }

    /// Returns the line that ends a run: its id, its journal, how to see it again, and the end of
    /// the audit trail.
    pub(crate) fn farewell(&self) -> String {
        let run = self.journal.run();
        let folder = self.named.as_ref();
        let folder = folder.map_or_else(String::new, |folder| {
            format!(" --data-dir {}", quoted(folder))
        });
        let head = self.head();
        let head = head.map_or_else(String::new, |head| format!("; audit head {}", head.short()));
        format!(
            "journal {}; see this run again: fleetmend show {run}{folder}{head}",
            self.path().display()
        )
    }
}
