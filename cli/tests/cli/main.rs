//! The real binary, as its users see it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod audit;
mod demo;
mod directory;
mod directory_lab;
mod errors;
mod handoff;
mod help;
mod lab;
mod support;
mod vault;
mod views;
