//! A request, out of its envelope ([MS-WSMV] 2.2.4, DSP0226).

use std::collections::HashMap;
use std::time::Duration;

use super::Action;
use super::duration;
use super::fault::Fault;
use super::xml::Element;

const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
const IDENTITY: &str = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd";

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) action: Action,
    pub(crate) action_uri: String,
    pub(crate) message_id: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) shell_id: Option<String>,
    /// `OperationTimeout`; the text is kept if it cannot be read.
    pub(crate) timeout: Option<Result<Duration, String>>,
    pub(crate) max_envelope: Option<usize>,
    pub(crate) options: HashMap<String, String>,
    /// The one element inside `Body`, if any.
    pub(crate) body: Option<Element>,
}

impl Request {
    /// Reads an envelope.
    ///
    /// # Errors
    /// A fault that is to be sent.
    pub(crate) fn read(text: &str) -> Result<Self, Fault> {
        let mut envelope = Element::parse(text).map_err(|_| Fault::Schema)?;
        if envelope.name != "Envelope" || envelope.namespace != SOAP {
            return Err(Fault::Schema);
        }
        let at = envelope
            .children
            .iter()
            .position(|child| child.name == "Body");
        let body = envelope
            .children
            .remove(at.ok_or(Fault::Schema)?)
            .children
            .into_iter()
            .next();
        let header = envelope.child("Header").ok_or(Fault::Schema)?;
        let text = |name: &str| header.text_of(name).map(str::to_owned);
        let identify = body
            .as_ref()
            .is_some_and(|body| body.name == "Identify" && body.namespace == IDENTITY);
        let action_uri = text("Action").unwrap_or_default();
        let action = if identify {
            Action::Identify
        } else {
            Action::from_uri(&action_uri)
        };
        let mut options = HashMap::new();
        for option in header
            .child("OptionSet")
            .iter()
            .flat_map(|set| set.named("Option"))
        {
            let name = option
                .attribute("Name")
                .unwrap_or_default()
                .to_ascii_uppercase();
            options.insert(name, option.text.trim().to_owned());
        }
        let shell_id = header
            .child("SelectorSet")
            .iter()
            .flat_map(|set| set.named("Selector"))
            .find(|selector| selector.attribute("Name") == Some("ShellId"))
            .map(|selector| selector.text.trim().to_ascii_uppercase());
        Ok(Self {
            action,
            action_uri,
            message_id: text("MessageID"),
            to: text("To"),
            resource: text("ResourceURI"),
            shell_id,
            timeout: header
                .text_of("OperationTimeout")
                .map(|text| duration::parse(text).ok_or_else(|| text.to_owned())),
            max_envelope: header
                .text_of("MaxEnvelopeSize")
                .and_then(|text| text.parse().ok()),
            options,
            body,
        })
    }

    /// Tells whether an option is set (`True`, `TRUE` and `1` all occur).
    pub(crate) fn has(&self, option: &str) -> bool {
        self.options
            .get(option)
            .is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    /// Returns the body, which must be of that name.
    pub(crate) fn body(&self, name: &str) -> Result<&Element, Fault> {
        self.body
            .as_ref()
            .filter(|body| body.name == name)
            .ok_or(Fault::Schema)
    }
}
