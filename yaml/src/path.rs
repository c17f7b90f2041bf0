//! Naming a place inside a tree.

/// One step down: a key of a mapping or an index of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// The value under this key.
    Key(String),
    /// The value at this index, from 0.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<String> for Segment {
    fn from(key: String) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Splits `repair[0].steps[2].script`; the empty path and `.` name the root.
///
/// Keys with dots or brackets in them cannot be written so; use segments.
pub(crate) fn parse(path: &str) -> Vec<Segment> {
    let mut segments = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut pieces = part.split('[');
        if let Some(key) = pieces.next().filter(|key| !key.is_empty()) {
            segments.push(Segment::from(key));
        }
        for piece in pieces {
            let inner = piece.strip_suffix(']').unwrap_or(piece);
            segments.push(match inner.parse::<usize>() {
                Ok(index) => Segment::Index(index),
                Err(_) => Segment::from(inner),
            });
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_keys_and_indices() {
        assert_eq!(
            parse("repair[0].steps[2].script"),
            [
                "repair".into(),
                0.into(),
                "steps".into(),
                2.into(),
                "script".into()
            ]
        );
        assert_eq!(parse("."), []);
        assert_eq!(parse("[3].x"), [3.into(), "x".into()]);
    }
}
