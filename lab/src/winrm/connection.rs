//! One HTTP connection: its logon belongs to it and ends with it.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::counters::up;
use super::exchange::{Answer, exchange};
use super::http::{Body, closing, empty, soap, trickle, with_body};
use super::inject::DropPoint;
use super::operations::Caller;
use super::service::Winrm;
use super::{basic, framing, reply};
use crate::ntlm::{Acceptor, Sealing, Step, TargetNames};

/// The longest body that is read at all.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// How long after an answer a connection is cut that is to be cut then.
const AFTER_ANSWER: std::time::Duration = std::time::Duration::from_millis(50);

/// The connection is to end without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut on purpose, or the client's body broke off")]
pub(crate) struct Cut;

/// The server's end of a connection.
pub(crate) struct Connection {
    winrm: Arc<Winrm>,
    peer: SocketAddr,
    /// Present on TLS connections.
    binding: Option<[u8; 16]>,
    cut: CancellationToken,
    logon: Logon,
}

enum Logon {
    None,
    Underway(Box<Acceptor>),
    Negotiate {
        user: String,
        sealing: Option<Box<Sealing>>,
    },
    Basic {
        user: String,
        header: HeaderValue,
    },
}

/// What the headers of a request mean for the logon.
enum Check {
    /// Logged on; these headers go with the answer.
    Passed(Option<String>),
    /// Answer this instead.
    Answer(Response<Body>),
}

impl Connection {
    pub(crate) fn new(
        winrm: Arc<Winrm>,
        peer: SocketAddr,
        binding: Option<[u8; 16]>,
        cut: CancellationToken,
    ) -> Self {
        Self {
            winrm,
            peer,
            binding,
            cut,
            logon: Logon::None,
        }
    }

    /// Answers one request.
    pub(crate) async fn handle(
        &mut self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Cut> {
        let half = self.winrm.options().faults.latency / 2;
        if !half.is_zero() {
            sleep(half).await;
        }
        let answer = self.answer(request).await;
        if !half.is_zero() {
            sleep(half).await;
        }
        answer
    }

    async fn answer(&mut self, request: Request<Incoming>) -> Result<Response<Body>, Cut> {
        up(&self.winrm.counters().http_requests);
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|_| Cut)?
            .to_bytes();
        if self.winrm.busy().take() {
            return Ok(empty(StatusCode::SERVICE_UNAVAILABLE));
        }
        if !head
            .uri
            .path()
            .trim_end_matches('/')
            .eq_ignore_ascii_case("/wsman")
        {
            return Ok(closing(empty(StatusCode::NOT_FOUND)));
        }
        if head.method != Method::POST {
            let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(closing(answer));
        }
        if is_anonymous_identify(&head.headers, &body) {
            return Ok(soap(StatusCode::OK, reply::identify(None)));
        }
        let token = match self.check(&head.headers) {
            Check::Answer(answer) => return Ok(answer),
            Check::Passed(token) => token,
        };
        let mut answer = if body.is_empty() {
            empty(StatusCode::OK)
        } else {
            self.operate(&head.headers, &body).await?
        };
        if let Some(value) = token.and_then(|token| HeaderValue::try_from(token).ok()) {
            answer.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        Ok(answer)
    }

    /// Finds out who sends this, or what is to be answered to find it out.
    fn check(&mut self, headers: &HeaderMap) -> Check {
        let Some(value) = headers.get(AUTHORIZATION) else {
            return match self.logon {
                Logon::Negotiate { .. } => Check::Passed(None),
                _ => Check::Answer(self.unauthorized()),
            };
        };
        if matches!(&self.logon, Logon::Basic { header, .. } if header == value) {
            return Check::Passed(None);
        }
        let Some((scheme, rest)) = value.to_str().ok().and_then(|value| value.split_once(' '))
        else {
            return Check::Answer(self.refused());
        };
        if scheme.eq_ignore_ascii_case("Negotiate") {
            self.negotiate(rest)
        } else if scheme.eq_ignore_ascii_case("Basic") && self.offers_basic() {
            self.basic(rest, value)
        } else {
            Check::Answer(self.unauthorized())
        }
    }

    fn negotiate(&mut self, token: &str) -> Check {
        let mut acceptor = match std::mem::replace(&mut self.logon, Logon::None) {
            Logon::Underway(acceptor) => acceptor,
            _ => Box::new(self.acceptor()),
        };
        let Ok(token) = STANDARD.decode(token.trim()) else {
            return Check::Answer(self.refused());
        };
        match acceptor.accept(&token, self.winrm.as_ref()) {
            Ok(Step::Continue(token)) => {
                self.logon = Logon::Underway(acceptor);
                let mut answer = empty(StatusCode::UNAUTHORIZED);
                let value = format!("Negotiate {}", STANDARD.encode(token));
                if let Ok(value) = HeaderValue::try_from(value) {
                    answer.headers_mut().insert(WWW_AUTHENTICATE, value);
                }
                Check::Answer(answer)
            }
            Ok(Step::Done { .. }) if self.winrm.options().faults.always_401 => {
                Check::Answer(self.refused())
            }
            Ok(Step::Done {
                token,
                identity,
                sealing,
            }) => {
                up(&self.winrm.counters().logons_accepted);
                self.winrm.pc().note_logon(&identity.user, true);
                self.logon = Logon::Negotiate {
                    user: identity.user,
                    sealing,
                };
                Check::Passed(token.map(|token| format!("Negotiate {}", STANDARD.encode(token))))
            }
            Err(error) => {
                tracing::debug!(%error, "logon refused");
                if let Some(user) = error.spent_password_of() {
                    self.winrm.pc().note_logon(user, false);
                }
                Check::Answer(self.refused())
            }
        }
    }

    fn acceptor(&self) -> Acceptor {
        let names = TargetNames {
            computer: self.winrm.pc().computer_name(),
            domain: self.winrm.domain().cloned(),
        };
        Acceptor::new(
            names,
            self.binding,
            self.winrm.options().channel_binding_required,
        )
    }

    fn basic(&mut self, value: &str, header: &HeaderValue) -> Check {
        self.logon = Logon::None;
        let Some((user, password)) = basic::credentials(value) else {
            return Check::Answer(self.refused());
        };
        let name = user
            .rsplit_once('\\')
            .map_or(user.as_str(), |(_, name)| name)
            .to_owned();
        let right = self
            .winrm
            .pc()
            .password_of(&name)
            .is_some_and(|right| right == password);
        if self.winrm.options().faults.always_401 {
            return Check::Answer(self.refused());
        }
        self.winrm.pc().note_logon(&name, right);
        if !right {
            return Check::Answer(self.refused());
        }
        up(&self.winrm.counters().logons_accepted);
        self.logon = Logon::Basic {
            user: name,
            header: header.clone(),
        };
        Check::Passed(None)
    }

    fn offers_basic(&self) -> bool {
        self.binding.is_some() && self.winrm.options().basic
    }

    /// Refuses a logon that was tried.
    fn refused(&mut self) -> Response<Body> {
        up(&self.winrm.counters().logons_refused);
        self.unauthorized()
    }

    /// Asks for a logon. A recorded host closes the connection with that answer.
    fn unauthorized(&mut self) -> Response<Body> {
        self.logon = Logon::None;
        let mut answer = empty(StatusCode::UNAUTHORIZED);
        let headers = answer.headers_mut();
        headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Negotiate"));
        if self.offers_basic() {
            headers.append(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"WSMAN\""),
            );
        }
        closing(answer)
    }

