//! LDAP filters (RFC 4515): the operator's own, checked; and values in ours, escaped.

use std::fmt::{self, Write as _};
use std::str::FromStr;

/// How deep a filter may nest.
const DEEPEST: usize = 32;

/// A filter that the operator wrote, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

/// The text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the filter is wrong at character {position}: {expected}")]
pub struct FilterError {
    /// Which character, counted from 1; one past the last where something is missing.
    pub position: usize,
    /// What should stand there.
    pub expected: &'static str,
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        let mut reader = Reader {
            rest: text.chars().peekable(),
            position: 1,
        };
        reader.blanks();
        reader.filter(0)?;
        reader.blanks();
        match reader.rest.peek() {
            None => Ok(Self(text.trim().to_owned())),
            Some(_) => Err(reader.wrong("nothing more, the filter ended before")),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Escapes a value for use in a filter (RFC 4515 section 3).
pub(crate) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '*' | '(' | ')' | '\\' | '\0' => {
                // Writing into a string cannot fail.
                let _ = write!(escaped, "\\{:02x}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

struct Reader<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    position: usize,
}

impl Reader<'_> {
    fn wrong(&self, expected: &'static str) -> FilterError {
        FilterError {
            position: self.position,
            expected,
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.position += usize::from(next.is_some());
        next
    }

    fn blanks(&mut self) {
        while self
            .rest
            .peek()
            .is_some_and(|next| next.is_ascii_whitespace())
        {
            self.next();
        }
    }

    fn take(&mut self, wanted: char, expected: &'static str) -> Result<(), FilterError> {
        if self.rest.peek() == Some(&wanted) {
            self.next();
            return Ok(());
        }
        Err(self.wrong(expected))
    }

    fn filter(&mut self, depth: usize) -> Result<(), FilterError> {
        if depth > DEEPEST {
            return Err(self.wrong("a filter that nests less deeply"));
        }
        self.take('(', "a filter begins with (")?;
        match self.rest.peek() {
            Some('&' | '|') => {
                self.next();
                self.filter(depth + 1)?;
                while self.rest.peek() == Some(&'(') {
                    self.filter(depth + 1)?;
                }
            }
            Some('!') => {
                self.next();
                self.filter(depth + 1)?;
            }
            _ => self.item()?,
        }
        self.take(')', "a ) that closes the filter")
    }

    /// `attribute=value`, `>=`, `<=`, `~=`, and `attribute:rule:=value`.
    fn item(&mut self) -> Result<(), FilterError> {
        if !self.rest.peek().is_some_and(char::is_ascii_alphabetic) {
            return Err(self.wrong("the name of an attribute"));
        }
        self.words();
        match self.rest.peek() {
            Some('>' | '<' | '~') => {
                self.next();
            }
            Some(':') => {
                self.next();
                // Empty before `:=`: equality by the attribute's own rule.
                if self.rest.peek() != Some(&'=') {
                    self.words();
                    self.take(':', "a : after the matching rule")?;
                    if self.rest.peek() != Some(&'=') {
                        self.words();
                        self.take(':', "a : before the =")?;
                    }
                }
            }
            _ => {}
        }
        self.take('=', "one of = >= <= ~= :=")?;
        self.value()
    }

    fn words(&mut self) {
        let part = |next: &char| next.is_ascii_alphanumeric() || matches!(next, '-' | '.' | ';');
        while self.rest.peek().is_some_and(part) {
            self.next();
        }
    }

    fn value(&mut self) -> Result<(), FilterError> {
        loop {
            match self.rest.peek() {
                None | Some(')') => return Ok(()),
                Some('(') => return Err(self.wrong("( inside a value is written \\28")),
                Some('\0') => return Err(self.wrong("NUL inside a value is written \\00")),
                Some('\\') => {
                    self.next();
                    for _ in 0..2 {
                        if !self.rest.peek().is_some_and(char::is_ascii_hexdigit) {
                            return Err(self.wrong("two hex digits after \\"));
                        }
                        self.next();
                    }
                }
                Some(_) => {
                    self.next();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_what_administrators_write() {
        for good in [
            "(operatingSystem=*Server*)",
            " (&(operatingSystem=Windows 1*)(!(cn=old-*))(|(a>=1)(b<=2)(c~=x))) ",
            "(userAccountControl:1.2.840.113556.1.4.803:=2)",
            "(memberOf:1.2.840.113556.1.4.1941:=CN=店舗\\2a,DC=corp)",
            "(ou:dn:=x)",
            "(cn:dn:2.4.6.8.10:=x)",
            "(description=東京*)",
            "(servicePrincipalName=*)",
            "(cn;lang-ja=あ)",
        ] {
            let filter: Filter = good.parse().unwrap();
            assert!(ldap3::parse_filter(filter.to_string()).is_ok(), "{good}");
        }
    }

    #[test]
    fn says_where_it_is_wrong() {
        for (bad, position) in [
            ("", 1),
            ("cn=pc", 1),
            ("(cn=pc", 7),
            ("(cn=pc))", 8),
            ("(cn=pc)(x=y)", 8),
            ("(&)", 3),
            ("(&(cn=a)cn=b)", 9),
            ("(=x)", 2),
            ("(店舗=x)", 2),
            ("(cn)", 4),
            ("(cn=a(b)", 6),
            ("(cn=あ\\zz)", 7),
            ("(cn=\\2)", 7),
            ("(a:b=c)", 5),
            ("(cn>5)", 5),
        ] {
            let error = bad.parse::<Filter>().unwrap_err();
            assert_eq!(error.position, position, "{bad}: {error}");
        }
        let deep = "(!".repeat(40) + "(a=b)" + &")".repeat(40);
        assert!(deep.parse::<Filter>().is_err());
    }

    #[test]
    fn escapes_what_would_be_syntax() {
        assert_eq!(escape("a*(b)\\\0日本"), "a\\2a\\28b\\29\\5c\\00日本");
    }

    proptest! {
        #[test]
        fn never_panics_and_accepts_only_what_the_library_takes(text in "[(&|!)=a\\\\2*: 日]{0,24}") {
            if let Ok(filter) = text.parse::<Filter>() {
                prop_assert!(ldap3::parse_filter(filter.to_string()).is_ok(), "{}", text);
            }
        }

        #[test]
        fn an_escaped_value_is_a_value(value in ".*") {
            let item = format!("(cn={})", escape(&value));
            prop_assert!(item.parse::<Filter>().is_ok());
            prop_assert!(ldap3::parse_filter(&item).is_ok());
        }
    }
}
