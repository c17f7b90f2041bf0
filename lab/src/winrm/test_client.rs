//! A served PC and a small WinRM client of its own, for the tests of this module.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::reply::{CMD, SHELL};
use super::test_pc::{Act, ScriptPc};
use super::xml::Element;
use super::*;
use crate::ntlm::Sealing;
use crate::ntlm::test_client::{ASKED, Shape, authenticate, negotiate};
use crate::process::Output;
use crate::{LabAuthority, ServerTls};

pub(crate) struct Lab {
    pub(crate) pc: Arc<ScriptPc>,
    pub(crate) winrm: Arc<Winrm>,
    pub(crate) port: u16,
    pub(crate) secure_port: u16,
    pub(crate) authority: LabAuthority,
    pub(crate) tls: ServerTls,
    pub(crate) cancel: CancellationToken,
}

impl std::ops::Drop for Lab {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

pub(crate) async fn lab_of(pc: ScriptPc, options: WinrmOptions) -> Lab {
    let (pc, cancel) = (Arc::new(pc), CancellationToken::new());
    let winrm = Winrm::new(pc.clone(), options);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, secure_port) = (
        listener.local_addr().unwrap().port(),
        secure.local_addr().unwrap().port(),
    );
    let authority = LabAuthority::new().unwrap();
    let tls = authority.server(&["127.0.0.1".to_owned()]).unwrap();
    tokio::spawn(serve(listener, None, winrm.clone(), cancel.clone()));
    tokio::spawn(serve(
        secure,
        Some(tls.clone()),
        winrm.clone(),
        cancel.clone(),
    ));
    Lab {
        pc,
        winrm,
        port,
        secure_port,
        authority,
        tls,
        cancel,
    }
}

pub(crate) async fn lab(acts: Vec<Act>, options: WinrmOptions) -> Lab {
    lab_of(ScriptPc::new(vec![acts]), options).await
}

pub(crate) async fn faulty(acts: Vec<Act>, faults: WinrmFaults) -> Lab {
    lab(
        acts,
        WinrmOptions {
            faults,
            ..WinrmOptions::default()
        },
    )
    .await
}

pub(crate) fn out(text: &str) -> Act {
    Act::Write(Output::Stdout(text.as_bytes().to_vec()))
}

pub(crate) fn exit(code: i32) -> Act {
    Act::Write(Output::Exit(code))
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

pub(crate) struct Http {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// An HTTP connection with an NTLM logon on it.
pub(crate) struct Client {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) sealing: Option<Sealing>,
}

impl Client {
    pub(crate) async fn plain(lab: &Lab) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", lab.port)).await.unwrap();
        Self {
            stream: Box::new(stream),
            sealing: None,
        }
    }

    pub(crate) async fn tls(lab: &Lab) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let pem = lab.authority.pem();
        use rustls::pki_types::pem::PemObject as _;
        roots
            .add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(("127.0.0.1", lab.secure_port))
            .await
            .unwrap();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let stream = tokio_rustls::TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        Self {
            stream: Box::new(stream),
            sealing: None,
        }
    }

    pub(crate) async fn logged_on(lab: &Lab) -> Self {
        let mut client = Self::plain(lab).await;
        assert_eq!(client.logon(&Shape::default()).await.status, 200);
        client
    }

    pub(crate) async fn send(&mut self, head: &str, body: &[u8]) -> Option<Http> {
        let length = body.len();
        let head = format!("{head}Host: pc-001:5985\r\nContent-Length: {length}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await.ok()?;
        self.stream.write_all(body).await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(Http {
            status: head[9..12].parse().unwrap(),
            head,
            body,
        })
    }

    pub(crate) async fn post(&mut self, headers: &str, body: &[u8]) -> Option<Http> {
        self.send(&format!("POST /wsman HTTP/1.1\r\n{headers}"), body)
            .await
    }

    pub(crate) async fn leg(&mut self, token: &[u8]) -> Http {
        let header = format!("Authorization: Negotiate {}\r\n", STANDARD.encode(token));
        self.post(&header, b"").await.unwrap()
    }

    pub(crate) async fn logon(&mut self, shape: &Shape) -> Http {
        let answer = self.leg(&negotiate()).await;
        assert_eq!(answer.status, 401, "{}", answer.head);
        let challenge = header(&answer.head, "www-authenticate").unwrap();
        let challenge = STANDARD
            .decode(challenge.strip_prefix("Negotiate ").unwrap())
            .unwrap();
        let (message, session) = authenticate(&challenge, shape);
        self.sealing = Some(Sealing::for_client(&session, ASKED));
        self.leg(&message).await
    }

    /// Sends an envelope sealed and opens the answer; `None` if there was none.
    pub(crate) async fn raw(&mut self, xml: &str) -> Option<Http> {
        let mut bytes = xml.as_bytes().to_vec();
        let signature = self.sealing.as_mut().unwrap().seal(&mut bytes);
        let body = framing::write(&signature, &bytes, MimeForm::Plain);
        self.post(
            &format!("Content-Type: {}\r\n", framing::CONTENT_TYPE),
            &body,
        )
        .await
    }

    pub(crate) fn open(&mut self, answer: &Http) -> Result<String, &'static str> {
        if !framing::is_sealed(header(&answer.head, "content-type").unwrap_or_default()) {
            return Err("in clear");
        }
        let sealed = framing::read(&answer.body).ok_or("framing")?;
        let mut text = sealed.cipher.to_vec();
        let opened = self
            .sealing
            .as_mut()
            .unwrap()
            .unseal(sealed.signature, &mut text);
        opened.map_err(|_| "signature")?;
        Ok(String::from_utf8(text).unwrap())
    }

    pub(crate) async fn soap(&mut self, xml: &str) -> Element {
        let answer = self.raw(xml).await.expect("an answer");
        let text = self.open(&answer).unwrap();
        let root = Element::parse(&text).unwrap();
        assert_eq!(answer.status == 500, find(&root, "Fault").is_some());
        root
    }

    pub(crate) async fn create(&mut self) -> String {
        let answer = self.soap(&envelope("Create", None, CREATE)).await;
        find(&answer, "ShellId")
            .unwrap_or_else(|| panic!("{answer:?}"))
            .text
            .clone()
    }

    pub(crate) async fn command(&mut self, shell: &str, line: &str) -> String {
        let body = format!("<r:CommandLine><r:Command>{line}</r:Command></r:CommandLine>");
        let answer = self.soap(&envelope("Command", Some(shell), &body)).await;
        find(&answer, "CommandId")
            .unwrap_or_else(|| panic!("{answer:?}"))
            .text
            .clone()
    }

    pub(crate) async fn receive(&mut self, shell: &str, command: &str) -> Element {
        self.soap(&envelope("Receive", Some(shell), &desired(command)))
            .await
    }

    pub(crate) async fn write(
        &mut self,
        shell: &str,
        command: &str,
        text: &str,
        end: bool,
    ) -> Element {
        let body = format!(
            "<r:Send><r:Stream Name=\"stdin\" CommandId=\"{command}\" End=\"{end}\">{}</r:Stream>\
             </r:Send>",
            STANDARD.encode(text)
        );
        self.soap(&envelope("Send", Some(shell), &body)).await
    }

    pub(crate) async fn signal(&mut self, shell: &str, command: &str, code: &str) -> Element {
        let body = format!(
            "<r:Signal CommandId=\"{command}\"><r:Code>{SHELL}/signal/{code}</r:Code></r:Signal>"
        );
        self.soap(&envelope("Signal", Some(shell), &body)).await
    }

    pub(crate) async fn delete(&mut self, shell: &str) -> Element {
        self.soap(&envelope("Delete", Some(shell), "")).await
    }
}

