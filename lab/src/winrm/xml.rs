//! Requests as a small tree. They are short and bounded, so a tree is simplest.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// Deeper than any request nests.
const MAX_DEPTH: usize = 32;
/// More than any request has.
const MAX_ELEMENTS: usize = 4096;

/// Why a text is not taken as XML.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    /// It is malformed.
    #[error("parse the XML")]
    Malformed(#[from] quick_xml::Error),
    /// An attribute is malformed.
    #[error("parse an attribute")]
    Attribute(#[from] quick_xml::events::attributes::AttrError),
    /// A document type or an entity of its own.
    #[error("accept a document type or an entity")]
    Entity,
    /// Too deep, too many elements, or not one root.
    #[error("accept the shape of the XML")]
    Shape,
}

/// An element with its namespace resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Namespace URI, empty for none.
    pub(crate) namespace: String,
    /// Local name.
    pub(crate) name: String,
    /// Local names and values.
    pub(crate) attributes: Vec<(String, String)>,
    /// Elements inside.
    pub(crate) children: Vec<Element>,
    /// The text inside, pieces joined.
    pub(crate) text: String,
}

impl Element {
    /// Reads a document.
    pub(crate) fn parse(text: &str) -> Result<Self, XmlError> {
        let mut reader = NsReader::from_str(text);
        let mut open: Vec<Self> = vec![Self::default()];
        let mut count = 0;
        loop {
            let (namespace, event) = reader.read_resolved_event()?;
            match event {
                Event::Start(ref start) | Event::Empty(ref start) => {
                    count += 1;
                    if open.len() > MAX_DEPTH || count > MAX_ELEMENTS {
                        return Err(XmlError::Shape);
                    }
                    let element = Self::from_start(start, &namespace)?;
                    if matches!(event, Event::Empty(_)) {
                        push(&mut open, element)?;
                    } else {
                        open.push(element);
                    }
                }
                Event::End(_) => {
                    let element = open.pop().ok_or(XmlError::Shape)?;
                    push(&mut open, element)?;
                }
                Event::Text(text) => append(&mut open, &text.xml10_content()),
                Event::CData(text) => append(&mut open, &text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let text = match (reference.resolve_char_ref()?, &*reference) {
                        (Some(letter), _) => letter,
                        (None, "lt") => '<',
                        (None, "gt") => '>',
                        (None, "amp") => '&',
                        (None, "quot") => '"',
                        (None, "apos") => '\'',
                        _ => return Err(XmlError::Entity),
                    };
                    append(&mut open, text.encode_utf8(&mut [0; 4]));
                }
                Event::DocType(_) => return Err(XmlError::Entity),
                Event::Eof => break,
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            }
        }
        let mut document = open
            .pop()
            .filter(|_| open.is_empty())
            .ok_or(XmlError::Shape)?;
        let root = document.children.pop().ok_or(XmlError::Shape)?;
        if document.children.is_empty() {
            Ok(root)
        } else {
            Err(XmlError::Shape)
        }
    }

    fn from_start(start: &BytesStart<'_>, namespace: &ResolveResult<'_>) -> Result<Self, XmlError> {
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.into_inner().to_owned(),
            ResolveResult::Unbound => String::new(),
            ResolveResult::Unknown(_) => return Err(XmlError::Shape),
        };
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0)?;
            attributes.push((
                attribute.key.local_name().into_inner().to_owned(),
                value.into_owned(),
            ));
        }
        Ok(Self {
            namespace,
            name: start.local_name().into_inner().to_owned(),
            attributes,
            ..Self::default()
        })
    }

    /// Returns the first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns all children of that name.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Returns the attribute of that local name.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the trimmed text of a child.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

fn push(open: &mut [Element], element: Element) -> Result<(), XmlError> {
    open.last_mut()
        .ok_or(XmlError::Shape)?
        .children
        .push(element);
    Ok(())
}

fn append(open: &mut [Element], text: &str) {
    // Outside the root there is only white space.
    if open.len() > 1
        && let Some(element) = open.last_mut()
    {
        element.text.push_str(text);
    }
}

/// Writes text so that it may stand between tags or in an attribute.
pub(crate) fn escape(text: &str) -> std::borrow::Cow<'_, str> {
    quick_xml::escape::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_text_and_references() {
        let root = Element::parse(
            r#"<?xml version="1.0"?><a:x xmlns:a="urn:a"><y k="1 &amp; 2">&lt;日本&#x21;</y></a:x>"#,
        )
        .unwrap();
        assert_eq!(
            (root.namespace.as_str(), root.name.as_str()),
            ("urn:a", "x")
        );
        let child = root.child("y").unwrap();
        assert_eq!(
            (child.attribute("k"), child.text.as_str()),
            (Some("1 & 2"), "<日本!")
        );
    }

    #[test]
    fn refuses_tricks() {
        assert!(matches!(
            Element::parse("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
            Err(XmlError::Entity)
        ));
        assert!(matches!(
            Element::parse("<a>&b;</a>"),
            Err(XmlError::Entity)
        ));
        assert!(matches!(
            Element::parse(&"<a>".repeat(50)),
            Err(XmlError::Shape)
        ));
        for wrong in ["", "<a/><b/>", "<a>", "<p:a/>", "plain"] {
            assert!(Element::parse(wrong).is_err(), "{wrong}");
        }
    }
}
