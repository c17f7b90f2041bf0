//! `--limit`, and what is shown of an inventory.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod support;

use fleetmend_inventory::{Inventory, Options, load};
use serde_json::json;
use support::{Folder, examples, good, messages};

const YAML: &str = "
all:
  children:
    web:
      hosts: {web-1: , web-2: , web-3: }
    tokyo:
      hosts: {web-1: , db-1: , 'PC-9.corp.jp': }
    東京:
      children: {tokyo: }
    empty:
  hosts:
    '2001:db8::1':
    lone:
";

fn names(inventory: &Inventory) -> Vec<&str> {
    inventory
        .hosts
        .iter()
        .map(|host| host.name.0.as_str())
        .collect()
}

#[track_caller]
fn limit(expression: &str, expected: &[&str]) {
    let inventory = good(YAML);
    match inventory.limit(expression) {
        Ok(limited) => assert_eq!(names(&limited), expected, "{expression}"),
        Err(errors) => panic!("{expression}: {errors}"),
    }
}

#[test]
fn patterns_select_as_ansible_does() {
    limit(
        "all",
        &[
            "web-1",
            "web-2",
            "web-3",
            "db-1",
            "PC-9.corp.jp",
            "2001:db8::1",
            "lone",
        ],
    );
    limit(
        "*",
        &[
            "web-1",
            "web-2",
            "web-3",
            "db-1",
            "PC-9.corp.jp",
            "2001:db8::1",
            "lone",
        ],
    );
    limit("lone", &["lone"]);
    limit("東京", &["web-1", "db-1", "PC-9.corp.jp"]);
    limit("web,lone", &["web-1", "web-2", "web-3", "lone"]);
    limit("web:lone", &["web-1", "web-2", "web-3", "lone"]);
    limit("web:&tokyo", &["web-1"]);
    limit("web,&tokyo", &["web-1"]);
    limit("!web", &["db-1", "PC-9.corp.jp", "2001:db8::1", "lone"]);
    limit("!web-1:web", &["web-2", "web-3"]);
    limit("web:db-1:!web-[12]", &["web-3", "db-1"]);
    limit("web-?", &["web-1", "web-2", "web-3"]);
    limit("web-[!1]", &["web-2", "web-3"]);
    limit("*.corp.jp", &["PC-9.corp.jp"]);
    limit("t*", &["web-1", "db-1", "PC-9.corp.jp"]);
    limit("~(web|db)-[13]", &["web-1", "web-3", "db-1"]);
    limit("~.*:.*", &["2001:db8::1"]);
    limit("2001:db8::1", &["2001:db8::1"]);
    limit("2001:db8::1,lone", &["2001:db8::1", "lone"]);
    limit("web[0]", &["web-1"]);
    limit("web[-1]", &["web-3"]);
    limit("web[0:1]", &["web-1", "web-2"]);
    limit("web[1:]", &["web-2", "web-3"]);
    limit("web-[1:2]", &["web-1", "web-2"]);
    limit(" web-1 , lone ", &["web-1", "lone"]);
}

#[test]
fn files_hold_a_pattern_a_line() {
    let folder = Folder::new(&[(
        "l.txt",
        "\u{feff}# first wave\r\nweb-1\r\n\r\ntokyo:!db-1\r\n".as_bytes(),
    )]);
    limit(
        &format!("@{}", folder.path("l.txt").display()),
        &["web-1", "PC-9.corp.jp"],
    );
}

#[track_caller]
fn refused(expression: &str, expected: &[&str]) {
    assert_eq!(
        messages(&good(YAML).limit(expression).unwrap_err()),
        expected,
        "{expression}"
    );
}

#[test]
fn what_matches_nothing_is_an_error() {
    refused(
        "web:!dbb-1:&x*",
        &[
            "--limit: `x*` matches no host and no group",
            "--limit: `dbb-1` matches no host and no group",
        ],
    );
    refused(
        "pc-9.CORP.jp",
        &[
            "--limit: `pc-9.CORP.jp` matches no host and no group",
            "hint: upper and lower case differ; there is `PC-9.corp.jp`",
        ],
    );
    refused("lone:&web", &["--limit: `lone:&web` leaves no host"]);
    refused("empty", &["--limit: `empty` leaves no host"]);
    refused("", &["--limit: `` leaves no host"]);
    refused(
        "~(",
        &["--limit: `~(` is not a valid pattern: it is not a regular expression"],
    );
    refused(
        "web[9]",
        &["--limit: `web[9]` is not a valid pattern: `web` has 3 hosts, counted from 0"],
    );
    refused("@/nowhere/at-all", &["/nowhere/at-all: no such file"]);
    let folder = Folder::new(&[("l.txt", b"web-1\nnobody\n")]);
    let expression = format!("@{}", folder.path("l.txt").display());
    let errors = good(YAML).limit(&expression).unwrap_err();
    assert_eq!(
        folder.mask(messages(&errors)),
        ["DIR/l.txt:2:1: `nobody` matches no host and no group"]
    );
}

#[test]
fn a_limited_inventory_shows_only_what_is_left() {
    let limited = good(YAML).limit("web-1,lone").unwrap();
    assert_eq!(
        limited.list_json(),
        json!({
            "_meta": {"hostvars": {}, "profile": "inventory_legacy"},
            "all": {"children": ["ungrouped", "web", "tokyo", "東京", "empty"]},
            "ungrouped": {"hosts": ["lone"]},
            "web": {"hosts": ["web-1"]},
            "tokyo": {"hosts": ["web-1"]},
            "東京": {"children": ["tokyo"]},
        })
    );
    assert_eq!(
        names(&limited.limit("web").unwrap()),
        ["web-1"],
        "limits add up"
    );
    assert!(limited.limit("db-1").is_err());
}

#[test]
fn the_tree_is_ansibles() {
    let expected = "\
@all:
  |--@ungrouped:
  |  |--2001:db8::1
  |  |--lone
  |--@web:
  |  |--web-1
  |  |--web-2
  |  |--web-3
  |--@tokyo:
  |  |--web-1
  |  |--db-1
  |  |--PC-9.corp.jp
  |--@東京:
  |  |--@tokyo:
  |  |  |--web-1
  |  |  |--db-1
  |  |  |--PC-9.corp.jp
  |--@empty:
";
    assert_eq!(good(YAML).graph_text(), expected);
}

#[test]
fn the_table_shows_how_each_host_is_reached() {
    let inventory = load(&[examples().join("mixed.yaml")], &Options::default()).unwrap();
    let limited = inventory
        .limit("branch-1,dev-a*,backup*,*::15,10.20.1.11,visitor*")
        .unwrap();
    let expected = r"HOST                        ADDRESS                          OVER           USER          GROUPS
branch-1                    gateway.branch.example.jp:15986  winrm (https)  .\fleetadmin  https
10.20.1.11                  10.20.1.11:5985                  winrm (http)   .\fleetadmin  http
2001:db8:20::15             [2001:db8:20::15]:5985           winrm (http)   .\fleetadmin  http
dev-a.corp.example.jp       dev-a.corp.example.jp            ssh            .\fleetadmin  openssh
backup.corp.example.jp      backup.corp.example.jp           ssh            fleetadmin    openssh
visitor-01.corp.example.jp  visitor-01.corp.example.jp       auto           .\fleetadmin  anything
";
    let text = limited.list_text();
    assert_eq!(text, expected);
}
