//! Filters (RFC 4511 section 4.5.1.7), resolved against the schema once and then tried on many
//! objects.

use rasn_ldap::{AttributeValueAssertion, Filter, MatchingRuleAssertion, SubstringChoice};

use crate::ldap::dn::Dn;
use crate::ldap::object::Object;
use crate::ldap::schema::{Attribute, Syntax};
use crate::ldap::view::View;

/// `LDAP_MATCHING_RULE_BIT_AND` and `…_BIT_OR` ([MS-ADTS] 3.1.1.3.4.4).
const BIT_AND: &str = "1.2.840.113556.1.4.803";
const BIT_OR: &str = "1.2.840.113556.1.4.804";

/// A filter that knows its attributes.
#[derive(Debug)]
pub(super) enum Test {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// An attribute that does not exist, or a value that it cannot have.
    Undefined,
    Present(&'static str),
    Equal(&'static str, Syntax, Wanted),
    AtLeast(&'static str, Wanted),
    AtMost(&'static str, Wanted),
    Parts(&'static str, Vec<Part>),
    Bits {
        name: &'static str,
        mask: i64,
        all: bool,
    },
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// In lower case.
    Text(String),
    Number(i64),
    Octets(Vec<u8>),
}

/// A part of a text, in lower case.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Initial(String),
    Any(String),
    Final(String),
}

impl Test {
    /// Resolves a filter.
    pub(super) fn of(filter: &Filter, view: &View<'_>) -> Self {
        let all = |filters: &rasn::types::SetOf<Filter>| {
            filters
                .to_vec()
                .into_iter()
                .map(|filter| Self::of(filter, view))
                .collect()
        };
        match filter {
            Filter::And(filters) => Self::All(all(filters)),
            Filter::Or(filters) => Self::Any(all(filters)),
            Filter::Not(filter) => Self::Not(Box::new(Self::of(filter, view))),
            Filter::EqualityMatch(pair) | Filter::ApproxMatch(pair) => {
                Self::compared(pair, view, |name, syntax, wanted| {
                    Self::Equal(name, syntax, wanted)
                })
            }
            Filter::GreaterOrEqual(pair) => {
                Self::compared(pair, view, |name, _, wanted| Self::AtLeast(name, wanted))
            }
            Filter::LessOrEqual(pair) => {
                Self::compared(pair, view, |name, _, wanted| Self::AtMost(name, wanted))
            }
            Filter::Present(name) => match view.attribute(name) {
                Some((name, ..)) => Self::Present(name),
                None => Self::Undefined,
            },
            Filter::Substrings(parts) => match view.attribute(&parts.r#type) {
                Some((name, Syntax::Text, _)) => {
                    let parts: Option<_> = parts.substrings.iter().map(Part::of).collect();
                    parts.map_or(Self::Undefined, |parts| Self::Parts(name, parts))
                }
                _ => Self::Undefined,
            },
            Filter::ExtensibleMatch(rule) => Self::of_rule(rule, view),
            _ => Self::Undefined,
        }
    }

    fn compared(
        pair: &AttributeValueAssertion,
        view: &View<'_>,
        test: impl FnOnce(&'static str, Syntax, Wanted) -> Self,
    ) -> Self {
        let attribute = view.attribute(&pair.attribute_desc);
        let Some((name, syntax, given)) = attribute else {
            return Self::Undefined;
        };
        match Wanted::of((name, syntax, given), &pair.assertion_value, view) {
            Some(wanted) => test(name, syntax, wanted),
            None => Self::Undefined,
        }
    }

    fn of_rule(rule: &MatchingRuleAssertion, view: &View<'_>) -> Self {
        let attribute = rule.r#type.as_ref().and_then(|name| view.attribute(name));
        let mask = std::str::from_utf8(&rule.match_value).ok();
        let mask = mask.and_then(|mask| mask.parse().ok());
        let rule = rule.matching_rule.as_ref().map(|rule| rule.as_str());
        match (attribute, rule, mask) {
            (Some((name, Syntax::Number, _)), Some(BIT_AND | BIT_OR), Some(mask)) => Self::Bits {
                name,
                mask,
                all: rule == Some(BIT_AND),
            },
            _ => Self::Undefined,
        }
    }

    /// Tries it: true, false, or none where nobody can say.
    pub(super) fn holds(&self, view: &View<'_>, object: &Object<'_>) -> Option<bool> {
        let any = |name: &str, fits: &dyn Fn(&[u8]) -> bool| {
            Some(view.values(object, name).iter().any(|value| fits(value)))
        };
        match self {
            Self::All(tests) => combined(tests, view, object, false),
            Self::Any(tests) => combined(tests, view, object, true),
            Self::Not(test) => test.holds(view, object).map(|holds| !holds),
            Self::Undefined => None,
            Self::Present(name) => Some(!view.values(object, name).is_empty()),
            Self::Equal(name, syntax, wanted) => any(name, &|value| wanted.is(*syntax, value)),
            Self::AtLeast(name, wanted) => any(name, &|value| {
                wanted.order(value).is_some_and(std::cmp::Ordering::is_ge)
            }),
            Self::AtMost(name, wanted) => any(name, &|value| {
                wanted.order(value).is_some_and(std::cmp::Ordering::is_le)
            }),
            Self::Parts(name, parts) => any(name, &|value| fit(parts, value)),
            Self::Bits { name, mask, all } => any(name, &|value| {
                let number = number(value).unwrap_or(0);
                if *all {
                    number & mask == *mask
                } else {
                    number & mask != 0
                }
            }),
        }
    }

    /// Returns names of which every account that this may find carries one; none if it cannot
    /// be said. Saves looking at ten thousand others.
    pub(super) fn names(&self) -> Option<Vec<(&'static str, &str)>> {
        match self {
            Self::Equal(name, _, Wanted::Text(wanted)) => {
                let known = [
                    "sAMAccountName",
                    "cn",
                    "name",
                    "dNSHostName",
                    "servicePrincipalName",
                ];
                known.contains(name).then(|| vec![(*name, wanted.as_str())])
            }
            Self::All(tests) => tests.iter().find_map(Self::names),
            Self::Any(tests) => {
                let names: Option<Vec<_>> = tests.iter().map(Self::names).collect();
                names.map(|names| names.into_iter().flatten().collect())
            }
            _ => None,
        }
    }
}

/// Ands or ors in three values: `deciding` decides alone.
fn combined(tests: &[Test], view: &View<'_>, object: &Object<'_>, deciding: bool) -> Option<bool> {
    let mut known = true;
    for test in tests {
        match test.holds(view, object) {
            Some(holds) if holds == deciding => return Some(deciding),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(!deciding)
}

impl Wanted {
    fn of((name, syntax, _): Attribute, value: &[u8], view: &View<'_>) -> Option<Self> {
        let text = || std::str::from_utf8(value).ok();
        match syntax {
            Syntax::Text => Some(Self::Text(text()?.to_lowercase())),
            Syntax::Time => Some(Self::Text(text()?.to_lowercase())),
            Syntax::Number => Some(Self::Number(number(value)?)),
            Syntax::Octets => Some(Self::Octets(value.to_vec())),
            Syntax::Sid if value.starts_with(b"S-1-") => Some(Self::Text(text()?.to_lowercase())),
            Syntax::Sid => Some(Self::Octets(value.to_vec())),
            Syntax::Name if name == "objectCategory" && !value.contains(&b'=') => {
                let class = category(text()?)?;
                let head = &view.head;
                let full = format!("CN={class},CN=Schema,CN=Configuration,{head}");
                Some(Self::Text(full.to_lowercase()))
            }
            Syntax::Name => Some(Self::Text(Dn::parse(text()?)?.to_string().to_lowercase())),
        }
    }

    fn is(&self, syntax: Syntax, value: &[u8]) -> bool {
        match self {
            Self::Text(wanted) if syntax == Syntax::Sid => {
                sid_text(value).is_some_and(|text| text == *wanted)
            }
            Self::Text(wanted) => {
                value.eq_ignore_ascii_case(wanted.as_bytes())
                    || std::str::from_utf8(value).is_ok_and(|text| text.to_lowercase() == *wanted)
            }
            Self::Number(wanted) => number(value) == Some(*wanted),
            Self::Octets(wanted) => value == wanted,
        }
    }

    /// Returns how a value stands to this one.
    fn order(&self, value: &[u8]) -> Option<std::cmp::Ordering> {
        match self {
            Self::Text(wanted) => Some(std::str::from_utf8(value).ok()?.to_lowercase().cmp(wanted)),
            Self::Number(wanted) => Some(number(value)?.cmp(wanted)),
            Self::Octets(wanted) => Some(value.cmp(wanted)),
        }
    }
}

impl Part {
    fn of(part: &SubstringChoice) -> Option<Self> {
        let lower = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.to_lowercase());
        match part {
            SubstringChoice::Initial(text) => Some(Self::Initial(lower(text)?)),
            SubstringChoice::Any(text) => Some(Self::Any(lower(text)?)),
            SubstringChoice::Final(text) => Some(Self::Final(lower(text)?)),
            _ => None,
        }
    }
}

/// Tells whether the parts occur one after the other.
fn fit(parts: &[Part], value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else {
        return false;
    };
    let text = text.to_lowercase();
    let mut rest = text.as_str();
    for part in parts {
        let left = match part {
            Part::Initial(start) => rest.strip_prefix(start.as_str()),
            Part::Any(within) => rest.split_once(within.as_str()).map(|(_, left)| left),
            Part::Final(end) => rest.strip_suffix(end.as_str()).map(|_| ""),
        };
        match left {
            Some(left) => rest = left,
            None => return false,
        }
    }
    true
}

/// Returns the name in the schema of a class that a filter names shortly.
fn category(class: &str) -> Option<&'static str> {
    let classes = [
        ("computer", "Computer"),
        ("person", "Person"),
        ("user", "Person"),
        ("organizationalUnit", "Organizational-Unit"),
        ("domainDNS", "Domain-DNS"),
        ("container", "Container"),
        ("attributeSchema", "Attribute-Schema"),
    ];
    let mut known = classes.iter();
    known
        .find(|(name, _)| name.eq_ignore_ascii_case(class))
        .map(|(_, class)| *class)
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Writes a binary SID as text, in lower case.
fn sid_text(bytes: &[u8]) -> Option<String> {
    let (head, parts) = bytes.split_first_chunk::<8>()?;
    let mut text = format!("s-1-{}", head.last()?);
    for part in parts.chunks_exact(4) {
        let part: [u8; 4] = part.try_into().ok()?;
        text += &format!("-{}", u32::from_le_bytes(part));
    }
    Some(text)
}
