//! An inventory is read, or told what is wrong with it; nothing else.
#![no_main]

use fleetmend_inventory::{Options, load_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let options = Options {
        max_hosts: 1_000,
        ..Options::default()
    };
    match load_text("fuzz.yaml", text, &options) {
        Ok(inventory) => assert!(inventory.hosts.len() <= options.max_hosts),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
