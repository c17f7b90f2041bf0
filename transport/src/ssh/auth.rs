//! Logging on: key, agent, then the password, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetmend_model::{Credential, Secret, SshSettings};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::{self, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use super::client::HostKeyCheck;
use super::key::LogonKey;
use crate::{ConnectError, DeniedWhy, LogonMark, UnreachableWhy};

/// How many keys of an agent are offered: sshd ends a connection after six tries, and the
/// password must still fit.
const AGENT_KEYS: usize = 3;

/// How many questions keyboard-interactive may ask before we stop.
const ROUNDS: usize = 4;

/// One logon on one connection.
pub(super) struct Logon<'a> {
    pub(super) handle: &'a mut Handle<HostKeyCheck>,
    pub(super) address: &'a str,
    pub(super) user: &'a str,
    pub(super) credential: &'a Credential,
    pub(super) settings: &'a SshSettings,
    /// Set before the password is sent.
    pub(super) mark: &'a LogonMark,
    /// Whether the host ended the connection with a message.
    pub(super) said_bye: &'a AtomicBool,
}

/// The account as sshd wants it: a local account is named without `.\`.
pub(super) fn account(user: &str) -> &str {
    user.strip_prefix(".\\").unwrap_or(user)
}

impl Logon<'_> {
    /// Tries what the settings name and the host offers; the password is sent at most once.
    pub(super) async fn run(mut self, key: Option<LogonKey>) -> Result<(), ConnectError> {
        let none = self.handle.authenticate_none(self.user).await;
        let mut offered = match none.map_err(|error| self.lost(&error.to_string()))? {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure {
                remaining_methods, ..
            } => remaining_methods,
        };
        if self.handle.is_closed() {
            return Err(self.lost("during the first question"));
        }
        let mut tried: Vec<&str> = Vec::new();
        if offered.contains(&MethodKind::PublicKey) {
            if let Some(key) = &key {
                tried.push("key");
                if self.key(key, &mut offered).await? {
                    return Ok(());
                }
            }
            if self.uses_agent() {
                tried.push("agent");
                if self.agent(&mut offered).await? {
                    return Ok(());
                }
            }
        }
        let password = &self.credential.password;
        let may_send = !password.is_empty() && !self.is_passphrase(password, key.as_ref());
        if may_send && offered.contains(&MethodKind::Password) {
            return self.password().await;
        }
        if may_send && offered.contains(&MethodKind::KeyboardInteractive) {
            return self.keyboard_interactive().await;
        }
        Err(self.nothing_left(&tried, &offered, may_send))
    }

    fn uses_agent(&self) -> bool {
        let own = self
            .credential
            .ssh
            .as_ref()
            .is_some_and(|ssh| ssh.use_agent);
        own || self.settings.use_agent
    }

    /// Tells whether a password is the passphrase of a key, and so never leaves this machine.
    fn is_passphrase(&self, password: &Secret, key: Option<&LogonKey>) -> bool {
        let own = self.credential.ssh.as_ref();
        own.is_some_and(|ssh| ssh.passphrase.as_ref() == Some(password))
            || key.is_some_and(|key| key.was_opened_by(password))
    }

    async fn key(&mut self, key: &LogonKey, offered: &mut MethodSet) -> Result<bool, ConnectError> {
        let hash = self.rsa_hash(key.key.algorithm().is_rsa()).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&key.key), hash);
        let result = self.handle.authenticate_publickey(self.user, key).await;
        self.key_result(result.map_err(|error| error.to_string()), offered)
    }

    async fn agent(&mut self, offered: &mut MethodSet) -> Result<bool, ConnectError> {
        let mut agent = match connect_agent().await {
            Ok(agent) => agent,
            Err(error) => {
                tracing::debug!(address = self.address, %error, "no SSH agent");
                return Ok(false);
            }
        };
        let identities = match agent.request_identities().await {
            Ok(identities) => identities,
            Err(error) => {
                tracing::debug!(address = self.address, %error, "the SSH agent lists no keys");
                return Ok(false);
            }
        };
        let public = identities
            .into_iter()
            .filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, .. } => Some(key),
                AgentIdentity::Certificate { .. } => None,
            });
        for key in public.take(AGENT_KEYS) {
            let hash = self.rsa_hash(key.algorithm().is_rsa()).await?;
            let result = self
                .handle
                .authenticate_publickey_with(self.user, key, hash, &mut agent)
                .await;
            match result {
                Ok(result) => {
                    if self.key_result(Ok(result), offered)? {
                        return Ok(true);
                    }
                }
                // The agent would not sign: its next key may do.
                Err(error) => tracing::debug!(address = self.address, %error, "no signature"),
            }
        }
        Ok(false)
    }

    /// Asks the host for RSA with SHA-2; SHA-1 is never used.
    async fn rsa_hash(&self, is_rsa: bool) -> Result<Option<keys::HashAlg>, ConnectError> {
        if !is_rsa {
            return Ok(None);
        }
        let best = self.handle.best_supported_rsa_hash().await;
        let best = best.map_err(|error| self.lost(&error.to_string()))?;
        Ok(Some(best.flatten().unwrap_or(keys::HashAlg::Sha256)))
    }

    fn key_result(
        &self,
        result: Result<AuthResult, String>,
        offered: &mut MethodSet,
    ) -> Result<bool, ConnectError> {
        match result.map_err(|error| self.lost(&error))? {
            AuthResult::Success => Ok(true),
            AuthResult::Failure { .. } if self.handle.is_closed() => {
                Err(self.denied("the host closed the connection when a key was offered"))
            }
            AuthResult::Failure {
                remaining_methods, ..
            } => {
                *offered = remaining_methods;
                Ok(false)
            }
        }
    }

    async fn password(&mut self) -> Result<(), ConnectError> {
        // russh keeps its own copy in a plain string until it is sent; there is no way round.
        let password = self.credential.password.reveal();
        self.mark.leaves();
        match self.handle.authenticate_password(self.user, password).await {
            Ok(AuthResult::Success) => {
                self.mark.accepted();
                Ok(())
            }
            Ok(AuthResult::Failure {
                partial_success: true,
                remaining_methods,
            }) => Err(self.more_wanted(&remaining_methods)),
            // So russh tells that the connection went.
            Ok(AuthResult::Failure {
                remaining_methods, ..
            }) if remaining_methods.is_empty() => Err(self.gone("the connection was closed")),
            Ok(AuthResult::Failure { .. }) => Err(self.denied("the password was refused")),
            Err(error) => Err(self.gone(&error.to_string())),
        }
    }

    async fn keyboard_interactive(&mut self) -> Result<(), ConnectError> {
        let started = self
            .handle
            .authenticate_keyboard_interactive_start(self.user, None)
            .await;
        let mut state = started.map_err(|error| self.lost(&error.to_string()))?;
        let mut answered = false;
        for _ in 0..ROUNDS {
            let answers = match state {
                KeyboardInteractiveAuthResponse::Success => {
                    self.mark.accepted();
                    return Ok(());
                }
                KeyboardInteractiveAuthResponse::Failure {
                    partial_success: true,
                    remaining_methods,
                } => return Err(self.more_wanted(&remaining_methods)),
                KeyboardInteractiveAuthResponse::Failure { .. } => {
                    return Err(self.denied("the password was refused (keyboard-interactive)"));
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => {
                    match prompts.as_slice() {
                        [] => Vec::new(),
                        [prompt] if !prompt.echo && !answered => {
                            answered = true;
                            self.mark.leaves();
                            vec![self.credential.password.reveal().to_owned()]
                        }
                        _ => break,
                    }
                }
            };
            let next = self
                .handle
                .authenticate_keyboard_interactive_respond(answers)
                .await;
            state = next.map_err(|error| {
                let detail = error.to_string();
                if answered {
                    self.gone(&detail)
                } else {
                    self.lost(&detail)
                }
            })?;
        }
        // A second question is a one-time code, a new password, or the same password again.
        Err(self.denied("the host asked for more than one password"))
    }

    fn more_wanted(&self, remaining: &MethodSet) -> ConnectError {
        if self.mark.is_unanswered() {
            self.mark.accepted();
        }
        self.refused(
            DeniedWhy::NoCommonMethod,
            format!(
                "the password was accepted, but the host also wants {}",
                names(remaining)
            ),
        )
    }

    fn nothing_left(&self, tried: &[&str], offered: &MethodSet, may_send: bool) -> ConnectError {
        let offered = names(offered);
        if tried.is_empty() {
            let detail = format!("the host offers {offered}; none of it can be used");
            return self.refused(DeniedWhy::NoCommonMethod, detail);
        }
        let password = if may_send {
            "no password is accepted"
        } else {
            "no password was tried"
        };
        let detail = format!(
            "{} refused, {password}; the host offers {offered}",
            tried.join(", ")
        );
        self.refused(DeniedWhy::Logon, detail)
    }

    fn denied(&self, detail: &str) -> ConnectError {
        self.refused(DeniedWhy::Logon, detail.to_owned())
    }

    fn refused(&self, why: DeniedWhy, detail: String) -> ConnectError {
        ConnectError::AccessDenied {
            address: self.address.to_owned(),
            user: self.user.to_owned(),
            why,
            detail,
        }
    }

    /// The connection went after the password was sent. sshd says so when the last password that
    /// it takes was wrong; one that just goes has said nothing of the password.
    fn gone(&self, detail: &str) -> ConnectError {
        if self.said_bye.load(Ordering::SeqCst) {
            return self.denied("the password was sent, and the host ended the connection");
        }
        ConnectError::Protocol {
            address: self.address.to_owned(),
            detail: format!("{detail} after the password had been sent"),
        }
    }

    /// The connection went before a password was sent.
    fn lost(&self, detail: &str) -> ConnectError {
        ConnectError::Unreachable {
            address: self.address.to_owned(),
            why: UnreachableWhy::Closed,
            source: Some(detail.to_owned().into()),
        }
    }
}

fn names(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

type Agent = AgentClient<Box<dyn AgentStream + Send + Unpin>>;

#[cfg(unix)]
async fn connect_agent() -> Result<Agent, keys::Error> {
    Ok(AgentClient::connect_env().await?.dynamic())
}

#[cfg(windows)]
async fn connect_agent() -> Result<Agent, keys::Error> {
    const PIPE: &str = r"\\.\pipe\openssh-ssh-agent";
    match AgentClient::connect_named_pipe(PIPE).await {
        Ok(agent) => Ok(agent.dynamic()),
        Err(_) => Ok(AgentClient::connect_pageant().await?.dynamic()),
    }
}

#[cfg(test)]
mod tests {
    use super::account;

    #[test]
    fn local_accounts_lose_their_dot() {
        assert_eq!(account(".\\admin"), "admin");
        assert_eq!(account("PC-1\\admin"), "PC-1\\admin");
        assert_eq!(account("admin@example.jp"), "admin@example.jp");
    }
}
