//! Active Directory from the controller, over LDAPS: find a computer, read its state, reset its
//! account password, probe a credential once.
//!
//! [`ActiveDirectory`] is one domain seen with one account. It binds that account at one
//! controller first; until that succeeded no other bind is sent, and after the first refusal none
//! at all, however many hosts ask. [`Directory`] is what the engine asks of it.

mod account;
mod account_control;
mod act;
mod active_directory;
mod certificate;
mod computer;
mod connection;
mod controller;
mod distinguished_name;
mod each;
mod entry;
mod error;
mod filter;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod inventory;
mod laps;
mod limit;
mod locate;
mod lockout;
mod operation;
mod port;
mod probe;
mod refusal;
mod rights;
mod root_dse;
mod security_descriptor;
mod settings;
mod sid;
mod time;
mod trust;

pub use act::offline_join_available;
pub use active_directory::{ActiveDirectory, Proof};
pub use each::{ControllerFacts, ControllerState};
pub use error::{DirectoryError, TlsSettingsError};
pub use filter::{Filter, FilterError};
pub use inventory::{ComputerQuery, ListedComputer};
#[doc(hidden)]
pub use laps::parse as parse_laps;
pub use laps::{Candidates, Laps, LapsMissing, LapsPassword, LapsReading};
pub use limit::{Ended, Limit};
pub use lockout::{AccountState, LockoutPolicy};
pub use port::{Acted, ActionError, ActionRequest, Directory};
pub use probe::{NotProbed, Probe, Standing};
pub use refusal::LogonRefusal;
pub use rights::Rights;
pub use settings::{Encryption, Server, ServerError, Settings};
pub use trust::{Trust, TrustError};
