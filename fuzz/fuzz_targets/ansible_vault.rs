//! What ansible-vault encrypted is opened, or refused; what was altered is refused.
#![no_main]

use fleetmend_credentials::{AnsibleVault, ansible_vault};
use fleetmend_model::Secret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // Working out the keys takes milliseconds: only for what has the form.
    if AnsibleVault::check(text).is_ok() {
        let password = Secret::new("nobody encrypted with this".to_owned());
        assert!(ansible_vault::open(text, &password).is_err());
    }
});
