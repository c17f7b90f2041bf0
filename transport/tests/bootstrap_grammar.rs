//! The PowerShell that we start with, against a real grammar of PowerShell, and without what
//! Windows PowerShell 5.1 lacks or what we never do.

#![expect(clippy::unwrap_used, reason = "tests")]

use fleetmend_transport::powershell::{BOOTSTRAP, EXEC_READER};
use tree_sitter::{Node, Parser};

fn walk<'t>(node: Node<'t>, visit: &mut impl FnMut(Node<'t>)) {
    visit(node);
    for child in node.children(&mut node.walk()) {
        walk(child, visit);
    }
}

fn commands(script: &str) -> Vec<String> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .unwrap();
    let tree = parser.parse(script, None).unwrap();
    let mut names = Vec::new();
    walk(tree.root_node(), &mut |node| {
        let text = node.utf8_text(script.as_bytes()).unwrap();
        assert!(
            !node.is_error() && !node.is_missing(),
            "line {}: {text}",
            node.start_position().row + 1
        );
        if node.kind() == "command_name" {
            names.push(text.to_owned());
        }
    });
    names
}

#[test]
fn is_valid_and_calls_only_what_it_should() {
    let mut names = commands(BOOTSTRAP);
    names.extend(commands(EXEC_READER));
    names.sort_unstable();
    names.dedup();
    let expected = [
        "Add-Type",
        "ConvertTo-Json",
        "Diag",
        "Json",
        "New-Object",
        "Plain",
        "Remove-TypeData",
        "Text",
    ];
    assert_eq!(names, expected);
}

#[test]
fn uses_nothing_that_5_1_lacks() {
    for script in [BOOTSTRAP, EXEC_READER] {
        for lacking in [
            "??",
            "?.",
            "&&",
            "||",
            "-Parallel",
            "::new(",
            "Invoke-Expression",
            "-AsHashtable",
        ] {
            assert!(!script.contains(lacking), "{lacking}");
        }
    }
}

#[test]
fn the_grammar_finds_faults() {
    let broken = std::panic::catch_unwind(|| commands("if ($x { 1 }"));
    assert!(broken.is_err());
}
