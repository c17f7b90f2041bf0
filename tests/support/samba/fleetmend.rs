//! The real binary on the controller of a domain, and the files that it is given.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{Account, Domain, PATH, recipe};
use crate::{Ended, binary, finish, private_file};

impl Domain {
    /// Writes a private file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        private_file(&path, text);
        path
    }

    /// Writes an inventory of these members and returns its path.
    pub fn inventory(&self, name: &str, members: &[&str]) -> PathBuf {
        let mut text = format!(
            "all:\n  vars:\n    platform: posix\n    transport: ssh\n    user: '{}'\n    \
             ssh: {{known_hosts: '{}'}}\n  hosts:\n",
            self.setting("LOCAL_USER"),
            self.setting("KNOWN_HOSTS"),
        );
        for member in members {
            let domain = self.setting("DOMAIN");
            text.push_str(&format!("    {member}: {{address: {member}.{domain}}}\n"));
        }
        self.write(name, &text)
    }

    /// Returns the options that name the directory and the account that asks it.
    pub fn directory_options(&self, account: Account) -> Vec<OsString> {
        let file = self.password_file(account);
        self.directory_options_with(account, &file)
    }

    /// Returns the options that name the directory, with the password in this file.
    pub fn directory_options_with(&self, account: Account, password: &Path) -> Vec<OsString> {
        let user = format!("{}@{}", account.name(), self.setting("DOMAIN"));
        [
            ("--directory", self.setting("DOMAIN").into()),
            ("--directory-server", self.setting("DC").into()),
            ("--directory-user", user.into()),
            ("--directory-password-file", password.into()),
            ("--directory-ca", self.setting("CA").into()),
        ]
        .into_iter()
        .flat_map(|(name, value): (&str, OsString)| [name.into(), value])
        .collect()
    }

    /// Returns the options that name the members, how to log on there, and the journal.
    pub fn host_options(&self, inventory: &Path) -> Vec<OsString> {
        [
            ("-i", inventory.into()),
            (
                "--password-file",
                self.setting("LOCAL_PASSWORD_FILE").into(),
            ),
            ("--data-dir", self.path("data").into()),
            ("--connect-timeout", "3s".into()),
        ]
        .into_iter()
        .flat_map(|(name, value): (&str, OsString)| [name.into(), value])
        .collect()
    }

    /// Starts the real binary on the controller. The child's id is that of the binary.
    pub fn spawn<I: IntoIterator<Item = S>, S: Into<OsString>>(
        &self,
        arguments: I,
    ) -> tokio::process::Child {
        tokio::process::Command::new(recipe())
            .arg("exec")
            .arg(self.root())
            .arg("ctl")
            .arg(binary())
            .args(arguments.into_iter().map(Into::into))
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Runs the real binary on the controller to its end.
    pub async fn run<I: IntoIterator<Item = S>, S: Into<OsString>>(&self, arguments: I) -> Ended {
        finish(self.spawn(arguments)).await
    }
}
