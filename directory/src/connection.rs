//! One TLS connection to one controller.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_model::Credential;
use futures::FutureExt;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, StdStream};
use rustls::ClientConfig;
use tokio::net::TcpStream;

use crate::limit::{Ended, Limit};
use crate::operation::{Answer, Change, NotWritten, Question};
use crate::settings::{Encryption, Server};
use crate::{DirectoryError, LogonRefusal, certificate};

/// One TLS connection to one controller. Clones share it: every question is a message of its own.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    ldap: Ldap,
    dc: Arc<str>,
}

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) encryption: Encryption,
    pub(crate) pinned: bool,
}

impl Target {
    /// Returns its name for messages, with the port where that is not the usual one.
    pub(crate) fn label(&self) -> String {
        let port = Some(self.port).filter(|port| *port != self.encryption.port());
        Server {
            host: self.host.clone(),
            port,
        }
        .to_string()
    }
}

/// How a bind ended.
#[derive(Debug)]
pub(crate) enum Logon {
    Accepted,
    Refused(LogonRefusal),
    /// Another answer than yes or 49.
    Answered {
        code: u32,
        text: String,
    },
    /// It may have been counted.
    Unanswered(String),
}

impl Connection {
    /// Connects and shakes hands; nothing is asked yet.
    pub(crate) async fn open(
        target: &Target,
        tls: Arc<ClientConfig>,
        limit: &Limit,
    ) -> Result<Self, DirectoryError> {
        let dc = || target.label();
        let unreachable = |why: String| DirectoryError::Unreachable { dc: dc(), why };
        let connecting = async {
            let stream = connect(&target.host, target.port)
                .await
                .map_err(unreachable)?;
            let settings = LdapConnSettings::new()
                .set_config(tls)
                .set_starttls(target.encryption == Encryption::StartTls)
                .set_std_stream(StdStream::Tcp(stream));
            let opened = LdapConnAsync::with_settings(settings, &url(target)?).await;
            opened.map_err(|error| match certificate::refusal(&error) {
                Some(why) => DirectoryError::NotTrusted { dc: dc(), why },
                None => unreachable(format!("TLS: {error}")),
            })
        };
        let (connection, ldap) = match limit.bound(connecting).await {
            Ok(opened) => opened?,
            Err(Ended::Deadline) => return Err(unreachable("no answer in time".to_owned())),
            Err(Ended::Cancelled) => {
                let doing = "connect";
                return Err(DirectoryError::Cancelled { dc: dc(), doing });
            }
        };
        // It ends when the last handle is gone or the peer closes.
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a directory connection ended");
            }
        });
        Ok(Self {
            ldap,
            dc: dc().into(),
        })
    }

    /// Returns it under the name that the controller tells of itself.
    pub(crate) fn named(self, dc: &str) -> Self {
        Self {
            dc: dc.into(),
            ..self
        }
    }

    /// Tells whether it is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.ldap.clone().is_closed()
    }

    /// Sends one bind.
    pub(crate) async fn logon(&self, name: &str, account: &Credential, limit: &Limit) -> Logon {
        let mut ldap = self.ldap.clone();
        let bind = AssertUnwindSafe(ldap.simple_bind(name, account.password.reveal()));
        match limit.bound(bind.catch_unwind()).await {
            Ok(Ok(Ok(result))) => match result.rc {
                0 => Logon::Accepted,
                49 => Logon::Refused(LogonRefusal::from_diagnostic(&result.text)),
                code => Logon::Answered {
                    code,
                    text: bare(&result.text),
                },
            },
            Ok(Ok(Err(error))) => Logon::Unanswered(error.to_string()),
            Ok(Err(_)) => Logon::Unanswered(UNREADABLE.to_owned()),
            Err(ended) => Logon::Unanswered(why_ended(ended).to_owned()),
        }
    }

    /// Asks once. An answer cut at the size limit counts as an answer.
    pub(crate) async fn search(
        &self,
        question: &Question<'_>,
        limit: &Limit,
    ) -> Result<Answer, DirectoryError> {
        let doing = question.doing;
        let dc = || self.dc.to_string();
        let asked = AssertUnwindSafe(question.ask(self.ldap.clone())).catch_unwind();
        let lost = |why: String| DirectoryError::Lost {
            dc: dc(),
            doing,
            why,
        };
        let (answer, result) = match limit.bound(asked).await {
            Ok(Ok(Ok(answered))) => answered,
            Ok(Ok(Err(error))) => return Err(lost(error.to_string())),
            Ok(Err(_)) => return Err(lost(UNREADABLE.to_owned())),
            Err(ended) => return Err(self.ended(ended, doing)),
        };
        match result.rc {
            0 => Ok(answer),
            4 if question.size_limit > 0 => Ok(answer),
            _ => Err(self.refused(doing, result)),
        }
    }

    /// Writes once.
    pub(crate) async fn modify(&self, change: Change<'_>, limit: &Limit) -> Result<(), NotWritten> {
        let doing = change.doing;
        if let Some(ended) = limit.ended() {
            return Err(NotWritten::Certainly(self.ended(ended, doing)));
        }
        let perhaps =
            |why: &str| NotWritten::Perhaps(format!("{} was asked to {doing} and {why}", self.dc));
        let written = AssertUnwindSafe(change.write(self.ldap.clone())).catch_unwind();
        match limit.bound(written).await {
            Ok(Ok(Ok(result))) if result.rc == 0 => Ok(()),
            Ok(Ok(Ok(result))) => Err(NotWritten::Certainly(self.refused(doing, result))),
            // The connection was gone before the request could be handed to it.
            Ok(Ok(Err(LdapError::OpSend { .. }))) => {
                Err(NotWritten::Certainly(DirectoryError::Unreachable {
                    dc: self.dc.to_string(),
                    why: "the connection is closed".to_owned(),
                }))
            }
            Ok(Ok(Err(error))) => Err(perhaps(&format!("gave no answer: {error}"))),
            Ok(Err(_)) => Err(perhaps(UNREADABLE)),
            Err(ended) => Err(perhaps(why_ended(ended))),
        }
    }

    fn ended(&self, ended: Ended, doing: &'static str) -> DirectoryError {
        let dc = self.dc.to_string();
        match ended {
            Ended::Deadline => DirectoryError::Deadline { dc, doing },
            Ended::Cancelled => DirectoryError::Cancelled { dc, doing },
        }
    }

    fn refused(&self, doing: &'static str, result: LdapResult) -> DirectoryError {
        DirectoryError::Ldap {
            dc: self.dc.to_string(),
            doing,
            code: result.rc,
            text: bare(&result.text),
        }
    }
}

