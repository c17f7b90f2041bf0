//! Variables to hosts: our names, Ansible's for the same, precedence and warnings.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fleetmend_inventory::{Options, load, load_text};
use fleetmend_model::{
    CredentialRef, Host, Platform, SshSettings, TlsVerification, TransportChoice, WinrmAuth,
    WinrmScheme, WinrmSettings,
};
use serde_json::json;
use support::{Folder, examples, good, host, warnings};

#[test]
fn a_name_alone_is_a_host_with_every_default() {
    let inventory = good("all:\n  hosts:\n    pc-01.例.jp:\n");
    let expected = Host {
        groups: vec!["all".to_owned(), "ungrouped".to_owned()],
        ..Host::new("pc-01.例.jp")
    };
    assert_eq!(inventory.hosts, [expected]);
}

#[test]
fn our_own_names() {
    let hex = "ab".repeat(32);
    let inventory = good(&format!(
        "all:\n  hosts:\n    pc:\n      address: 10.0.0.1\n      port: '15986'\n      user: .\\admin\n      credential: local-admin\n      transport: WinRM\n      winrm: {{scheme: https, path: x/wsman, auth: basic}}\n      tls: {{fingerprint: 'SHA256:{hex}', server_name: pc.例.jp}}\n      ssh: {{key_file: /k, known_hosts: /h, accept_new_host_keys: yes, use_agent: true}}\n      shelf: 3\n    backup: {{platform: posix, transport: ssh}}\n"
    ));
    let expected = Host {
        address: "10.0.0.1".to_owned(),
        port: Some(15986),
        user: Some(".\\admin".to_owned()),
        credential: Some(CredentialRef("local-admin".to_owned())),
        transport: TransportChoice::Winrm,
        winrm: WinrmSettings {
            scheme: Some(WinrmScheme::Https),
            path: "/x/wsman".to_owned(),
            auth: WinrmAuth::Basic,
            tls: TlsVerification::Fingerprint(hex),
            tls_server_name: Some("pc.例.jp".to_owned()),
        },
        ssh: SshSettings {
            key_file: Some(PathBuf::from("/k")),
            known_hosts: Some(PathBuf::from("/h")),
            accept_new_host_keys: true,
            use_agent: true,
        },
        groups: vec!["all".to_owned(), "ungrouped".to_owned()],
        vars: BTreeMap::from([("shelf".to_owned(), json!(3))]),
        ..Host::new("pc")
    };
    assert_eq!(host(&inventory, "pc"), &expected);
    let backup = host(&inventory, "backup");
    assert_eq!(
        (backup.platform, backup.transport),
        (Platform::Posix, TransportChoice::Ssh)
    );
    assert_eq!(warnings(&inventory), [""; 0]);
}

#[test]
fn short_forms_of_tls() {
    for (tls, expected, scheme) in [
        ("system", TlsVerification::System, WinrmScheme::Https),
        ("none", TlsVerification::None, WinrmScheme::Https),
        ("true", TlsVerification::System, WinrmScheme::Https),
        ("false", TlsVerification::System, WinrmScheme::Http),
        (
            "/ca.pem",
            TlsVerification::CaFile("/ca.pem".into()),
            WinrmScheme::Https,
        ),
        ("{verify: none}", TlsVerification::None, WinrmScheme::Https),
        (
            "{ca_file: /ca}",
            TlsVerification::CaFile("/ca".into()),
            WinrmScheme::Https,
        ),
    ] {
        let inventory = good(&format!("all:\n  hosts:\n    pc: {{tls: {tls}}}\n"));
        let winrm = &host(&inventory, "pc").winrm;
        assert_eq!(
            (&winrm.tls, winrm.scheme),
            (&expected, Some(scheme)),
            "{tls}"
        );
    }
}

#[test]
fn paths_start_beside_the_file_that_names_them() {
    let folder = Folder::new(&[(
        "inv.yaml",
        b"all:\n  hosts: {pc: {tls: {ca_file: certs/root.pem}}}\n",
    )]);
    let inventory = folder.load(&["inv.yaml"]).unwrap();
    let expected = TlsVerification::CaFile(folder.path("certs/root.pem"));
    assert_eq!(host(&inventory, "pc").winrm.tls, expected);
}

