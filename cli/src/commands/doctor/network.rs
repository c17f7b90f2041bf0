//! Whether names resolve and ports answer.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fleetmend_engine::connect_failure;
use fleetmend_model::{Host, HostName};
use fleetmend_transport::{Limits, probe};
use futures::StreamExt as _;
use tokio::net::lookup_host;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::finding::Finding;
use crate::statement::pcs_named;

/// How many are asked at once.
const AT_ONCE: usize = 256;
/// How long a name may take.
const NAME: Duration = Duration::from_secs(5);

/// Looks every name up.
pub(super) async fn names(hosts: &[Arc<Host>]) -> Finding {
    let named = hosts
        .iter()
        .filter(|host| host.address.parse::<IpAddr>().is_err());
    let all: Vec<&Arc<Host>> = named.collect();
    let count = all.len();
    let unknown: Vec<HostName> = futures::stream::iter(all)
        .map(|host| async move {
            let found = timeout(NAME, lookup_host((host.address.as_str(), 0))).await;
            let found = found.is_ok_and(|all| all.is_ok_and(|mut all| all.next().is_some()));
            (!found).then(|| host.name.clone())
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(|name| async { name })
        .collect()
        .await;
    if count == 0 {
        return Finding::ok("names", "none to look up: all are addresses");
    }
    if unknown.is_empty() {
        return Finding::ok("names", format!("{count} resolve"));
    }
    Finding::warning(
        "names",
        format!(
            "do not resolve, of {count}: {}",
            pcs_named(unknown.iter().collect())
        ),
    )
    .then("check them in the inventory and in DNS, or give addresses: address: 10.0.0.7")
}

/// Asks the ports that a run would use.
pub(super) async fn ports(hosts: &[Arc<Host>], connect: Duration) -> Vec<Finding> {
    let answers: Vec<(HostName, Result<u16, &'static str>)> = futures::stream::iter(hosts)
        .map(|host| async move {
            let limits = Limits::within(connect, &CancellationToken::new());
            let port = probe(host, &limits).await;
            let port = port.map_err(|error| connect_failure::code(&error));
            (host.name.clone(), port)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut open: BTreeMap<u16, usize> = BTreeMap::new();
    let mut closed: BTreeMap<&str, Vec<&HostName>> = BTreeMap::new();
    for (name, answer) in &answers {
        match answer {
            Ok(port) => *open.entry(*port).or_default() += 1,
            Err(why) => closed.entry(why).or_default().push(name),
        }
    }
    let mut findings = Vec::new();
    if !open.is_empty() {
        let each = open.iter().map(|(port, pcs)| format!("{port} on {pcs}"));
        let each: Vec<String> = each.collect();
        findings.push(Finding::ok(
            "ports",
            format!("of {} PCs asked: {}", hosts.len(), each.join(", ")),
        ));
    }
    for (why, mut names) in closed {
        names.sort();
        let found = format!("{why}, of {} PCs asked: {}", hosts.len(), pcs_named(names));
        let finding = if open.is_empty() {
            Finding::failed("ports", found)
        } else {
            Finding::warning("ports", found)
        };
        findings.push(finding.then(connect_failure::advice(why)));
    }
    findings
}
