//! Answers to operations: matched to their requests, then read.

use base64::prelude::*;

use super::envelope::Operation;
use super::fault::Fault;
use super::xml::{ADDRESSING, Element, SHELL, SOAP, TRANSFER, WSMAN, XmlError};

/// What came instead of the expected answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// The service refused, orderly.
    #[error("{0}")]
    Fault(Fault),
    /// The document was refused.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is no answer to what was asked.
    #[error("the answer {0}")]
    Wrong(&'static str),
}

/// Output of a process from one Receive.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    /// Standard output, joined.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, joined.
    pub(crate) stderr: Vec<u8>,
    /// Whether the process has ended.
    pub(crate) done: bool,
    /// Its exit code, which a service may leave out.
    pub(crate) exit_code: Option<i32>,
}

/// Reads a document as the answer to the request with that id; returns its body.
///
/// # Errors
/// [`AnswerError::Fault`] for a genuine fault, else the answer cannot be trusted.
pub(crate) fn open(
    document: &[u8],
    operation: &Operation<'_>,
    message_id: &str,
) -> Result<Element, AnswerError> {
    let root = Element::parse(document)?;
    if !root.is(SOAP, "Envelope") {
        return Err(AnswerError::Wrong("is not a SOAP envelope"));
    }
    let position = root
        .children
        .iter()
        .position(|child| child.is(SOAP, "Body"));
    let relates_to = header(&root, "RelatesTo")?;
    let action = header(&root, "Action")?;
    let matches = relates_to
        .as_deref()
        .map(|id| id.eq_ignore_ascii_case(message_id));
    let mut children = root.children;
    let Some(body) = position.map(|position| children.swap_remove(position)) else {
        return Err(AnswerError::Wrong("has no body"));
    };
    if matches == Some(false) {
        return Err(AnswerError::Wrong("relates to another request"));
    }
    // Some quota faults come without RelatesTo; on a connection with one request in flight
    // they can mean no other.
    if let Some(fault) = Fault::read(&body) {
        return Err(AnswerError::Fault(fault));
    }
    if matches.is_none() {
        return Err(AnswerError::Wrong("relates to no request"));
    }
    if action.as_deref() != Some(operation.response_action().as_str()) {
        return Err(AnswerError::Wrong("is one to another action"));
    }
    Ok(body)
}

fn header(root: &Element, name: &str) -> Result<Option<String>, AnswerError> {
    let Some(headers) = root.child(SOAP, "Header") else {
        return Err(AnswerError::Wrong("has no header"));
    };
    let mut found = headers
        .children
        .iter()
        .filter(|child| child.is(ADDRESSING, name));
    let value = found.next().map(|element| element.trimmed().to_owned());
    if found.next().is_some() {
        return Err(AnswerError::Wrong("repeats a header"));
    }
    Ok(value)
}

/// Returns the id of the shell that a Create made.
///
/// # Errors
/// When there is none, or one that is not an id.
pub(crate) fn shell_id(body: &Element) -> Result<String, AnswerError> {
    let selector = body
        .child(TRANSFER, "ResourceCreated")
        .and_then(|created| created.find(WSMAN, "SelectorSet"))
        .and_then(|set| {
            set.children.iter().find(|child| {
                child.is(WSMAN, "Selector") && child.attribute("Name") == Some("ShellId")
            })
        });
    // Windows 7 sends no rsp:Shell; the selector is always there.
    let element = selector.or_else(|| body.path(SHELL, &["Shell", "ShellId"]));
    checked_id(element, "names no shell")
}

/// Returns the id of the process that a Command started.
///
/// # Errors
/// When there is none, or one that is not an id.
pub(crate) fn command_id(body: &Element) -> Result<String, AnswerError> {
    checked_id(
        body.path(SHELL, &["CommandResponse", "CommandId"]),
        "names no command",
    )
}

fn checked_id(element: Option<&Element>, missing: &'static str) -> Result<String, AnswerError> {
    let id = element.map(Element::trimmed).unwrap_or_default();
    let shaped = |c: char| c.is_ascii_hexdigit() || c == '-';
    // WinRM 1.x writes `uuid:` before it.
    if id.len() > 64 || id.is_empty() || !id.trim_start_matches("uuid:").chars().all(shaped) {
        return Err(AnswerError::Wrong(missing));
    }
    Ok(id.to_owned())
}

