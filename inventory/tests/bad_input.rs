//! Bad inventories: the full text of every error, with its place and hint.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::time::{Duration, Instant};

use fleetmend_inventory::Options;
use support::{Folder, fails, messages};

#[test]
fn duplicate_keys() {
    fails(
        "all:\n  hosts:\n    pc-01:\n    pc-02:\n    pc-01:\n  vars: {a: 1, a: 2}\n",
        &[
            "inv.yaml:5:5: duplicate key `pc-01`, first used at line 3, column 5",
            "hint: YAML would keep only the last of them; join the two or rename one",
            "inv.yaml:6:16: duplicate key `a`, first used at line 6, column 10",
            "hint: YAML would keep only the last of them; join the two or rename one",
        ],
    );
}

#[test]
fn wrong_shapes() {
    fails(
        "- pc-01\n",
        &[
            "inv.yaml:1:1: an inventory must be a mapping, found a list",
            "hint: write the names as keys: `name:` on a line of its own, not `- name`",
        ],
    );
    fails(
        "all:\n  hosts: [pc-01]\n  children:\n    web: 5\n    db: {hosts: {a: x}, vars: [1]}\n",
        &[
            "inv.yaml:2:10: `hosts` of the group `all` must be a mapping, found a list",
            "hint: write the names as keys: `name:` on a line of its own, not `- name`",
            "inv.yaml:4:10: the group `web` must be a mapping, found a number",
            "inv.yaml:5:21: the variables of the host `a` must be a mapping, found a text",
            "hint: end the name with a colon, so that it is a key",
            "inv.yaml:5:31: `vars` of the group `db` must be a mapping, found a list",
            "hint: write the names as keys: `name:` on a line of its own, not `- name`",
        ],
    );
    fails(
        "all:\n  hosts:\n    5:\n  children:\n    yes:\n",
        &[
            "inv.yaml:3:5: the host name `5` must be a text",
            "hint: put it in quotes",
            "inv.yaml:5:5: the group name `true` must be a text",
            "hint: put it in quotes",
        ],
    );
    fails("", &["inv.yaml:1:1: the inventory is empty"]);
}

#[test]
fn wrong_values() {
    fails(
        "all:\n  hosts:\n    a: {port: 99999}\n    b: {transport: telnet}\n    c: {user: 7}\n    d: {tls: maybe}\n    e: {winrm: {sheme: http}}\n    f: {ssh: {use_agent: perhaps}}\n    g: {platform: beos}\n    h: {tls: {fingerprint: abc}}\n    i: {ansible_port: [1]}\n    j: {address: 'http://x/'}\n",
        &[
            "inv.yaml:3:15: `port` must be a port from 1 to 65535, found `99999`",
            "inv.yaml:4:20: `transport` must be `auto` or `winrm` or `ssh`, found `telnet`",
            "inv.yaml:5:15: `user` must be a text (put it in quotes), found `7`",
            "inv.yaml:6:14: `tls` must be `system`, `none`, a fingerprint, the path of a PEM file, `true`, `false` or a mapping, found `maybe`",
            "inv.yaml:7:17: `winrm` has no setting `sheme`",
            "hint: it may have: scheme, path, auth",
            "inv.yaml:8:26: `ssh.use_agent` must be `true` or `false`, found `perhaps`",
            "inv.yaml:9:19: `platform` must be `windows` or `posix` or `linux`, found `beos`",
            "inv.yaml:10:28: `tls.fingerprint` must be a SHA-256 fingerprint of 64 hex digits, found `abc`",
            "inv.yaml:11:23: `ansible_port` must be a port from 1 to 65535, found a list",
            "inv.yaml:12:18: `http://x/` cannot be an address: it is a URL; give the name, and `port` and the scheme apart",
        ],
    );
}

#[test]
fn a_fault_in_a_group_is_told_once() {
    fails(
        "all:\n  hosts:\n    pc-[001:500]:\n  vars:\n    port: none\n",
        &["inv.yaml:5:11: `port` must be a port from 1 to 65535, found `none`"],
    );
}

