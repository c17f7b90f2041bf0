//! Strict reading of XML into a small tree: no DTD, no entities of one's own, caps on depth,
//! elements and attributes, namespaces resolved (never compared by prefix).

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};

/// SOAP 1.2.
pub(crate) const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing of August 2004.
pub(crate) const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
/// WS-Transfer.
pub(crate) const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
/// WS-Management of the DMTF.
pub(crate) const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
/// Microsoft's extensions to WS-Management.
pub(crate) const WSMAN_MS: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
/// Remote shells, [MS-WSMV] 2.2.4.
pub(crate) const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
/// Microsoft's detail of a fault.
pub(crate) const FAULT: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault";
/// The other detail of a fault, in place of [`FAULT`] with some quotas.
pub(crate) const WMI_ERROR: &str =
    "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError";
/// Identify.
pub(crate) const IDENTITY: &str = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd";

const KNOWN: [&str; 9] = [
    SOAP, ADDRESSING, TRANSFER, WSMAN, WSMAN_MS, SHELL, FAULT, WMI_ERROR, IDENTITY,
];

/// Windows' deepest answer, a fault within a fault, has ten levels.
const MAX_DEPTH: usize = 32;
/// Windows' widest answer seen has 27 streams.
const MAX_ELEMENTS: usize = 10_000;
/// Windows' envelope declares eight namespaces.
const MAX_ATTRIBUTES: usize = 40;

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XmlError {
    /// Not well-formed.
    #[error("the XML is broken: {0}")]
    Broken(String),
    /// Not UTF-8.
    #[error("the XML is not UTF-8")]
    Encoding,
    /// It declares a document type or uses an entity that XML itself does not define.
    #[error("the XML declares a document type or entities")]
    Dtd,
    /// Beyond a cap.
    #[error("the XML has more than {cap} {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The cap.
        cap: usize,
    },
}

/// One element with everything below it.
#[derive(Debug, Default)]
pub(crate) struct Element {
    /// One of the namespaces known here, else empty.
    pub(crate) namespace: &'static str,
    /// The local name.
    pub(crate) name: String,
    /// Attributes without a namespace: local name and value.
    pub(crate) attributes: Vec<(String, String)>,
    /// Elements below, in order.
    pub(crate) children: Vec<Self>,
    /// The element's own character data, joined.
    pub(crate) text: String,
}

impl Element {
    /// Reads a whole document.
    ///
    /// # Errors
    /// See [`XmlError`]; the first offence ends the reading.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, XmlError> {
        let text = std::str::from_utf8(document).map_err(|_| XmlError::Encoding)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut reader = NsReader::from_str(text);
        reader
            .resolver_mut()
            .set_max_namespace_bindings(MAX_ATTRIBUTES * 2);
        let mut builder = Builder::default();
        loop {
            let event = reader
                .read_event()
                .map_err(|error| XmlError::Broken(error.to_string()))?;
            match event {
                Event::Start(start) => builder.open(&start, reader.resolver())?,
                Event::Empty(start) => {
                    builder.open(&start, reader.resolver())?;
                    builder.close()?;
                }
                Event::End(_) => builder.close()?,
                Event::Text(text) => builder.text(&text.xml10_content())?,
                Event::CData(text) => builder.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref() {
                        Ok(Some(character)) => character.to_string(),
                        Ok(None) => predefined(&reference)?.to_owned(),
                        Err(error) => return Err(XmlError::Broken(error.to_string())),
                    };
                    builder.text(&resolved)?;
                }
                Event::DocType(_) => return Err(XmlError::Dtd),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::Eof => return builder.finish(),
            }
        }
    }

    /// Tells whether this is the element of that name.
    pub(crate) fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// Returns the first child of that name.
    pub(crate) fn child(&self, namespace: &str, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.is(namespace, name))
    }

    /// Returns the descendant at the end of a path of names in one namespace.
    pub(crate) fn path(&self, namespace: &str, names: &[&str]) -> Option<&Self> {
        names
            .iter()
            .try_fold(self, |element, name| element.child(namespace, name))
    }

    /// Returns the first descendant of that name, itself included, depth first.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<&Self> {
        if self.is(namespace, name) {
            return Some(self);
        }
        self.children
            .iter()
            .find_map(|child| child.find(namespace, name))
    }

    /// Returns the value of an attribute without a namespace.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the text without white space around it.
    pub(crate) fn trimmed(&self) -> &str {
        self.text.trim()
    }

    /// Returns all text below, for showing.
    pub(crate) fn all_text(&self) -> String {
        let mut text = self.text.trim().to_owned();
        for child in &self.children {
            let below = child.all_text();
            if !text.is_empty() && !below.is_empty() {
                text.push(' ');
            }
            text.push_str(&below);
        }
        text
    }
}

