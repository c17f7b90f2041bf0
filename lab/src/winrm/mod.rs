//! WinRM of a simulated PC: HTTP, NTLM and Basic logon, sealed messages, WinRS shells
//! ([MS-WSMV]), quotas, long polls, and faults on request.

mod action;
mod basic;
mod connection;
mod counters;
mod duration;
mod envelope;
mod exchange;
mod fault;
mod framing;
mod http;
mod inject;
mod operations;
mod options;
mod reply;
mod running;
mod service;
mod shell;
mod xml;

#[cfg(test)]
mod operation_tests;
#[cfg(test)]
mod recorded_tests;
#[cfg(test)]
mod service_tests;
#[cfg(test)]
mod test_client;
#[cfg(test)]
mod test_pc;

pub use action::Action;
pub use counters::{CounterValues, Counters};
pub use inject::{Drop, DropPoint, Nth, Slow, WinrmFaults};
pub use options::{Language, MimeForm, QuotaForm, WinrmOptions};
pub use service::{Winrm, serve};
