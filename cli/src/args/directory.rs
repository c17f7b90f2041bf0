//! The Active Directory that is asked and changed from here.

use std::path::PathBuf;

use fleetmend_directory::Server;

/// The Active Directory that is asked and changed from here.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Directory")]
pub(crate) struct DirectoryArgs {
    /// Ask this Active Directory domain from here, over LDAPS; playbooks may change it, too
    #[arg(long, value_name = "DOMAIN", env = "FLEETMEND_DIRECTORY")]
    pub(crate) directory: Option<String>,
    /// Ask this domain controller instead of those that DNS names; may be given several times
    #[arg(long, value_name = "HOST[:PORT]", env = "FLEETMEND_DIRECTORY_SERVER")]
    #[arg(value_delimiter = ',')]
    pub(crate) directory_server: Vec<Server>,
    /// Ask as this domain account; it needs few rights and must be no domain administrator
    #[arg(long, value_name = "USER", env = "FLEETMEND_DIRECTORY_USER")]
    pub(crate) directory_user: Option<String>,
    /// Read that account's password from FILE instead of asking
    #[arg(long, value_name = "FILE")]
    #[arg(env = "FLEETMEND_DIRECTORY_PASSWORD_FILE", hide_env_values = true)]
    pub(crate) directory_password_file: Option<PathBuf>,
    /// Trust only domain controllers that a CA in this PEM file vouches for
    #[arg(long, value_name = "FILE", env = "FLEETMEND_DIRECTORY_CA")]
    #[arg(conflicts_with = "directory_pin")]
    pub(crate) directory_ca: Option<PathBuf>,
    /// Trust only the certificate with this SHA-256 fingerprint; may be given several times
    #[arg(long, value_name = "sha256:HEX", env = "FLEETMEND_DIRECTORY_PIN")]
    #[arg(value_delimiter = ',')]
    pub(crate) directory_pin: Vec<String>,
    /// Begin TLS with StartTLS at port 389 instead of LDAPS at port 636
    #[arg(long)]
    pub(crate) directory_starttls: bool,
    /// Try ACCOUNT once more although it was refused not long ago; repeatable
    #[arg(long, value_name = "ACCOUNT", help_heading = "Credentials")]
    pub(crate) try_again: Vec<String>,
}

impl DirectoryArgs {
    /// Returns the first argument that says how to ask a directory, if there is one.
    pub(crate) fn given(&self) -> Option<&'static str> {
        [
            ("--directory-user", self.directory_user.is_some()),
            (
                "--directory-password-file",
                self.directory_password_file.is_some(),
            ),
            ("--directory-server", !self.directory_server.is_empty()),
            ("--directory-ca", self.directory_ca.is_some()),
            ("--directory-pin", !self.directory_pin.is_empty()),
            ("--directory-starttls", self.directory_starttls),
        ]
        .into_iter()
        .find_map(|(name, given)| given.then_some(name))
    }
}
