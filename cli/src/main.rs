//! Remote repair orchestrator for Windows PCs that lost their domain trust.

mod app;
mod args;
mod budget;
mod changeable;
mod commands;
mod confirm;
mod core_dumps;
mod credentials;
mod data_dir;
mod directory;
mod directory_error;
mod domain_account;
mod error;
mod exit_code;
mod history;
mod interrupt;
mod inventories;
mod job;
mod lab_folder;
mod live;
mod logging;
mod offline_join;
mod open_files;
mod operator;
mod pace;
mod password;
mod plan;
mod playbooks;
mod printer;
mod quoted;
mod recipe;
mod restart_pace;
mod statement;
mod trail;
mod webhook;
mod wire;
mod wrap;

use std::alloc::System;

use zeroizing_alloc::ZeroAlloc;

/// Whatever is freed is wiped: libraries keep copies of passwords that they do not wipe
/// themselves (docs/decisions/secrets-in-memory.md).
#[global_allocator]
static WIPED_WHEN_FREED: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> std::process::ExitCode {
    app::main()
}
