//! Requests as SOAP envelopes ([MS-WSMV] 3.1.4, WS-Management 1.0).

use std::fmt::Write as _;
use std::time::Duration;

use base64::prelude::*;
use quick_xml::escape::escape;
use uuid::Uuid;

use super::xml::{ADDRESSING, SHELL, SOAP, TRANSFER, WSMAN, WSMAN_MS};
use crate::Input;

/// The largest envelope every Windows takes (`MaxEnvelopeSizekb` 150).
pub(crate) const MAX_ENVELOPE: usize = 153_600;

/// Bytes of standard input in one Send: with base64, headers and the sealing's frame around
/// them the message stays below [`MAX_ENVELOPE`].
pub(crate) const SEND_PIECE: usize = 110_592;

/// How long an idle shell outlives a controller that vanished.
const IDLE_TIMEOUT: Duration = Duration::from_secs(900);

/// An operation with what it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation<'a> {
    /// Makes a shell.
    Create,
    /// Starts a process.
    Command {
        /// Which shell.
        shell: &'a str,
        /// The program.
        program: &'a str,
        /// Its arguments, in one string.
        arguments: &'a str,
        /// Run it without cmd.exe.
        skip_cmd: bool,
    },
    /// Writes to standard input.
    Send {
        /// Which shell.
        shell: &'a str,
        /// Which process.
        command: &'a str,
        /// At most [`SEND_PIECE`].
        bytes: &'a [u8],
        /// Close standard input after them.
        end: bool,
    },
    /// Writes to standard input what is made only for that.
    SendInput {
        /// Which shell.
        shell: &'a str,
        /// Which process.
        command: &'a str,
        /// At most [`SEND_PIECE`] bytes.
        input: &'a dyn Input,
    },
    /// Waits for output.
    Receive {
        /// Which shell.
        shell: &'a str,
        /// Which process.
        command: &'a str,
    },
    /// Ends a process.
    Terminate {
        /// Which shell.
        shell: &'a str,
        /// Which process.
        command: &'a str,
    },
    /// Deletes a shell with everything in it.
    Delete {
        /// Which shell.
        shell: &'a str,
    },
}

impl Operation<'_> {
    /// Returns the word for logs and errors.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Command { .. } => "Command",
            Self::Send { .. } | Self::SendInput { .. } => "Send",
            Self::Receive { .. } => "Receive",
            Self::Terminate { .. } => "Signal",
            Self::Delete { .. } => "Delete",
        }
    }

    fn action(&self) -> String {
        match self {
            Self::Create | Self::Delete { .. } => format!("{TRANSFER}/{}", self.name()),
            _ => format!("{SHELL}/{}", self.name()),
        }
    }

    /// Returns the action that an answer to it must carry.
    pub(crate) fn response_action(&self) -> String {
        format!("{}Response", self.action())
    }

    fn shell(&self) -> Option<&str> {
        match self {
            Self::Create => None,
            Self::Command { shell, .. }
            | Self::Send { shell, .. }
            | Self::SendInput { shell, .. }
            | Self::Receive { shell, .. }
            | Self::Terminate { shell, .. }
            | Self::Delete { shell } => Some(shell),
        }
    }
}

/// Text that XML 1.0 cannot carry, not even escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds the control character U+{0:04X}")]
pub(crate) struct Unwritable(u32);

/// A request ready to be sent.
pub(crate) struct Request {
    /// `uuid:…`, which the answer must relate to.
    pub(crate) message_id: String,
    /// The envelope.
    pub(crate) envelope: String,
}

