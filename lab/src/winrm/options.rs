//! How one PC's WinRM is set up.

use std::time::Duration;

use super::WinrmFaults;

/// Settings of one PC; the defaults are those of Windows.
#[derive(Clone, Debug)]
pub struct WinrmOptions {
    /// NetBIOS and DNS name of the domain that the PC names in its NTLM challenge. Accounts of
    /// this domain cannot log on (nobody can ask a domain controller here).
    pub domain: Option<(String, String)>,
    /// Whether Basic is offered, inside TLS only. Windows: no.
    pub basic: bool,
    /// Whether a logon over TLS must carry the right channel binding (`CbtHardeningLevel`
    /// `Strict`). Windows: no (`Relaxed`).
    pub channel_binding_required: bool,
    /// `MaxShellsPerUser`.
    pub max_shells_per_user: usize,
    /// `MaxProcessesPerShell`.
    pub max_processes_per_shell: usize,
    /// `MaxEnvelopeSizekb`, in bytes.
    pub max_envelope: usize,
    /// How long a shell lives without an operation, unless its creator asks for less.
    pub shell_idle: Duration,
    /// How long a connection lives without a request (HTTP.sys: 120 s).
    pub connection_idle: Duration,
    /// The longest wait of one Receive, whatever `OperationTimeout` says.
    pub max_operation: Duration,
    /// The language of the text in faults.
    pub language: Language,
    /// How an exceeded shell quota is told.
    pub quota_form: QuotaForm,
    /// How sealed answers are framed.
    pub mime_form: MimeForm,
    /// `OS: … SP: … Stack: …` as Identify tells it.
    pub product_version: String,
    /// What goes wrong on purpose.
    pub faults: WinrmFaults,
}

impl Default for WinrmOptions {
    fn default() -> Self {
        Self {
            domain: None,
            basic: false,
            channel_binding_required: false,
            max_shells_per_user: 30,
            max_processes_per_shell: 25,
            max_envelope: 153_600,
            shell_idle: Duration::from_secs(7200),
            connection_idle: Duration::from_secs(120),
            max_operation: Duration::from_secs(1800),
            language: Language::English,
            quota_form: QuotaForm::WsManFault,
            mime_form: MimeForm::Tab,
            product_version: "OS: 10.0.19045 SP: 0.0 Stack: 3.0".to_owned(),
            faults: WinrmFaults::default(),
        }
    }
}

/// A language of Windows, for texts that no program may depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// en-US.
    #[default]
    English,
    /// ja-JP.
    Japanese,
}

/// The two shapes in which Windows tells that a quota is exceeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuotaForm {
    /// Like every other fault.
    #[default]
    WsManFault,
    /// `MSFT_WmiError` without `WSManFault` and without `RelatesTo`.
    WmiError,
}

/// The two shapes of part headers in sealed answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MimeForm {
    /// With a tab before each header, the form that pywinrm and pypsrp insist on.
    #[default]
    Tab,
    /// Without it, the form that fits the lengths recorded between Windows machines.
    Plain,
}
