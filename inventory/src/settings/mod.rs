//! Understands a host's variables: our own names and Ansible's for the same.

mod ignored;
mod password;
mod reader;
mod ssh;
mod tls;
mod tolerate;
mod understand;
mod winrm;

pub(crate) use understand::{ADDRESS_NAMES, Understood, understand};
