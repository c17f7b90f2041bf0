//! What a controller says of itself before anybody logs on ([MS-ADTS] 3.1.1.3.2).

use jiff::Timestamp;

use crate::entry::Entry;

/// What a controller says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct RootDse {
    pub(crate) dns_host_name: Option<String>,
    pub(crate) default_naming_context: Option<String>,
    pub(crate) configuration_naming_context: Option<String>,
    pub(crate) schema_naming_context: Option<String>,
    pub(crate) current_time: Option<Timestamp>,
    pub(crate) synchronized: Option<bool>,
    pub(crate) read_only: bool,
    pub(crate) active_directory: bool,
}

impl RootDse {
    /// The attributes to ask for.
    pub(crate) const ATTRIBUTES: &[&str] = &[
        "dnsHostName",
        "defaultNamingContext",
        "configurationNamingContext",
        "schemaNamingContext",
        "currentTime",
        "isSynchronized",
        "supportedCapabilities",
    ];

    pub(crate) fn read(entry: &Entry) -> Self {
        let text = |name| entry.text(name).map(str::to_owned);
        let capabilities = entry.texts("supportedCapabilities").unwrap_or_default();
        let can = |oid: &str| capabilities.iter().any(|capability| capability == oid);
        Self {
            dns_host_name: text("dnsHostName").map(|name| name.to_lowercase()),
            default_naming_context: text("defaultNamingContext"),
            configuration_naming_context: text("configurationNamingContext"),
            schema_naming_context: text("schemaNamingContext"),
            current_time: entry.generalized("currentTime"),
            synchronized: entry.truth("isSynchronized"),
            // LDAP_CAP_ACTIVE_DIRECTORY_PARTIAL_SECRETS_OID, LDAP_CAP_ACTIVE_DIRECTORY_OID
            read_only: can("1.2.840.113556.1.4.1920"),
            active_directory: can("1.2.840.113556.1.4.800"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_read_only_controller() {
        let entry = Entry::of(
            "",
            &[
                ("dnsHostName", b"DC1.Corp.Example.JP"),
                ("supportedCapabilities", b"1.2.840.113556.1.4.800"),
                ("supportedCapabilities", b"1.2.840.113556.1.4.1920"),
                ("isSynchronized", b"FALSE"),
                ("currentTime", b"20261122170325.0Z"),
            ],
        );
        let root = RootDse::read(&entry);
        assert!(root.read_only && root.active_directory);
        assert_eq!(root.synchronized, Some(false));
        assert_eq!(root.dns_host_name.unwrap(), "dc1.corp.example.jp");
        assert_eq!(
            root.current_time.unwrap().to_string(),
            "2026-11-22T17:03:25Z"
        );
        assert!(!RootDse::read(&Entry::default()).active_directory);
    }
}
