//! Why a question to the directory was not answered.

use std::path::PathBuf;

use crate::{FilterError, LogonRefusal};

/// Why a question to the directory was not answered. Where nothing else is said nothing was
/// written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// A controller refused the account with which we ask. It is not used again.
    #[error("{dc} refuses the directory account: {refusal}")]
    CredentialRefused {
        /// Which controller.
        dc: String,
        /// Why.
        refusal: LogonRefusal,
    },
    /// A controller did not say whether it accepts the account, and no other had accepted it
    /// before. Asking again might count a wrong password twice, so it is not.
    #[error("{dc} did not answer the directory account's logon, which is not tried again: {why}")]
    LogonUnanswered {
        /// Which controller.
        dc: String,
        /// What happened.
        why: String,
    },
    /// The account cannot be bound as it is: LDAP takes a logon without a password as anonymous.
    #[error("the directory account has no {0}")]
    CredentialIncomplete(&'static str),
    /// No controller can be found.
    #[error("no domain controller of {domain} can be found: {why}")]
    NoController {
        /// The domain.
        domain: String,
        /// Why.
        why: String,
    },
    /// The controller that was named is none of those that we know. The account's password goes
    /// to no other, whoever named it.
    #[error("{asked} is not among the known domain controllers: {}", known.join(", "))]
    ControllerUnknown {
        /// As it was named.
        asked: String,
        /// Those that we know.
        known: Vec<String>,
    },
    /// The controller holds a copy that cannot be written.
    #[error("{dc} is a read-only domain controller")]
    ReadOnlyController {
        /// Which controller.
        dc: String,
    },
    /// The controller serves another domain. The account was not sent.
    #[error("{dc} serves the domain {actual}, not {expected}")]
    OtherDomain {
        /// Which controller.
        dc: String,
        /// As set.
        expected: String,
        /// As it says.
        actual: String,
    },
    /// No connection.
    #[error("{dc} cannot be reached: {why}")]
    Unreachable {
        /// Which controller.
        dc: String,
        /// Why.
        why: String,
    },
    /// TLS does not vouch for the controller.
    #[error("{dc} is not trusted: {why}")]
    NotTrusted {
        /// Which controller.
        dc: String,
        /// Why.
        why: String,
    },
    /// TLS cannot be set up here.
    #[error(transparent)]
    TlsSettings(#[from] TlsSettingsError),
    /// The controller answered that it does not.
    #[error("{dc} did not {doing}: LDAP {code} {}: {text}", result_name(*code))]
    Ldap {
        /// Which controller.
        dc: String,
        /// What it was asked.
        doing: &'static str,
        /// The LDAP result code (RFC 4511 appendix A).
        code: u32,
        /// Its diagnostic message.
        text: String,
    },
    /// The connection ended before the answer came.
    #[error("{dc} was asked to {doing} and gave no answer: {why}")]
    Lost {
        /// Which controller.
        dc: String,
        /// What it was asked.
        doing: &'static str,
        /// What happened.
        why: String,
    },
    /// Time was up.
    #[error("{dc} was asked to {doing} and gave no answer in time")]
    Deadline {
        /// Which controller.
        dc: String,
        /// What it was asked.
        doing: &'static str,
    },
    /// The run was ended.
    #[error("cancelled while asking {dc} to {doing}")]
    Cancelled {
        /// Which controller.
        dc: String,
        /// What it was asked.
        doing: &'static str,
    },
    /// There is no such computer, as far as this account can see.
    #[error("{dc} has no computer {computer}")]
    ComputerNotFound {
        /// Which controller.
        dc: String,
        /// As it was named.
        computer: String,
    },
    /// Several computers bear the name.
    #[error("{dc} has several computers {computer}: {}", names.join("; "))]
    ComputerAmbiguous {
        /// Which controller.
        dc: String,
        /// As it was named.
        computer: String,
        /// Their distinguished names.
        names: Vec<String>,
    },
    /// The account may not see the computer or any, so that it is not found says nothing.
    #[error("what {dc} shows the directory account says nothing of the computer: {why}")]
    NotAllowedToSee {
        /// Which controller.
        dc: String,
        /// What was tried.
        why: &'static str,
    },
    /// The operator's filter is wrong.
    #[error(transparent)]
    Filter(#[from] FilterError),
}

/// Why TLS cannot be set up here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsSettingsError {
    /// The CA file cannot be read.
    #[error("the CA file {} cannot be read: {why}", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The CA file holds no usable certificate.
    #[error("the CA file {} holds no usable certificate", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The system has no roots.
    #[error("the system offers no trusted roots; name a CA file or pin the fingerprint")]
    NoRoots,
    /// The library refused.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
}

impl DirectoryError {
    /// Returns the LDAP result code, where the controller gave one.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Ldap { code, .. } => Some(*code),
            Self::CredentialRefused { .. } => Some(49),
            _ => None,
        }
    }

    /// Returns a name for it that never changes: `LdapInsufficientAccessRights`,
    /// `ComputerNotFound`.
    pub fn id(&self) -> String {
        let id = match self {
            Self::CredentialRefused { .. } => "DirectoryCredentialRefused",
            Self::LogonUnanswered { .. } => "DirectoryLogonUnanswered",
            Self::CredentialIncomplete(_) => "DirectoryCredentialIncomplete",
            Self::NoController { .. } => "NoDomainController",
            Self::ControllerUnknown { .. } => "DomainControllerUnknown",
            Self::ReadOnlyController { .. } => "DomainControllerReadOnly",
            Self::OtherDomain { .. } => "DomainControllerOfOtherDomain",
            Self::Unreachable { .. } => "DomainControllerUnreachable",
            Self::NotTrusted { .. } => "DomainControllerNotTrusted",
            Self::TlsSettings(_) => "TlsSettings",
            Self::Ldap { code, .. } => {
                return match result_name(*code) {
                    "" => format!("LdapResult{code}"),
                    name => format!("Ldap{name}"),
                };
            }
            Self::Lost { .. } => "DirectoryConnectionLost",
            Self::Deadline { .. } => "DirectoryDeadline",
            Self::Cancelled { .. } => "Cancelled",
            Self::ComputerNotFound { .. } => "ComputerNotFound",
            Self::ComputerAmbiguous { .. } => "ComputerAmbiguous",
            Self::NotAllowedToSee { .. } => "ComputersNotVisible",
            Self::Filter(_) => "DirectoryFilter",
        };
        id.to_owned()
    }

    /// Tells whether another controller may well answer.
    pub(crate) fn elsewhere(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NotTrusted { .. }
                | Self::OtherDomain { .. }
                | Self::ReadOnlyController { .. }
                | Self::Lost { .. }
                | Self::Deadline { .. }
        ) || matches!(self.code(), Some(51 | 52))
    }
}