#[test]
fn ansible_names_for_winrm() {
    let inventory = good(
        "all:\n  hosts:\n    pc:\n      ansible_connection: ansible.builtin.winrm\n      ansible_host: 10.0.0.1\n      ansible_winrm_host: 10.0.0.9\n      ansible_port: 5986\n      ansible_user: admin\n      ansible_winrm_path: /x\n      ansible_winrm_transport: [kerberos, ntlm]\n      ansible_winrm_server_cert_validation: ignore\n    http: {ansible_connection: psrp, ansible_port: 5985, ansible_psrp_auth: negotiate}\n    ca: {ansible_connection: winrm, ansible_winrm_ca_trust_path: /ca.pem, ansible_winrm_scheme: https}\n    odd: {ansible_connection: winrm, ansible_port: 8443, ansible_winrm_transport: basic}\n",
    );
    let pc = host(&inventory, "pc");
    assert_eq!((pc.address.as_str(), pc.port), ("10.0.0.9", Some(5986)));
    assert_eq!(pc.user.as_deref(), Some("admin"));
    assert_eq!(pc.transport, TransportChoice::Winrm);
    assert_eq!(
        pc.winrm,
        WinrmSettings {
            scheme: Some(WinrmScheme::Https),
            path: "/x".to_owned(),
            tls: TlsVerification::None,
            ..WinrmSettings::default()
        }
    );
    assert_eq!(pc.vars, BTreeMap::new());
    let http = host(&inventory, "http");
    assert_eq!(
        (http.transport, http.winrm.scheme),
        (TransportChoice::Winrm, Some(WinrmScheme::Http))
    );
    let ca = host(&inventory, "ca");
    assert_eq!(ca.winrm.tls, TlsVerification::CaFile("/ca.pem".into()));
    let odd = host(&inventory, "odd");
    assert_eq!(
        (odd.winrm.scheme, odd.winrm.auth),
        (Some(WinrmScheme::Https), WinrmAuth::Basic)
    );
    let warnings = warnings(&inventory);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("the PC's certificate is not verified"));
}

#[test]
fn ansible_names_for_ssh() {
    let inventory = good(
        "all:\n  hosts:\n    a: {ansible_connection: ssh, ansible_ssh_host: 10.0.0.1, ansible_ssh_port: 2222, ansible_ssh_user: u, ansible_ssh_private_key_file: /k}\n    b: {ansible_port: 22, ansible_python_interpreter: /usr/bin/python3}\n    c: {ansible_connection: ssh, ansible_shell_type: powershell}\n",
    );
    let a = host(&inventory, "a");
    assert_eq!(
        (a.address.as_str(), a.port, a.user.as_deref()),
        ("10.0.0.1", Some(2222), Some("u"))
    );
    assert_eq!(a.ssh.key_file, Some(PathBuf::from("/k")));
    assert_eq!(a.transport, TransportChoice::Ssh);
    let b = host(&inventory, "b");
    assert_eq!(
        (b.transport, b.platform),
        (TransportChoice::Ssh, Platform::Posix)
    );
    assert_eq!(host(&inventory, "c").platform, Platform::Windows);
}

#[test]
fn what_is_not_understood_is_named_once() {
    let inventory = good(
        "all:\n  hosts:\n    pc-[01:99]:\n    localhost: {ansible_connection: local}\n  vars:\n    ansible_become: true\n    ansible_ssh_common_args: -o X\n    ansible_frobnicate: 1\n    ansible_host_key_checking: false\n    ansible_winrm_transport: credssp\n    ansible_ssh_user: x\n    port: 1\n    ansible_port: 2\n    my_own: 1\n  hots:\n    a:\n",
    );
    assert_eq!(
        warnings(&inventory),
        [
            "inv.yaml:4:37: hosts with `ansible_connection: local` are left out of runs: only WinRM and SSH are spoken",
            "inv.yaml:6:5: `ansible_become` is ignored: fleetmend logs on as an administrator and changes to nobody else",
            "inv.yaml:7:5: `ansible_ssh_common_args` is ignored: SSH is built in, no ssh program is called",
            "inv.yaml:8:5: `ansible_frobnicate` is not understood and is ignored",
            "inv.yaml:9:32: `ansible_host_key_checking: false` lets new host keys in, but a changed key is refused all the same",
            "inv.yaml:10:30: `ansible_winrm_transport: credssp` is not available: NTLM is used",
            "inv.yaml:12:5: `port` is ignored: `ansible_port` is set too and counts",
            "inv.yaml:15:3: `hots` in the group `all` is ignored: a group has `hosts`, `children` and `vars`",
        ]
    );
    assert_eq!(inventory.hosts.len(), 99, "localhost is listed but not run");
    assert_eq!(host(&inventory, "pc-01").port, Some(2));
    assert!(
        inventory.list_json()["ungrouped"]["hosts"]
            .as_array()
            .unwrap()
            .contains(&json!("localhost"))
    );
}

