//! A parsed script.

use tree_sitter::{Node, Parser};

pub(crate) struct Tree<'t> {
    text: &'t str,
    tree: tree_sitter::Tree,
}

impl<'t> Tree<'t> {
    pub(crate) fn parse(text: &'t str) -> Self {
        let mut parser = Parser::new();
        parser
            .set_language(&tree_sitter_powershell::LANGUAGE.into())
            .unwrap();
        Self {
            text,
            tree: parser.parse(text, None).unwrap(),
        }
    }

    pub(crate) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    pub(crate) fn text(&self, node: Node<'_>) -> &'t str {
        self.text.get(node.byte_range()).unwrap_or_default()
    }

    /// The text in small letters, for PowerShell does not tell them apart.
    pub(crate) fn lower(&self, node: Node<'_>) -> String {
        self.text(node).to_ascii_lowercase()
    }

    /// All nodes of a kind, in the order of the text.
    pub(crate) fn all(&self, kind: &str) -> Vec<Node<'_>> {
        within(self.root(), kind)
    }

    /// The first child of a kind.
    pub(crate) fn child<'n>(&self, node: Node<'n>, kind: &str) -> Option<Node<'n>> {
        children(node)
            .into_iter()
            .find(|child| child.kind() == kind)
    }
}

pub(crate) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.children(&mut cursor).collect()
}

/// All nodes in a subtree, itself first.
pub(crate) fn every(node: Node<'_>) -> Vec<Node<'_>> {
    let mut nodes = Vec::new();
    let mut stack = vec![node];
    while let Some(node) = stack.pop() {
        nodes.push(node);
        stack.extend(children(node).into_iter().rev());
    }
    nodes
}

/// All nodes of a kind in a subtree.
pub(crate) fn within<'n>(node: Node<'n>, kind: &str) -> Vec<Node<'n>> {
    every(node)
        .into_iter()
        .filter(|node| node.kind() == kind)
        .collect()
}

/// The nearest node around this one that is of a kind.
pub(crate) fn around<'n>(node: Node<'n>, kind: &str) -> Option<Node<'n>> {
    let mut at = node.parent()?;
    while at.kind() != kind {
        at = at.parent()?;
    }
    Some(at)
}
