//! HTTP answers, in the headers that Windows sends.

use std::convert::Infallible;

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::{Response, StatusCode};
use tokio::time::sleep;

use super::Slow;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Answers with an envelope in clear.
pub(crate) fn soap(status: StatusCode, xml: String) -> Response<Body> {
    with_body(
        status,
        "application/soap+xml;charset=UTF-8",
        xml.into_bytes(),
    )
}

/// Answers without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Full::default().boxed_unsync());
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(SERVER, HeaderValue::from_static("Microsoft-HTTPAPI/2.0"));
    answer
}

/// Answers with a body.
pub(crate) fn with_body(
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
) -> Response<Body> {
    let mut answer = empty(status);
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *answer.body_mut() = Full::new(Bytes::from(body)).boxed_unsync();
    answer
}

/// Ends the connection after this answer.
pub(crate) fn closing(mut answer: Response<Body>) -> Response<Body> {
    answer
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Lets the body out in pieces.
pub(crate) fn trickle(answer: &mut Response<Body>, slow: Slow) {
    let body = std::mem::replace(answer.body_mut(), Full::default().boxed_unsync());
    let pieces = futures::stream::once(body.collect()).flat_map(move |whole| {
        let bytes = whole.map_or_else(|never| match never {}, |whole| whole.to_bytes());
        futures::stream::unfold(bytes, move |mut rest| async move {
            if rest.is_empty() {
                return None;
            }
            sleep(slow.every).await;
            let piece = rest.split_to(slow.bytes.clamp(1, rest.len()));
            Some((Ok(Frame::data(piece)), rest))
        })
    });
    *answer.body_mut() = StreamBody::new(pieces).boxed_unsync();
}
