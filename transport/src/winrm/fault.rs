//! SOAP faults as numbers: the subcode's local name and the codes of either detail.

use super::xml::{Element, FAULT, SOAP, WMI_ERROR};

/// `OperationTimeout` ended before anything happened: on a Receive it means "ask again".
const TIMED_OUT: u32 = 2_150_858_793;
/// ERROR_ACCESS_DENIED, as itself and as HRESULT.
const ACCESS_DENIED: [u32; 2] = [5, 2_147_942_405];
/// ERROR_FILE_NOT_FOUND and ERROR_PATH_NOT_FOUND as HRESULT.
const NOT_FOUND: [u32; 2] = [2_147_942_402, 2_147_942_403];
/// MaxShellsPerUser and MaxConcurrentOperationsPerUser.
const QUOTA: [u32; 2] = [2_150_859_173, 2_150_859_174];
/// A PC that starts up or is overloaded: CO_E_SERVER_EXEC_FAILURE, ERROR_NOT_READY, and no host
/// process for the plugin (values seen in the field).
const STARTING_UP: [u32; 3] = [2_148_007_941, 2_147_942_421, 1018];
/// No such shell or command.
const INVALID_SELECTORS: u32 = 2_150_858_843;
/// ERROR_BROKEN_PIPE and ERROR_NO_DATA, as themselves and as HRESULT.
const INPUT_CLOSED: [u32; 4] = [109, 232, 2_147_942_509, 2_147_942_632];
/// Refusals before a process is made: bad executable, name too long, bad parameter, schema.
const NEVER_STARTED: [u32; 5] = [
    2_147_942_593,
    2_147_942_606,
    87,
    2_147_942_487,
    2_150_858_817,
];

/// What a service answered instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The local name of the subcode, or of the code where there is no subcode.
    pub(crate) subcode: Option<String>,
    /// The number of `WSManFault` or else of `MSFT_WmiError`.
    pub(crate) code: Option<u32>,
    /// The service's words, in whatever language: for showing only.
    pub(crate) text: String,
}

impl Fault {
    /// Reads the fault in a body, if it is one.
    pub(crate) fn read(body: &Element) -> Option<Self> {
        let fault = body.child(SOAP, "Fault")?;
        let subcode = fault
            .path(SOAP, &["Code", "Subcode", "Value"])
            .map(|value| local_name(value.trimmed()).to_owned());
        let detail = fault.child(SOAP, "Detail");
        let wsman = detail.and_then(|detail| detail.child(FAULT, "WSManFault"));
        let wmi = detail.and_then(|detail| detail.child(WMI_ERROR, "MSFT_WmiError"));
        let code = wsman
            .and_then(|fault| number(fault.attribute("Code")?))
            .or_else(|| number(wmi?.child(WMI_ERROR, "error_Code")?.trimmed()));
        let message = wsman
            .and_then(|fault| fault.child(FAULT, "Message"))
            .or_else(|| wmi?.child(WMI_ERROR, "Message"))
            .or_else(|| fault.path(SOAP, &["Reason", "Text"]));
        let text = message.map(Element::all_text).unwrap_or_default();
        Some(Self {
            subcode,
            code,
            text,
        })
    }

    /// "Nothing yet": on a Receive, ask again.
    pub(crate) fn is_timeout(&self) -> bool {
        self.code == Some(TIMED_OUT) || (self.code.is_none() && self.has_subcode("TimedOut"))
    }

    /// No room for another shell or operation now.
    pub(crate) fn is_quota(&self) -> bool {
        self.among(&QUOTA) || self.has_subcode("QuotaLimit")
    }

    /// As the answer to a Create: none was made, and a later one may succeed.
    pub(crate) fn is_busy(&self) -> bool {
        self.is_quota() || self.among(&STARTING_UP)
    }

    /// The account may not.
    pub(crate) fn is_access_denied(&self) -> bool {
        self.among(&ACCESS_DENIED) || self.has_subcode("AccessDenied")
    }

    /// The program is not there; it certainly was not run.
    pub(crate) fn is_not_found(&self) -> bool {
        self.among(&NOT_FOUND)
    }

    /// The shell or command is gone.
    pub(crate) fn is_gone(&self) -> bool {
        self.code == Some(INVALID_SELECTORS)
    }

    /// As the answer to a Send: nothing reads there any more; what was said is yet to be received.
    pub(crate) fn is_input_closed(&self) -> bool {
        self.among(&INPUT_CLOSED)
    }

    /// As the answer to a Command: no process was started.
    pub(crate) fn means_not_started(&self) -> bool {
        self.is_not_found()
            || self.is_access_denied()
            || self.is_quota()
            || self.is_gone()
            || self.among(&NEVER_STARTED)
    }

    fn among(&self, codes: &[u32]) -> bool {
        self.code.is_some_and(|code| codes.contains(&code))
    }

    fn has_subcode(&self, name: &str) -> bool {
        self.subcode.as_deref() == Some(name)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fault")?;
        if let Some(code) = self.code {
            write!(f, " {code} (0x{code:08x})")?;
        }
        if let Some(subcode) = &self.subcode {
            write!(f, " {subcode}")?;
        }
        // The words come from the PC: one line, bounded, without control characters.
        let words: String = self
            .text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .filter(|character| !character.is_control())
            .take(300)
            .collect();
        if !words.is_empty() {
            write!(f, ": {words}")?;
        }
        Ok(())
    }
}

fn local_name(qualified: &str) -> &str {
    qualified.rsplit(':').next().unwrap_or(qualified)
}

fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok()
}
