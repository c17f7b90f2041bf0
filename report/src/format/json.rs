//! One JSON document for a run.

use fleetmend_model::{Cause, HostName, Outcome, TransportKind};
use serde::Serialize;
use serde_json::Value;

use crate::{AccountClosed, ExecResult, HostReport, RunReport, Summary};

/// Returns the run as one indented JSON document.
///
/// # Errors
/// `serde_json::Error`, which a fold of the model's records cannot cause.
pub fn json(report: &RunReport) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Document::of(report))
}

/// Returns the same document as a value, for those who post it.
///
/// # Errors
/// As [`json`].
pub fn json_value(report: &RunReport) -> serde_json::Result<serde_json::Value> {
    serde_json::to_value(Document::of(report))
}

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    fleetmend: &'a str,
    digest: &'a str,
    summary: Summary,
    /// Absent where none was: then every PC was reached with every account.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_closed: Option<&'a AccountClosed>,
    hosts: Vec<Host<'a>>,
}

#[derive(Serialize)]
struct Host<'a> {
    host: &'a HostName,
    #[serde(flatten)]
    ended: Option<Ended<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<TransportKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rungs: Vec<Rung<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exec: Option<&'a ExecResult>,
    /// Whence the result is, where a person did it with a stick after the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    by_hand: Option<ByHand<'a>>,
}

#[derive(Serialize)]
struct ByHand<'a> {
    computer: &'a str,
    by: &'a str,
    began: jiff::Timestamp,
    ended: jiff::Timestamp,
    stick: &'a str,
    file: &'a str,
    credential_given: bool,
}

#[derive(Serialize)]
struct Ended<'a> {
    outcome: &'a Outcome,
    well: bool,
    /// Concluded from a journal without an end; absent where an event told it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    concluded: bool,
    cause: Option<&'a Cause>,
    reason: &'a str,
    next: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a Value>,
    elapsed_ms: u64,
}

#[derive(Serialize)]
struct Rung<'a> {
    rung: &'a str,
    verified: Option<bool>,
}

impl<'a> Document<'a> {
    fn of(report: &'a RunReport) -> Self {
        Self {
            format: "fleetmend-report/1",
            fleetmend: &report.version,
            digest: &report.digest,
            summary: Summary::of(report),
            account_closed: report.account_closed.as_ref(),
            hosts: report.hosts.iter().map(Host::of).collect(),
        }
    }
}

impl<'a> Host<'a> {
    fn of(host: &'a HostReport) -> Self {
        Self {
            host: &host.host,
            ended: host.result.as_ref().map(|result| Ended {
                outcome: &result.outcome,
                well: result.outcome.class().is_well(),
                concluded: host.concluded,
                cause: result.cause.as_ref(),
                reason: &result.reason,
                next: &result.next,
                evidence: result.evidence.as_ref(),
                elapsed_ms: result.elapsed_ms,
            }),
            transport: host.transport,
            address: host.address.as_deref(),
            rungs: host
                .rungs
                .iter()
                .map(|(rung, verified)| Rung {
                    rung,
                    verified: *verified,
                })
                .collect(),
            exec: host.exec.as_ref(),
            by_hand: host.by_hand.as_ref().map(|handed| ByHand {
                computer: &handed.computer,
                by: &handed.by,
                began: handed.began,
                ended: handed.ended,
                stick: &handed.stick,
                file: &handed.file,
                credential_given: handed.credential_given,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{RunReport, testing};

    #[test]
    fn a_cut_run_has_an_outcome_for_every_pc() {
        let mut report = RunReport::from_records(&testing::repair_run()[..4]);
        report.settle();
        let value = super::json_value(&report).unwrap();
        assert_eq!(value["summary"]["unfinished"], 6);
        for host in value["hosts"].as_array().unwrap() {
            assert_eq!(host["concluded"], true, "{host}");
            let class = if host["host"] == "pc-002" {
                "unknown"
            } else {
                "skipped"
            };
            assert_eq!(host["outcome"]["class"], class, "{host}");
        }
    }

    #[test]
    fn shows_the_whole_run() {
        let report = RunReport::from_records(&testing::repair_run());
        let mut value = super::json_value(&report).unwrap();
        value["summary"].take();
        value["hosts"].as_array_mut().unwrap().truncate(3);
        insta::assert_json_snapshot!(value, @r#"
        {
          "digest": "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e",
          "fleetmend": "0.1.0",
          "format": "fleetmend-report/1",
          "hosts": [
            {
              "cause": null,
              "elapsed_ms": 1500,
              "host": "pc-001",
              "next": "",
              "outcome": {
                "class": "healthy"
              },
              "reason": "",
              "well": true
            },
            {
              "address": "127.0.1.2:5985",
              "cause": null,
              "elapsed_ms": 1500,
              "host": "pc-002",
              "next": "",
              "outcome": {
                "class": "repaired",
                "rung": "restart-netlogon"
              },
              "reason": "",
              "rungs": [
                {
                  "rung": "restart-netlogon",
                  "verified": true
                }
              ],
              "transport": "winrm-http",
              "well": true
            },
            {
              "cause": null,
              "elapsed_ms": 1500,
              "host": "pc-003.corp.example.jp",
              "next": "enable or restore the account in Active Directory, then run again",
              "outcome": {
                "cause": {
                  "code": 1787,
                  "id": "no-account"
                },
                "class": "not-repaired"
              },
              "reason": "the domain has no account for this PC, or it is disabled (1787)",
              "well": false
            }
          ],
          "summary": null
        }
        "#);
    }
}
