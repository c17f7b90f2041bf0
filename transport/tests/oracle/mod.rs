//! Starts the oracle, ends it by its id, and reads its log.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// What the programs of the lab do.
const RULES: &str = r#"
rules:
  - {name: hello, match: 'hello\.exe', stdin: wait, stdout: "こんにちは\n", stderr: "警告\n", exit: 3}
  - {name: big, match: 'big\.exe', stdout_size: 10485760}
  - {name: medium, match: 'medium\.exe', stdout_size: 500000}
  - {name: sort, match: 'sort\.exe', stdin: echo}
  - {name: hang, match: 'hang\.exe', stdout: "started\n", hang: true}
  - {name: late, match: 'late\.exe', stdout: "x\n", end_style: separate, exit: 5}
  - name: steps
    match: 'steps\.exe'
    steps:
      - {after: 0.3, stdout: "one\n"}
      - {after: 0.3, stderr: "警告\n"}
      - {after: 1.5, stdout: "two\n"}
    exit: -5
"#;

/// A running server.
pub(crate) struct Oracle {
    /// Its HTTP port.
    pub(crate) http: u16,
    /// Its HTTPS port.
    pub(crate) https: u16,
    child: Child,
    folder: TempDir,
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Oracle {
    /// Tells whether server and Python are there; says so if not.
    pub(crate) fn is_there() -> bool {
        match locate() {
            Ok(_) => true,
            Err(why) => {
                println!("SKIPPED: the WinRM oracle was not asked, because {why}");
                false
            }
        }
    }

    /// Starts one with these arguments and an account named 管理者.
    pub(crate) async fn start(name: &str, arguments: &str, password: &str) -> Option<Self> {
        if !Self::is_there() {
            return None;
        }
        let (home, python) = locate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |file: &str| folder.path().join(file);
        std::fs::write(at("rules.yaml"), RULES).unwrap();
        let child = Command::new(python)
            .args([
                "-m",
                "winrm_oracle",
                "--http-port",
                "0",
                "--https-port",
                "0",
            ])
            .args([
                "--user",
                &format!("管理者:{password}"),
                "--max-runtime",
                "300",
            ])
            .arg("--rules")
            .arg(at("rules.yaml"))
            .arg("--log")
            .arg(at("log.jsonl"))
            .arg("--ready-file")
            .arg(at("ready.json"))
            .arg("--tls-trust-out")
            .arg(at("trust.pem"))
            .args(arguments.split_whitespace())
            .current_dir(home)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(at("stderr.txt")).unwrap())
            .spawn()
            .unwrap();
        let mut oracle = Self {
            http: 0,
            https: 0,
            child,
            folder,
        };
        let begun = Instant::now();
        let ready: Value = loop {
            let text = std::fs::read_to_string(oracle.file("ready.json")).unwrap_or_default();
            if let Ok(ready) = serde_json::from_str(&text) {
                break ready;
            }
            let stderr = std::fs::read_to_string(oracle.file("stderr.txt")).unwrap_or_default();
            assert!(
                oracle.child.try_wait().unwrap().is_none(),
                "{name}: {stderr}"
            );
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{name}: not ready; {stderr}"
            );
            tokio::time::sleep(Duration::from_millis(30)).await;
        };
        let port = |key: &str| u16::try_from(ready[key].as_u64().unwrap()).unwrap();
        (oracle.http, oracle.https) = (port("http_port"), port("https_port"));
        Some(oracle)
    }

    /// Returns the PEM file that a client has to trust.
    pub(crate) fn trust(&self) -> PathBuf {
        self.file("trust.pem")
    }

    /// Returns the certificate's true fingerprint, in the colons that people paste, taken from
    /// a connection made for that.
    pub(crate) async fn fingerprint(&self) -> String {
        let tcp = tokio::net::TcpStream::connect(("127.0.0.1", self.https))
            .await
            .unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let stream = tokio_rustls::TlsConnector::from(look::config())
            .connect(name, tcp)
            .await;
        let stream = stream.unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        let digits: Vec<_> = Sha256::digest(&chain[0])
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        digits.join(":")
    }

    /// Ends it in order and returns its log.
    pub(crate) fn finish(mut self) -> Log {
        let done = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        assert!(done.unwrap().success());
        self.child.wait().unwrap();
        Log::parse(&std::fs::read_to_string(self.file("log.jsonl")).unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// What it wrote down.
pub(crate) struct Log(Vec<Value>);

impl Log {
    /// Reads JSON Lines.
    pub(crate) fn parse(text: &str) -> Self {
        Self(
            text.lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        )
    }

    /// Returns the summary; the ends of connections may stand after it.
    pub(crate) fn summary(&self) -> &Value {
        self.0
            .iter()
            .rfind(|event| event["event"] == "summary")
            .expect("a summary")
    }

    /// Returns the events of a kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<&Value> {
        self.0
            .iter()
            .filter(|event| event["event"] == kind)
            .collect()
    }

    /// Returns the operations in order.
    pub(crate) fn operations(&self) -> Vec<&str> {
        self.events("request")
            .iter()
            .filter_map(|event| event["action"].as_str())
            .collect()
    }

    /// Returns how often a program ran.
    pub(crate) fn executions(&self, program: &str) -> u64 {
        let program = format!("{program}.exe");
        self.lines()
            .filter(|(line, _)| line.contains(&program))
            .map(|(_, times)| times)
            .sum()
    }

    /// Checks that no command line ran twice.
    pub(crate) fn assert_once(&self) {
        assert!(
            self.lines().all(|(_, times)| times == 1),
            "something ran twice\n{}",
            self.tail()
        );
    }

    /// Checks that there was no violation and nothing is left.
    pub(crate) fn assert_clean(&self) {
        let summary = self.summary();
        assert_eq!(summary["errors"], serde_json::json!({}), "{}", self.tail());
        assert_eq!(summary["shells_left_open"], serde_json::json!([]));
        assert_eq!(summary["commands_left_running"], serde_json::json!([]));
    }

    /// Returns the last events, for a failed assertion.
    pub(crate) fn tail(&self) -> String {
        let from = self.0.len().saturating_sub(30);
        self.0[from..]
            .iter()
            .map(|event| format!("  {event}\n"))
            .collect()
    }

    /// Returns each command line with how often it was run.
    fn lines(&self) -> impl Iterator<Item = (&str, u64)> {
        let executions = self.summary()["executions"]
            .as_object()
            .expect("executions");
        executions
            .iter()
            .map(|(line, times)| (line.as_str(), times.as_u64().expect("a count")))
    }
}

fn locate() -> Result<(PathBuf, PathBuf), String> {
    let home = shared()
        .ok_or("there is no shared folder")?
        .join("winrm-oracle");
    if !home.join("winrm_oracle").is_dir() {
        return Err("the shared folder does not hold it".to_owned());
    }
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let named = std::env::var_os("FLEETMEND_ORACLE_PYTHON").map(PathBuf::from);
    let found = named
        .into_iter()
        .chain(["venv-oracle/bin/python", "venv/bin/python"].map(|path| made.join(path)))
        .find(|path| path.is_file());
    found
        .map(|python| (home, python))
        .ok_or_else(|| "no Python with its packages is there".into())
}

fn shared() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("FLEETMEND_SHARED") {
        return Some(PathBuf::from(folder)).filter(|folder| folder.is_dir());
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .map(|folder| folder.join("../shared"))
        .find(|folder| folder.is_dir())
}

/// A client that only looks at the certificate.
mod look {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::ring;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

    pub(super) fn config() -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Any))
            .with_no_client_auth();
        Arc::new(config)
    }

    #[derive(Debug)]
    struct Any;

    impl ServerCertVerifier for Any {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            ring::default_provider()
                .signature_verification_algorithms
                .supported_schemes()
        }
    }
}
