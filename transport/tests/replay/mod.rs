//! A TLS server that answers each operation with the recorded answer to it, and checks that the
//! client names shells and commands as the recorded host named them.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::prelude::*;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One recorded exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) operation: String,
    pub(crate) request: String,
    pub(crate) status: u64,
    pub(crate) seen: Value,
    pub(crate) response: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Exchange {
    fn read(path: &Path) -> Self {
        let value: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let headers = value["response_headers"].as_array().into_iter().flatten();
        Self {
            name: path.display().to_string(),
            operation: text("operation"),
            request: text("request"),
            response: text("response"),
            status: value["status"].as_u64().unwrap_or(200),
            seen: value["seen"].clone(),
            headers: headers
                .filter_map(|pair| {
                    Some((pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()))
                })
                .filter(|(name, _)| name == "WWW-Authenticate" || name == "Connection")
                .collect(),
        }
    }

    /// Returns it as the answer to another operation.
    pub(crate) fn as_operation(&self, operation: &str) -> Self {
        Self {
            operation: operation.to_owned(),
            ..self.clone()
        }
    }

    /// Returns what the recorded request sent to standard input, and whether it ended it.
    pub(crate) fn standard_input(&self) -> (Vec<u8>, bool) {
        let (head, text) = self
            .request
            .split_once("Stream ")
            .unwrap()
            .1
            .split_once('>')
            .unwrap();
        let text = text.split('<').next().unwrap();
        let bytes = BASE64_STANDARD.decode(text.trim()).unwrap();
        (bytes, head.to_lowercase().contains("end=\"true\""))
    }
}

/// Returns the recorded sessions by name, or says that the test is skipped.
pub(crate) fn sessions() -> Option<BTreeMap<String, Vec<Exchange>>> {
    let folder = folder("sessions")?;
    let mut sessions = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        sessions.insert(name, files(&path));
    }
    Some(sessions)
}

/// Returns the recordings of a folder, or says that the test is skipped.
pub(crate) fn recordings(name: &str) -> Option<Vec<Exchange>> {
    folder(name).map(|folder| files(&folder))
}

fn files(folder: &Path) -> Vec<Exchange> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| Exchange::read(path)).collect()
}

fn folder(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("FLEETMEND_SHARED")
        .map(PathBuf::from)
        .or_else(|| {
            here.ancestors()
                .map(|folder| folder.join("../shared"))
                .find(|folder| folder.is_dir())
        });
    let folder = shared.map(|shared| shared.join("recordings/winrs").join(name));
    let found = folder.filter(|folder| folder.is_dir());
    if found.is_none() {
        println!(
            "SKIPPED: winrs/{name} was not replayed, because there is no shared folder with it"
        );
    }
    found
}

/// What is left to answer, and what the answers so far promised.
#[derive(Default)]
struct State {
    answers: VecDeque<Exchange>,
    shell: String,
    command: String,
    wrong: Vec<String>,
}

/// The server.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) fingerprint: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts one that will answer with these, in order for each operation.
    pub(crate) async fn start(answers: Vec<Exchange>) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let fingerprint = Sha256::digest(&certificate)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            answers: answers.into(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    if let Ok(mut tls) = acceptor.accept(tcp).await {
                        while let Some(body) = read(&mut tls).await {
                            let answer = state.lock().unwrap().answer(&body);
                            if tls.write_all(&answer).await.is_err() {
                                break;
                            }
                        }
                    }
                });
            }
        });
        Self {
            port,
            fingerprint,
            state,
            task,
        }
    }

    /// Checks that everything was asked for as it should, and nothing but Signals is left over:
    /// our client leaves them out after the end of a process.
    pub(crate) fn finish(self, name: &str) {
        let state = self.state.lock().unwrap();
        assert!(state.wrong.is_empty(), "{name}: {:?}", state.wrong);
        let left: Vec<_> = state
            .answers
            .iter()
            .filter(|exchange| exchange.operation != "Signal")
            .map(|exchange| exchange.operation.as_str())
            .collect();
        assert!(left.is_empty(), "{name}: never asked for {left:?}");
    }
}

async fn read<S: AsyncReadExt + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 8192];
        let count = stream
            .read(&mut piece)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        bytes.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(
            head.to_lowercase().contains("authorization: basic "),
            "{head}"
        );
        let length = between(&head.to_lowercase(), "content-length: ", "\r\n")
            .parse()
            .unwrap_or(0);
        if body.len() >= length {
            return Some(body.to_owned());
        }
    }
}

