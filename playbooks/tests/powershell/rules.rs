//! What the checker knows about PowerShell.

/// Commands that Windows PowerShell 5.1 does not have.
pub(crate) const NEW_COMMANDS: &[&str] = &[
    "get-error",
    "get-uptime",
    "join-string",
    "test-json",
    "remove-service",
    "remove-alias",
    "convertfrom-markdown",
    "show-markdown",
    "convertto-clixml",
    "convertfrom-clixml",
    "get-experimentalfeature",
    "switch-process",
    "invoke-wsman",
];

/// Parameters that it does not have: commands (aliases too), parameters.
pub(crate) const NEW_PARAMETERS: &[(&[&str], &[&str])] = &[
    (
        &["foreach-object", "foreach", "%"],
        &["parallel", "throttlelimit", "timeoutseconds"],
    ),
    (
        &["convertfrom-json"],
        &["ashashtable", "depth", "noenumerate", "datekind"],
    ),
    (
        &["convertto-json"],
        &["asarray", "escapehandling", "enumsasstrings"],
    ),
    (
        &["test-connection"],
        &[
            "targetname",
            "tcpport",
            "ipv4",
            "ipv6",
            "traceroute",
            "ping",
        ],
    ),
    (
        &[
            "get-content",
            "set-content",
            "add-content",
            "gc",
            "cat",
            "type",
        ],
        &["asbytestream"],
    ),
    (&["select-string", "sls"], &["raw", "noemphasis", "culture"]),
    (&["split-path"], &["extension", "leafbase"]),
    (&["join-path"], &["additionalchildpath"]),
    (&["sort-object", "sort"], &["top", "bottom", "stable"]),
    (&["get-date"], &["asutc", "unixtimeseconds"]),
    (&["convertfrom-securestring"], &["asplaintext"]),
    (&["read-host"], &["maskinput"]),
    (&["import-module", "ipmo"], &["usewindowspowershell"]),
    (
        &["invoke-webrequest", "invoke-restmethod"],
        &["skipcertificatecheck", "authentication"],
    ),
];

/// Variables that it does not have.
pub(crate) const NEW_VARIABLES: &[&str] = &[
    "$psstyle",
    "$iswindows",
    "$islinux",
    "$ismacos",
    "$iscoreclr",
];

/// Commands that run a text as a command.
pub(crate) const SHELLS: &[&str] = &[
    "iex",
    "invoke-expression",
    "cmd",
    "cmd.exe",
    "powershell",
    "powershell.exe",
    "pwsh",
    "pwsh.exe",
    "start-process",
    "wscript",
    "cscript",
    "mshta",
];

/// Members that run a text as a command.
pub(crate) const RUNNING_MEMBERS: &[&str] = &[
    "addscript",
    "invokescript",
    "newscriptblock",
    "expandstring",
];

/// Commands that wait for a person.
pub(crate) const ASKING: &[&str] = &["read-host", "get-credential", "pause", "out-gridview"];

/// Members whose text Windows translates.
pub(crate) const TRANSLATED: &[&str] = &[
    "message",
    "displayname",
    "description",
    "statusdescription",
    "localizedmessage",
    "caption",
    "leveldisplayname",
    "taskdisplayname",
];

/// Operators that compare.
pub(crate) const COMPARING: &[&str] = &[
    "eq",
    "ne",
    "match",
    "notmatch",
    "like",
    "notlike",
    "contains",
    "notcontains",
    "in",
    "notin",
];

/// Those whose right side is a pattern.
pub(crate) const PATTERNS: &[&str] = &["match", "notmatch", "like", "notlike"];

/// Methods that compare texts.
pub(crate) const COMPARING_METHODS: &[&str] = &[
    "contains",
    "startswith",
    "endswith",
    "indexof",
    "equals",
    "match",
    "ismatch",
    "matches",
];

/// Words in patterns that are the same in every language of Windows.
pub(crate) const STABLE_WORDS: &[&str] = &["Status", "I_NetLogonControl", "data"];

/// Commands that may be given a credential object; they hand it to nobody. Module logging (event
/// 4103) writes down the arguments of cmdlets, so none may be given the password's text, not even
/// `ConvertTo-SecureString`.
pub(crate) const KEEPING: &[&str] = &["test-computersecurechannel"];

/// Methods that may be given a secret: they add it to a text which is wiped.
pub(crate) const APPENDING: &[&str] = &["append", "appendchar"];

/// The one type that `New-Object` may make of a secret.
pub(crate) const CREDENTIAL_TYPE: &str = "pscredential";

/// Commands whose result is the secret again.
pub(crate) const PASSING: &[&str] = &["convertto-securestring", "new-object", "write-output"];

/// Parts of names that mark a secret.
pub(crate) const SECRET_NAMES: &[&str] = &["credential", "password", "secret", "passphrase"];
