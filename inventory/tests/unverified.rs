//! Certificates that nobody looks at are named, and only those.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use support::good;

fn warnings(vars: &str) -> Vec<String> {
    let yaml = format!("all:\n  hosts:\n    pc-1:\n    pc-2:\n  vars: {{{vars}}}\n");
    let inventory = good(&yaml);
    inventory.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn verification_switched_off_is_a_warning_once() {
    for off in [
        "ansible_connection: winrm, ansible_port: 5986, ansible_winrm_server_cert_validation: ignore",
        "ansible_connection: psrp, ansible_port: 5986, ansible_psrp_cert_validation: ignore",
        "tls: none",
        "tls: {verify: false}",
    ] {
        let warnings = warnings(off);
        assert_eq!(warnings.len(), 1, "{off}: {warnings:?}");
        let warning = &warnings[0];
        assert!(warning.starts_with("inv.yaml:5:"), "{warning}");
        assert!(warning.contains("certificate is not verified"), "{warning}");
    }
    let basic = warnings("tls: none, winrm: {auth: basic}");
    assert!(basic[0].contains("a run refuses this"), "{basic:?}");
}

#[test]
fn no_warning_where_there_is_no_tls_or_it_is_verified() {
    for fine in [
        "ansible_connection: winrm, ansible_port: 5985, ansible_winrm_server_cert_validation: ignore",
        "transport: ssh, tls: none",
        "tls: system",
        "tls: ca.pem",
    ] {
        assert_eq!(warnings(fine), Vec::<String>::new(), "{fine}");
    }
}
