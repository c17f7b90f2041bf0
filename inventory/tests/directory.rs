//! Directories as sources: what the files say of them, and their computers as hosts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fleetmend_inventory::{
    DirectoryListing, DirectorySource, Inventory, ListedPc, Options, Place, load, load_text,
    load_with,
};
use fleetmend_model::{Platform, TransportChoice};
use support::{Folder, fails, good, host, warnings};

fn source(group: Option<&str>) -> DirectorySource {
    DirectorySource {
        place: Place {
            file: "ad.yaml".into(),
            at: None,
        },
        domain: "corp.example.jp".to_owned(),
        ou: None,
        filter: None,
        group: group.map(str::to_owned),
    }
}

fn pc(name: &str, ou: &[&str]) -> ListedPc {
    ListedPc {
        name: name.to_owned(),
        dns_name: Some(format!("{}.corp.example.jp", name.to_lowercase())),
        ou: ou.iter().map(|name| (*name).to_owned()).collect(),
        operating_system: Some("Windows 11 Pro 10.0 (26100)".to_owned()),
        last_logon: Some("2026-11-20".to_owned()),
        enabled: Some(true),
        description: None,
    }
}

fn listing(computers: Vec<ListedPc>) -> DirectoryListing {
    DirectoryListing {
        source: source(None),
        computers,
    }
}

/// What our own reader makes of the text.
fn read_back(listing: &DirectoryListing) -> Inventory {
    let yaml = listing.to_yaml(&[]);
    match load_text("ad.yaml", &yaml, &Options::default()) {
        Ok(inventory) => inventory,
        Err(errors) => panic!("{errors}\n{yaml}"),
    }
}

fn school() -> DirectoryListing {
    listing(vec![
        ListedPc {
            description: Some("3階 会議室\n# not a comment of its own".to_owned()),
            ..pc("PC-002", &["端末", "経理部"])
        },
        pc("PC-001", &["端末", "経理部"]),
        ListedPc {
            operating_system: Some("Samba 4.17.12-Debian".to_owned()),
            ..pc("linux1", &["端末"])
        },
        ListedPc {
            dns_name: None,
            operating_system: None,
            last_logon: None,
            ..pc("NEW", &["Computers"])
        },
        ListedPc {
            enabled: Some(false),
            ..pc("OLD", &["端末"])
        },
        pc("DC1", &["Domain Controllers"]),
    ])
}

