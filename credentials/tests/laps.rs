//! LAPS per PC, against the lab's directory over real LDAPS.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use fleetmend_credentials::sources::LapsSource;
use fleetmend_credentials::{AnsibleVault, Found, Source, SourceError, Subject};
use fleetmend_directory::{ActiveDirectory, Limit, Settings, Trust};
use fleetmend_lab::{DOMAIN, InventoryFiles, Lab, LabOptions, LabPc, Mix, PcPlan, Scenario};
use fleetmend_model::{Credential, Host, Secret};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

struct Fleet {
    lab: Lab,
    directory: Arc<ActiveDirectory>,
    _ca: tempfile::TempPath,
}

impl Fleet {
    async fn start(pcs: usize) -> Self {
        let lab = Lab::start(LabOptions {
            own_local_passwords: true,
            mix: Mix::All(PcPlan::new(Scenario::Healthy)),
            ..LabOptions::new(pcs, Vec::new())
        })
        .await
        .unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, lab.ca_pem().as_bytes()).unwrap();
        let ca = file.into_temp_path();
        let directory = Self::open(&lab, &ca, lab.laps_credential());
        Self {
            lab,
            directory,
            _ca: ca,
        }
    }

    fn open(lab: &Lab, ca: &std::path::Path, account: &Credential) -> Arc<ActiveDirectory> {
        let mut settings = Settings::new(DOMAIN);
        let addresses = lab.controllers().iter();
        let addresses = addresses.map(|server| server.ldaps().to_string());
        settings.servers = addresses.map(|address| address.parse().unwrap()).collect();
        settings.trust = Trust::CaFile(ca.to_path_buf());
        Arc::new(ActiveDirectory::new(settings, account.clone()))
    }

    fn source(&self, older: u32, computer: Option<String>) -> LapsSource {
        LapsSource::new(Arc::clone(&self.directory), older, computer)
    }

    async fn fetch(&self, host: &Host, older: u32) -> Result<Found, SourceError> {
        let source = self.source(older, None);
        source.fetch(Subject::Host(host), &limit()).await
    }

    /// Changes what LAPS keeps for the first PC; tells its host.
    fn keep(&self, change: impl FnOnce(&mut fleetmend_lab::domain::LapsValues)) -> (Host, &LabPc) {
        let pc = &self.lab.pcs()[0];
        let short = pc.name.split('.').next().unwrap();
        let mut domain = self.lab.shared().domain();
        change(&mut domain.computer_mut(short).unwrap().laps);
        (Host::new(&pc.name), pc)
    }
}

fn limit() -> Limit {
    Limit::within(Duration::from_secs(20), &CancellationToken::new())
}

fn json(account: &str, password: &str) -> Option<Secret> {
    let kept = serde_json::json!({"n": account, "t": "1d8161b41c41cde", "p": password});
    Some(Secret::new(kept.to_string()))
}

#[tokio::test]
async fn each_pc_is_given_its_own_password_and_the_account_that_laps_names() {
    let fleet = Fleet::start(9).await;
    let mut seen = std::collections::BTreeSet::new();
    for (index, pc) in fleet.lab.pcs().iter().enumerate() {
        let found = fleet.fetch(&Host::new(&pc.name), 0).await.unwrap();
        assert_eq!(found.password, pc.local.password, "{}", pc.name);
        assert!(seen.insert(found.password.reveal().to_owned()));
        // The legacy one names none.
        let account = if index % 4 == 0 {
            r".\Administrator"
        } else {
            r".\fleetadmin"
        };
        assert_eq!(found.user.as_deref(), Some(account));
        // It is the one that opens the PC, and the lab's shared one does not.
        let machine = pc.sim.machine();
        assert_eq!(
            machine.password_of("fleetadmin"),
            Some(found.password.reveal())
        );
        assert_ne!(found.password, fleet.lab.local_credential().password);
    }
}

