//! What a controller says of itself to anybody ([MS-ADTS] 3.1.1.3.2).

use jiff::Timestamp;

use crate::domain::{Domain, DomainController};
use crate::ldap::control::{DOMAIN_SCOPE, PAGED_RESULTS, SD_FLAGS, SHOW_DELETED, SHOW_RECYCLED};
use crate::ldap::dn::Dn;
use crate::ldap::value::{Values, generalized, text, texts};

/// `StartTLS` (RFC 4511 section 4.14).
pub(super) const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// "Who am I?" (RFC 4532).
pub(super) const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";

/// Returns everything, by the names of the attributes.
pub(super) fn attributes(
    domain: &Domain,
    controller: &DomainController,
    now: Timestamp,
) -> Vec<(&'static str, Values)> {
    let head = Dn::of_domain(&domain.dns_name);
    let configuration = head.child("CN", "Configuration");
    let schema = configuration.child("CN", "Schema");
    let host = controller.dns_name.split('.').next().unwrap_or_default();
    let name = host.to_uppercase();
    let sites = configuration
        .child("CN", "Sites")
        .child("CN", "Default-First-Site-Name");
    let server = sites.child("CN", "Servers").child("CN", &name);
    vec![
        ("currentTime", generalized(now)),
        ("subschemaSubentry", text(schema.child("CN", "Aggregate"))),
        ("dsServiceName", text(server.child("CN", "NTDS Settings"))),
        ("serverName", text(&server)),
        ("namingContexts", texts([&head, &configuration, &schema])),
        ("defaultNamingContext", text(&head)),
        ("rootDomainNamingContext", text(&head)),
        ("configurationNamingContext", text(&configuration)),
        ("schemaNamingContext", text(&schema)),
        ("dnsHostName", text(&controller.dns_name)),
        (
            "ldapServiceName",
            text(format!(
                "{0}:{host}$@{1}",
                domain.dns_name,
                domain.dns_name.to_uppercase()
            )),
        ),
        ("highestCommittedUSN", text(domain.usn)),
        ("isSynchronized", text("TRUE")),
        ("isGlobalCatalogReady", text("TRUE")),
        ("domainFunctionality", text(7)),
        ("forestFunctionality", text(7)),
        ("domainControllerFunctionality", text(7)),
        ("supportedLDAPVersion", texts(["3", "2"])),
        (
            "supportedControl",
            texts([
                PAGED_RESULTS,
                SHOW_DELETED,
                SHOW_RECYCLED,
                SD_FLAGS,
                DOMAIN_SCOPE,
            ]),
        ),
        ("supportedExtension", texts([START_TLS, WHO_AM_I])),
        // LDAP_CAP_ACTIVE_DIRECTORY_OID, …_V51_OID, …_V61_OID
        (
            "supportedCapabilities",
            texts([
                "1.2.840.113556.1.4.800",
                "1.2.840.113556.1.4.1670",
                "1.2.840.113556.1.4.1935",
            ]),
        ),
    ]
}
