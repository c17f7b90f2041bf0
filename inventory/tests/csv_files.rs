//! CSV inventories as Excel saves them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use encoding_rs::SHIFT_JIS;
use fleetmend_inventory::{Inventory, Options, load};
use serde_json::json;
use support::{Folder, examples, host};

fn check_example(inventory: &Inventory) {
    let list = inventory.list_json();
    assert_eq!(list["総務部"]["hosts"], json!(["soumu-01", "soumu-02"]));
    assert_eq!(list["持ち出し"]["hosts"], json!(["keiri-01"]));
    assert_eq!(inventory.hosts.len(), 4);
    let first = host(inventory, "soumu-01");
    assert_eq!(first.address, "10.30.1.11");
    assert_eq!(
        json!(first.vars),
        json!({"担当者": "山田 太郎", "設置場所": "本館 2階, 東側"})
    );
    assert_eq!(
        json!(host(inventory, "keiri-02").vars),
        json!({"設置場所": "別館 1階"})
    );
    assert_eq!(
        host(inventory, "keiri-01").groups,
        ["all", "持ち出し", "経理部"]
    );
}

#[test]
fn the_example_in_every_encoding_of_excel() {
    let utf8 = std::fs::read(examples().join("pcs.csv")).unwrap();
    let text = String::from_utf8(utf8.clone()).unwrap();
    let (cp932, _, lossy) = SHIFT_JIS.encode(&text);
    assert!(!lossy);
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let tabs = text
        .replace("\"本館 2階, 東側\"", "本館 2階; 東側")
        .replace(',', "\t")
        .replace("; 東側", ", 東側");
    let semicolons = text
        .replace("経理部;持ち出し", "経理部|持ち出し")
        .replace("\"本館 2階, 東側\"", "本館 2階‚ 東側");
    let semicolons = semicolons.replace(',', ";").replace('‚', ",");
    let folder = Folder::new(&[
        ("utf8.csv", &utf8),
        ("bom.csv", &[b"\xef\xbb\xbf".as_slice(), &utf8].concat()),
        ("cp932.csv", &cp932),
        ("crlf.csv", text.replace('\n', "\r\n").as_bytes()),
        ("utf16.csv", &utf16),
        ("tabs.txt", tabs.as_bytes()),
        ("semicolons.csv", semicolons.as_bytes()),
        ("sep.csv", format!("sep=;\r\n{semicolons}").as_bytes()),
    ]);
    check_example(&load(&[examples().join("pcs.csv")], &Options::default()).unwrap());
    for name in [
        "utf8.csv",
        "bom.csv",
        "cp932.csv",
        "crlf.csv",
        "utf16.csv",
        "tabs.txt",
        "semicolons.csv",
        "sep.csv",
    ] {
        println!("{name}");
        check_example(&folder.load(&[name]).unwrap());
    }
}

#[test]
fn columns_are_found_by_many_names() {
    for header in [
        "host",
        "HostName",
        "Computer Name",
        "ＰＣ名",
        "コンピューター名",
        "name",
    ] {
        let folder = Folder::new(&[(
            "a.csv",
            format!("note,{header},IP Address\nx,pc-1,10.0.0.1\n").as_bytes(),
        )]);
        let inventory = folder.load(&["a.csv"]).unwrap();
        let found = host(&inventory, "pc-1");
        assert_eq!(
            (found.address.as_str(), json!(found.vars)),
            ("10.0.0.1", json!({"note": "x"})),
            "{header}"
        );
    }
}

#[test]
fn settings_in_columns() {
    let folder = Folder::new(&[(
        "a.csv",
        b"host,port,user,transport,tls,ansible_connection\npc-[1:2],5986,.\\a,winrm,none,\n",
    )]);
    let inventory = folder.load(&["a.csv"]).unwrap();
    let found = host(&inventory, "pc-2");
    assert_eq!(
        (found.port, found.user.as_deref()),
        (Some(5986), Some(".\\a"))
    );
    assert_eq!(json!(found.vars), json!({}));
}

#[test]
fn bad_rows_have_places() {
    let folder = Folder::new(&[
        ("a.csv", "# 台帳\nhost,port,\"備考\n2行\"\npc-1,x,\n\npc-2\npc-3,1,,more\npc-1,22,\n,1,\npc-[5:1],1,\n".as_bytes()),
        ("no.csv", "番号,部署\n1,総務\n".as_bytes()),
        ("twice.csv", b"host,a,A,a\npc,1,2,3\n"),
        ("bytes.csv", b"host,a\npc-1,x\xff\xfe\xff\n"),
        ("empty.csv", b"\n"),
        ("pw.csv", "host,パスワード\npc-1,canary\n".as_bytes()),
    ]);
    folder.fails(
        &["a.csv"],
        &[
            "DIR/a.csv:6:1: the row has 1 cells, the header row 3",
            "DIR/a.csv:7:1: the row has 4 cells, the header row 3",
            "DIR/a.csv:8:1: the host `pc-1` stands in two rows, first at DIR/a.csv:4:1",
            "hint: remove one of the rows",
            "DIR/a.csv:9:1: `` cannot be a host name: it is empty",
            "DIR/a.csv:10:4: the range in `pc-[5:1]` runs backwards: 5 comes after 1",
            "DIR/a.csv:4:6: `port` must be a port from 1 to 65535, found `x`",
        ],
    );
    folder.fails(
        &["no.csv"],
        &[
            "DIR/no.csv:1:1: no column holds the hosts; the header row has: `番号`, `部署`",
            "hint: name one of them `host`",
        ],
    );
    folder.fails(
        &["twice.csv"],
        &["DIR/twice.csv:1:10: the column `a` stands twice in the header row"],
    );
    folder.fails(
        &["bytes.csv"],
        &[
            "DIR/bytes.csv:2:7: byte 0xFF is neither UTF-8 nor cp932 (Shift_JIS)",
            "hint: in Excel, save as `CSV UTF-8 (comma delimited)`",
        ],
    );
    folder.fails(
        &["empty.csv"],
        &["DIR/empty.csv:1:1: the inventory is empty"],
    );
    folder.fails(&["pw.csv"], &[
        "DIR/pw.csv:2:6: `password` holds a password in plain text",
        "hint: remove it and give the password at the prompt, or name a `credential`; `--allow-plaintext-passwords` accepts it",
    ]);
}