#[tokio::test]
async fn the_inventory_says_which_computer_a_pc_is() {
    let fleet = Fleet::start(2).await;
    let [first, second] = [0, 1].map(|index| &fleet.lab.pcs()[index]);
    let short = |pc: &LabPc| pc.name.split('.').next().unwrap().to_uppercase();
    let mut alias = Host::new("受付-01");
    "192.0.2.7".clone_into(&mut alias.address);
    alias
        .vars
        .insert("computer_name".to_owned(), short(second).into());
    let found = fleet.fetch(&alias, 0).await.unwrap();
    assert_eq!(found.password, second.local.password);
    // By its address, where the name is no computer's.
    let mut by_address = Host::new("受付-02");
    by_address.address.clone_from(&first.name);
    let found = fleet.fetch(&by_address, 0).await.unwrap();
    assert_eq!(found.password, first.local.password);
    // The name that `laps: {computer: …}` gives.
    let source = fleet.source(0, Some(short(second)));
    let subject = Subject::Host(&by_address);
    let found = source.fetch(subject, &limit()).await.unwrap();
    assert_eq!(found.password, second.local.password);
    // It is that computer's alone: what was read for it serves no other question.
    let found = fleet.fetch(&by_address, 0).await.unwrap();
    assert_eq!(found.password, first.local.password);

    let error = fleet.fetch(&Host::new("pc-999"), 0).await.unwrap_err();
    assert!(error.absent, "{error:?}");
    assert!(error.why.contains("has no computer pc-999"), "{error}");
    assert!(error.next.contains("computer_name"), "{error:?}");
    let error = fleet.fetch(&Host::new("192.0.2.9"), 0).await.unwrap_err();
    assert!(
        !error.absent && error.why.contains("only an IP address"),
        "{error}"
    );
}

#[tokio::test]
async fn a_password_from_before_is_read_when_it_is_wanted() {
    let fleet = Fleet::start(2).await;
    let (host, _) = fleet.keep(|laps| {
        laps.legacy = Some(Secret::new("older-ひみつ".to_owned()));
        laps.clear = json("管理者", "newer");
    });
    let newer = fleet.fetch(&host, 0).await.unwrap();
    assert_eq!(newer.password.reveal(), "newer");
    assert_eq!(newer.user.as_deref(), Some(r".\管理者"));
    // Another computer's is another's, for the same PC, too.
    let second = &fleet.lab.pcs()[1];
    let short = second.name.split('.').next().unwrap().to_owned();
    let source = fleet.source(0, Some(short));
    let others = source.fetch(Subject::Host(&host), &limit()).await.unwrap();
    assert_eq!(others.password, second.local.password);
    let older = fleet.fetch(&host, 1).await.unwrap();
    assert_eq!(older.password.reveal(), "older-ひみつ");
    // What LAPS keeps now counts.
    fleet.keep(|laps| laps.clear = json("管理者", "rotated"));
    let fresh = fleet.fetch(&host, 0).await.unwrap();
    assert_eq!(fresh.password.reveal(), "rotated");
    fleet.keep(|laps| laps.legacy = None);
    let gone = fleet.fetch(&host, 1).await.unwrap_err();
    assert!(gone.absent && gone.why.contains("only encrypted"), "{gone}");
    let none = fleet.fetch(&host, 2).await.unwrap_err();
    assert!(none.absent, "{none}");
}

