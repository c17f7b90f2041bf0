//! Distinguished names (RFC 4514).

use std::fmt;

/// A distinguished name, the object itself first. Compared as the directory does: without case.
#[derive(Clone, Debug, Default)]
pub(super) struct Dn(Vec<(String, String)>);

impl Dn {
    /// Reads a name; none if it is not one. The empty text is the root.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut parts = Vec::new();
        let (mut kind, mut value) = (String::new(), Vec::new());
        let mut in_value = false;
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '=' if !in_value => in_value = true,
                ',' if in_value => {
                    part(&mut parts, &mut kind, &mut value)?;
                    in_value = false;
                }
                '\\' if in_value => unescape(&mut rest, &mut value)?,
                _ if in_value => push(&mut value, character),
                _ => kind.push(character),
            }
        }
        part(&mut parts, &mut kind, &mut value)?;
        Some(Self(parts))
    }

    /// Returns the head of a domain: `DC=corp,DC=example,DC=jp`.
    pub(super) fn of_domain(dns_name: &str) -> Self {
        let part = |label: &str| ("DC".to_owned(), label.to_owned());
        Self(dns_name.split('.').map(part).collect())
    }

    /// Returns the name of something in this container.
    pub(super) fn child(&self, kind: &str, value: &str) -> Self {
        let mut parts = vec![(kind.to_owned(), value.to_owned())];
        parts.extend_from_slice(&self.0);
        Self(parts)
    }

    /// Returns the name of the container; none of the root.
    pub(super) fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_first()?;
        Some(Self(rest.to_vec()))
    }

    /// Returns kind and value of the object's own part.
    pub(super) fn first(&self) -> Option<(&str, &str)> {
        let (kind, value) = self.0.first()?;
        Some((kind, value))
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells how far below `base` this lies: 0 is `base` itself; none: elsewhere.
    pub(super) fn below(&self, base: &Self) -> Option<usize> {
        let depth = self.0.len().checked_sub(base.0.len())?;
        let tail = self.0.get(depth..)?;
        let same = |(a, b): (&(String, String), &(String, String))| {
            a.0.eq_ignore_ascii_case(&b.0) && a.1.to_lowercase() == b.1.to_lowercase()
        };
        tail.iter().zip(&base.0).all(same).then_some(depth)
    }

    /// Tells whether both are the same name.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.below(other) == Some(0)
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (kind, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{kind}=")?;
            let last = value.chars().count().saturating_sub(1);
            for (at, character) in value.chars().enumerate() {
                match character {
                    ' ' if at == 0 || at == last => f.write_str("\\ ")?,
                    '#' if at == 0 => f.write_str("\\#")?,
                    ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => write!(f, "\\{character}")?,
                    '\n' => f.write_str("\\0A")?,
                    '\r' => f.write_str("\\0D")?,
                    _ => write!(f, "{character}")?,
                }
            }
        }
        Ok(())
    }
}

/// Takes the finished part over.
fn part(parts: &mut Vec<(String, String)>, kind: &mut String, value: &mut Vec<u8>) -> Option<()> {
    let name = kind.trim();
    let known = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    if !known || value.is_empty() {
        return None;
    }
    let text = String::from_utf8(std::mem::take(value)).ok()?;
    parts.push((name.to_ascii_uppercase(), text.trim().to_owned()));
    kind.clear();
    Some(())
}

fn push(value: &mut Vec<u8>, character: char) {
    value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

fn unescape(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    value: &mut Vec<u8>,
) -> Option<()> {
    let first = rest.next()?;
    let digit = |character: char| character.to_digit(16).and_then(|d| u8::try_from(d).ok());
    match (digit(first), rest.peek().copied().and_then(digit)) {
        (Some(high), Some(low)) => {
            rest.next();
            value.push(high << 4 | low);
        }
        _ => push(value, first),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap()
    }

    #[test]
    fn names_are_compared_by_what_they_mean() {
        let base = Dn::of_domain("corp.example.jp");
        assert_eq!(base.to_string(), "DC=corp,DC=example,DC=jp");
        let pc = dn("cn=PC\\2c1, ou=\\e7\\ab\\af末,DC=CORP,dc=example,dc=jp");
        assert_eq!(pc.first(), Some(("CN", "PC,1")));
        assert_eq!(pc.below(&base), Some(2));
        assert_eq!(base.below(&pc), None);
        assert!(pc.is(&base.child("OU", "端末").child("CN", "pc,1")));
        assert_eq!(pc.to_string(), "CN=PC\\,1,OU=端末,DC=CORP,DC=example,DC=jp");
        let deleted = base.child("CN", "PC1\nDEL:0b4f");
        assert!(deleted.to_string().starts_with("CN=PC1\\0ADEL:0b4f,DC="));
        assert!(dn(&deleted.to_string()).is(&deleted));
        assert!(dn("").is_root());
        for bad in ["x", "=x", "CN=", "CN=a,", "C N=a", "CN=\\ff", "CN=a,b"] {
            assert!(Dn::parse(bad).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(value in "[^\\x00]{1,20}", text in ".*") {
            let _ = Dn::parse(&text);
            let name = Dn::default().child("CN", &format!("x{}", value.trim()));
            let read = Dn::parse(&name.to_string());
            prop_assert!(read.is_some_and(|read| read.is(&name)), "{}", name);
        }
    }
}