/// Returns the name of an LDAP result code (RFC 4511 appendix A.1).
fn result_name(code: u32) -> &'static str {
    match code {
        1 => "OperationsError",
        2 => "ProtocolError",
        3 => "TimeLimitExceeded",
        4 => "SizeLimitExceeded",
        7 => "AuthMethodNotSupported",
        8 => "StrongerAuthRequired",
        10 => "Referral",
        11 => "AdminLimitExceeded",
        12 => "UnavailableCriticalExtension",
        13 => "ConfidentialityRequired",
        16 => "NoSuchAttribute",
        17 => "UndefinedAttributeType",
        18 => "InappropriateMatching",
        19 => "ConstraintViolation",
        20 => "AttributeOrValueExists",
        21 => "InvalidAttributeSyntax",
        32 => "NoSuchObject",
        34 => "InvalidDnSyntax",
        48 => "InappropriateAuthentication",
        49 => "InvalidCredentials",
        50 => "InsufficientAccessRights",
        51 => "Busy",
        52 => "Unavailable",
        53 => "UnwillingToPerform",
        54 => "LoopDetect",
        64 => "NamingViolation",
        65 => "ObjectClassViolation",
        66 => "NotAllowedOnNonLeaf",
        67 => "NotAllowedOnRdn",
        68 => "EntryAlreadyExists",
        71 => "AffectsMultipleDsas",
        80 => "Other",
        _ => "",
    }
}
