//! `credentials.yaml` is read, or told what is wrong with it; a plain password is never repeated.
#![no_main]

use std::path::Path;

use fleetmend_credentials::Settings;
use libfuzzer_sys::fuzz_target;

/// A password that stands where only a source may.
const CANARY: &str = "Kanarienvogel-7731";

fuzz_target!(|text: &str| {
    let file = Path::new("/etc/fleetmend/credentials.yaml");
    if let Ok(settings) = Settings::read(text, file) {
        for name in settings.names() {
            assert!(settings.credential(name).is_some(), "{name}");
        }
        let open = format!("{text}\n  plain: {{user: a, password: {CANARY}}}\n");
        if let Err(errors) = Settings::read(&open, file) {
            assert!(!errors.to_string().contains(CANARY), "{errors}");
        }
    }
});
