//! One HTTP/1 connection, one request at a time, everything bounded.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue,
    USER_AGENT,
};
use hyper::{Method, Request, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use crate::Limits;

/// Room for one answer's head; hyper reads bodies through the same buffer. A waiting
/// connection holds one of them, so it stays small; Windows' longest head is an NTLM challenge
/// of about one KiB.
const BUFFER: usize = 8 * 1024; // the least that hyper takes
/// Windows sends six headers.
const MAX_HEADERS: usize = 64;
/// Windows answers within our MaxEnvelopeSize of 150 KiB; newer ones may take theirs of 500.
const MAX_BODY: usize = 1024 * 1024;
/// How long a body may take after its head: 150 KiB at 30 kbit/s.
const BODY_TIME: Duration = Duration::from_secs(45);

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// No byte of the request left.
    #[error("the connection is closed")]
    NotSent,
    /// The connection broke.
    #[error("the connection was lost: {0}")]
    Lost(String),
    /// What came is not HTTP or beyond a cap.
    #[error("the answer is unacceptable: {0}")]
    Garbage(String),
    /// The peer stayed silent for longer than it may.
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    /// The caller's deadline passed.
    #[error("the time was over")]
    Deadline,
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// An answer, its body read to the end.
pub(crate) struct HttpAnswer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// Whether the peer ends the connection with this answer.
    pub(crate) closes: bool,
}

impl HttpAnswer {
    /// Returns the content type, empty where there is none.
    pub(crate) fn content_type(&self) -> &str {
        self.headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// What one POST carries.
pub(crate) struct Post {
    /// The body; may be empty.
    pub(crate) body: Vec<u8>,
    /// Its type.
    pub(crate) content_type: &'static str,
    /// The Authorization header, if any.
    pub(crate) authorization: Option<HeaderValue>,
    /// A further header, if any.
    pub(crate) extra: Option<(&'static str, &'static str)>,
}

/// The connection. Dropping it closes it, also in the middle of an answer.
pub(crate) struct Http {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
    host: HeaderValue,
}

impl Drop for Http {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Http {
    /// Takes a stream over; `host` is the value of the Host header.
    ///
    /// # Errors
    /// [`HttpError::Lost`].
    pub(crate) async fn over<S>(stream: S, host: HeaderValue) -> Result<Self, HttpError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .max_headers(MAX_HEADERS)
            .writev(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(lost)?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            driver: driver.abort_handle(),
            host,
        })
    }

    /// Sends one POST and reads the whole answer. The head must come within `patience`.
    ///
    /// # Errors
    /// After any error but [`HttpError::NotSent`] bytes may have left; the connection must be
    /// dropped after every error.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        post: Post,
        patience: Duration,
        limits: &Limits,
    ) -> Result<HttpAnswer, HttpError> {
        let ready = bounded(self.sender.ready(), patience, limits).await?;
        ready.map_err(|_| HttpError::NotSent)?;
        let request = self.request(path, post)?;
        let sent = bounded(self.sender.try_send_request(request), patience, limits).await?;
        let response = sent.map_err(|mut failed| match failed.take_message() {
            Some(_) => HttpError::NotSent,
            None => lost(failed.into_error()),
        })?;
        let (head, body) = response.into_parts();
        let closes = head.version != Version::HTTP_11 || says_close(&head.headers);
        let body = bounded(collect(body), BODY_TIME, limits).await??;
        Ok(HttpAnswer {
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            closes,
        })
    }

    fn request(&self, path: &str, post: Post) -> Result<Request<Full<Bytes>>, HttpError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, self.host.clone())
            .header(USER_AGENT, "fleetmend")
            .header(CONTENT_LENGTH, post.body.len())
            .header(CONTENT_TYPE, post.content_type);
        if let Some(authorization) = post.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some((name, value)) = post.extra {
            request = request.header(name, value);
        }
        request
            .body(Full::new(Bytes::from(post.body)))
            .map_err(|_| HttpError::NotSent)
    }
}

/// Waits for `work`, for as long as patience, deadline and cancel allow.
pub(crate) async fn bounded<T>(
    work: impl Future<Output = T>,
    patience: Duration,
    limits: &Limits,
) -> Result<T, HttpError> {
    let silent = Instant::now() + patience;
    let until = silent.min(limits.deadline);
    tokio::select! {
        biased;
        () = limits.cancel.cancelled() => Err(HttpError::Cancelled),
        done = timeout_at(until, work) => done.map_err(|_| {
            if until == silent { HttpError::Silent(patience) } else { HttpError::Deadline }
        }),
    }
}

async fn collect<B>(mut body: B) -> Result<Bytes, HttpError>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let too_large = || HttpError::Garbage(format!("it is larger than {MAX_BODY} bytes"));
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_BODY {
        return Err(too_large());
    }
    let mut whole = Vec::with_capacity(announced);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(lost)?.into_data() {
            if whole.len() + data.len() > MAX_BODY {
                return Err(too_large());
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(Bytes::from(whole))
}

fn says_close(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value.to_str().is_ok_and(|text| {
            text.split(',')
                .any(|word| word.trim().eq_ignore_ascii_case("close"))
        })
    })
}

fn lost(error: hyper::Error) -> HttpError {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    if error.is_parse() {
        HttpError::Garbage(text)
    } else {
        HttpError::Lost(text)
    }
}
