//! What Windows LAPS keeps is read as JSON reads it, or not at all.
#![no_main]

use fleetmend_directory::parse_laps;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    if let Some(read) = parse_laps(json) {
        let text = json.strip_suffix(b"\0").unwrap_or(json);
        // Bytes that are no text may stand in fields that nobody reads.
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(text) else {
            return;
        };
        assert_eq!(value["p"].as_str(), Some(read.password.reveal()));
        assert_eq!(value["n"].as_str(), read.account.as_deref());
    }
});