#[test]
fn plain_words_may_mean_something_else_to_ansible() {
    let yaml = "all:\n  hosts:\n    a: {address: '1-2 Chiyoda, Tokyo'}\n    b: {address: '3-4 Namba, Osaka'}\n  vars:\n    ansible_connection: winrm\n    tls: {cert: /x}\n    platform: kiosk\n";
    let inventory = good(yaml);
    assert_eq!(host(&inventory, "a").address, "a");
    assert_eq!(host(&inventory, "b").vars["address"], "3-4 Namba, Osaka");
    assert_eq!(host(&inventory, "b").vars["platform"], "kiosk");
    assert_eq!(
        warnings(&inventory),
        [
            "inv.yaml:3:18: `address` is no setting: its value is not one, so it is a variable like any other",
            "inv.yaml:7:11: `tls` is no setting: its value is not one, so it is a variable like any other",
            "inv.yaml:8:15: `platform` is no setting: its value is not one, so it is a variable like any other",
        ]
    );
    assert!(support::read(&yaml.replace("ansible_connection: winrm", "x: y")).is_err());
}

#[test]
fn basic_never_goes_over_http() {
    let inventory = good(
        "all:\n  hosts:\n    a: {ansible_connection: winrm, ansible_port: 5985, ansible_winrm_transport: basic}\n",
    );
    assert_eq!(host(&inventory, "a").winrm.auth, WinrmAuth::Ntlm);
    assert_eq!(
        warnings(&inventory),
        [
            "inv.yaml:3:81: `ansible_winrm_transport: basic` would send the password in the clear over HTTP: NTLM is used",
        ]
    );
}

#[test]
fn templates_of_plain_variables_are_worked_out() {
    let inventory = good(
        "all:\n  vars:\n    zone: corp.{{ tld }}\n    tld: 例.jp\n    ansible_host: '{{ inventory_hostname_short }}.{{zone}}'\n  hosts:\n    pc-1.x:\n    literal: {ansible_host: plain}\n",
    );
    assert_eq!(host(&inventory, "pc-1.x").address, "pc-1.corp.例.jp");
    assert_eq!(host(&inventory, "literal").address, "plain");
    assert_eq!(
        inventory.list_json()["_meta"]["hostvars"]["pc-1.x"]["ansible_host"],
        "{{ inventory_hostname_short }}.{{zone}}"
    );
}

#[test]
fn allowed_passwords_are_used_and_never_shown() {
    let options = Options {
        allow_plaintext_passwords: true,
        ..Options::default()
    };
    let yaml = "all:\n  hosts:\n    a: {ansible_password: canary-ひみつ, ansible_become_pass: canary-2}\n    b: {ansible_password: '{{ pw }}', pw: canary-3, note: '{{ pw }}'}\n    c: {password: canary-4}\n    d: {pw: canary-5}\n";
    let inventory = load_text("inv.yaml", yaml, &options).unwrap();
    let reveal = |name| {
        host(&inventory, name)
            .password
            .as_ref()
            .map(|secret| secret.reveal())
    };
    assert_eq!(reveal("a"), Some("canary-ひみつ"));
    assert_eq!(reveal("b"), Some("canary-3"));
    assert_eq!(reveal("c"), Some("canary-4"));
    let shown = [
        inventory.list_json().to_string(),
        inventory.list_text(),
        inventory.graph_text(),
        format!("{inventory:?}"),
        serde_json::to_string(&inventory.hosts).unwrap(),
        warnings(&inventory).join("\n"),
    ];
    assert!(!shown.concat().contains("canary"), "{}", shown.concat());
    assert_eq!(
        host(&inventory, "b").vars,
        BTreeMap::from([("note".to_owned(), json!("{{ pw }}"))])
    );
}

#[test]
fn passwords_that_only_ansible_can_look_up_are_left_to_the_credential() {
    let inventory =
        good("all:\n  hosts:\n    b:\n      ansible_password: \"{{ lookup('env', 'PW') }}\"\n");
    assert!(inventory.hosts.iter().all(|host| !host.brings_password()));
    assert_eq!(
        warnings(&inventory),
        [
            "inv.yaml:4:7: the template in `ansible_password` is not worked out (`lookup('env', 'PW')` is more than the name of a variable): the password comes from the credential",
        ]
    );
}

