//! SOAP faults as Windows sends them.
//!
//! Codes, subcodes and English texts are those of recordings where one exists (TimedOut, unknown
//! command, invalid parameter, file not found, bad timeout, shell quota as `MSFT_WmiError`), else
//! those of public reports. Japanese texts only need to be Japanese.

use super::options::{Language, QuotaForm};
use super::reply::Envelope;
use super::xml::escape;

/// Why an operation is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing happened within OperationTimeout.
    TimedOut,
    /// No such command in the shell.
    UnknownCommand,
    /// No such shell.
    UnknownShell(String),
    /// A body that makes no sense to WinRS.
    InvalidParameter,
    /// `WINRS_SKIP_CMD_SHELL` with a program that is no full path.
    FileNotFound,
    /// More than CreateProcess takes.
    CommandLineTooLong,
    /// An OperationTimeout that cannot be read.
    BadTimeout(String),
    /// MaxShellsPerUser.
    ShellQuota(usize),
    /// MaxProcessesPerShell.
    ProcessQuota(usize),
    /// Logged on, but not as a full administrator.
    AccessDenied,
    /// The shell went away under the operation.
    Aborted,
    /// Standard input of an ended process.
    PipeClosing,
    /// Not the XML that is due.
    Schema,
    /// An unknown action.
    Action(String),
    /// An unknown resource.
    Resource,
}

/// The fixed parts of a fault.
struct Form {
    receiver: bool,
    subcode: &'static str,
    code: u32,
    reason: String,
    /// Within WSManFault; the reason if `None`.
    message: Option<String>,
    detail: Option<&'static str>,
    provider: bool,
}

impl Form {
    fn sender(subcode: &'static str, code: u32, reason: &str) -> Self {
        let reason = reason.to_owned();
        Self {
            receiver: false,
            subcode,
            code,
            reason,
            message: None,
            detail: None,
            provider: false,
        }
    }

    fn receiver(subcode: &'static str, code: u32, reason: &str) -> Self {
        Self {
            receiver: true,
            ..Self::sender(subcode, code, reason)
        }
    }

    fn message(self, message: String) -> Self {
        Self {
            message: Some(message),
            ..self
        }
    }

    fn detail(self, detail: &'static str) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }

    fn provider(self) -> Self {
        Self {
            provider: true,
            ..self
        }
    }
}

impl Fault {
    /// Writes the whole envelope. `machine` is the name that the client used for the PC.
    pub(crate) fn write(
        &self,
        relates_to: Option<&str>,
        machine: &str,
        language: Language,
        quota: QuotaForm,
    ) -> String {
        let action = match self {
            Self::BadTimeout(_) | Self::Action(_) => {
                "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
            }
            _ => "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault",
        };
        let form = self.form(language);
        let as_wmi = quota == QuotaForm::WmiError && matches!(self, Self::ShellQuota(_));
        let detail = if as_wmi {
            wmi_detail(&form)
        } else {
            wsman_detail(&form, machine)
        };
        let value = if form.receiver {
            "s:Receiver"
        } else {
            "s:Sender"
        };
        let tag = language_tag(language);
        let body = format!(
            "<s:Fault><s:Code><s:Value>{value}</s:Value><s:Subcode><s:Value>{}</s:Value>\
             </s:Subcode></s:Code><s:Reason><s:Text xml:lang=\"{tag}\">{}</s:Text></s:Reason>\
             <s:Detail>{detail}</s:Detail></s:Fault>",
            form.subcode,
            escape(&form.reason),
        );
        let relates_to = relates_to.filter(|_| !as_wmi);
        Envelope {
            action,
            relates_to,
            language: tag,
            spaces: "xenwp",
        }
        .write(&body)
    }

    fn form(&self, language: Language) -> Form {
        match language {
            Language::English => self.english(),
            Language::Japanese => {
                let english = self.english();
                let reason = self.japanese().to_owned();
                Form {
                    message: english.message.is_some().then(|| reason.clone()),
                    reason,
                    ..english
                }
            }
        }
    }

