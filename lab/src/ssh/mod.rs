//! The lab's SSH server: what Windows OpenSSH offers, in front of a simulated PC.

mod delay;
mod exec;
mod handler;
mod mortal;
mod server;

pub use server::{SshOptions, SshServer};
