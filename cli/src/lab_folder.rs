//! The folder in which a lab leaves what belongs to it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use fleetmend_directory::Server;
use fleetmend_lab::{DOMAIN, InventoryFiles, Lab, LabOptions};
use fleetmend_model::Secret;
use fleetmend_playbooks::{Builtin, library_scripts};
use fleetmend_transport::Script;
use jiff::Timestamp;

use crate::args::DirectoryArgs;
use crate::data_dir::{create_private, data_dir};
use crate::error::CliError;

/// Returns the options of a lab that knows every shipped script, also the engine's own.
///
/// # Errors
/// A shipped playbook is wrong, which a test rules out.
pub(crate) fn options(pcs: usize) -> Result<LabOptions, CliError> {
    let scripts = library_scripts()
        .map_err(|error| CliError::internal("failed to read the shipped scripts").because(error))?;
    let own = Builtin::ALL
        .into_iter()
        .filter(|builtin| builtin.is_script())
        .map(Builtin::file)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| CliError::internal("failed to read the own scripts").because(error))?;
    let scripts = scripts.into_iter().chain(own).map(|script| Script {
        name: script.name.clone(),
        text: script.text.clone(),
    });
    Ok(LabOptions::new(pcs, scripts.collect()))
}

/// The files of one lab.
pub(crate) struct LabFolder {
    folder: PathBuf,
    passwords: Vec<PathBuf>,
}

/// Where a lab's passwords are.
pub(crate) struct PasswordFiles {
    /// The local administrator's.
    pub(crate) local: PathBuf,
    /// That of the account that may repair from a PC.
    pub(crate) domain: PathBuf,
    /// That of the account that may reset computers in the directory.
    pub(crate) directory: PathBuf,
    /// That of the account that may read LAPS.
    pub(crate) laps: PathBuf,
}

impl LabFolder {
    /// Creates the folder: the one given, else a new one in the user's data folder.
    ///
    /// # Errors
    /// It cannot be created.
    pub(crate) fn create(given: Option<&Path>, kind: &str) -> Result<Self, CliError> {
        let folder = match given {
            Some(folder) => folder.to_owned(),
            None => {
                let now = Timestamp::now().strftime("%Y%m%d-%H%M%S");
                data_dir(None)?.join(format!("{kind}-{now}-{}", std::process::id()))
            }
        };
        let failed = |error| {
            CliError::config(format!("failed to create {}", folder.display()))
                .because(error)
                .hint("name another folder: --to DIR")
        };
        create_private(&folder).map_err(failed)?;
        // The inventory names its files in full, so that it works from anywhere.
        let folder = std::path::absolute(&folder).map_err(failed)?;
        Ok(Self {
            folder,
            passwords: Vec::new(),
        })
    }

    /// Returns the folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Returns where the inventory is.
    pub(crate) fn inventory(&self) -> PathBuf {
        self.folder.join("inventory.yaml")
    }

    /// Writes inventory, certificate authority and known hosts. No password is among them.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write(&self, lab: &Lab) -> Result<(), CliError> {
        let (ca, known_hosts) = (self.ca(), self.folder.join("known_hosts"));
        let files = InventoryFiles {
            ca: ca.display().to_string(),
            known_hosts: known_hosts.display().to_string(),
        };
        for (path, text) in [
            (&ca, lab.ca_pem()),
            (&known_hosts, &lab.known_hosts()),
            (&self.inventory(), &lab.inventory_yaml(&files)),
        ] {
            std::fs::write(path, text).map_err(|error| unwritten(path, error))?;
        }
        Ok(())
    }

    /// Writes the lab's passwords, drawn for it alone, for its owner only; they go with the
    /// folder's owner.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn write_passwords(&mut self, lab: &Lab) -> Result<PasswordFiles, CliError> {
        let local = &lab.local_credential().password;
        let directory = &lab.directory_credential().password;
        Ok(PasswordFiles {
            local: self.secret("local-admin.password", local)?,
            domain: self.secret("domain.password", &lab.domain_credential().password)?,
            directory: self.secret("directory.password", directory)?,
            laps: self.secret("laps.password", &lab.laps_credential().password)?,
        })
    }

    /// Returns the arguments with which the lab's domain is asked.
    pub(crate) fn directory(&self, lab: &Lab, passwords: &PasswordFiles) -> DirectoryArgs {
        let servers = lab.controllers().iter().map(|dc| Server {
            host: dc.ldaps().ip().to_string(),
            port: Some(dc.ldaps().port()),
        });
        DirectoryArgs {
            directory: Some(DOMAIN.to_owned()),
            directory_server: servers.collect(),
            directory_user: Some(lab.directory_credential().user.clone()),
            directory_password_file: Some(passwords.directory.clone()),
            directory_ca: Some(self.ca()),
            ..DirectoryArgs::default()
        }
    }

    fn ca(&self) -> PathBuf {
        self.folder.join("lab-ca.pem")
    }

    fn secret(&mut self, name: &str, secret: &Secret) -> Result<PathBuf, CliError> {
        let path = self.folder.join(name);
        // A file that was there may have another owner or mode.
        let _ = std::fs::remove_file(&path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options
            .open(&path)
            .map_err(|error| unwritten(&path, error))?;
        self.passwords.push(path.clone());
        file.write_all(secret.reveal().as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .map_err(|error| unwritten(&path, error))?;
        Ok(path)
    }
}

impl Drop for LabFolder {
    /// The lab is gone, and nothing is behind its passwords any more.
    fn drop(&mut self) {
        for path in &self.passwords {
            // It may have been removed by hand.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn unwritten(path: &Path, error: std::io::Error) -> CliError {
    CliError::config(format!("failed to write {}", path.display())).because(error)
}
