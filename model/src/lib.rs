//! The shared words of fleetmend: host, credential, secret, facts, cause, event, outcome.
//!
//! Everything here is plain data. Nothing does IO, keeps time or knows tokio, so every other
//! part may import it without being pulled towards a socket or a terminal.

mod cause;
mod credential;
mod directory_action;
mod event;
mod facts;
mod host;
mod outcome;
mod refusals;
mod sealed_password;
mod secret;

pub use cause::{Cause, CauseId};
pub use credential::{Credential, CredentialRef, SshKey, SshLogon};
pub use directory_action::DirectoryAction;
pub use event::{
    Boot, CredentialUse, ErrorsSpent, Event, HandedIn, HandedStep, HostEvent, Operator, Phase,
    Place, Record, RunId, RunMode, StepEnd, StepRef, TransportKind,
};
pub use facts::Facts;
pub use host::{
    Host, HostName, Platform, SshSettings, TlsVerification, TransportChoice, WinrmAuth,
    WinrmScheme, WinrmSettings,
};
pub use outcome::{HostResult, Outcome, OutcomeClass};
pub use refusals::{Judged, Refusals};
pub use sealed_password::SealedPassword;
pub use secret::Secret;
