//! One SOAP exchange, from text to text, with the faults that were asked for.

use std::sync::atomic::Ordering;

use super::Action;
use super::counters::up;
use super::envelope::Request;
use super::fault::Fault;
use super::inject::{DropPoint, Nth};
use super::operations::{Caller, operate};
use super::options::QuotaForm;
use super::service::Winrm;

/// What goes back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) is_fault: bool,
    pub(crate) xml: String,
    /// Which exchange of its kind this was, for faults on the way back.
    pub(crate) nth: Nth,
    pub(crate) drop: Option<DropPoint>,
}

/// Carries out what an envelope asks; `None` if the connection is to be cut before that.
pub(crate) async fn exchange(winrm: &Winrm, caller: Caller<'_>, text: &str) -> Option<Answer> {
    let request = Request::read(text);
    let action = request
        .as_ref()
        .map_or(Action::Other, |request| request.action);
    let nth = Nth {
        action,
        number: winrm.counters().count(action),
    };
    let drop = winrm.options().faults.drop_at(action, nth.number);
    if drop == Some(DropPoint::BeforeRunning) {
        return None;
    }
    let (result, relates_to) = match &request {
        Ok(request) => (
            operate(winrm, caller, request).await,
            request.message_id.as_deref(),
        ),
        Err(fault) => (Err(fault.clone()), None),
    };
    let (is_fault, xml) = match result {
        Ok(xml) => (false, xml),
        Err(fault) => {
            up(&winrm.counters().faults_sent);
            (true, write_fault(winrm, &fault, relates_to, caller.address))
        }
    };
    Some(Answer {
        is_fault,
        xml,
        nth,
        drop,
    })
}

fn write_fault(winrm: &Winrm, fault: &Fault, relates_to: Option<&str>, address: &str) -> String {
    let options = winrm.options();
    let quota: QuotaForm = options.quota_form;
    fault.write(relates_to, host_of(address), options.language, quota)
}

/// Cuts `http://host:5985/wsman` to `host`.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Takes the shells that were swept off the count.
pub(crate) fn note_swept(winrm: &Winrm, closed: usize) {
    let closed = u64::try_from(closed).unwrap_or(0);
    winrm
        .counters()
        .shells_open
        .fetch_sub(closed, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn names_the_machine_as_the_client_did() {
        assert_eq!(host_of("http://127.0.0.1:5985/wsman"), "127.0.0.1");
        assert_eq!(
            host_of("https://pc-001.example.jp/wsman"),
            "pc-001.example.jp"
        );
        assert_eq!(host_of("http://[::1]:5985/wsman"), "[::1]");
    }
}
