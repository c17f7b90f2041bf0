//! One parsed text.

use crate::{Limits, Node, Position, Segment, YamlErrors, builder, path};

/// The tree of one YAML text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The outermost value; null for an empty text.
    pub root: Node,
}

impl Document {
    /// Reads a text that holds at most one YAML document.
    ///
    /// A byte order mark at the start is passed over. An empty text is null.
    ///
    /// # Errors
    /// Everything found wrong: after an error of syntax or a limit reading stops, while wrong
    /// keys and tags are gathered.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, YamlErrors> {
        builder::build(text, limits).map(|root| Self { root })
    }

    /// Returns where the value at a path like `repair[0].steps[2].script` stands.
    ///
    /// If the path leads out of the tree (a missing field), the place of the last value on the
    /// way is returned.
    pub fn at(&self, path: &str) -> Position {
        self.at_segments(&path::parse(path))
    }

    /// Returns the same as [`Document::at`] for keys that hold dots or brackets.
    pub fn at_segments(&self, path: &[Segment]) -> Position {
        self.descend(path).0.at
    }

    /// Returns where the *key* of the value at a path stands; a list item's own place.
    pub fn key_at(&self, path: &str) -> Position {
        self.key_at_segments(&path::parse(path))
    }

    /// Returns the same as [`Document::key_at`] for keys that hold dots or brackets.
    pub fn key_at_segments(&self, path: &[Segment]) -> Position {
        self.descend(path).1
    }

    /// Returns the value at a path, if it is there.
    pub fn find(&self, path: &str) -> Option<&Node> {
        path::parse(path)
            .iter()
            .try_fold(&self.root, |node, segment| node.step(segment))
    }

    /// Follows a path as far as it goes: the last value and the place of its key.
    fn descend(&self, path: &[Segment]) -> (&Node, Position) {
        let mut node = &self.root;
        let mut key_at = node.at;
        for segment in path {
            let next = match segment {
                Segment::Key(key) => node.entry(key).map(|entry| (&entry.value, entry.key.at)),
                Segment::Index(_) => node.step(segment).map(|item| (item, item.at)),
            };
            let Some((next, at)) = next else { break };
            node = next;
            key_at = at;
        }
        (node, key_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: x\nrepair:\n  - name: 修復\n    steps: [a, {script: b}]\n";

    fn document() -> Document {
        Document::parse(TEXT, &Limits::default()).unwrap()
    }

    #[test]
    fn finds_places_by_path() {
        let document = document();
        assert_eq!(document.at("name"), Position::new(1, 7));
        assert_eq!(document.key_at("name"), Position::new(1, 1));
        assert_eq!(document.at("repair[0].name"), Position::new(3, 11));
        assert_eq!(
            document.at("repair[0].steps[1].script"),
            Position::new(4, 25)
        );
        assert_eq!(
            document.key_at("repair[0].steps[1].script"),
            Position::new(4, 17)
        );
        assert_eq!(document.at("repair[0]"), Position::new(3, 5));
        assert_eq!(document.key_at("repair"), Position::new(2, 1));
    }

    #[test]
    fn missing_fields_point_at_what_should_hold_them() {
        assert_eq!(document().at("repair[0].needs.domain"), Position::new(3, 5));
        assert_eq!(document().at("repair[7]"), document().at("repair"));
    }

    #[test]
    fn finds_values_by_path() {
        assert_eq!(
            document().find("repair[0].steps[0]").unwrap().as_str(),
            Some("a")
        );
        assert_eq!(document().find("repair[0].step"), None);
    }
}
