//! Whole documents: what they become, and the full text of every error.

#![expect(clippy::unwrap_used, reason = "tests")]

use fleetmend_yaml::{Document, Limits, Position};
use serde_json::json;

fn parse(text: &str) -> Result<Document, String> {
    Document::parse(text, &Limits::default()).map_err(|errors| errors.to_string())
}

fn json(text: &str) -> serde_json::Value {
    parse(text).unwrap().root.to_json()
}

#[track_caller]
fn fails(text: &str, message: &str) {
    assert_eq!(parse(text).unwrap_err(), message);
}

#[test]
fn reads_what_administrators_write() {
    let text = "\u{feff}# 支店\r\nall:\r\n  vars: {名前: 東京, when: 2024-01-02}\r\n  hosts:\r\n    1: ~\r\n    yes: 'no'\r\n    note: |\r\n      a\r\n      b\r\n";
    assert_eq!(
        json(text),
        json!({"all": {
            "vars": {"名前": "東京", "when": "2024-01-02"},
            "hosts": {"1": null, "true": "no", "note": "a\nb\n"},
        }})
    );
}

#[test]
fn an_empty_text_is_null() {
    for text in ["", "# nothing\n", "---\n", "---\n...\n"] {
        assert_eq!(json(text), json!(null), "{text:?}");
    }
}

#[test]
fn quoted_and_tagged_scalars_stay_texts() {
    assert_eq!(
        json("a: '0644'\nb: \"yes\"\nc: !!str 12\nd: !!int '0x10'\ne: ! 5\nf: !!float 3\n"),
        json!({"a": "0644", "b": "yes", "c": "12", "d": 16, "e": "5", "f": 3.0})
    );
}

#[test]
fn the_tags_of_ansible_print_as_ansible_prints_them() {
    assert_eq!(
        json("v: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3132\nu: !unsafe '{{ x }}'\n"),
        json!({
            "v": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n3132\n"},
            "u": {"__ansible_unsafe": "{{ x }}"},
        })
    );
}

#[test]
fn merge_keys_yield_to_own_keys_and_the_first_of_several_wins() {
    let text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nboth:\n  <<: [*b, *o]\n  x: 9\none: {<<: *o}\n";
    let value = json(text);
    assert_eq!(value["both"], json!({"x": 9, "y": 2, "z": 4}));
    assert_eq!(value["one"], json!({"y": 3, "z": 4}));
    fails(
        "a: {<<: 5}\n",
        "1:9: `<<` needs a mapping or a list of mappings",
    );
}

#[test]
fn an_alias_stands_where_it_is_used() {
    let document = parse("a: &x {k: v}\nb: *x\n").unwrap();
    assert_eq!(document.at("b"), Position::new(2, 4));
    assert_eq!(document.find("b.k").unwrap().as_str(), Some("v"));
}

#[test]
fn duplicate_keys_are_all_named() {
    fails(
        "a: 1\nb: {c: 1, c: 2}\na: 3\n",
        "2:11: duplicate key `c`, first used at line 2, column 5\n\
         3:1: duplicate key `a`, first used at line 1, column 1",
    );
}

#[test]
fn tabs_in_the_indentation_are_named() {
    for (text, place) in [
        ("all:\n\thosts:\n", "2:1"),
        ("all:\n  hosts:\n  \tpc-01:\n", "3:3"),
        ("all:\n  vars:\n    a: 1\n\tb: 2\n", "4:1"),
        ("a:\n  - x\n\t- y\n", "3:1"),
    ] {
        fails(text, &format!("{place}: a tab is used for indentation"));
    }
}

#[test]
fn exploding_aliases_are_refused_quickly() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let alias = format!("*a{}", level - 1);
        text.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            [alias.as_str(); 10].join(", ")
        ));
    }
    let message = parse(&text).unwrap_err();
    assert_eq!(message, "6:10: aliases expand to more than 250000 values");
}

#[test]
fn exploding_merges_are_refused() {
    let mut text = "a0: &a0 {k: 1}\n".to_owned();
    for level in 1..400 {
        let below = level - 1;
        text.push_str(&format!(
            "a{level}: &a{level} {{<<: *a{below}, k{level}: 1}}\n"
        ));
    }
    text.push_str(&format!("all:\n{}", "- {<<: *a399}\n".repeat(5000)));
    let message = parse(&text).unwrap_err();
    assert!(
        message.ends_with("aliases expand to more than 250000 values"),
        "{message}"
    );
}

#[test]
fn an_alias_inside_its_own_anchor_is_refused() {
    fails(
        "a: &x [1, *x]\n",
        "1:11: an alias refers to the value it stands in",
    );
}

#[test]
fn deep_nesting_is_refused() {
    let text = "[".repeat(100_000);
    let blocks: String = (0..70)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    fails(&blocks, "65:65: nested too deep: more than 64 levels");
    fails(&text, "1:256: nested too deep: more than 64 levels");
}

#[test]
fn limits_of_size_hold() {
    let limits = Limits {
        max_bytes: 10,
        ..Limits::default()
    };
    let errors = Document::parse("aaaaaaaaaaa", &limits).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "1:1: the text is too large: 11 bytes, at most 10 are read"
    );
    let limits = Limits {
        max_nodes: 3,
        ..Limits::default()
    };
    let errors = Document::parse("[1, 2, 3]", &limits).unwrap_err();
    assert_eq!(errors.to_string(), "1:8: too many values: more than 3");
}

#[test]
fn other_faults_have_a_place_too() {
    fails(
        "a: \u{0}b\n",
        "1:4: character U+0000 is not allowed in YAML",
    );
    fails(
        "? [a]\n: b\n",
        "1:3: a key must be a single value, not a list or a mapping",
    );
    fails(
        "a: !!python/object:os.system x\n",
        "1:4: unknown tag `!!python/object:os.system`",
    );
    fails("a: !custom [x]\n", "1:4: unknown tag `!custom`");
    fails(
        "a: !!int abc\n",
        "1:4: `abc` is not a value of the tag `!!int`",
    );
    fails(
        "a: 1\n---\nb: 2\n",
        "2:1: the file holds a second YAML document, only one is read",
    );
    fails(
        "a: 1\n b: 2\n",
        "2:3: not valid YAML: mapping values are not allowed in this context",
    );
    fails(
        "a: [1, 2\nb: 3\n",
        "2:2: not valid YAML: illegal placement of ':' indicator",
    );
    fails(
        "a: 'open\n",
        "1:4: not valid YAML: while scanning a quoted scalar, found unexpected end of stream",
    );
    fails(
        "a: *nowhere\n",
        "1:4: not valid YAML: while parsing node, found unknown anchor",
    );
}
