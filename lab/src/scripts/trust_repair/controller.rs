//! What diagnose tells of the domain controller: found, reached, how far its clock is.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::domain::DomainController;
use crate::scripts::StepContext;
use crate::secure_channel;
use crate::win32;

const PORTS: [u16; 7] = [53, 88, 135, 389, 445, 464, 636];

/// WSAHOST_NOT_FOUND: the name does not resolve.
const HOST_NOT_FOUND: u32 = 11001;

/// WSAETIMEDOUT: nobody answers.
const TIMED_OUT: u32 = 10060;

const SOCKET_ERROR: &str = "System.Net.Sockets.SocketException";

/// Returns the parts `dc` and `clock`. A PC in no domain asks for nothing.
pub(super) fn look(context: &StepContext<'_>, errors: &mut Vec<Value>) -> (Value, Value) {
    if context.pc.domain.is_none() {
        return (part(None, None, None, None, None), clock(None));
    }
    let requested = context
        .text("domain_controller")
        .map(str::to_ascii_lowercase);
    // The script takes an address for found, whoever has it.
    let address = requested
        .as_deref()
        .and_then(|name| name.parse::<IpAddr>().ok());
    let found = match (&requested, address) {
        (_, Some(address)) => {
            let mut controllers = context.domain.controllers.iter();
            controllers.find(|dc| IpAddr::from(dc.address) == address)
        }
        (Some(name), None) => context.domain.controller(name),
        (None, None) => secure_channel::locate(context.pc, context.domain),
    };
    let error = match (found, &requested) {
        (Some(_), _) => win32::OK,
        (None, Some(_)) if address.is_some() => win32::OK,
        (None, Some(_)) => {
            errors.push(failure("locate", HOST_NOT_FOUND));
            HOST_NOT_FOUND
        }
        (None, None) => win32::NO_SUCH_DOMAIN,
    };
    let open = found
        .map(|dc| secure_channel::reaches(context.pc, dc))
        .or(address.map(|_| false));
    if open == Some(false) {
        errors.push(failure("clock", TIMED_OUT));
    }
    let offset = (open == Some(true)).then_some(context.pc.clock_offset_ms);
    let site = Some(context.pc.site.as_str());
    (
        part(requested, Some(error), found, open, site),
        clock(offset),
    )
}

fn failure(probe: &str, code: u32) -> Value {
    json!({ "probe": probe, "code": code, "error_id": SOCKET_ERROR })
}

/// `error` is `None` where nothing was asked; `open` tells whether the ports accept.
fn part(
    requested: Option<String>,
    error: Option<u32>,
    found: Option<&DomainController>,
    open: Option<bool>,
    site: Option<&str>,
) -> Value {
    let ports: Map<String, Value> = PORTS
        .iter()
        .map(|port| (format!("tcp_{port}"), json!(open)))
        .collect();
    let name = requested
        .clone()
        .or_else(|| found.map(|dc| dc.dns_name.to_ascii_lowercase()));
    let asked_address = requested
        .clone()
        .filter(|name| name.parse::<IpAddr>().is_ok());
    json!({
        "requested": requested,
        "located": error.map(|code| code == win32::OK),
        "error": error,
        "name": name,
        "address": found.map(|dc| dc.address.to_string()).or(asked_address),
        "site": site,
        "ports": ports,
    })
}

fn clock(offset_ms: Option<i64>) -> Value {
    json!({
        "offset_seconds": offset_ms.map(|ms| ms as f64 / 1000.0),
        "source": offset_ms.map(|_| "sntp"),
    })
}
