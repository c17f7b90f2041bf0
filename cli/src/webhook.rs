//! Tells a web address that a run stopped or ended. A failure is shown and changes nothing.

use std::time::Duration;

use fleetmend_journal::Head;
use fleetmend_model::HostResult;
use fleetmend_report::{RunReport, Summary};
use reqwest::{Client, Url, redirect};
use serde::Serialize;

use crate::error::CliError;
use crate::printer::Printer;

/// A receiver that takes longer is not waited for: the operator is.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An address to notify. Its path may be a token, so only its host is ever shown.
#[derive(Clone)]
pub(crate) struct Webhook(Url);

/// What is posted. `text` is what chat services show of it.
#[derive(Serialize)]
struct Message<'a> {
    format: &'static str,
    text: String,
    #[serde(flatten)]
    summary: Summary,
    not_well: Vec<&'a HostResult>,
    /// The end of the audit trail: here it is out of reach of whoever may write the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_head: Option<Head>,
}

impl Webhook {
    /// Checks an address.
    ///
    /// # Errors
    /// It is not an HTTP or HTTPS address.
    pub(crate) fn parse(text: &str) -> Result<Self, CliError> {
        let wrong = |detail: &str| {
            CliError::user(format!("--notify-webhook: {detail}"))
                .hint("give an address such as https://chat.example.jp/hooks/…")
        };
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        match (url.scheme(), url.host()) {
            ("http" | "https", Some(_)) => Ok(Self(url)),
            _ => Err(wrong("only http and https addresses can be notified")),
        }
    }

    /// Posts the summary of a run, once.
    pub(crate) async fn notify(&self, report: &RunReport, head: Option<Head>, printer: &Printer) {
        let host = self.0.host_str().unwrap_or_default();
        match self.post(report, head).await {
            Ok(status) if status.is_success() => printer.note(&format!("notified {host}")),
            Ok(status) => {
                printer.warning(&format!("failed to notify {host}: it answered {status}"))
            }
            // Without the URL, which may be a secret.
            Err(error) => {
                let error = error.without_url();
                let error = CliError::config(format!("failed to notify {host}")).because(error);
                printer.warning(&error.to_string());
            }
        }
    }

    async fn post(
        &self,
        report: &RunReport,
        head: Option<Head>,
    ) -> reqwest::Result<reqwest::StatusCode> {
        install_crypto();
        let client = Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("fleetmend/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let answer = client
            .post(self.0.clone())
            .json(&message(report, head))
            .send()
            .await?;
        Ok(answer.status())
    }
}

fn message(report: &RunReport, audit_head: Option<Head>) -> Message<'_> {
    let summary = Summary::of(report);
    let state = match (summary.ended, summary.interrupted) {
        (_, true) => "was interrupted",
        (true, false) => "ended",
        (false, false) => "stopped",
    };
    Message {
        format: "fleetmend-summary/1",
        text: format!(
            "fleetmend {} {state}: {} of {} PCs well",
            summary.subject, summary.well, summary.pcs
        ),
        summary,
        not_well: report.not_well(),
        audit_head,
    }
}

/// rustls wants to know whose cryptography to use before the first handshake.
fn install_crypto() {
    // It fails only where one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_taken() {
        assert!(Webhook::parse("https://chat.example.jp/hooks/token").is_ok());
        assert!(Webhook::parse("http://127.0.0.1:8080").is_ok());
        for wrong in ["ftp://example.jp", "example.jp", "file:///etc/passwd", ""] {
            assert!(Webhook::parse(wrong).is_err(), "{wrong}");
        }
    }
}
