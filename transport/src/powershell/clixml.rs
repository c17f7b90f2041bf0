//! Reads CLIXML, the form in which powershell.exe writes its streams to standard error.
//!
//! Elements: [MS-PSRP] 2.2.5.1; string escapes: [MS-PSRP] 2.2.5.3.2. Progress records are
//! dropped. Everything read here is for showing, never for deciding.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};

use super::text;

const HEADER: &[u8] = b"#< CLIXML";
const OPEN: &[u8] = b"<Objs";
const CLOSE: &[u8] = b"</Objs>";

/// How much of standard error is held: a process that writes more loses the middle.
const HELD: usize = 1 << 20;

/// One message of standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `error`, `warning`, `verbose`, `debug`, `information`, `output`; empty for text that is
    /// not CLIXML.
    pub stream: String,
    /// Its text, line feeds only, without blank lines at its end.
    pub text: String,
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.stream.is_empty() {
            f.write_str(&self.text)
        } else {
            write!(f, "{}: {}", self.stream, self.text)
        }
    }
}

/// Collects standard error, cut anywhere, and yields its messages.
#[derive(Debug, Default)]
pub struct StderrReader {
    held: Vec<u8>,
}

impl StderrReader {
    /// Takes bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let room = HELD.saturating_sub(self.held.len());
        self.held
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Returns the messages that are complete. At the `end` of the stream every byte counts:
    /// what is left of a document that was cut off is read as far as it goes.
    pub fn take(&mut self, end: bool) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut rest: &[u8] = &self.held;
        loop {
            let document = find(rest, OPEN);
            let plain = rest
                .get(..document.unwrap_or(rest.len()))
                .unwrap_or_default();
            let Some(begin) = document else {
                let whole = if end { plain.len() } else { complete(plain) };
                plain_text(plain.get(..whole).unwrap_or_default(), &mut messages);
                rest = rest.get(whole..).unwrap_or_default();
                break;
            };
            let body = rest.get(begin..).unwrap_or_default();
            let length = match find(body, CLOSE) {
                Some(at) => at + CLOSE.len(),
                None if end => body.len(),
                None => break,
            };
            plain_text(plain, &mut messages);
            document_messages(
                &text::decode(body.get(..length).unwrap_or_default()),
                &mut messages,
            );
            rest = body.get(length..).unwrap_or_default();
        }
        let left = rest.len();
        self.held.drain(..self.held.len() - left);
        messages
    }
}

/// Returns a text with its `_xHHHH_` escapes resolved; they are UTF-16 units. What is no valid
/// escape stays.
pub fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(unit) = escape_at(rest) {
            units.push(unit);
            rest = rest.get(7..).unwrap_or_default();
            continue;
        }
        flush(&mut units, &mut result);
        let mut characters = rest.chars();
        result.extend(characters.next());
        rest = characters.as_str();
    }
    flush(&mut units, &mut result);
    result
}

fn flush(units: &mut Vec<u16>, result: &mut String) {
    let decoded = char::decode_utf16(units.drain(..));
    result.extend(decoded.map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

fn escape_at(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("_x")?.get(..4)?;
    let closed = text.get(6..7) == Some("_");
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (closed && hex)
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Returns how much of a plain text ends with a line feed, so that neither a header nor a
/// character is cut.
fn complete(plain: &[u8]) -> usize {
    plain
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1)
}

fn plain_text(bytes: &[u8], messages: &mut Vec<Message>) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        let line = line.strip_suffix(HEADER).unwrap_or(line);
        let line = text::decode(line);
        if !line.trim().is_empty() {
            messages.push(Message {
                stream: String::new(),
                text: line.trim_end().to_owned(),
            });
        }
    }
}

/// Where the text of the element that is being read goes.
struct Open {
    stream: String,
    /// How deep below `Objs` its own element stands, and the one whose text counts.
    inside_text: bool,
    text: String,
}

fn document_messages(document: &str, messages: &mut Vec<Message>) {
    let mut reader = Reader::from_str(document);
    let mut depth = 0_usize;
    let mut open: Option<Open> = None;
    let mut pieces: Vec<(String, String)> = Vec::new();
    // Any error ends the reading: what came before it is shown.
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(element) => {
                depth += 1;
                begin_element(&element, depth, &mut open);
            }
            Event::End(element) => {
                if let Some(current) = &mut open {
                    current.inside_text &= element.name().as_ref() != "ToString";
                }
                if depth == 2
                    && let Some(done) = open.take()
                {
                    pieces.push((done.stream, unescape(&done.text)));
                }
                depth = depth.saturating_sub(1);
            }
            Event::Text(characters) => {
                if let Some(current) = &mut open
                    && current.inside_text
                {
                    current.text.push_str(&characters);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(current) = &mut open
                    && current.inside_text
                {
                    let character = reference.resolve_char_ref().ok().flatten();
                    match (character, resolve_xml_entity(&reference)) {
                        (Some(character), _) => current.text.push(character),
                        (None, Some(text)) => current.text.push_str(text),
                        (None, None) => current.text.push(char::REPLACEMENT_CHARACTER),
                    }
                }
            }
            // A document type has no place here and could define entities.
            Event::Eof | Event::DocType(_) => break,
            _ => {}
        }
    }
    // A document that was cut off: its last text is worth showing.
    if let Some(cut) = open {
        pieces.push((cut.stream, unescape(&cut.text)));
    }
    join(pieces, messages);
}

