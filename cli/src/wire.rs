//! The parts of a run, put together: transports, journal, passwords.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleetmend_directory::Directory;
use fleetmend_engine::{CredentialSource, Journal, Prober, TcpProber};
use fleetmend_journal::SqliteJournal;
use fleetmend_transport::{AutoConnector, Connector, ConnectorOptions};

use crate::credentials::Passwords;
use crate::data_dir::data_dir;
use crate::error::CliError;
use crate::quoted::quoted;

/// The journal's name in its folder; it holds every run.
pub(crate) const JOURNAL: &str = "journal.sqlite";

/// What the engine needs of the world, except its operator.
pub(crate) struct Wiring {
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) credentials: Arc<dyn CredentialSource>,
    pub(crate) directory: Option<Arc<dyn Directory>>,
    pub(crate) journal: Arc<dyn Journal>,
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
        }
    }
}

/// The journal of one run.
pub(crate) struct RunJournal {
    journal: Arc<SqliteJournal>,
    /// The folder, where it must be named to find the run again.
    named: Option<PathBuf>,
}

impl RunJournal {
    /// Opens the journal for a new run, in the folder given or the user's own.
    ///
    /// # Errors
    /// It cannot be opened or written.
    pub(crate) fn open(given: Option<&Path>) -> Result<Self, CliError> {
        let path = data_dir(given)?.join(JOURNAL);
        let journal = SqliteJournal::create(&path).map_err(|error| {
            CliError::config(format!("failed to open the journal {}", path.display()))
                .because(error)
                .hint("without a journal nothing is done to any PC; name another folder: --data-dir DIR")
        })?;
        Ok(Self {
            journal: Arc::new(journal),
            named: given.map(Path::to_owned),
        })
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.journal.path().to_owned()
    }

    /// Closes the file.
    pub(crate) async fn close(&self) {
        self.journal.close().await;
    }

    /// Returns the line that ends a run: its id, its journal, and how to see it again.
    pub(crate) fn farewell(&self) -> String {
        let run = self.journal.run();
        let folder = self.named.as_ref();
        let folder = folder.map_or_else(String::new, |folder| {
            format!(" --data-dir {}", quoted(folder))
        });
        format!(
            "journal {}; see this run again: fleetmend show {run}{folder}",
            self.path().display()
        )
    }
}