    fn english(&self) -> Form {
        const SELECTORS: &str = "The WS-Management service cannot process the request because the \
            request contained invalid selectors for the resource. ";
        const QUOTA: &str = "The WS-Management service cannot process the request. The maximum \
            number of concurrent shells for this user has been exceeded. Close existing shells or \
            raise the quota for this user. ";
        match self {
            Self::TimedOut => Form::receiver(
                "w:TimedOut",
                2_150_858_793,
                "The WS-Management service cannot complete the operation within the time specified \
                 in OperationTimeout.  ",
            ),
            Self::UnknownCommand => Form::sender("w:InvalidSelectors", 2_150_858_843, SELECTORS)
                .detail("UnexpectedSelectors")
                .message(
                    "The Windows Remote Shell received a request to perform an operation on a \
                     command identifier that does not exist. Either the command has completed \
                     execution or the client specified an invalid command identifier. "
                        .to_owned(),
                ),
            Self::UnknownShell(id) => Form::sender("w:InvalidSelectors", 2_150_858_843, SELECTORS)
                .detail("UnexpectedSelectors")
                .message(format!(
                    "The request for the Windows Remote Shell with ShellId {id} failed because the \
                     shell was not found on the server. Possible causes are: the specified ShellId \
                     is incorrect or the shell no longer exists on the server. Provide the correct \
                     ShellId or create a new shell and retry the operation. "
                )),
            Self::InvalidParameter => {
                Form::sender("w:InvalidParameter", 87, "The parameter is incorrect. ")
                    .detail("InvalidValue")
                    .provider()
            }
            Self::FileNotFound => Form::receiver(
                "w:InternalError",
                2_147_942_402,
                "The system cannot find the file specified. ",
            )
            .provider(),
            Self::CommandLineTooLong => Form::receiver(
                "w:InternalError",
                2_147_942_606,
                "The filename or extension is too long. ",
            )
            .provider(),
            Self::BadTimeout(text) => Form::sender(
                "a:InvalidMessageInformationHeader",
                2_150_858_767,
                "The WS-Management service cannot process the request. The request contains one or \
                 more invalid SOAP headers. ",
            )
            .message(format!(
                "The WS-Management service cannot process the request. The XML contains an invalid \
                 timeout field in the SOAP header: {text}. "
            )),
            Self::ShellQuota(limit) => {
                Form::sender("w:QuotaLimit", 2_150_859_173, QUOTA).message(format!(
                    "The WS-Management service cannot process the request. This user is allowed a \
                     maximum number of {limit} concurrent shells, which has been exceeded. Close \
                     existing shells or raise the quota for this user. "
                ))
            }
            Self::ProcessQuota(limit) => Form::sender(
                "w:QuotaLimit",
                2_150_859_174,
                "The WS-Management service cannot process the request. The maximum number of \
                 concurrent operations for this user has been exceeded. Close existing operations \
                 for this user, or raise the quota for this user. ",
            )
            .message(format!(
                "The WS-Management service cannot process the request. This user is allowed a \
                 maximum number of {limit} concurrent operations, which has been exceeded. Close \
                 existing operations for this user, or raise the quota for this user. "
            )),
            Self::AccessDenied => Form::sender("w:AccessDenied", 5, "Access is denied. "),
            Self::Aborted => Form::receiver(
                "w:InternalError",
                995,
                "The I/O operation has been aborted because of either a thread exit or an \
                 application request. ",
            ),
            Self::PipeClosing => {
                Form::receiver("w:InternalError", 232, "The pipe is being closed. ")
            }
            Self::Schema => Form::sender(
                "w:SchemaValidationError",
                2_150_858_817,
                "The SOAP XML in the message does not match the corresponding XML schema \
                 definition. Change the XML and retry. ",
            ),
            Self::Action(uri) => Form::sender(
                "a:ActionNotSupported",
                2_150_858_754,
                "The WS-Management service cannot process the request. The action is not supported \
                 by the service. ",
            )
            .message(format!(
                "The action is not supported by the service: {uri}. "
            )),
            Self::Resource => Form::sender(
                "a:DestinationUnreachable",
                2_150_858_752,
                "The WS-Management service cannot process the request. The service cannot find the \
                 resource identified by the resource URI and selectors. ",
            )
            .detail("InvalidResourceURI"),
        }
    }