/// Writes the envelope of an operation, with a message id of its own.
///
/// # Errors
/// [`Unwritable`] for control characters in a command line.
pub(crate) fn write(
    operation: &Operation<'_>,
    url: &str,
    session: Uuid,
    timeout: Duration,
) -> Result<Request, Unwritable> {
    let message_id = format!("uuid:{}", uuid_text(Uuid::new_v4()));
    let body = body(operation)?;
    let mut xml = String::with_capacity(body.len() + 2_048);
    let _ = write!(
        xml,
        "<s:Envelope xmlns:s=\"{SOAP}\" xmlns:a=\"{ADDRESSING}\" xmlns:w=\"{WSMAN}\" \
         xmlns:p=\"{WSMAN_MS}\" xmlns:rsp=\"{SHELL}\"><s:Header>\
         <a:To>{to}</a:To>\
         <w:ResourceURI s:mustUnderstand=\"true\">{SHELL}/cmd</w:ResourceURI>\
         <a:ReplyTo><a:Address s:mustUnderstand=\"true\">{ADDRESSING}/role/anonymous</a:Address>\
         </a:ReplyTo>\
         <a:Action s:mustUnderstand=\"true\">{action}</a:Action>\
         <w:MaxEnvelopeSize s:mustUnderstand=\"true\">{MAX_ENVELOPE}</w:MaxEnvelopeSize>\
         <a:MessageID>{message_id}</a:MessageID>\
         <w:Locale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>\
         <p:DataLocale xml:lang=\"en-US\" s:mustUnderstand=\"false\"/>\
         <p:SessionId s:mustUnderstand=\"false\">uuid:{session}</p:SessionId>\
         <w:OperationTimeout>{timeout}</w:OperationTimeout>{selectors}{options}\
         </s:Header><s:Body>{body}</s:Body></s:Envelope>",
        to = escape(url),
        action = operation.action(),
        session = uuid_text(session),
        timeout = duration(timeout),
        selectors = selectors(operation),
        options = options(operation),
    );
    Ok(Request {
        message_id,
        envelope: xml,
    })
}

fn uuid_text(uuid: Uuid) -> String {
    uuid.hyphenated().to_string().to_uppercase()
}

/// Writes an XML duration with milliseconds.
fn duration(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("PT{}S", time.as_secs()),
        millis => format!("PT{}.{millis:03}S", time.as_secs()),
    }
}

fn selectors(operation: &Operation<'_>) -> String {
    operation.shell().map_or_else(String::new, |shell| {
        format!(
            "<w:SelectorSet><w:Selector Name=\"ShellId\">{}</w:Selector></w:SelectorSet>",
            escape(shell)
        )
    })
}

/// The options of [MS-WSMV] 2.2.4.25 to 2.2.5.12.
///
/// Standard input is a pipe, not a console: a console has line lengths and echo of its own.
fn options(operation: &Operation<'_>) -> String {
    let set: &[(&str, &str)] = match operation {
        Operation::Create => &[("WINRS_NOPROFILE", "TRUE"), ("WINRS_CODEPAGE", "65001")],
        Operation::Command { skip_cmd: true, .. } => &[
            ("WINRS_CONSOLEMODE_STDIN", "FALSE"),
            ("WINRS_SKIP_CMD_SHELL", "TRUE"),
        ],
        Operation::Command { .. } => &[
            ("WINRS_CONSOLEMODE_STDIN", "FALSE"),
            ("WINRS_SKIP_CMD_SHELL", "FALSE"),
        ],
        Operation::Receive { .. } => &[("WSMAN_CMDSHELL_OPTION_KEEPALIVE", "TRUE")],
        _ => return String::new(),
    };
    let mut xml = String::from("<w:OptionSet s:mustUnderstand=\"true\">");
    for (name, value) in set {
        let _ = write!(xml, "<w:Option Name=\"{name}\">{value}</w:Option>");
    }
    xml.push_str("</w:OptionSet>");
    xml
}

fn body(operation: &Operation<'_>) -> Result<String, Unwritable> {
    Ok(match operation {
        Operation::Create => format!(
            "<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams>\
             <rsp:OutputStreams>stdout stderr</rsp:OutputStreams>\
             <rsp:IdleTimeOut>{}</rsp:IdleTimeOut></rsp:Shell>",
            duration(IDLE_TIMEOUT)
        ),
        Operation::Command {
            program, arguments, ..
        } => {
            let mut xml = format!(
                "<rsp:CommandLine><rsp:Command>{}</rsp:Command>",
                escape(writable(program)?)
            );
            if !arguments.is_empty() {
                let _ = write!(
                    xml,
                    "<rsp:Arguments>{}</rsp:Arguments>",
                    escape(writable(arguments)?)
                );
            }
            xml.push_str("</rsp:CommandLine>");
            xml
        }
        Operation::Send {
            command,
            bytes,
            end,
            ..
        } => stdin(command, bytes, *end),
        Operation::SendInput { command, input, .. } => stdin(command, &input.bytes(), false),
        Operation::Receive { command, .. } => format!(
            "<rsp:Receive><rsp:DesiredStream CommandId=\"{}\">stdout stderr</rsp:DesiredStream>\
             </rsp:Receive>",
            escape(*command)
        ),
        Operation::Terminate { command, .. } => format!(
            "<rsp:Signal CommandId=\"{}\"><rsp:Code>{SHELL}/signal/terminate</rsp:Code>\
             </rsp:Signal>",
            escape(*command)
        ),
        Operation::Delete { .. } => String::new(),
    })
}

