//! The operations that a PC knows.

/// An operation of WS-Management or WinRS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Asks who is there.
    Identify,
    /// Opens a shell.
    Create,
    /// Starts a process in a shell.
    Command,
    /// Writes to a process's standard input.
    Send,
    /// Waits for output.
    Receive,
    /// Ends a process.
    Signal,
    /// Closes a shell.
    Delete,
    /// Anything else.
    Other,
}

impl Action {
    /// How many there are.
    pub(crate) const COUNT: usize = 8;

    /// Reads the URI of a request's `Action` header.
    pub(crate) fn from_uri(uri: &str) -> Self {
        const TRANSFER: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/";
        const SHELL: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/";
        match (uri.strip_prefix(TRANSFER), uri.strip_prefix(SHELL)) {
            (Some("Create"), _) => Self::Create,
            (Some("Delete"), _) => Self::Delete,
            (_, Some("Command")) => Self::Command,
            (_, Some("Send")) => Self::Send,
            (_, Some("Receive")) => Self::Receive,
            (_, Some("Signal")) => Self::Signal,
            _ => Self::Other,
        }
    }
}
