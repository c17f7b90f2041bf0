//! Answers, written in the words, order and prefixes that Windows uses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::xml::escape;

/// The WinRS resource and the prefix of its actions and signals.
pub(crate) const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
/// The resource of a cmd shell.
pub(crate) const CMD: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd";

/// The head of an answer.
pub(crate) struct Envelope<'a> {
    pub(crate) action: &'a str,
    pub(crate) relates_to: Option<&'a str>,
    pub(crate) language: &'a str,
    /// Which namespaces are declared beside SOAP and addressing, one letter each.
    pub(crate) spaces: &'a str,
}

impl Envelope<'_> {
    /// Writes the envelope around a body.
    pub(crate) fn write(&self, body: &str) -> String {
        let mut out = format!(
            "<s:Envelope xml:lang=\"{}\" xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\"",
            self.language
        );
        for letter in self.spaces.chars() {
            let (prefix, uri) = match letter {
                'x' => ("x", "http://schemas.xmlsoap.org/ws/2004/09/transfer"),
                'e' => ("e", "http://schemas.xmlsoap.org/ws/2004/08/eventing"),
                'n' => ("n", "http://schemas.xmlsoap.org/ws/2004/09/enumeration"),
                'w' => ("w", "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"),
                'r' => ("rsp", SHELL),
                _ => ("p", "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"),
            };
            out.push_str(&format!(" xmlns:{prefix}=\"{uri}\""));
        }
        let relates_to = self.relates_to.map_or_else(String::new, |id| {
            format!("<a:RelatesTo>{}</a:RelatesTo>", escape(id))
        });
        out.push_str(&format!(
            "><s:Header><a:Action>{}</a:Action><a:MessageID>uuid:{}</a:MessageID>\
             <a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To>\
             {relates_to}</s:Header><s:Body>{body}</s:Body></s:Envelope>",
            self.action,
            new_id(),
        ));
        out
    }
}

/// Returns a new id in the upper-case form of Windows.
pub(crate) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string().to_uppercase()
}

/// What Identify answers; somebody who is not logged on learns no version.
pub(crate) fn identify(product_version: Option<&str>) -> String {
    let (language, profiles) = match product_version {
        None => ("", String::new()),
        Some(_) => (
            " xml:lang=\"en-US\"",
            "<wsmid:SecurityProfiles><wsmid:SecurityProfileName>\
             http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/http/spnego-kerberos\
             </wsmid:SecurityProfileName></wsmid:SecurityProfiles>"
                .to_owned(),
        ),
    };
    format!(
        "<s:Envelope{language} xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Header>\
         </s:Header><s:Body><wsmid:IdentifyResponse \
         xmlns:wsmid=\"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd\">\
         <wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\
         </wsmid:ProtocolVersion><wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>\
         <wsmid:ProductVersion>{}</wsmid:ProductVersion>{profiles}</wsmid:IdentifyResponse>\
         </s:Body></s:Envelope>",
        escape(product_version.unwrap_or("OS: 0.0.0 SP: 0.0 Stack: 3.0")),
    )
}

/// What a CreateResponse tells of a shell.
pub(crate) struct Created<'a> {
    pub(crate) address: &'a str,
    pub(crate) shell_id: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) client: &'a str,
    pub(crate) working_directory: Option<&'a str>,
    /// Names and values.
    pub(crate) environment: Vec<(&'a str, &'a str)>,
    pub(crate) idle: &'a str,
    pub(crate) input: &'a str,
    pub(crate) output: &'a str,
}

impl Created<'_> {
    /// Writes the body.
    pub(crate) fn body(&self) -> String {
        let optional = |name: &str, value: Option<&str>| {
            value.map_or_else(String::new, |value| {
                format!("<rsp:{name}>{}</rsp:{name}>", escape(value))
            })
        };
        format!(
            "<x:ResourceCreated><a:Address>{}</a:Address><a:ReferenceParameters>\
             <w:ResourceURI>{CMD}</w:ResourceURI><w:SelectorSet>\
             <w:Selector Name=\"ShellId\">{id}</w:Selector></w:SelectorSet>\
             </a:ReferenceParameters></x:ResourceCreated><rsp:Shell xmlns:rsp=\"{SHELL}\">\
             <rsp:ShellId>{id}</rsp:ShellId><rsp:ResourceUri>{CMD}</rsp:ResourceUri>\
             <rsp:Owner>{}</rsp:Owner><rsp:ClientIP>{}</rsp:ClientIP>{}{}\
             <rsp:IdleTimeOut>{}</rsp:IdleTimeOut><rsp:InputStreams>{}</rsp:InputStreams>\
             <rsp:OutputStreams>{}</rsp:OutputStreams>\
             <rsp:ShellRunTime>P0DT0H0M0S</rsp:ShellRunTime>\
             <rsp:ShellInactivity>P0DT0H0M0S</rsp:ShellInactivity></rsp:Shell>",
            escape(self.address),
            escape(self.owner),
            escape(self.client),
            optional("WorkingDirectory", self.working_directory),
            self.variables(),
            self.idle,
            escape(self.input),
            escape(self.output),
            id = self.shell_id,
        )
    }
}

impl Created<'_> {
    fn variables(&self) -> String {
        if self.environment.is_empty() {
            return String::new();
        }
        let variable = |(name, value): &(&str, &str)| {
            let (name, value) = (escape(name), escape(value));
            format!("<rsp:Variable Name=\"{name}\">{value}</rsp:Variable>")
        };
        let variables: String = self.environment.iter().map(variable).collect();
        format!("<rsp:Environment>{variables}</rsp:Environment>")
    }
}

/// Writes the body of a CommandResponse.
pub(crate) fn command(command_id: &str) -> String {
    format!(
        "<rsp:CommandResponse><rsp:CommandId>{command_id}</rsp:CommandId></rsp:CommandResponse>"
    )
}

/// A piece of output, at most as long as Windows puts into one Stream element.
pub(crate) struct Piece {
    pub(crate) error: bool,
    pub(crate) bytes: Vec<u8>,
}

/// The bytes of one Stream element in recordings of large outputs.
pub(crate) const PIECE: usize = 4352;

impl Piece {
    /// Returns the length of its element in the answer.
    pub(crate) fn cost(&self) -> usize {
        self.bytes.len().div_ceil(3) * 4 + 100
    }
}

/// Writes the body of a ReceiveResponse; `exit` only once everything was delivered.
pub(crate) fn receive(command_id: &str, pieces: &[Piece], exit: Option<i32>) -> String {
    let mut out = String::from("<rsp:ReceiveResponse>");
    for piece in pieces {
        let name = if piece.error { "stderr" } else { "stdout" };
        out.push_str(&format!(
            "<rsp:Stream Name=\"{name}\" CommandId=\"{command_id}\">"
        ));
        STANDARD.encode_string(&piece.bytes, &mut out);
        out.push_str("</rsp:Stream>");
    }
    let state = |state: &str| {
        format!(
            "<rsp:CommandState CommandId=\"{command_id}\" State=\"{SHELL}/CommandState/{state}\">"
        )
    };
    if let Some(exit) = exit {
        for name in ["stdout", "stderr"] {
            out.push_str(&format!(
                "<rsp:Stream Name=\"{name}\" CommandId=\"{command_id}\" End=\"true\"></rsp:Stream>"
            ));
        }
        out.push_str(&state("Done"));
        out.push_str(&format!("<rsp:ExitCode>{exit}</rsp:ExitCode>"));
    } else {
        out.push_str(&state("Running"));
    }
    out.push_str("</rsp:CommandState></rsp:ReceiveResponse>");
    out
}
