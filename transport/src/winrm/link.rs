//! A logged-on connection: one operation at a time, each answer proven to belong to it.

use std::time::Duration;

use hyper::header::HeaderValue;

use super::answer::{self, AnswerError};
use super::envelope::{self, Operation, Unwritable};
use super::fault::Fault;
use super::http::{Http, HttpError, Post};
use super::multipart;
use super::ntlm::{NtlmContext, NtlmError};
use super::target::Target;
use super::xml::Element;
use crate::{ConnectError, Limits};

/// The content type of an unsealed envelope.
pub(crate) const SOAP_TYPE: &str = "application/soap+xml;charset=UTF-8";

/// By how much we wait longer than we let the PC wait: what a Receive carried and was given up
/// is gone.
const MARGIN: Duration = Duration::from_secs(15);

/// What protects the bodies.
pub(crate) enum Security {
    /// NTLM seals each.
    Sealed(Box<NtlmContext>),
    /// TLS; the connection was logged on with NTLM.
    Tls,
    /// TLS; each request carries the password.
    Basic(HeaderValue),
}

/// Why no genuine answer came. The connection is gone in every case.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    /// The request cannot be written; nothing left.
    #[error("the request cannot be written: {0}")]
    Unwritable(#[from] Unwritable),
    /// No connection came about; nothing left.
    #[error(transparent)]
    NoLink(Box<ConnectError>),
    /// See [`HttpError`].
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A bare status without an envelope: nobody signed it.
    #[error("HTTP {0} without an answer")]
    Status(u16),
    /// An unsealed answer to a sealed request.
    #[error("the answer is not sealed")]
    Unsealed,
    /// Sealing or unsealing failed.
    #[error(transparent)]
    Ntlm(#[from] NtlmError),
    /// The answer is not one to this request.
    #[error(transparent)]
    Answer(AnswerError),
}

impl ExchangeError {
    /// Tells whether certainly no byte of the request left.
    pub(crate) fn nothing_left(&self) -> bool {
        matches!(
            self,
            Self::Unwritable(_) | Self::NoLink(_) | Self::Http(HttpError::NotSent)
        )
    }
}

/// A genuine answer, and the connection where it can be used on.
pub(crate) struct Exchanged {
    /// The answer's body, or the service's refusal.
    pub(crate) reply: Result<Element, Fault>,
    /// The connection, unless the PC closes it.
    pub(crate) link: Option<Link>,
}

/// One connection with one security context.
pub(crate) struct Link {
    http: Http,
    security: Security,
}

impl Link {
    /// Takes over a connection that has been logged on.
    pub(crate) fn new(http: Http, security: Security) -> Self {
        Self { http, security }
    }

    /// Carries out one operation. The link is used up and only given back with a genuine
    /// answer, so that a connection out of step, or whose future was dropped in mid-exchange,
    /// cannot be used again.
    ///
    /// # Errors
    /// See [`ExchangeError::nothing_left`] for whether it may have been carried out.
    pub(crate) async fn exchange(
        mut self,
        target: &Target,
        operation: &Operation<'_>,
        timeout: Duration,
        limits: &Limits,
    ) -> Result<Exchanged, ExchangeError> {
        let request = envelope::write(operation, &target.url, target.session, timeout)?;
        let (message_id, plain) = (request.message_id, request.envelope.into_bytes());
        let (body, content_type, authorization) = match &mut self.security {
            Security::Sealed(context) => (context.seal(plain)?, multipart::CONTENT_TYPE, None),
            Security::Tls => (plain, SOAP_TYPE, None),
            Security::Basic(value) => (plain, SOAP_TYPE, Some(value.clone())),
        };
        let post = Post {
            body,
            content_type,
            authorization,
            extra: None,
        };
        let answer = self
            .http
            .post(&target.path, post, timeout + MARGIN, limits)
            .await?;
        let name = operation.name();
        tracing::debug!(address = %target.address, operation = name, status = answer.status, "answer");
        if answer.body.is_empty() || !matches!(answer.status, 200 | 400..=599) {
            return Err(ExchangeError::Status(answer.status));
        }
        let kind = answer.content_type();
        let opened = match &mut self.security {
            Security::Sealed(context) if multipart::is_sealed(kind) => {
                context.unseal(&answer.body)?
            }
            Security::Sealed(_) if answer.status == 200 || answer.status == 500 => {
                return Err(ExchangeError::Unsealed);
            }
            Security::Tls | Security::Basic(_) if is_soap(kind) => answer.body.to_vec(),
            _ => return Err(ExchangeError::Status(answer.status)),
        };
        let reply = match answer::open(&opened, operation, &message_id) {
            Ok(body) => Ok(body),
            Err(AnswerError::Fault(fault)) => Err(fault),
            Err(error) => return Err(ExchangeError::Answer(error)),
        };
        if reply.is_ok() && answer.status != 200 {
            return Err(ExchangeError::Status(answer.status));
        }
        if let Err(fault) = &reply {
            tracing::debug!(address = %target.address, operation = name, %fault, "refused");
        }
        Ok(Exchanged {
            reply,
            link: (!answer.closes).then_some(self),
        })
    }
}

fn is_soap(content_type: &str) -> bool {
    content_type
        .to_ascii_lowercase()
        .starts_with("application/soap+xml")
}