pub(crate) const CREATE: &str = "<r:Shell><r:InputStreams>stdin</r:InputStreams>\
    <r:OutputStreams>stdout stderr</r:OutputStreams></r:Shell>";

pub(crate) fn desired(command: &str) -> String {
    format!(
        "<r:Receive><r:DesiredStream CommandId=\"{command}\">stdout stderr</r:DesiredStream>\
         </r:Receive>"
    )
}

pub(crate) fn envelope(operation: &str, shell: Option<&str>, body: &str) -> String {
    within(operation, shell, body, "PT10S", "")
}

pub(crate) fn within(
    operation: &str,
    shell: Option<&str>,
    body: &str,
    timeout: &str,
    options: &str,
) -> String {
    let prefix = match operation {
        "Create" | "Delete" => "http://schemas.xmlsoap.org/ws/2004/09/transfer",
        _ => SHELL,
    };
    let selectors = shell.map_or_else(String::new, |shell| {
        format!("<w:SelectorSet><w:Selector Name=\"ShellId\">{shell}</w:Selector></w:SelectorSet>")
    });
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:r=\"{SHELL}\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\"><s:Header>\
         <a:Action>{prefix}/{operation}</a:Action><a:MessageID>uuid:1</a:MessageID>\
         <w:ResourceURI>{CMD}</w:ResourceURI><w:OperationTimeout>{timeout}</w:OperationTimeout>\
         <w:OptionSet>{options}</w:OptionSet>{selectors}</s:Header><s:Body>{body}</s:Body>\
         </s:Envelope>"
    )
}

pub(crate) const IDENTIFY: &str = "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
    xmlns:i=\"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd\"><s:Header/>\
    <s:Body><i:Identify/></s:Body></s:Envelope>";

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

pub(crate) fn find<'a>(element: &'a Element, name: &str) -> Option<&'a Element> {
    if element.name == name {
        return Some(element);
    }
    element.children.iter().find_map(|child| find(child, name))
}

/// Returns the code of a fault, 0 for an answer that is none.
pub(crate) fn code(answer: &Element) -> u32 {
    find(answer, "WSManFault")
        .and_then(|fault| fault.attribute("Code"))
        .or_else(|| find(answer, "error_Code").map(|code| code.text.as_str()))
        .map_or(0, |code| code.parse().unwrap())
}

/// Returns standard output and the exit code, if it came.
pub(crate) fn received(answer: &Element) -> (String, Option<i32>) {
    let streams = find(answer, "ReceiveResponse").unwrap_or_else(|| panic!("{answer:?}"));
    let bytes: Vec<u8> = streams
        .named("Stream")
        .filter(|stream| stream.attribute("Name") == Some("stdout"))
        .flat_map(|stream| STANDARD.decode(&stream.text).unwrap())
        .collect();
    let exit = find(answer, "ExitCode").map(|code| code.text.parse().unwrap());
    (String::from_utf8(bytes).unwrap(), exit)
}
