//! The simulated domain as a directory: LDAPv3 (RFC 4511) as Active Directory speaks it.
//!
//! From the inside out: `schema`, `value`, `object` and `view` say what an account sees of the
//! domain at one controller; `tree`, `filter` and `search` find it, `modify` changes it, `bind`
//! logs on; `session` is one conversation without a socket; `frame`, `connection` and `server`
//! carry it. The codec is not the one of our client, so that the two judge each other.

mod bind;
mod connection;
mod control;
mod dn;
mod filter;
mod frame;
mod modify;
mod object;
mod refusal;
mod root_dse;
mod schema;
mod search;
mod server;
mod session;
#[cfg(test)]
mod session_tests;
mod tree;
mod value;
mod view;

pub use server::{LdapCounts, LdapFault, LdapOptions, LdapServer};
