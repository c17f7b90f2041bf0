//! Logging on: NTLM's three messages over one connection.

use std::time::Duration;

use base64::prelude::*;
use hyper::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::account::Account;
use super::http::{Http, HttpAnswer, HttpError, Post, bounded};
use super::link::{Link, Security};
use super::ntlm::{NtlmContext, NtlmError};
use super::target::{Proof, Target};
use crate::{ConnectError, DeniedWhy, Limits, UnreachableWhy};
use fleetmend_model::Secret;

/// Connections tried until one carries a logon through, before the password was judged.
const ATTEMPTS: u32 = 4;
/// How long one leg of the logon may take.
const LEG_TIME: Duration = Duration::from_secs(30);
/// An answer that asks for another connection is taken up after this, then twice this.
const PAUSE: Duration = Duration::from_millis(200);

/// Why one attempt ended.
enum Failure {
    /// The connection failed before the password was judged, or after it was accepted:
    /// another may be tried.
    Again(String),
    /// It is over.
    Final(ConnectError),
}

/// Connects and logs on.
///
/// # Errors
/// [`ConnectError::Unreachable`] only while the password has not been sent.
pub(crate) async fn connect(
    target: &Target,
    mut tcp: Option<TcpStream>,
    limits: &Limits,
) -> Result<Link, ConnectError> {
    let mut reason = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tracing::debug!(address = %target.address, attempt, reason, "connecting anew");
            let pause = sleep(PAUSE * attempt);
            bounded(pause, LEG_TIME, limits)
                .await
                .map_err(|error| target.failed(error))?;
        }
        let probed = tcp.is_some();
        let (http, binding) = match target.open(tcp.take(), limits).await {
            Ok(opened) => opened,
            // The prober's connection may have grown stale while the host waited its turn.
            Err(ConnectError::Unreachable { why, .. }) if probed => {
                reason = why.to_string();
                continue;
            }
            // A reset is seen here or with the first message, whichever comes first.
            Err(ConnectError::Unreachable {
                why: UnreachableWhy::Closed,
                source,
                ..
            }) => {
                reason = source.map_or_else(String::new, |source| source.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        let result = match &target.proof {
            Proof::Basic(value) => Ok(Link::new(http, Security::Basic(value.clone()))),
            Proof::Ntlm { account, password } => {
                ntlm(target, http, binding.as_deref(), account, password, limits).await
            }
            Proof::Anonymous => return Err(target.protocol("there is nobody to log on")),
        };
        match result {
            Ok(link) => return Ok(link),
            Err(Failure::Again(detail)) => reason = detail,
            Err(Failure::Final(error)) => return Err(error),
        }
    }
    Err(ConnectError::Unreachable {
        address: target.address.clone(),
        why: UnreachableWhy::Closed,
        source: Some(reason.into()),
    })
}

async fn ntlm(
    target: &Target,
    mut http: Http,
    binding: Option<&[u8]>,
    account: &Account,
    password: &Secret,
    limits: &Limits,
) -> Result<Link, Failure> {
    let broken = |error: NtlmError| Failure::Final(target.protocol(error.to_string()));
    let (mut context, first) = NtlmContext::begin(binding).map_err(broken)?;
    let answer = leg(target, &mut http, &first, limits)
        .await
        .map_err(|error| match error {
            HttpError::NotSent | HttpError::Lost(_) => Failure::Again(error.to_string()),
            error => Failure::Final(target.failed(error)),
        })?;
    let challenge = challenge(target, &answer)?;
    if answer.closes {
        return Err(Failure::Again(
            "the PC closes the connection during logon".to_owned(),
        ));
    }
    // A weak challenge ends here, before anything is derived from the password.
    let third = context
        .answer(&challenge, account, password)
        .map_err(broken)?;
    // Before: from here on the future may be dropped at any point.
    limits.mark.leaves();
    let answer = leg(target, &mut http, &third, limits)
        .await
        .map_err(|error| {
            Failure::Final(match error {
                HttpError::Cancelled => ConnectError::Cancelled,
                HttpError::NotSent => {
                    limits.mark.did_not_leave();
                    target.failed(error)
                }
                // It may have been judged: it is not sent again, and no other port is tried.
                error => target.protocol(format!("{error} after the password had been proven")),
            })
        })?;
    match answer.status {
        200..=299 => {
            limits.mark.accepted();
            target.judged(true);
        }
        401 => {
            target.judged(false);
            return Err(Failure::Final(denied(target)));
        }
        _ => return Err(Failure::Final(unexpected(target, &answer))),
    }
    if answer.closes {
        return Err(Failure::Again(
            "the PC closed the connection after the logon".to_owned(),
        ));
    }
    // Over TLS the bodies need no seal of their own.
    let security = if target.is_tls() {
        Security::Tls
    } else {
        Security::Sealed(Box::new(context))
    };
    Ok(Link::new(http, security))
}

/// Sends one message of the logon with an empty body: nothing may travel unsealed, and Windows
/// does not take a sealed body together with the third message.
async fn leg(
    target: &Target,
    http: &mut Http,
    token: &[u8],
    limits: &Limits,
) -> Result<HttpAnswer, HttpError> {
    let text = format!("Negotiate {}", BASE64_STANDARD.encode(token));
    let mut value = HeaderValue::from_str(&text).map_err(|_| HttpError::NotSent)?;
    value.set_sensitive(true);
    let post = Post {
        body: Vec::new(),
        content_type: super::link::SOAP_TYPE,
        authorization: Some(value),
        extra: None,
    };
    http.post(&target.path, post, LEG_TIME, limits).await
}

/// Takes the challenge out of the answer to the first message.
fn challenge(target: &Target, answer: &HttpAnswer) -> Result<Vec<u8>, Failure> {
    match answer.status {
        401 => {}
        503 => {
            return Err(Failure::Again(
                "the service is not available (503)".to_owned(),
            ));
        }
        _ => return Err(Failure::Final(unexpected(target, answer))),
    }
    let offers = offers(&answer.headers);
    let Some(negotiate) = offers.iter().find(|(scheme, _)| scheme == "negotiate") else {
        let names: Vec<_> = offers.iter().map(|(scheme, _)| scheme.as_str()).collect();
        return Err(Failure::Final(ConnectError::AccessDenied {
            address: target.address.clone(),
            user: target.user.clone(),
            why: DeniedWhy::NoCommonMethod,
            detail: format!("the PC offers [{}], not Negotiate", names.join(", ")),
        }));
    };
    if negotiate.1.is_empty() {
        return Err(if answer.closes {
            Failure::Again("the PC asks for another connection".to_owned())
        } else {
            Failure::Final(ConnectError::AccessDenied {
                address: target.address.clone(),
                user: target.user.clone(),
                why: DeniedWhy::NoCommonMethod,
                detail: "the PC offers Negotiate but does not take NTLM; it may be switched off \
                         by policy"
                    .to_owned(),
            })
        });
    }
    BASE64_STANDARD
        .decode(&negotiate.1)
        .map_err(|_| Failure::Final(target.protocol("the NTLM challenge is not base64")))
}

/// Returns the schemes of all WWW-Authenticate headers in lower case, each with its token;
/// several may stand in one header.
fn offers(headers: &HeaderMap) -> Vec<(String, String)> {
    let lines = headers.get_all(WWW_AUTHENTICATE);
    let texts = lines.iter().filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .filter_map(|offer| {
            let mut words = offer.split_whitespace();
            let scheme = words.next()?.to_ascii_lowercase();
            Some((scheme, words.next().unwrap_or_default().to_owned()))
        })
        .collect()
}

/// A 401 after the proof. Windows tells a network client no more than this, so the detail names
/// what an administrator can look at.
pub(crate) fn denied(target: &Target) -> ConnectError {
    ConnectError::AccessDenied {
        address: target.address.clone(),
        user: target.user.clone(),
        why: DeniedWhy::Logon,
        detail: "HTTP 401. Possible causes: a wrong password; the account is unknown, disabled, \
                 expired or locked out; for a local administrator other than the built-in one, \
                 LocalAccountTokenFilterPolicy is not 1; a policy denies network logon to local \
                 administrators (S-1-5-114)"
            .to_owned(),
    }
}

/// Any other status; a redirect is never followed.
pub(crate) fn unexpected(target: &Target, answer: &HttpAnswer) -> ConnectError {
    let what = match answer.status {
        300..=399 => " (a redirect, which is not followed)",
        404 => " (no WinRM under this path)",
        503 => " (the service is not available)",
        _ => "",
    };
    target.protocol(format!(
        "HTTP {}{what} in answer to the logon",
        answer.status
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offers_in_one_header_or_several() {
        let mut headers = HeaderMap::new();
        for value in ["Negotiate TlRM", "Basic realm=\"WSMAN\", Kerberos"] {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        let offers = offers(&headers);
        let schemes: Vec<_> = offers.iter().map(|(scheme, _)| scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "basic", "kerberos"]);
        assert_eq!(offers[0].1, "TlRM");
    }
}
