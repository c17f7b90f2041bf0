//! Secrets in one encrypted file.
//!
//! A vault is one standard age file (<https://age-encryption.org/v1>): `age -d` and `rage -d` open
//! it, too. Inside stands one line of JSON with the format's version, then one for each entry.
//!
//! [`Vault::open`] pays once for the passphrase and keeps the file's key, not its text: each
//! [`Vault::get`] decrypts what it needs and forgets it again. [`Vault::edit`] changes a vault so
//! that whatever happens either the old or the new one is there, whole.

mod document;
mod editor;
mod entry;
mod error;
mod generate;
mod header;
mod json_text;
mod kept_key;
mod key_file;
mod lock;
mod opened;
mod replace;
mod seal;
mod source;
mod target;
mod wiped;
mod write_lock;

#[doc(hidden)]
pub use document::{Document, DocumentError, parse_document};
pub use editor::Editor;
pub use entry::{Entry, EntryName, EntryNameError, Listed};
pub use error::VaultError;
pub use generate::{GENERATED, GENERATED_DEFAULT, generate};
pub use header::{Header, LockKind};
#[doc(hidden)]
pub use header::{HeaderError, read_header};
pub use key_file::{KeyFileError, Keys};
pub use lock::{Lock, Recipient, RecipientError, Unlock, Work};
pub use opened::Vault;
pub use source::{EntryFor, VaultSource};