impl State {
    fn answer(&mut self, request: &str) -> Vec<u8> {
        let action = between(request, "Action s:mustUnderstand=\"true\">", "<");
        let operation = action.rsplit('/').next().unwrap_or_default().to_owned();
        let id = between(request, "MessageID>", "<");
        let place = self
            .answers
            .iter()
            .position(|exchange| exchange.operation == operation);
        let exchange = match place {
            Some(place) => self.answers.remove(place).unwrap(),
            None => self.made_up(&operation),
        };
        self.check(&operation, request, &exchange);
        let before = exchange
            .response
            .split_once("RelatesTo>")
            .map(|(before, _)| before.len());
        let mut body = exchange.response.clone();
        if let Some(from) = before.map(|length| length + "RelatesTo>".len()) {
            let to = from + body[from..].find('<').unwrap();
            body.replace_range(from..to, id);
        }
        self.learn(&operation, &body);
        let mut head = format!("HTTP/1.1 {} \r\n", exchange.status);
        for (name, value) in &exchange.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!(
            "Content-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        [head.into_bytes(), body.into_bytes()].concat()
    }

    fn check(&mut self, operation: &str, request: &str, exchange: &Exchange) {
        let mut wrong = Vec::new();
        if operation != "Create" && between(request, "Name=\"ShellId\">", "<") != self.shell {
            wrong.push(format!(
                "{operation} names another shell than {}",
                self.shell
            ));
        }
        let names = format!("CommandId=\"{}\"", self.command);
        if ["Send", "Receive", "Signal"].contains(&operation) && !request.contains(&names) {
            wrong.push(format!(
                "{operation} names another command than {}",
                self.command
            ));
        }
        if operation == "Send" && exchange.request.contains("Stream ") {
            let ours = Exchange {
                request: request.to_owned(),
                ..Exchange::default()
            };
            if ours.standard_input() != exchange.standard_input() {
                wrong.push("Send carries other input".to_owned());
            }
        }
        self.wrong.extend(wrong);
    }

    /// Takes the ids that the host gave out of an answer.
    fn learn(&mut self, operation: &str, body: &str) {
        let body = body.replace('\'', "\"");
        if operation == "Create" {
            self.shell = between(&body, "Name=\"ShellId\">", "<").trim().to_owned();
        }
        if operation == "Command" && body.contains("CommandId>") {
            self.command = between(&body, "CommandId>", "<").to_owned();
        }
    }

    /// Answers what the recording leaves out; a command gets the id that the next recorded
    /// output is about.
    fn made_up(&self, operation: &str) -> Exchange {
        let soap = "http://www.w3.org/2003/05/soap-envelope";
        let addressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
        let shell = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
        let transfer = "http://schemas.xmlsoap.org/ws/2004/09/transfer";
        let wsman = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
        let (base, body) = match operation {
            "Create" => (
                transfer,
                format!(
                    "<x:ResourceCreated xmlns:x=\"{transfer}\"><w:SelectorSet xmlns:w=\"{wsman}\">\
                     <w:Selector Name=\"ShellId\">0A</w:Selector></w:SelectorSet></x:ResourceCreated>"
                ),
            ),
            "Command" => {
                let texts = self
                    .answers
                    .iter()
                    .map(|exchange| exchange.response.as_str());
                let id = texts
                    .map(|text| between(text, "CommandId=\"", "\""))
                    .find(|id| !id.is_empty());
                let id = id.unwrap_or("0B");
                (
                    shell,
                    format!(
                        "<r:CommandResponse><r:CommandId>{id}</r:CommandId></r:CommandResponse>"
                    ),
                )
            }
            "Delete" => (transfer, String::new()),
            _ => (shell, format!("<r:{operation}Response/>")),
        };
        let response = format!(
            "<s:Envelope xmlns:s=\"{soap}\" xmlns:a=\"{addressing}\" xmlns:r=\"{shell}\"><s:Header>\
             <a:Action>{base}/{operation}Response</a:Action><a:RelatesTo>x</a:RelatesTo>\
             </s:Header><s:Body>{body}</s:Body></s:Envelope>"
        );
        Exchange {
            status: 200,
            response,
            ..Exchange::default()
        }
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(before) else {
        return "";
    };
    rest.split_once(after).map_or(rest, |(value, _)| value)
}