fn predefined(name: &str) -> Result<&'static str, XmlError> {
    match name {
        "lt" => Ok("<"),
        "gt" => Ok(">"),
        "amp" => Ok("&"),
        "apos" => Ok("'"),
        "quot" => Ok("\""),
        _ => Err(XmlError::Dtd),
    }
}

#[derive(Default)]
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Builder {
    fn open(&mut self, start: &BytesStart<'_>, names: &NamespaceResolver) -> Result<(), XmlError> {
        if self.root.is_some() {
            return Err(XmlError::Broken("a second root element".to_owned()));
        }
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(XmlError::TooMuch {
                what: "elements",
                cap: MAX_ELEMENTS,
            });
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(XmlError::TooMuch {
                what: "levels",
                cap: MAX_DEPTH,
            });
        }
        let (namespace, local) = names.resolve_element(start.name());
        let mut element = Element {
            namespace: known(&namespace)?,
            name: local.as_ref().to_owned(),
            ..Element::default()
        };
        for (count, attribute) in start.attributes().enumerate() {
            if count >= MAX_ATTRIBUTES {
                return Err(XmlError::TooMuch {
                    what: "attributes",
                    cap: MAX_ATTRIBUTES,
                });
            }
            let attribute = attribute.map_err(|error| XmlError::Broken(error.to_string()))?;
            if attribute.key.prefix().is_none() {
                let value = attribute
                    .normalized_value(quick_xml::XmlVersion::Implicit1_0)
                    .map_err(|error| XmlError::Broken(error.to_string()))?;
                element
                    .attributes
                    .push((attribute.key.as_ref().to_owned(), value.into_owned()));
            }
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let Some(element) = self.open.pop() else {
            return Err(XmlError::Broken("an end tag too many".to_owned()));
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::Broken("text outside the root element".to_owned())),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, XmlError> {
        if !self.open.is_empty() {
            return Err(XmlError::Broken("the document ends early".to_owned()));
        }
        self.root
            .ok_or_else(|| XmlError::Broken("no root element".to_owned()))
    }
}

fn known(namespace: &ResolveResult<'_>) -> Result<&'static str, XmlError> {
    match namespace {
        ResolveResult::Bound(bound) => {
            let uri: &str = bound.as_ref();
            Ok(KNOWN.into_iter().find(|known| *known == uri).unwrap_or(""))
        }
        ResolveResult::Unbound => Ok(""),
        ResolveResult::Unknown(prefix) => Err(XmlError::Broken(format!(
            "the prefix {prefix:?} is not bound"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_names_by_namespace_whatever_the_prefix() {
        let document = format!(
            "<?xml version='1.0'?>\n<e:Envelope xmlns:e='{SOAP}'><Body xmlns='{SOAP}' a='1 &amp; 2'>\
             x<!-- c -->&lt;&#x79;<![CDATA[<z>]]></Body></e:Envelope>"
        );
        let root = Element::parse(document.as_bytes()).unwrap();
        assert!(root.is(SOAP, "Envelope"));
        let body = root.child(SOAP, "Body").unwrap();
        assert_eq!(body.attribute("a"), Some("1 & 2"));
        assert_eq!(body.text, "x<y<z>");
    }

    #[test]
    fn refuses_what_is_not_strict() {
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        let wide = format!(
            "<a {}/>",
            (0..100).map(|n| format!("a{n}='1' ")).collect::<String>()
        );
        let many = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        for (document, wanted) in [
            ("<!DOCTYPE a><a/>", "document type"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
            ("<a>&nbsp;</a>", "document type"),
            (deep.as_str(), "levels"),
            (wide.as_str(), "attributes"),
            (many.as_str(), "elements"),
            ("<a><b></a></b>", "broken"),
            ("<a/><a/>", "second root"),
            ("<a>", "early"),
            ("", "no root"),
            ("<a/>text", "outside"),
            ("<p:a/>", "not bound"),
            ("<a b='1' b='2'/>", "broken"),
            ("<html><p></html>", "broken"),
        ] {
            let error = Element::parse(document.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{document:.60}: {error}");
        }
        assert!(matches!(
            Element::parse(b"<a>\xff</a>"),
            Err(XmlError::Encoding)
        ));
    }
}
