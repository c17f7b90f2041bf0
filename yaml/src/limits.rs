//! How much a document may cost.

/// Caps that keep a hostile or broken text from eating time and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of text.
    pub max_bytes: usize,
    /// Lists and mappings inside one another.
    pub max_depth: usize,
    /// Values in the whole tree, aliases expanded.
    pub max_nodes: usize,
    /// Values that come from expanding aliases and merge keys.
    pub max_alias_nodes: usize,
}

impl Default for Limits {
    /// Room for an inventory of tens of thousands of hosts, written out one by one.
    fn default() -> Self {
        Self {
            max_bytes: 16 * 1024 * 1024,
            max_depth: 64,
            max_nodes: 2_000_000,
            max_alias_nodes: 250_000,
        }
    }
}