#[test]
fn a_listing_is_an_inventory() {
    let expected = "\
# from corp.example.jp
# 1 computer in the unit of the domain controllers left out: dc1
# 1 computer with a disabled account left out: old
all:
  children:
    Computers:
      hosts:
        new: {address: new.corp.example.jp}
    端末:
      hosts:
        linux1: {address: linux1.corp.example.jp, platform: posix, transport: ssh, \
         operating_system: \"Samba 4.17.12-Debian\", last_logon: \"2026-11-20\"}
      children:
        端末_経理部:
          hosts:
            pc-001: {address: pc-001.corp.example.jp, operating_system: \"Windows 11 Pro 10.0 (26100)\", \
         last_logon: \"2026-11-20\"}
            pc-002: {address: pc-002.corp.example.jp, operating_system: \"Windows 11 Pro 10.0 (26100)\", \
         last_logon: \"2026-11-20\"}   # 3階 会議室 # not a comment of its own
";
    assert_eq!(
        school().to_yaml(&["from corp.example.jp".to_owned()]),
        expected
    );
}

#[test]
fn our_reader_understands_every_word_of_it() {
    let inventory = read_back(&school());
    assert_eq!(warnings(&inventory), Vec::<String>::new());
    let names: Vec<&str> = inventory
        .hosts
        .iter()
        .map(|host| host.name.0.as_str())
        .collect();
    assert_eq!(names, ["new", "linux1", "pc-001", "pc-002"]);
    let linux = host(&inventory, "linux1");
    assert_eq!(
        (linux.platform, linux.transport),
        (Platform::Posix, TransportChoice::Ssh)
    );
    let first = host(&inventory, "pc-001");
    assert_eq!(first.address, "pc-001.corp.example.jp");
    assert_eq!(first.platform, Platform::Windows);
    assert_eq!(first.groups, ["all", "端末", "端末_経理部"]);
    assert_eq!(first.vars["last_logon"], "2026-11-20");
    let limited = inventory.limit("端末:!端末_経理部").unwrap();
    assert_eq!(limited.hosts.len(), 1);
}

#[test]
fn what_the_directory_holds_cannot_break_the_inventory() {
    let hostile = |name: &str, dns: &str| ListedPc {
        dns_name: Some(dns.to_owned()),
        operating_system: Some("{{ lookup('pipe', 'id') }}\u{1b}[2J\"}, user: root".to_owned()),
        description: Some("x\u{85}all:\u{2028}  vars: {user: evil}\u{0}\u{feff}".to_owned()),
        last_logon: None,
        ..pc(name, &["all", "yes", "1: {x}", "\"'#&*!|>%@`", "  "])
    };
    let listing = listing(vec![
        hostile("PC-1", "pc-1.corp.example.jp"),
        hostile("yes", "no.corp.example.jp"),
        hostile("007", "007.corp.example.jp"),
        hostile("日本", "日本.corp.example.jp"),
        hostile("pc[1:9]", "a.corp.example.jp"),
        hostile("pc:22", "b.corp.example.jp"),
        hostile("pc-2", "--help"),
        hostile("{{ x }}", "c.corp.example.jp"),
        hostile("", "d.corp.example.jp"),
        hostile("a\nb", "e.corp.example.jp"),
    ]);
    let inventory = read_back(&listing);
    assert_eq!(warnings(&inventory), Vec::<String>::new());
    let names: Vec<&str> = inventory
        .hosts
        .iter()
        .map(|host| host.name.0.as_str())
        .collect();
    assert_eq!(names, ["007", "pc-1", "yes", "日本"]);
    assert!(inventory.hosts.iter().all(|host| host.user.is_none()));
    let os = inventory.hosts[0].vars["operating_system"]
        .as_str()
        .unwrap();
    assert!(!os.contains(['{', '}', '\u{1b}', '"']), "{os}");
    assert_eq!(listing.sort().1.unusable.len(), 6);
}

#[test]
fn of_two_computers_with_one_dns_name_the_one_that_was_used_last_is_taken() {
    let old = ListedPc {
        dns_name: Some("PC-1.corp.example.jp".to_owned()),
        last_logon: Some("2024-01-01".to_owned()),
        ..pc("pc-1-old", &[])
    };
    let listing = listing(vec![old, pc("pc-1", &[])]);
    let (taken, left_out) = listing.sort();
    assert_eq!(taken[0].name, "pc-1");
    assert_eq!(left_out.doubles, ["pc-1-old"]);
    assert_eq!(read_back(&listing).hosts.len(), 1);
}

#[test]
fn ten_thousand_computers() {
    let units: Vec<String> = (0..50).map(|unit| format!("部署{unit}")).collect();
    let computers = (0..10_000)
        .map(|number| pc(&format!("PC-{number:05}"), &["端末", &units[number % 50]]))
        .collect();
    let begun = Instant::now();
    let inventory = read_back(&listing(computers));
    assert_eq!(inventory.hosts.len(), 10_000);
    assert_eq!(inventory.groups().len(), 2 + 1 + 50);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_file_names_directories() {
    let inventory = good(
        "directory:\n  domain: CORP.example.jp.\n  ou: OU=端末,DC=corp,DC=example,DC=jp\n  \
         filter: (operatingSystem=Windows*)\n  group: kiosks\nall:\n  hosts:\n    pc-1:\n",
    );
    let source = &inventory.sources[0];
    assert_eq!(source.domain, "corp.example.jp");
    assert_eq!(
        source.ou.as_deref(),
        Some("OU=端末,DC=corp,DC=example,DC=jp")
    );
    assert_eq!(source.filter.as_deref(), Some("(operatingSystem=Windows*)"));
    assert_eq!(source.group.as_deref(), Some("kiosks"));
    assert_eq!(source.place.to_string(), "inv.yaml:2:3");
    assert_eq!(inventory.hosts.len(), 1);
    let two = good("directory:\n- {domain: a.example.jp}\n- {domain: b.example.jp, group: b}\n");
    assert_eq!(two.sources.len(), 2);
    let limited = good("directory: {domain: a.example.jp}\nall: {hosts: {x: }}\n").limit("x");
    assert_eq!(limited.unwrap().sources.len(), 1);
}

#[test]
fn a_group_may_be_called_directory() {
    let inventory = good("directory:\n  hosts:\n    pc-1:\n  vars: {domain: x}\n");
    assert_eq!(inventory.sources, []);
    assert_eq!(host(&inventory, "pc-1").groups, ["all", "directory"]);
}

#[test]
fn mistakes_have_a_place() {
    fails(
        "directory:\n  ou: OU=x,DC=y\n",
        &["inv.yaml:2:3: `directory` needs `domain`"],
    );
    fails(
        "directory:\n  domain: a b\n  OU: x\n  filter: operatingSystem=Windows*\n  group: all\n",
        &[
            "inv.yaml:3:3: `directory` has no setting `OU`",
            "hint: it may have: domain, ou, filter, group",
            "inv.yaml:2:11: `directory.domain` must be the DNS name of a domain, as corp.example.jp, found `a b`",
            "inv.yaml:4:11: `directory.filter` must be an LDAP filter in parentheses, as (operatingSystem=Windows*), found `operatingSystem=Windows*`",
            "inv.yaml:5:10: `directory.group` must be the name of a group other than all, found `all`",
        ],
    );
    fails(
        "directory: corp.example.jp\n",
        &[
            "inv.yaml:1:12: `directory` must be a mapping with `domain`, or a list of such mappings, found a text",
        ],
    );
    fails(
        "directory:\n- {domain: 5}\n- x\n",
        &[
            "inv.yaml:2:12: `directory.domain` must be the DNS name of a domain, as corp.example.jp, found `5`",
            "inv.yaml:3:3: `directory` must be a mapping with `domain`, or a list of such mappings, found a text",
        ],
    );
}

#[test]
fn files_outweigh_the_directory() {
    let folder = Folder::new(&[
        (
            "ad.yaml",
            "directory: {domain: corp.example.jp, group: kiosks}\nall:\n  hosts:\n    \
             pc-001: {address: 10.0.0.1, last_logon: never}\n    \
             pc-002.corp.example.jp: {port: 5986}\n    new:\n  children:\n    \
             端末_経理部:\n      vars: {helpdesk: '1100'}\n"
                .as_bytes(),
        ),
        ("group_vars/kiosks.yml", b"user: .\\kiosk\n"),
    ]);
    let path: Vec<PathBuf> = vec![folder.path("ad.yaml")];
    let unresolved = load(&path, &Options::default()).unwrap();
    assert_eq!(unresolved.hosts.len(), 3);
    let listing = DirectoryListing {
        source: unresolved.sources[0].clone(),
        ..school()
    };
    let inventory = load_with(&path, &[listing], &Options::default()).unwrap();
    assert_eq!(inventory.hosts.len(), 4);
    let first = host(&inventory, "pc-001");
    assert_eq!(
        (first.address.as_str(), first.user.as_deref()),
        ("10.0.0.1", Some(".\\kiosk"))
    );
    assert_eq!(first.vars["last_logon"], "never");
    assert_eq!(first.vars["helpdesk"], "1100");
    assert_eq!(first.groups, ["all", "kiosks", "端末", "端末_経理部"]);
    let second = host(&inventory, "pc-002.corp.example.jp");
    assert_eq!((second.port, second.groups.len()), (Some(5986), 4));
    assert_eq!(host(&inventory, "new").address, "new.corp.example.jp");
    let told = warnings(&inventory);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[1].ends_with("1 computer with a disabled account left out: old"),
        "{told:?}"
    );
}
