//! The engine as a whole: the machine under chance, and runs over scripted PCs in virtual time.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "tests"
)]

mod budgets;
mod directory;
mod directory_stopping;
mod dispatch;
mod machine;
mod pace;
mod platforms;
mod reboots;
mod reboots_machine;
mod reboots_resume;
mod resume;
mod shipped;
mod stopping;
mod support;
mod unanswered;
