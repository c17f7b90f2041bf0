//! Prints what `fleetmend inventory list --json -i FILE` prints, so that the library can be held
//! against Ansible alone: `list_json inventory list --json -i FILE…`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for tests"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use fleetmend_inventory::{Options, load};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let files = arguments.windows(2).filter_map(|pair| match pair {
        [flag, file] if flag == "-i" => Some(PathBuf::from(file)),
        _ => None,
    });
    match load(&files.collect::<Vec<_>>(), &Options::default()) {
        Ok(inventory) => {
            println!("{:#}", inventory.list_json());
            for warning in &inventory.warnings {
                eprintln!("{warning}");
            }
            ExitCode::SUCCESS
        }
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::from(2)
        }
    }
}