#[test]
fn cycles_of_groups() {
    fails(
        "a:\n  children:\n    b:\n      children:\n        c:\n          children:\n            a:\n",
        &["inv.yaml:3:5: the group `b` contains itself: b > c > a > b"],
    );
    fails(
        "web:\n  children:\n    web:\n",
        &["inv.yaml:3:5: the group `web` contains itself: web > web"],
    );
    fails(
        "web:\n  children:\n    all:\n",
        &["inv.yaml:1:1: the group `web` contains itself: web > all > web"],
    );
}

#[test]
fn ranges_that_make_no_hosts() {
    fails(
        "all:\n  hosts:\n    pc-[20:1]:\n    'pc-[:]':\n    pc-[001:99]:\n    pc-[1:3:\n    'a[1:999999999]b':\n",
        &[
            "inv.yaml:3:8: the range in `pc-[20:1]` runs backwards: 20 comes after 1",
            "inv.yaml:4:8: the range in `pc-[:]` has no end",
            "hint: write a range as `[1:20]`, `[001:120]` or `[a:f]`",
            "inv.yaml:5:8: the range in `pc-[001:99]` pads 001 with zeros, but 99 is not as long",
            "hint: write both ends with the same number of digits: `[001:120]`",
            "inv.yaml:6:8: the range in `pc-[1:3` has a bracket without its partner or without a colon",
            "hint: write a range as `[1:20]`, `[001:120]` or `[a:f]`",
            "inv.yaml:7:6: the range in `a[1:999999999]b` makes more than 100000 names",
        ],
    );
}

#[test]
fn too_many_hosts() {
    let options = Options {
        max_hosts: 10,
        ..Options::default()
    };
    let yaml = "all:\n  hosts:\n    a[1:8]:\n    b[1:8]:\n    c:\n    d:\n";
    let errors = fleetmend_inventory::load_text("inv.yaml", yaml, &options).unwrap_err();
    assert_eq!(messages(&errors), ["inv.yaml:4:5: more than 10 hosts"]);
}

#[test]
fn a_fault_in_every_line_is_told_a_hundred_times() {
    let hosts: String = (0..5000)
        .map(|n| format!("    pc-{n}: {{port: {n}x}}\n"))
        .collect();
    let errors = support::read(&format!("all:\n  hosts:\n{hosts}")).unwrap_err();
    let told = messages(&errors);
    assert_eq!(told.len(), 101);
    assert_eq!(
        told[99],
        "inv.yaml:102:19: `port` must be a port from 1 to 65535, found `99x`"
    );
    assert_eq!(
        told[100],
        "inv.yaml:103:20: here and further on are more errors: only the first 100 are told"
    );
}

#[test]
fn a_host_under_two_addresses() {
    fails(
        "a:\n  hosts:\n    pc-01: {ansible_host: 10.0.0.1}\nb:\n  hosts:\n    pc-01: {ansible_host: 10.0.0.2}\n",
        &[
            "inv.yaml:6:27: the host `pc-01` has the address `10.0.0.2` here and `10.0.0.1` at inv.yaml:3:27",
            "hint: two PCs need two names; remove the address that is wrong",
        ],
    );
}

#[test]
fn two_hosts_at_one_address() {
    let hint =
        "hint: two repairs at once would run on one PC; remove one, or give each its own port";
    fails(
        "all:\n  hosts:\n    pc-01: {address: 10.0.0.1}\n    pc-02: {address: 10.0.0.1}\n",
        &[
            "inv.yaml:4:22: the hosts `pc-01` and `pc-02` share the address 10.0.0.1",
            hint,
        ],
    );
    fails(
        "all:\n  hosts:\n    PC-01:\n    pc-01:\n",
        &[
            "inv.yaml:4:5: the hosts `PC-01` and `pc-01` share the address pc-01",
            hint,
        ],
    );
    fails(
        "all:\n  vars: {address: gw, port: 5986}\n  hosts:\n    pc-[01:50]:\n",
        &[
            "inv.yaml:2:19: the hosts `pc-01` and `pc-02` share the address gw:5986",
            hint,
        ],
    );
    support::good(
        "all:\n  vars: {address: gw}\n  hosts:\n    a: {port: 1}\n    b: {port: 2}\n    c: {transport: ssh}\n",
    );
}