const UNREADABLE: &str = "its answer cannot be read";

/// Returns a diagnostic message on one line, without what a terminal would act upon: Windows ends
/// it in a zero, Samba in a new line.
fn bare(text: &str) -> String {
    let mut words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let first = words.next().unwrap_or_default().to_owned();
    words
        .filter(|word| !word.is_empty())
        .fold(first, |line, word| {
            if line.is_empty() {
                word.to_owned()
            } else {
                line + " " + word
            }
        })
}

fn why_ended(ended: Ended) -> &'static str {
    match ended {
        Ended::Deadline => "gave no answer in time",
        Ended::Cancelled => "the run was cancelled before it answered",
    }
}

/// Connects to the first address that takes the connection.
async fn connect(host: &str, port: u16) -> Result<std::net::TcpStream, String> {
    let addresses = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| format!("its name cannot be resolved: {error}"))?;
    let mut why = "its name has no address".to_owned();
    for address in addresses {
        let connected = tokio::time::timeout(Duration::from_secs(4), TcpStream::connect(address));
        match connected.await {
            Ok(Ok(stream)) => {
                let told = stream.set_nodelay(true).and_then(|()| stream.into_std());
                return told.map_err(|error| error.to_string());
            }
            Ok(Err(error)) => why = format!("{address}: {error}"),
            Err(_) => why = format!("{address}: no answer"),
        }
    }
    Err(why)
}

/// Returns the URL from which the library takes scheme and certificate name; the address is ours.
fn url(target: &Target) -> Result<String, DirectoryError> {
    let scheme = match target.encryption {
        Encryption::Ldaps => "ldaps",
        Encryption::StartTls => "ldap",
    };
    let host = match target.host.parse() {
        // The library gives TLS no name for such an address; a pin needs none.
        Ok(IpAddr::V6(_)) if target.pinned => "pinned.invalid",
        Ok(IpAddr::V6(_)) => {
            return Err(DirectoryError::NotTrusted {
                dc: target.host.clone(),
                why: "its certificate cannot be checked against an IPv6 address; name it or pin \
                      its fingerprint"
                    .to_owned(),
            });
        }
        _ => &target.host,
    };
    Ok(format!("{scheme}://{host}:{}", target.port))
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn a_message_has_no_end_of_its_own() {
        for (text, told) in [
            ("error, data 52e, v4563\0", "error, data 52e, v4563"),
            ("no write property access\n", "no write property access"),
            ("one\n\ttwo \n\0", "one two"),
            ("\u{1b}[2Jdelete", "[2Jdelete"),
            ("\n", ""),
        ] {
            assert_eq!(bare(text), told);
        }
    }
}