fn begin_element(element: &BytesStart<'_>, depth: usize, open: &mut Option<Open>) {
    if depth == 2 {
        let stream = element
            .try_get_attribute("S")
            .ok()
            .flatten()
            .map(|attribute| attribute.value.to_ascii_lowercase())
            .unwrap_or_else(|| "output".to_owned());
        if stream != "progress" {
            let is_string = element.name().as_ref() == "S";
            *open = Some(Open {
                stream,
                inside_text: is_string,
                text: String::new(),
            });
        }
    } else if depth == 3
        && element.name().as_ref() == "ToString"
        && let Some(current) = open
    {
        current.inside_text = true;
    }
}

/// Joins the pieces of one stream that follow one another: PowerShell cuts a message into lines
/// of the console's width.
fn join(pieces: Vec<(String, String)>, messages: &mut Vec<Message>) {
    let mut joined: Vec<Message> = Vec::new();
    for (stream, text) in pieces {
        match joined.last_mut() {
            Some(last) if last.stream == stream => last.text.push_str(&text),
            _ => joined.push(Message { stream, text }),
        }
    }
    for message in &mut joined {
        message.text = message.text.replace("\r\n", "\n").trim_end().to_owned();
    }
    messages.extend(
        joined
            .into_iter()
            .filter(|message| !message.text.is_empty()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> Vec<Message> {
        let mut reader = StderrReader::default();
        let mut messages = Vec::new();
        for part in parts {
            reader.push(part);
            messages.extend(reader.take(false));
        }
        messages.extend(reader.take(true));
        messages
    }

    const TWO: &str = "#< CLIXML\r\n<Objs Version=\"1.1.0.1\"><Obj S=\"progress\" RefId=\"0\"><MS>\
        <PR N=\"Record\"><AV>準備</AV></PR></MS></Obj><S S=\"Error\">日本 &lt;a&gt; &#x1F3B5;_x000D__x000A_</S>\
        <S S=\"Error\">second_x000D__x000A_</S><S S=\"warning\">w</S></Objs>#< CLIXML\r\n\
        <Objs><Obj S=\"information\" RefId=\"0\"><TN><T>x</T></TN><ToString>told</ToString>\
        <Props><S N=\"M\">not this</S></Props></Obj></Objs>plain end\r\n";

    #[test]
    fn reads_two_documents_cut_anywhere() {
        let expected: Vec<String> = [
            "error: 日本 <a> 🎵\nsecond",
            "warning: w",
            "information: told",
            "plain end",
        ]
        .map(str::to_owned)
        .to_vec();
        for cut in 0..TWO.len() {
            let (head, tail) = TWO.as_bytes().split_at(cut);
            let messages: Vec<String> = read(&[head, tail])
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(messages, expected, "cut at {cut}");
        }
    }

    #[test]
    fn shows_what_a_document_held_when_it_was_cut_off() {
        let cut = b"#< CLIXML\r\n<Objs><S S=\"Error\">whole_x000A_</S><S S=\"Error\">ha";
        assert_eq!(
            read(&[cut]),
            [Message {
                stream: "error".into(),
                text: "whole\nha".into()
            }]
        );
    }

    #[test]
    fn resolves_escapes() {
        for (escaped, text) in [
            ("a_x000D__x000A_b", "a\r\nb"),
            ("_x005F_x000A_", "_x000A_"),
            ("_xD83C__xDFB5_", "🎵"),
            ("_xD83C_x", "\u{fffd}x"),
            (
                "_x005G_ _x12_ _x日本語_ _x00",
                "_x005G_ _x12_ _x日本語_ _x00",
            ),
            ("__x000d_", "_\r"),
        ] {
            assert_eq!(unescape(escaped), text, "{escaped}");
        }
    }

    #[test]
    fn refuses_a_document_type() {
        let document = b"<Objs><!DOCTYPE x [<!ENTITY a 'b'>]><S S=\"Error\">&a;</S></Objs>";
        assert_eq!(read(&[document]), []);
    }

    #[test]
    fn holds_a_bounded_amount() {
        let mut reader = StderrReader::default();
        for _ in 0..100 {
            reader.push(&[b'x'; 100_000]);
        }
        assert_eq!(reader.held.len(), HELD);
    }
}
