//! A domain with a directory, and `ldap3` as its client.

use std::collections::HashSet;
use std::sync::Arc;

use fleetmend_lab::domain::{Domain, Rights};
use fleetmend_lab::ldap::{LdapOptions, LdapServer};
use fleetmend_lab::{Answers, LabAuthority, Pace, ScriptRegistry, Shared};
use jiff::Timestamp;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Mod, SearchEntry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const HEAD: &str = "DC=corp,DC=example,DC=jp";
pub(crate) const DC: &str = "dc01.corp.example.jp";
pub(crate) const PASSWORD: &str = "正しい-Passw0rd";

/// One controller of a domain.
pub(crate) struct Bench {
    pub(crate) shared: Arc<Shared>,
    pub(crate) server: LdapServer,
    pub(crate) ca: String,
    cancel: CancellationToken,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A domain with a few computers and accounts of different rights.
pub(crate) fn domain() -> Domain {
    let mut domain = Domain::new("corp.example.jp", "CORP");
    let accounts = [
        (
            "svc-reset",
            Rights {
                reset: true,
                ..Rights::default()
            },
        ),
        (
            "svc-enable",
            Rights {
                enable: true,
                unlock: true,
                ..Rights::default()
            },
        ),
        (
            "svc-restore",
            Rights {
                restore: true,
                ..Rights::default()
            },
        ),
        (
            "svc-laps",
            Rights {
                laps: true,
                ..Rights::default()
            },
        ),
        (
            "svc-blind",
            Rights {
                blind: true,
                reset: true,
                ..Rights::default()
            },
        ),
        ("svc-none", Rights::default()),
    ];
    for (name, rights) in accounts {
        domain.create_user(name, PASSWORD, false);
        domain.user_mut(name).unwrap().rights = rights;
    }
    for number in 1..=5 {
        let name = format!("PC-{number:03}");
        domain.create_computer(&name, Timestamp::now());
        domain.place_computer(
            &name,
            &["端末", if number < 4 { "経理部" } else { "営業部" }],
        );
    }
    domain
}

pub(crate) async fn start(domain: Domain, options: LdapOptions) -> Bench {
    let authority = LabAuthority::new().unwrap();
    let names = [DC.to_owned(), "127.0.0.1".to_owned()];
    let scripts = ScriptRegistry::new(&[]);
    let shared = Arc::new(Shared::new(domain, scripts, Answers::default(), Pace::NONE));
    let cancel = CancellationToken::new();
    let server = LdapServer::start(
        DC,
        Arc::clone(&shared),
        authority.server(&names).unwrap(),
        options,
        (cancel.clone(), TaskTracker::new()),
    );
    Bench {
        shared,
        server: server.await.unwrap(),
        ca: authority.pem().to_owned(),
        cancel,
    }
}

pub(crate) async fn bench() -> Bench {
    start(domain(), LdapOptions::default()).await
}

impl Bench {
    fn tls(&self) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    async fn open(&self, url: &str, settings: LdapConnSettings) -> Ldap {
        let settings = settings.set_config(Arc::new(self.tls()));
        let (connection, ldap) = LdapConnAsync::with_settings(settings, url).await.unwrap();
        tokio::spawn(connection.drive());
        ldap
    }

    /// Connects over TLS; nobody is logged on.
    pub(crate) async fn connect(&self) -> Ldap {
        let url = format!("ldaps://{}", self.server.ldaps());
        self.open(&url, LdapConnSettings::new()).await
    }

    /// Connects without TLS, or with StartTLS.
    pub(crate) async fn connect_plain(&self, start_tls: bool) -> Ldap {
        let url = format!("ldap://{}", self.server.ldap());
        self.open(&url, LdapConnSettings::new().set_starttls(start_tls))
            .await
    }

    /// Connects and logs on.
    pub(crate) async fn log_on(&self, user: &str) -> Ldap {
        let mut ldap = self.connect().await;
        let name = format!("{user}@corp.example.jp");
        assert_eq!(ldap.simple_bind(&name, PASSWORD).await.unwrap().rc, 0);
        ldap
    }

    /// Returns every wrong password that was ever tried against an account.
    pub(crate) fn wrong_passwords(&self, user: &str) -> u32 {
        self.shared.domain().user(user).unwrap().bad_passwords_total
    }
}

pub(crate) fn entries(found: Vec<ldap3::ResultEntry>) -> Vec<SearchEntry> {
    let objects = found.into_iter().filter(|entry| !entry.is_ref());
    objects.map(SearchEntry::construct).collect()
}

/// Returns the first components of the names that came, sorted.
pub(crate) fn names(entries: &[SearchEntry]) -> Vec<String> {
    let first = |entry: &SearchEntry| entry.dn.split(',').next().unwrap().to_owned();
    let mut names: Vec<String> = entries.iter().map(first).collect();
    names.sort();
    names
}

/// Returns the value of `unicodePwd` for a password.
pub(crate) fn quoted(password: &str) -> Vec<u8> {
    let text = format!("\"{password}\"");
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub(crate) fn replace(attribute: &str, value: impl Into<Vec<u8>>) -> Mod<Vec<u8>> {
    Mod::Replace(attribute.as_bytes().to_vec(), HashSet::from([value.into()]))
}
