//! Whatever a controller answers, it is read without panic.
#![no_main]

use fleetmend_directory::fuzzing::read_entry;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| {
    let _ = read_entry(answer);
});
