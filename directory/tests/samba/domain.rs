//! The Samba domain that tests/run started, and an administrator who prepares and inspects it
//! without the code under test.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fleetmend_directory::{ActionRequest, ActiveDirectory, Limit, Settings, Trust};
use fleetmend_model::{Credential, DirectoryAction, HostName, Secret};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, Mod, Scope, SearchEntry};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::proxy::Proxy;

pub(crate) struct Domain {
    folder: PathBuf,
    pub(crate) name: String,
    pub(crate) netbios: String,
    pub(crate) base: String,
    pub(crate) ou: String,
    pub(crate) dc: String,
    pub(crate) address: String,
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) admin_password: String,
    pub(crate) service_password: String,
}

/// The domain, or a visible word that there is none.
pub(crate) fn domain(test: &str) -> Option<Domain> {
    let of = |name: &str| std::env::var(format!("FLEETMEND_SAMBA_{name}"));
    if of("DIR").is_err() {
        println!("SKIPPED: {test} because no Samba domain was started (tests/run does)");
        return None;
    }
    let of = |name: &str| of(name).unwrap();
    let read = |name: &str| std::fs::read_to_string(of(name)).unwrap();
    Some(Domain {
        folder: of("DIR").into(),
        name: of("DOMAIN"),
        netbios: of("NETBIOS"),
        base: of("BASE"),
        ou: of("OU"),
        dc: of("DC"),
        address: of("DC_ADDRESS"),
        ca: of("CA").into(),
        certificate: of("CERTIFICATE").into(),
        admin_password: read("ADMIN_PASSWORD_FILE").trim_end().to_owned(),
        service_password: read("SERVICE_PASSWORD_FILE").trim_end().to_owned(),
    })
}

impl Domain {
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::new(&self.name);
        settings.servers = vec![self.dc.parse().unwrap()];
        settings.trust = Trust::CaFile(self.ca.clone());
        settings
    }

    pub(crate) fn open(&self, user: &str, password: &str) -> ActiveDirectory {
        ActiveDirectory::new(self.settings(), credential(user, password))
    }

    /// One of the delegated accounts.
    pub(crate) fn service(&self, user: &str) -> ActiveDirectory {
        self.open(user, &self.service_password)
    }

    /// As [`Domain::service`], through a proxy. The certificate is pinned: its name is not the
    /// proxy's.
    pub(crate) async fn through_proxy(&self, user: &str) -> (ActiveDirectory, Arc<Proxy>) {
        let (proxy, address) = Proxy::start(format!("{}:636", self.address)).await;
        let mut settings = self.settings();
        settings.servers = vec![address.to_string().parse().unwrap()];
        settings.trust = self.pin();
        let account = credential(user, &self.service_password);
        (ActiveDirectory::new(settings, account), proxy)
    }

    /// Trusts exactly the controller's certificate.
    pub(crate) fn pin(&self) -> Trust {
        let shown = CertificateDer::from_pem_file(&self.certificate).unwrap();
        let digest = Sha256::digest(&shown);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hex}").parse().unwrap()
    }

    /// Runs a command on the domain controller.
    pub(crate) fn on_controller(&self, command: &[&str]) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/samba/domain");
        let run = std::process::Command::new(script)
            .arg("exec")
            .arg(&self.folder)
            .arg("dc1")
            .args(command)
            .output()
            .unwrap();
        assert!(run.status.success(), "{command:?}: {run:?}");
    }

    pub(crate) async fn admin(&self) -> Admin {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.ca).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let settings = LdapConnSettings::new().set_config(Arc::new(config));
        let url = format!("ldaps://{}", self.dc);
        let (connection, mut ldap) = LdapConnAsync::with_settings(settings, &url).await.unwrap();
        tokio::spawn(connection.drive());
        let name = format!("administrator@{}", self.name);
        let bound = ldap.simple_bind(&name, &self.admin_password).await;
        bound.unwrap().success().unwrap();
        Admin {
            ldap,
            ou: self.ou.clone(),
        }
    }
}

pub(crate) fn credential(user: &str, password: &str) -> Credential {
    Credential {
        user: user.to_owned(),
        password: Secret::new(password.to_owned()),
        ssh: None,
    }
}

pub(crate) fn limit() -> Limit {
    Limit::within(Duration::from_secs(60), &CancellationToken::new())
}

