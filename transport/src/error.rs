//! What can go wrong between the controller and a PC.

use std::time::Duration;

/// No session came about. Nothing was run on the PC.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing at the address speaks to us.
    #[error("failed to reach {address}: {why}")]
    Unreachable {
        /// `address:port`, or the name that did not resolve.
        address: String,
        /// The class of the failure.
        why: UnreachableWhy,
        /// What lies beneath.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The PC answered and refused the logon. The password was used once and must not be
    /// used again in this run.
    #[error("failed to log on to {address} as {user}: {detail}")]
    AccessDenied {
        /// `address:port`.
        address: String,
        /// The account as tried.
        user: String,
        /// The class of the refusal.
        why: DeniedWhy,
        /// What the PC said, with its numbers.
        detail: String,
    },
    /// The PC is not who it should be: certificate or host key.
    #[error("failed to trust {address}: {detail}")]
    Identity {
        /// `address:port`.
        address: String,
        /// What was expected and what came.
        detail: String,
    },
    /// The PC has no room for another shell, and stayed so for the time that was allowed.
    #[error("failed to get a shell on {address} within {waited:?}: {detail}")]
    Busy {
        /// `address:port`.
        address: String,
        /// How long was waited.
        waited: Duration,
        /// The quota fault, with its number.
        detail: String,
    },
    /// Something answered in a way that we do not understand.
    #[error("failed to understand {address}: {detail}")]
    Protocol {
        /// `address:port`.
        address: String,
        /// What was wrong.
        detail: String,
    },
    /// The settings of the host cannot work.
    #[error("failed to prepare a connection to {address}: {detail}")]
    Settings {
        /// The address.
        address: String,
        /// What is wrong with them.
        detail: String,
    },
    /// Cancelled before a session came about.
    #[error("cancelled")]
    Cancelled,
}

/// Why nothing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnreachableWhy {
    /// The name does not resolve.
    NameNotFound,
    /// The port is closed.
    Refused,
    /// Nothing came in time.
    TimedOut,
    /// No route, network or host down.
    NoRoute,
    /// The connection was closed while logging on.
    Closed,
    /// TLS could not be agreed on.
    Tls,
}

impl UnreachableWhy {
    /// Returns the short code used in outcomes.
    pub fn code(self) -> &'static str {
        match self {
            Self::NameNotFound => "name-not-found",
            Self::Refused => "refused",
            Self::TimedOut => "timed-out",
            Self::NoRoute => "no-route",
            Self::Closed => "closed",
            Self::Tls => "tls",
        }
    }
}

impl std::fmt::Display for UnreachableWhy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NameNotFound => "the name does not resolve",
            Self::Refused => "the connection was refused",
            Self::TimedOut => "no answer in time",
            Self::NoRoute => "no route to it",
            Self::Closed => "the connection was closed during logon",
            Self::Tls => "TLS could not be agreed on",
        })
    }
}

/// Why a logon was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeniedWhy {
    /// The credential was refused: wrong password, unknown, disabled or locked account, or a
    /// policy; Windows does not tell a network client which.
    Logon,
    /// The credential is good, but the account may not use this service (fault 5).
    Authorization,
    /// The PC offers no way of logging on that we may use (Basic without TLS, Kerberos only).
    NoCommonMethod,
}

impl DeniedWhy {
    /// Returns the short code used in outcomes.
    pub fn code(self) -> &'static str {
        match self {
            Self::Logon => "logon",
            Self::Authorization => "authorization",
            Self::NoCommonMethod => "no-common-method",
        }
    }
}

/// A session failed under a step or a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// It certainly did not run: no byte of it left, or the PC refused it before running it.
    #[error("failed to send: {detail}")]
    NotRun {
        /// Why.
        detail: String,
    },
    /// Bytes of it left and no complete answer came: whether it ran, nobody knows. It must not
    /// be sent again.
    #[error("failed to get an answer: {detail}")]
    Unknown {
        /// Why.
        detail: String,
    },
    /// Its deadline passed; the process on the PC was ended. Whether it had done its work,
    /// nobody knows.
    #[error("failed to finish within {limit:?}")]
    Deadline {
        /// How long it had.
        limit: Duration,
    },
    /// Cancelled while it ran; the process on the PC was ended.
    #[error("cancelled")]
    Cancelled {
        /// Whether bytes of it had left.
        sent: bool,
    },
}

impl SessionError {
    /// Tells whether the step may have run, wholly or in part.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::NotRun { .. } => false,
            Self::Unknown { .. } | Self::Deadline { .. } => true,
            Self::Cancelled { sent } => *sent,
        }
    }
}