    fn japanese(&self) -> &'static str {
        match self {
            Self::TimedOut => {
                "WS-Management サービスは、OperationTimeout で指定された時間内に操作を完了できません。  "
            }
            Self::UnknownCommand | Self::UnknownShell(_) => {
                "要求にリソースの無効なセレクターが含まれているため、WS-Management サービスは要求を処理できません。 "
            }
            Self::InvalidParameter => "パラメーターが間違っています。 ",
            Self::FileNotFound => "指定されたファイルが見つかりません。 ",
            Self::CommandLineTooLong => "ファイル名または拡張子が長すぎます。 ",
            Self::BadTimeout(_) => "要求に無効な SOAP ヘッダーが含まれています。 ",
            Self::ShellQuota(_) => {
                "このユーザーに許可されている同時実行シェルの最大数を超えました。既存のシェルを閉じてください。 "
            }
            Self::ProcessQuota(_) => "このユーザーに許可されている同時操作の最大数を超えました。 ",
            Self::AccessDenied => "アクセスが拒否されました。 ",
            Self::Aborted => {
                "スレッドの終了またはアプリケーションの要求によって、I/O 処理は中止されました。 "
            }
            Self::PipeClosing => "パイプを閉じています。 ",
            Self::Schema => "メッセージの SOAP XML が対応する XML スキーマ定義と一致しません。 ",
            Self::Action(_) => "アクションはサービスでサポートされていません。 ",
            Self::Resource => "リソース URI とセレクターで識別されるリソースが見つかりません。 ",
        }
    }
}

fn language_tag(language: Language) -> &'static str {
    match language {
        Language::English => "en-US",
        Language::Japanese => "ja-JP",
    }
}

fn wsman_detail(form: &Form, machine: &str) -> String {
    let detail = form.detail.map_or_else(String::new, |detail| {
        format!(
            "<w:FaultDetail>http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/{detail}\
             </w:FaultDetail>"
        )
    });
    let message = escape(form.message.as_deref().unwrap_or(&form.reason)).into_owned();
    let message = if form.provider {
        format!(
            "<f:ProviderFault provider=\"Shell cmd plugin\" \
             path=\"%systemroot%\\system32\\winrscmd.dll\">{message}</f:ProviderFault>"
        )
    } else {
        message
    };
    format!(
        "{detail}<f:WSManFault xmlns:f=\"http://schemas.microsoft.com/wbem/wsman/1/wsmanfault\" \
         Code=\"{}\" Machine=\"{}\"><f:Message>{message}</f:Message></f:WSManFault>",
        form.code,
        escape(machine),
    )
}

/// The form of the recorded quota fault: no WSManFault element at all.
fn wmi_detail(form: &Form) -> String {
    format!(
        "<p:MSFT_WmiError b:IsCIM_Error=\"true\" \
         xmlns:b=\"http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd\" \
         xmlns:cim=\"http://schemas.dmtf.org/wbem/wscim/1/common\" \
         xmlns:p=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError\" \
         xsi:type=\"p:MSFT_WmiError_Type\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
         <p:CIMStatusCode xsi:type=\"cim:cimUnsignedInt\">27</p:CIMStatusCode>\
         <p:ErrorSourceFormat xsi:type=\"cim:cimUnsignedShort\">0</p:ErrorSourceFormat>\
         <p:ErrorType xsi:type=\"cim:cimUnsignedShort\">0</p:ErrorType>\
         <p:Message xsi:type=\"cim:cimString\">{}</p:Message>\
         <p:MessageID xsi:type=\"cim:cimString\">HRESULT 0x{:08x}</p:MessageID>\
         <p:PerceivedSeverity xsi:type=\"cim:cimUnsignedShort\">0</p:PerceivedSeverity>\
         <p:error_Code xsi:type=\"cim:cimUnsignedInt\">{}</p:error_Code>\
         <p:error_Type xsi:type=\"cim:cimString\">HRESULT</p:error_Type></p:MSFT_WmiError>",
        escape(form.message.as_deref().unwrap_or(&form.reason)),
        form.code,
        form.code,
    )
}
