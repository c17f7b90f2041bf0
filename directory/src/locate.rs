//! Where a domain's controllers are.

use hickory_resolver::Resolver;
use hickory_resolver::proto::rr::RData;
use rand::Rng;

use crate::DirectoryError;

/// One SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    priority: u16,
    weight: u16,
    host: String,
}

/// Asks DNS for the domain's controllers, best first.
///
/// DNS is not trusted: a name outside the domain is left out, for with the system's roots any
/// host on earth could prove such a name and would be sent our password. The records' port is
/// that of LDAP without TLS and is not used.
pub(crate) async fn controllers(domain: &str) -> Result<Vec<String>, DirectoryError> {
    let name = format!("_ldap._tcp.dc._msdcs.{domain}.");
    let failed = |why: String| DirectoryError::NoController {
        domain: domain.to_owned(),
        why: format!("{name}: {why}"),
    };
    let resolver = Resolver::builder_tokio()
        .and_then(|builder| builder.build())
        .map_err(|error| failed(error.to_string()))?;
    let answer = resolver.srv_lookup(name.as_str()).await.map_err(|error| {
        // Its own words for the first two are meant for programmers.
        failed(if error.is_nx_domain() {
            "DNS knows no such name".to_owned()
        } else if error.is_no_records_found() {
            "DNS has no SRV record of that name".to_owned()
        } else {
            error.to_string()
        })
    })?;
    let services = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                host: srv.target.to_utf8().trim_end_matches('.').to_lowercase(),
            }),
            _ => None,
        });
    let (inside, outside): (Vec<_>, Vec<_>) =
        services.partition(|service| belongs(&service.host, domain));
    if inside.is_empty() {
        let names: Vec<_> = outside.into_iter().map(|service| service.host).collect();
        return Err(failed(if names.is_empty() {
            "no record".to_owned()
        } else {
            format!(
                "it names only hosts outside the domain ({}); name the controllers yourself",
                names.join(", ")
            )
        }));
    }
    Ok(ordered(inside, |below| rand::rng().random_range(0..=below)))
}

fn belongs(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
}

/// Orders by priority, and within one by chance in proportion to the weights.
fn ordered(mut services: Vec<Service>, mut up_to: impl FnMut(u32) -> u32) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    // Those of weight 0 come first so that they have a small chance, as the RFC asks.
    services.sort_by_key(|service| (service.priority, service.weight));
    while let Some(priority) = services.first().map(|service| service.priority) {
        let same = services
            .iter()
            .filter(|service| service.priority == priority);
        let drawn = up_to(same.map(|service| u32::from(service.weight)).sum());
        let mut sum = 0;
        let at = services.iter().position(|service| {
            sum += u32::from(service.weight);
            sum >= drawn
        });
        let host = services.remove(at.unwrap_or(0)).host;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(priority: u16, weight: u16, host: &str) -> Service {
        Service {
            priority,
            weight,
            host: host.to_owned(),
        }
    }

    #[test]
    fn lower_priority_first_and_heavier_more_often() {
        let all = vec![
            service(10, 0, "c"),
            service(0, 100, "a"),
            service(0, 0, "b"),
            service(0, 100, "a"),
        ];
        assert_eq!(ordered(all.clone(), |_| 0), ["b", "a", "c"]);
        assert_eq!(ordered(all, |below| below), ["a", "b", "c"]);
    }

    #[test]
    fn takes_only_hosts_of_the_domain() {
        assert!(belongs("dc1.corp.example.jp", "corp.example.jp"));
        assert!(belongs("dc1.site.corp.example.jp", "corp.example.jp"));
        for other in [
            "corp.example.jp",
            "dc1.evilcorp.example.jp",
            "dc1.example",
            "",
        ] {
            assert!(!belongs(other, "corp.example.jp"), "{other}");
        }
    }

    proptest! {
        #[test]
        fn loses_nobody(weights: Vec<(u8, u16)>, seed: u32) {
            let all: Vec<_> = weights
                .iter()
                .enumerate()
                .map(|(at, (priority, weight))| {
                    service(u16::from(*priority), *weight, &at.to_string())
                })
                .collect();
            let hosts = ordered(all, |below| if below == 0 { 0 } else { seed % (below + 1) });
            prop_assert_eq!(hosts.len(), weights.len());
            let of = |host: &String| weights[host.parse::<usize>().unwrap()].0;
            prop_assert!(hosts.iter().map(of).is_sorted());
        }
    }
}