    /// Opens the body, does what it asks and seals the answer.
    async fn operate(&mut self, headers: &HeaderMap, body: &[u8]) -> Result<Response<Body>, Cut> {
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let sealed = content_type.is_some_and(framing::is_sealed);
        let text = if sealed {
            let Some(text) = self.unseal(body) else {
                up(&self.winrm.counters().unseal_failures);
                self.logon = Logon::None;
                return Ok(closing(empty(StatusCode::BAD_REQUEST)));
            };
            text
        } else if self.binding.is_none() {
            // AllowUnencrypted is false.
            up(&self.winrm.counters().unsealed_refused);
            return Ok(empty(StatusCode::INTERNAL_SERVER_ERROR));
        } else {
            String::from_utf8_lossy(body).into_owned()
        };
        let (Logon::Negotiate { user, .. } | Logon::Basic { user, .. }) = &self.logon else {
            return Ok(self.unauthorized());
        };
        let host = headers
            .get(HOST)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("localhost");
        let scheme = if self.binding.is_some() {
            "https"
        } else {
            "http"
        };
        let address = format!("{scheme}://{host}/wsman");
        let client = self.peer.ip().to_string();
        let user = bare_name(user);
        let caller = Caller {
            user,
            address: &address,
            client: &client,
        };
        let answer = exchange(&self.winrm, caller, &text).await.ok_or(Cut)?;
        self.send(answer, sealed)
    }

    fn unseal(&mut self, body: &[u8]) -> Option<String> {
        let Logon::Negotiate {
            sealing: Some(sealing),
            ..
        } = &mut self.logon
        else {
            return None;
        };
        let message = framing::read(body)?;
        let mut text = message.cipher.to_vec();
        match sealing.unseal(message.signature, &mut text) {
            Ok(()) => String::from_utf8(text).ok(),
            Err(error) => {
                tracing::debug!(%error, "could not open a sealed request");
                None
            }
        }
    }

    fn send(&mut self, answer: Answer, sealed: bool) -> Result<Response<Body>, Cut> {
        let faults = &self.winrm.options().faults;
        match answer.drop {
            Some(DropPoint::BeforeAnswering) => return Err(Cut),
            Some(DropPoint::AfterAnswering) => {
                let cut = self.cut.clone();
                tokio::spawn(async move {
                    sleep(AFTER_ANSWER).await;
                    cut.cancel();
                });
            }
            _ => {}
        }
        let (clear, spoilt) = (
            faults.unsealed_answer == Some(answer.nth),
            faults.wrong_signature == Some(answer.nth),
        );
        let status = if answer.is_fault {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::OK
        };
        let mut response = match &mut self.logon {
            Logon::Negotiate {
                sealing: Some(sealing),
                ..
            } if sealed && !clear => {
                let mut bytes = answer.xml.into_bytes();
                let mut signature = sealing.seal(&mut bytes);
                if spoilt && let Some(byte) = signature.get_mut(5) {
                    *byte ^= 0xff;
                }
                let form = self.winrm.options().mime_form;
                let body = framing::write(&signature, &bytes, form);
                with_body(status, framing::CONTENT_TYPE, body)
            }
            _ => soap(status, answer.xml),
        };
        if let Some(slow) = faults.slow {
            trickle(&mut response, slow);
        }
        Ok(response)
    }
}

/// Cuts `DOMAIN\user` and `user@realm` to `user`.
fn bare_name(user: &str) -> &str {
    let user = user.rsplit_once('\\').map_or(user, |(_, user)| user);
    user.split_once('@').map_or(user, |(user, _)| user)
}

/// Windows answers an Identify with this header before any logon.
fn is_anonymous_identify(headers: &HeaderMap, body: &[u8]) -> bool {
    headers
        .get("WSMANIDENTIFY")
        .is_some_and(|value| value == "unauthenticated")
        && std::str::from_utf8(body)
            .ok()
            .and_then(|text| super::envelope::Request::read(text).ok())
            .is_some_and(|request| request.action == super::Action::Identify)
}
