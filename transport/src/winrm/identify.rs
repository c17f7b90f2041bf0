//! Identify: who answers, asked without logging on.

use std::time::Duration;

use fleetmend_model::WinrmSettings;
use tokio::net::TcpStream;

use super::endpoint::Endpoint;
use super::http::Post;
use super::link::SOAP_TYPE;
use super::target::Target;
use super::xml::{Element, IDENTITY, SOAP};
use crate::{ConnectError, Limits};

const ANSWER_TIME: Duration = Duration::from_secs(15);

/// What a WinRM service says of itself before a logon. Nobody vouches for it over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The protocol's namespace; WS-Management's for every WinRM.
    pub protocol: String,
    /// `Microsoft Corporation`.
    pub vendor: String,
    /// `OS: 0.0.0 SP: 0.0 Stack: 3.0`: Windows hides its version until one has logged on.
    pub version: String,
}

/// Asks a listener whether it is WinRM, in one exchange and without any credential.
///
/// # Errors
/// See [`ConnectError`]: `Protocol` when something else answers.
pub async fn identify(
    endpoint: &Endpoint,
    tcp: Option<TcpStream>,
    settings: &WinrmSettings,
    limits: &Limits,
) -> Result<Identity, ConnectError> {
    let target = Target::anonymous(endpoint, settings).await?;
    let (mut http, _) = target.open(tcp, limits).await?;
    let post = Post {
        body: request().into_bytes(),
        content_type: SOAP_TYPE,
        authorization: None,
        extra: Some(("WSMANIDENTIFY", "unauthenticated")),
    };
    let answer = http
        .post(&target.path, post, ANSWER_TIME, limits)
        .await
        .map_err(|error| target.failed(error))?;
    if answer.status != 200 {
        return Err(target.protocol(format!("HTTP {} in answer to Identify", answer.status)));
    }
    read(&answer.body).map_err(|detail| target.protocol(detail))
}

fn request() -> String {
    format!(
        "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:i=\"{IDENTITY}\"><s:Header/><s:Body><i:Identify/>\
         </s:Body></s:Envelope>"
    )
}

/// Reads the answer.
pub(crate) fn read(document: &[u8]) -> Result<Identity, String> {
    let root = Element::parse(document).map_err(|error| error.to_string())?;
    let response = root
        .child(SOAP, "Body")
        .and_then(|body| body.child(IDENTITY, "IdentifyResponse"))
        .ok_or("the answer does not identify anything")?;
    let text = |name| {
        let element = response.child(IDENTITY, name);
        element
            .map(|element| element.trimmed().chars().take(200).collect())
            .unwrap_or_default()
    };
    Ok(Identity {
        protocol: text("ProtocolVersion"),
        vendor: text("ProductVendor"),
        version: text("ProductVersion"),
    })
}