pub(crate) fn request(action: DirectoryAction, params: Value) -> ActionRequest {
    let Value::Object(params) = params else {
        panic!("no object")
    };
    ActionRequest {
        host: HostName("受付-1".to_owned()),
        action,
        params,
        deadline: Duration::from_secs(60),
        cancel: CancellationToken::new(),
    }
}

/// A name that no other test and no other run has.
pub(crate) fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{stem}{:x}-{next}", std::process::id() & 0xffff)
}

/// An administrator who speaks LDAP without the code under test.
#[derive(Clone)]
pub(crate) struct Admin {
    ldap: Ldap,
    ou: String,
}

impl Admin {
    /// Adds a computer to the test unit and returns its distinguished name.
    pub(crate) async fn computer(&mut self, name: &str, more: &[(&str, &str)]) -> String {
        let dn = format!("CN={name},{}", self.ou);
        let account = format!("{name}$");
        let mut values = vec![("objectClass", "computer"), ("sAMAccountName", &account)];
        values.extend(more);
        if !more.iter().any(|(name, _)| *name == "userAccountControl") {
            values.push(("userAccountControl", "4096"));
        }
        self.add(&dn, &values).await;
        dn
    }

    pub(crate) async fn user(&mut self, name: &str, password: &str) -> String {
        let dn = format!("CN={name},{}", self.ou);
        self.add(&dn, &[("objectClass", "user"), ("sAMAccountName", name)])
            .await;
        let quoted: Vec<u8> = format!("\"{password}\"")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        self.set_bytes(&dn, "unicodePwd", &quoted).await;
        self.set(&dn, "userAccountControl", "512").await;
        dn
    }

    pub(crate) async fn add(&mut self, dn: &str, values: &[(&str, &str)]) {
        let mut attributes: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (name, value) in values {
            attributes.entry(name).or_default().insert(value);
        }
        let added = self.ldap.add(dn, attributes.into_iter().collect()).await;
        added.unwrap().success().unwrap();
    }

    pub(crate) async fn set(&mut self, dn: &str, name: &str, value: &str) {
        self.set_bytes(dn, name, value.as_bytes()).await;
    }

    pub(crate) async fn set_bytes(&mut self, dn: &str, name: &str, value: &[u8]) {
        let change = Mod::Replace(name.as_bytes(), HashSet::from([value]));
        let done = self.ldap.modify(dn, vec![change]).await;
        done.unwrap().success().unwrap();
    }

    pub(crate) async fn delete(&mut self, dn: &str) {
        self.ldap.delete(dn).await.unwrap().success().unwrap();
    }

    pub(crate) async fn text(&mut self, dn: &str, name: &str) -> Option<String> {
        let found = self
            .ldap
            .search(dn, Scope::Base, "(objectClass=*)", vec![name])
            .await;
        let (entries, _) = found.unwrap().success().unwrap();
        let entry = SearchEntry::construct(entries.into_iter().next().unwrap());
        entry
            .attrs
            .get(name)
            .and_then(|values| values.first().cloned())
    }

    /// The object's SID, by LDAP's own way to write one.
    pub(crate) async fn sid(&mut self, dn: &str) -> String {
        let found = self
            .ldap
            .search(dn, Scope::Base, "(objectClass=*)", vec!["objectSid"])
            .await;
        let (entries, _) = found.unwrap().success().unwrap();
        let entry = SearchEntry::construct(entries.into_iter().next().unwrap());
        let bytes = &entry.bin_attrs["objectSid"][0];
        let part = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let parts = (8..bytes.len()).step_by(4).map(part);
        parts.fold("S-1-5".to_owned(), |text, part| format!("{text}-{part}"))
    }

    pub(crate) async fn number(&mut self, dn: &str, name: &str) -> i64 {
        self.text(dn, name).await.unwrap().parse().unwrap()
    }

    pub(crate) async fn lockout_threshold(&mut self, domain: &Domain) -> u32 {
        let threshold = self.number(&domain.base, "lockoutThreshold").await;
        u32::try_from(threshold).unwrap()
    }

    /// Tries a password and returns the LDAP result.
    pub(crate) async fn bind(&mut self, domain: &Domain, user: &str, password: &str) -> u32 {
        let mut other = domain.admin().await.ldap;
        other.simple_bind(user, password).await.unwrap().rc
    }
}