/// `ガ` as it is typed, and as macOS keeps it in file names.
#[test]
fn two_hosts_that_look_the_same() {
    fails(
        "all:\n  hosts:\n    \u{30AC}-1: {address: 10.0.0.1}\n    \u{30AB}\u{3099}-1: {address: 10.0.0.2}\n",
        &[
            "inv.yaml:4:5: the host `\u{30AC}-1` is there twice, in two forms of Unicode; the first \
             stands at inv.yaml:3:5",
            "hint: write one of them only: on the screen they look the same",
        ],
    );
}

#[test]
fn anchors_that_explode() {
    let mut yaml = "x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n".to_owned();
    for level in 1..30 {
        let alias = format!("*x{}", level - 1);
        yaml.push_str(&format!(
            "x{level}: &x{level} [{}]\n",
            [alias.as_str(); 10].join(", ")
        ));
    }
    let started = Instant::now();
    fails(
        &yaml,
        &[
            "inv.yaml:6:10: aliases expand to more than 250000 values",
            "hint: write the values out, or use group variables",
        ],
    );
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn tabs() {
    fails(
        "all:\n  hosts:\n\t\tpc-01:\n",
        &[
            "inv.yaml:3:1: a tab is used for indentation",
            "hint: indent with blanks; most editors can convert tabs",
        ],
    );
}

#[test]
fn wrong_encodings() {
    let (cp932, _, _) =
        encoding_rs::SHIFT_JIS.encode("all:\n  children:\n    営業部:\n      hosts: {pc: }\n");
    let folder = Folder::new(&[
        ("sjis.yaml", &cp932),
        (
            "latin.yaml",
            b"all:\n  vars: {a: \"\xc5x\", b: \xa0\x81\x81}\n",
        ),
    ]);
    folder.fails(
        &["sjis.yaml"],
        &[
            "DIR/sjis.yaml:3:5: byte 0x89 is not UTF-8",
            "hint: the file looks like cp932 (Shift_JIS); save it as UTF-8",
        ],
    );
    folder.fails(
        &["latin.yaml"],
        &[
            "DIR/latin.yaml:2:14: byte 0xC5 is not UTF-8",
            "hint: save the file as UTF-8",
        ],
    );
}

#[test]
fn missing_files_and_directories() {
    let folder = Folder::new(&[("group_vars/all.yml", b"a: 1\n")]);
    folder.fails(
        &["none.yaml", "group_vars"],
        &[
            "DIR/none.yaml: no such file",
            "DIR/group_vars: this is a directory, not an inventory file",
            "hint: name each file in it: `-i FILE -i FILE`",
        ],
    );
}

#[test]
fn rubbish_costs_nothing() {
    let folder = Folder::new(&[]);
    let file = std::fs::File::create(folder.path("big.yaml")).unwrap();
    file.set_len(50 * 1024 * 1024).unwrap();
    // Within the cap: every byte a bracket, and bytes that are no text.
    std::fs::write(folder.path("open.yaml"), "[".repeat(4 * 1024 * 1024)).unwrap();
    std::fs::write(folder.path("noise.yaml"), vec![0xa7; 4 * 1024 * 1024]).unwrap();
    let started = Instant::now();
    folder.fails(
        &["big.yaml"],
        &["DIR/big.yaml: the file is too large: 52428800 bytes, at most 16777216 bytes are read"],
    );
    assert!(
        started.elapsed() < Duration::from_millis(500),
        "{:?}",
        started.elapsed()
    );
    folder.fails(
        &["open.yaml"],
        &["DIR/open.yaml:1:256: nested too deep: more than 64 levels"],
    );
    folder.fails(
        &["noise.yaml"],
        &[
            "DIR/noise.yaml:1:1: byte 0xA7 is not UTF-8",
            "hint: the file looks like cp932 (Shift_JIS); save it as UTF-8",
        ],
    );
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn other_kinds_of_inventories() {
    fails(
        "# old\n[web]\npc-01 ansible_host=10.0.0.1\n",
        &[
            "inv.yaml:2:1: this is an INI inventory, only YAML and CSV are read",
            "hint: convert it once: `ansible-inventory -i FILE --list --yaml --output FILE.yaml`",
        ],
    );
    fails(
        "plugin: amazon.aws.aws_ec2\nregions: [x]\n",
        &[
            "inv.yaml:1:1: this configures the Ansible inventory plugin `amazon.aws.aws_ec2`, it holds no hosts",
            "hint: let Ansible write the hosts out: `ansible-inventory -i SOURCE --list --yaml --output FILE.yaml`",
        ],
    );
    fails(
        "{\"_meta\": {\"hostvars\": {}}, \"all\": {\"children\": [\"a\"]}}",
        &[
            "inv.yaml:1:2: this is the JSON output of an inventory script, not an inventory in YAML",
            "hint: let Ansible write the hosts out: `ansible-inventory -i SOURCE --list --yaml --output FILE.yaml`",
        ],
    );
    fails(
        "$ANSIBLE_VAULT;1.1;AES256\n3132\n",
        &[
            "inv.yaml:1:1: this file is encrypted by ansible-vault",
            "hint: give its password as to Ansible: `--vault-password-file FILE` or `--vault-id LABEL@FILE`; or set `ansible_vault` in credentials.yaml",
        ],
    );
}

#[test]
fn passwords_in_plain_text() {
    let hint = "hint: remove it and give the password at the prompt, or name a `credential`; `--allow-plaintext-passwords` accepts it";
    fails(
        "all:\n  hosts:\n    pc-[1:9]:\n    x: {ansible_winrm_password: pw1}\n    y: {ansible_password: '{{ hidden }}', hidden: pw2}\n  vars:\n    ansible_password: hunter2\n    ansible_become_pass: pw3\n",
        &[
            "inv.yaml:7:23: `ansible_password` holds a password in plain text",
            hint,
            "inv.yaml:8:26: `ansible_become_pass` holds a password in plain text",
            hint,
            "inv.yaml:4:33: `ansible_winrm_password` holds a password in plain text",
            hint,
            "inv.yaml:5:51: `hidden` holds a password in plain text",
            hint,
        ],
    );
    fails(
        "all:\n  hosts:\n    x: {ansible_password: 12345678}\n",
        &["inv.yaml:3:27: `ansible_password` must be a text (put it in quotes), found a number"],
    );
}

#[test]
fn templates_in_what_must_be_known() {
    fails(
        "all:\n  hosts:\n    a: {ansible_host: '{{ lookup(\"env\", \"X\") }}'}\n    b: {ansible_user: '{{ nobody }}'}\n    c: {ansible_host: '{{ ansible_host }}'}\n    d: {ansible_port: '{% if x %}1{% endif %}'}\n",
        &[
            "inv.yaml:3:23: the template in `ansible_host` cannot be worked out: `lookup(\"env\", \"X\")` is more than the name of a variable",
            "hint: write the value out, or refer to a plain variable: `{{ name }}`",
            "inv.yaml:4:23: the template in `ansible_user` cannot be worked out: there is no variable `nobody`",
            "hint: write the value out, or refer to a plain variable: `{{ name }}`",
            "inv.yaml:5:23: the template in `ansible_host` cannot be worked out: `ansible_host` refers to itself or too far",
            "hint: write the value out, or refer to a plain variable: `{{ name }}`",
            "inv.yaml:6:23: the template in `ansible_port` cannot be worked out: only `{{ name }}` is understood",
            "hint: write the value out, or refer to a plain variable: `{{ name }}`",
        ],
    );
}

#[test]
fn faults_in_files_of_variables_have_their_own_place() {
    let folder = Folder::new(&[
        ("inv.yaml", b"all:\n  hosts: {pc-01: }\n"),
        ("group_vars/all.yml", b"a: 1\na: 2\n"),
        ("host_vars/pc-01.yml", b"port: x\n"),
        ("host_vars/pc-02.yml", b"port: 5\n"),
    ]);
    folder.fails(
        &["inv.yaml"],
        &[
            "DIR/group_vars/all.yml:2:1: duplicate key `a`, first used at line 1, column 1",
            "hint: YAML would keep only the last of them; join the two or rename one",
            "DIR/host_vars/pc-01.yml:1:7: `port` must be a port from 1 to 65535, found `x`",
        ],
    );
}