/// Reads what a Receive brought: any number of Stream elements in any order.
///
/// # Errors
/// When anything belongs to another process or is not base64.
pub(crate) fn output(body: &Element, command: &str) -> Result<Output, AnswerError> {
    let response = body
        .child(SHELL, "ReceiveResponse")
        .ok_or(AnswerError::Wrong("brings no output and no state"))?;
    let mut output = Output::default();
    for child in &response.children {
        let stream = child.is(SHELL, "Stream");
        let state = child.is(SHELL, "CommandState");
        if !stream && !state {
            continue;
        }
        let owner = child.attribute("CommandId").unwrap_or_default();
        if !owner.eq_ignore_ascii_case(command) {
            return Err(AnswerError::Wrong("is about another command"));
        }
        if stream {
            let bytes = decode(&child.text)?;
            match child.attribute("Name") {
                Some("stdout") => output.stdout.extend(bytes),
                Some("stderr") => output.stderr.extend(bytes),
                _ => return Err(AnswerError::Wrong("brings a stream nobody asked for")),
            }
        } else {
            let state = child.attribute("State").unwrap_or_default();
            output.done |= state.strip_prefix(SHELL) == Some("/CommandState/Done");
            if let Some(code) = child.child(SHELL, "ExitCode") {
                output.exit_code = Some(exit_code(code.trimmed())?);
            }
        }
    }
    Ok(output)
}

fn decode(text: &str) -> Result<Vec<u8>, AnswerError> {
    let wrong = |_| AnswerError::Wrong("brings a stream that is not base64");
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let compact: Vec<u8> = text
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        return BASE64_STANDARD.decode(compact).map_err(wrong);
    }
    BASE64_STANDARD.decode(text).map_err(wrong)
}

/// Exit codes are 32 bits; 0xC000013A may come signed or unsigned.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn exit_code(text: &str) -> Result<i32, AnswerError> {
    match text.parse::<i64>() {
        Ok(code) if (i64::from(i32::MIN)..=i64::from(u32::MAX)).contains(&code) => Ok(code as i32),
        _ => Err(AnswerError::Wrong("brings an exit code that is none")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::super::envelope::{self, Request};
    use super::*;

    const ID: &str = "F1363DFB-B5F9-4FDF-AC84-F67D2A886704";

    fn receive() -> (Operation<'static>, Request) {
        let operation = Operation::Receive {
            shell: ID,
            command: ID,
        };
        let request = envelope::write(
            &operation,
            "http://pc/",
            Uuid::nil(),
            Duration::from_secs(1),
        )
        .unwrap();
        (operation, request)
    }

    fn answer(request: &Request, headers: &str, body: &str) -> String {
        let headers = headers.replace("ID", &request.message_id.to_lowercase());
        format!(
            "<S:Envelope xmlns:S='{SOAP}' xmlns:A='{ADDRESSING}' xmlns='{SHELL}'>\
             <S:Header>{headers}</S:Header><S:Body>{body}</S:Body></S:Envelope>"
        )
    }

    #[test]
    fn joins_streams_in_any_order() {
        let (operation, request) = receive();
        let headers =
            format!("<A:RelatesTo>ID</A:RelatesTo><A:Action>{SHELL}/ReceiveResponse</A:Action>");
        let lower = ID.to_lowercase();
        let document = answer(
            &request,
            &headers,
            &format!(
                "<ReceiveResponse><Stream Name='stderr' CommandId='{ID}'>ZQ==</Stream>\
                 <CommandState CommandId='{lower}' State='{SHELL}/CommandState/Done'>\
                 <ExitCode>3221225786</ExitCode></CommandState>\
                 <Stream CommandId='{ID}' Name='stdout'>YQ\n==</Stream>\
                 <Stream CommandId='{ID}' Name='stdout' End='true'/>\
                 <Stream CommandId='{ID}' Name='stdout'>Yg==</Stream></ReceiveResponse>"
            ),
        );
        let body = open(document.as_bytes(), &operation, &request.message_id).unwrap();
        let expected = Output {
            stdout: b"ab".to_vec(),
            stderr: b"e".to_vec(),
            done: true,
            exit_code: Some(-1_073_741_510),
        };
        assert_eq!(output(&body, ID).unwrap(), expected);
        assert!(output(&body, "00000000-0000-0000-0000-000000000000").is_err());
    }

    #[test]
    fn refuses_answers_to_something_else() {
        let (operation, request) = receive();
        let right = format!("<A:Action>{SHELL}/ReceiveResponse</A:Action>");
        let relates = "<A:RelatesTo>ID</A:RelatesTo>";
        for (headers, wanted) in [
            (
                format!("{right}<A:RelatesTo>uuid:0</A:RelatesTo>"),
                "another request",
            ),
            (right.clone(), "no request"),
            (format!("{right}{relates}{relates}"), "repeats"),
            (relates.to_owned(), "another action"),
            (
                format!("{relates}<A:Action>{SHELL}/SendResponse</A:Action>"),
                "another action",
            ),
        ] {
            let document = answer(&request, &headers, "<ReceiveResponse/>");
            let error = open(document.as_bytes(), &operation, &request.message_id)
                .unwrap_err()
                .to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(open(b"<html/>", &operation, &request.message_id).is_err());
    }
}
