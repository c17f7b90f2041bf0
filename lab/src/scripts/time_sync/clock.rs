//! The clock against a controller's, as `include/clock.ps1` measures it.

use serde_json::{Value, json};

use crate::domain::DomainController;
use crate::machine::Machine;
use crate::time_service;
use crate::win32;

/// Two means that differ by no more agree, seconds.
const AGREEMENT: f64 = 5.0;

/// WSAETIMEDOUT: nobody answers.
const TIMED_OUT: u32 = 10060;

/// What both means say: PC minus controller, seconds.
#[derive(Clone, Copy, Default)]
pub(super) struct Measured {
    pub(super) sntp: Option<f64>,
    pub(super) ldap: Option<i64>,
}

impl Measured {
    /// Asks, and notes who did not answer. `None`: the name leads nowhere.
    pub(super) fn take(
        pc: &Machine,
        controller: Option<&DomainController>,
        errors: &mut Vec<Value>,
    ) -> Self {
        let Some(controller) = controller else {
            errors.push(failure("resolve", 11001));
            errors.push(failure("ldap", 81));
            return Self::default();
        };
        let (sntp, ldap) = time_service::measure(pc, controller);
        if sntp.is_none() {
            errors.push(failure("sntp", TIMED_OUT));
        }
        if ldap.is_none() {
            errors.push(failure("ldap", 81));
        }
        Self { sntp, ldap }
    }

    pub(super) fn agree(self) -> Option<bool> {
        Some((self.sntp? - self.ldap? as f64).abs() <= AGREEMENT)
    }

    pub(super) fn source(self) -> Option<&'static str> {
        match (self.sntp, self.ldap) {
            (Some(_), _) if self.agree() != Some(false) => Some("sntp"),
            (_, Some(_)) => Some("ldap"),
            _ => None,
        }
    }

    pub(super) fn offset(self) -> Option<f64> {
        match self.source()? {
            "sntp" => self.sntp,
            _ => self.ldap.map(|seconds| seconds as f64),
        }
    }
}

/// Lays out a failed probe.
pub(super) fn failure(probe: &str, code: u32) -> Value {
    let id = if code == win32::ACCESS_DENIED {
        "System.UnauthorizedAccessException"
    } else {
        "System.ComponentModel.Win32Exception"
    };
    json!({ "probe": probe, "code": code, "error_id": id })
}
