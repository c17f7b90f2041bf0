//! The real binary, as its users see it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod demo;
mod errors;
mod help;
mod lab;
mod support;
mod views;
