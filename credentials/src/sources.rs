//! The places where secrets are kept.

mod command;
mod env;
mod file;
mod keyring;
mod laps;
mod password_text;
mod prompt;

pub(crate) use command::whole as program_path;
pub use command::{CommandSource, Commands};
pub use env::EnvSource;
pub use file::{FileSource, PasswordFileError, PasswordFileFault, read_password_file};
pub use keyring::{Keyring, KeyringSource};
pub use laps::LapsSource;
pub use password_text::Unfit;
pub use prompt::{PromptError, PromptSource, ask_password};

use fleetmend_directory::Ended;

use crate::{Source, SourceError};

/// Returns the error of a source whose answer nobody waited for any longer.
fn ended(source: &dyn Source, why: Ended) -> SourceError {
    let why = match why {
        Ended::Deadline => "it gave no answer in time",
        Ended::Cancelled => "cancelled",
    };
    SourceError::new(source.describe(), why, "")
}