fn stdin(command: &str, bytes: &[u8], end: bool) -> String {
    let mut xml = String::with_capacity(128 + command.len() + bytes.len().div_ceil(3) * 4);
    let _ = write!(
        xml,
        "<rsp:Send><rsp:Stream Name=\"stdin\" CommandId=\"{}\"{}>",
        escape(command),
        if end { " End=\"true\"" } else { "" },
    );
    BASE64_STANDARD.encode_string(bytes, &mut xml);
    xml.push_str("</rsp:Stream></rsp:Send>");
    xml
}

fn writable(text: &str) -> Result<&str, Unwritable> {
    let bad = |character: &char| {
        matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}')
            || matches!(character, '\u{fffe}' | '\u{ffff}')
    };
    match text.chars().find(bad) {
        Some(character) => Err(Unwritable(u32::from(character))),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::multipart;
    use super::super::xml::Element;
    use super::*;

    fn written(operation: &Operation<'_>) -> (Request, Element) {
        let request = write(
            operation,
            "http://pc:5985/wsman",
            Uuid::nil(),
            Duration::from_secs(20),
        )
        .unwrap();
        let root = Element::parse(request.envelope.as_bytes()).unwrap();
        (request, root)
    }

    #[test]
    fn escapes_what_a_command_line_holds() {
        let (_, root) = written(&Operation::Command {
            shell: "S",
            program: r"C:\a&b.exe",
            arguments: "\"<日本>\" 'x' ]]>",
            skip_cmd: true,
        });
        assert_eq!(root.find(SHELL, "Command").unwrap().text, r"C:\a&b.exe");
        assert_eq!(
            root.find(SHELL, "Arguments").unwrap().text,
            "\"<日本>\" 'x' ]]>"
        );
        assert_eq!(root.find(WSMAN, "Selector").unwrap().text, "S");
        let refused = write(
            &Operation::Command {
                shell: "S",
                program: "a",
                arguments: "\u{1}",
                skip_cmd: true,
            },
            "http://pc:5985/wsman",
            Uuid::nil(),
            Duration::from_secs(20),
        );
        assert_eq!(refused.err(), Some(Unwritable(1)));
    }

    #[test]
    fn gives_each_message_an_id_of_its_own() {
        let (first, root) = written(&Operation::Create);
        let (second, _) = written(&Operation::Create);
        assert_ne!(first.message_id, second.message_id);
        assert_eq!(
            root.find(ADDRESSING, "MessageID").unwrap().text,
            first.message_id
        );
        assert_eq!(root.find(WSMAN, "OperationTimeout").unwrap().text, "PT20S");
        assert_eq!(duration(Duration::from_millis(1_250)), "PT1.250S");
    }

    #[test]
    fn fits_a_full_piece_into_an_envelope() {
        let id = "00000000-0000-0000-0000-000000000000";
        let bytes = vec![0xff; SEND_PIECE];
        let long = format!("https://{}:65535/wsman", "n".repeat(253));
        let request = write(
            &Operation::Send {
                shell: id,
                command: id,
                bytes: &bytes,
                end: true,
            },
            &long,
            Uuid::nil(),
            Duration::from_millis(59_999),
        )
        .unwrap();
        let sealed = multipart::frame(&[0; 16], request.envelope.as_bytes());
        assert!(sealed.len() < MAX_ENVELOPE, "{}", sealed.len());
    }
}
