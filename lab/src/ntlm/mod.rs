//! The accepting side of NTLM ([MS-NLMP]) and of SPNEGO around it ([MS-SPNG], RFC 4178).
//!
//! Written from the specification, with no code in common with the client's library, so that
//! each judges the other.

mod acceptor;
mod binding;
mod flags;
mod keys;
mod message;
mod seal;
mod spnego;
#[cfg(test)]
pub(crate) mod test_client;

pub use acceptor::{Acceptor, Accounts, Identity, LogonError, Step};
pub use binding::{channel_binding_value, endpoint_binding};
pub use message::{Authenticate, MessageError, TargetNames, av_pairs};
pub use seal::{SealError, Sealing};