#[test]
fn precedence_is_ansibles() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/ansible/precedence.yaml");
    let inventory = load(&[file], &Options::default()).unwrap();
    let var = |name: &str, var: &str| host(&inventory, name).vars[var].clone();
    assert_eq!(var("loose", "where"), "all");
    assert_eq!(var("loose", "by_file"), "all-file");
    assert_eq!(
        var("h1", "where"),
        "b",
        "of equal depth the later name wins"
    );
    assert_eq!(var("h2", "where"), "host");
    assert_eq!(var("h3", "where"), "prio_low", "the higher priority wins");
    assert_eq!(var("h4", "where"), "h4-file");
    assert_eq!(var("h5", "depth"), "bottom2", "the deeper group wins");
    assert_eq!(var("h4", "layer"), "h4");
    assert_eq!(
        host(&inventory, "h5").groups,
        [
            "all",
            "other_root",
            "shallow",
            "top",
            "left",
            "right",
            "bottom",
            "deeper",
            "bottom2",
        ]
    );
}

#[test]
fn a_real_ansible_inventory_runs_unchanged() {
    let inventory = load(
        &[examples().join("ansible-windows/inventory.yml")],
        &Options::default(),
    )
    .unwrap();
    assert_eq!(inventory.hosts.len(), 36);
    let client = host(&inventory, "W10-007");
    assert_eq!(client.address, "W10-007.clients.corp.example.jp");
    assert_eq!(
        (client.port, client.transport),
        (Some(5986), TransportChoice::Winrm)
    );
    assert_eq!(client.user.as_deref(), Some("Administrator"));
    assert_eq!(client.winrm.tls, TlsVerification::None);
    assert_eq!(client.vars["site"], "本社");
    assert_eq!(host(&inventory, "W10-LOAN").address, "10.20.30.99");
    let printer = host(&inventory, "print01.corp.example.jp");
    assert_eq!(
        (printer.port, printer.winrm.scheme),
        (Some(5985), Some(WinrmScheme::Http))
    );
    assert_eq!(host(&inventory, "KIOSK-b").vars["update_ring"], "frozen");
    assert_eq!(
        host(&inventory, "fs01.corp.example.jp").vars["update_ring"],
        "manual"
    );
}

#[test]
fn several_sources_make_one_inventory() {
    let folder = Folder::new(&[
        ("a.yaml", b"web:\n  hosts: {pc-1: {x: 1, y: 1}}\n"),
        ("b.yaml", b"web:\n  hosts: {pc-2: , pc-1: {y: 2}}\n"),
        ("c.csv", b"host,group,z\npc-1,web,3\n"),
    ]);
    let inventory = folder.load(&["a.yaml", "b.yaml", "c.csv"]).unwrap();
    let vars = &host(&inventory, "pc-1").vars;
    assert_eq!(json!(vars), json!({"x": 1, "y": 2, "z": "3"}));
    assert_eq!(
        inventory.list_json()["web"]["hosts"],
        json!(["pc-1", "pc-2"])
    );
}

#[test]
fn a_source_may_list_hosts_itself() {
    let inventory = load(
        &[PathBuf::from("pc-[1:2].例.jp, 10.0.0.1:22,")],
        &Options::default(),
    )
    .unwrap();
    let names: Vec<&str> = inventory
        .hosts
        .iter()
        .map(|host| host.name.0.as_str())
        .collect();
    assert_eq!(names, ["pc-1.例.jp", "pc-2.例.jp", "10.0.0.1"]);
    assert_eq!(host(&inventory, "10.0.0.1").port, Some(22));
}

#[test]
fn files_of_variables_for_nobody_are_named() {
    let folder = Folder::new(&[
        ("inv.yaml", b"all:\n  hosts: {pc-1: }\n"),
        ("group_vars/wbe.yml", b"x: 1\n"),
    ]);
    let inventory = folder.load(&["inv.yaml"]).unwrap();
    assert_eq!(
        folder.mask(warnings(&inventory)),
        ["DIR/group_vars/wbe.yml: these variables are ignored: there is no group `wbe`",]
    );
}

/// The bound is wide for a debug build on a busy machine; a release build takes a few
/// hundredths of it.
#[test]
fn ten_thousand_hosts_from_one_range() {
    let started = Instant::now();
    let inventory = good(
        "all:\n  children:\n    clients:\n      vars: {ansible_connection: winrm, ansible_port: 5986, ansible_user: a, ansible_winrm_server_cert_validation: ignore, site: x}\n      hosts:\n        pc-[00001:10000].corp.example.jp:\n",
    );
    let elapsed = started.elapsed();
    println!("10,000 hosts in {elapsed:?}");
    assert_eq!(inventory.hosts.len(), 10_000);
    assert_eq!(inventory.hosts[9_999].name.0, "pc-10000.corp.example.jp");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}