/// A computer writes its own attributes.
#[tokio::test]
async fn no_pc_chooses_an_account_that_is_not_its_own() {
    let fleet = Fleet::start(1).await;
    for name in [
        r"CORP\svc-repair",
        "svc-repair@corp.example.jp",
        "CORP/svc-repair",
        "a\u{0}b",
        "行\n",
        " . ",
        "",
    ] {
        let (host, _) = fleet.keep(|laps| laps.clear = json(name, "canary"));
        let error = fleet.fetch(&host, 0).await.unwrap_err();
        assert!(!error.absent, "{name}: {error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[tokio::test]
async fn every_lack_has_its_own_words_and_what_to_do() {
    let fleet = Fleet::start(1).await;
    let month = Timestamp::now() + SignedDuration::from_hours(24 * 30);
    let (host, _) = fleet.keep(|laps| {
        *laps = fleetmend_lab::domain::LapsValues {
            encrypted: Some(vec![1, 2, 3]),
            expires: Some(month),
            ..Default::default()
        };
    });
    let encrypted = fleet.fetch(&host, 0).await.unwrap_err();
    assert!(
        encrypted.absent && encrypted.why.contains("DPAPI-NG"),
        "{encrypted}"
    );
    assert!(
        encrypted.next.contains("Get-LapsADPassword"),
        "{encrypted:?}"
    );
    fleet.keep(|laps| *laps = Default::default());
    let empty = fleet.fetch(&host, 0).await.unwrap_err();
    assert!(
        empty.absent && empty.why.contains("nothing is kept"),
        "{empty}"
    );
    fleet.keep(|laps| {
        laps.clear = Some(Secret::new("{\"p\":\"canary\"}".to_owned()));
        laps.expires = Some(month);
    });
    let malformed = fleet.fetch(&host, 0).await.unwrap_err();
    assert!(!malformed.absent, "{malformed}");
    assert!(
        !format!("{malformed:?}").contains("canary"),
        "{malformed:?}"
    );
    // An account without the right sees the expiry only: it must not go on with another password
    // in silence.
    fleet.keep(|laps| laps.clear = json("a", "canary"));
    let blind = Fleet::open(&fleet.lab, &fleet._ca, fleet.lab.directory_credential());
    let blind = LapsSource::new(blind, 0, None);
    let error = blind.fetch(Subject::Host(&host), &limit()).await;
    let error = error.unwrap_err();
    assert!(
        !error.absent && error.why.contains("may not read"),
        "{error}"
    );
    assert!(error.next.contains("domain-rights.md"), "{error:?}");
    let run = fleet.source(0, None).fetch(Subject::Run, &limit()).await;
    assert!(run.unwrap_err().why.contains("passwords of PCs"));
}

#[tokio::test]
async fn a_deadline_and_a_cancel_end_the_question() {
    let fleet = Fleet::start(1).await;
    let host = Host::new(&fleet.lab.pcs()[0].name);
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    for limit in [
        Limit::within(Duration::ZERO, &CancellationToken::new()),
        Limit::within(Duration::from_secs(60), &cancelled),
    ] {
        let source = fleet.source(0, None);
        let asked = source.fetch(Subject::Host(&host), &limit);
        let asked = tokio::time::timeout(Duration::from_secs(5), asked).await;
        let error = asked.unwrap().unwrap_err();
        assert!(!error.absent, "{error}");
    }
}

/// The lab seals as ansible-vault does; what it seals opens its PCs.
#[tokio::test]
async fn the_labs_vaulted_inventory_holds_each_pcs_own_password() {
    let fleet = Fleet::start(3).await;
    let password = Secret::new("鍵".to_owned());
    for label in [None, Some("prod")] {
        let yaml = fleet
            .lab
            .vaulted_inventory_yaml(&InventoryFiles::default(), &password, label);
        let vault = AnsibleVault::new(vec![(String::new(), password.clone())]);
        let mut texts = yaml.split("!vault |\n").skip(1);
        for pc in fleet.lab.pcs() {
            assert!(!yaml.contains(pc.local.password.reveal()));
            let text: String = texts
                .next()
                .unwrap()
                .lines()
                .take_while(|line| line.starts_with("            "))
                .map(|line| format!("{}\n", line.trim()))
                .collect();
            let opened = vault.unseal(&text).unwrap();
            let mut known = fleet.lab.pcs().iter();
            assert!(known.any(|pc| pc.local.password == opened), "{}", pc.name);
        }
        assert!(texts.next().is_none());
    }
}
