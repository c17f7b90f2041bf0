//! Reading from a step's end whether a credential was refused.

use fleetmend_model::StepEnd;
use fleetmend_playbooks::refused_credential;
use serde_json::Value;

/// Win32 codes that say: this account or password is no good (winerror.h; field notes 2.3).
/// 1326 wrong password or user, 1327 restriction, 1328 not at this hour, 1329 not from here, 1330
/// expired password, 1331 disabled, 1793 account expired, 1907 must change, 1909 locked out.
const REFUSALS: [i64; 9] = [1326, 1327, 1328, 1329, 1330, 1331, 1793, 1907, 1909];

/// The same as NTSTATUS ([MS-ERREF] 2.3.1) beside its Win32 code.
const STATUSES: [(u32, i64); 10] = [
    (0xC000_006A, 1326), // STATUS_WRONG_PASSWORD
    (0xC000_006D, 1326), // STATUS_LOGON_FAILURE
    (0xC000_006E, 1327), // STATUS_ACCOUNT_RESTRICTION
    (0xC000_006F, 1328), // STATUS_INVALID_LOGON_HOURS
    (0xC000_0070, 1329), // STATUS_INVALID_WORKSTATION
    (0xC000_0071, 1330), // STATUS_PASSWORD_EXPIRED
    (0xC000_0072, 1331), // STATUS_ACCOUNT_DISABLED
    (0xC000_0193, 1793), // STATUS_ACCOUNT_EXPIRED
    (0xC000_0224, 1907), // STATUS_PASSWORD_MUST_CHANGE
    (0xC000_0234, 1909), // STATUS_ACCOUNT_LOCKED_OUT
];

/// Where an answer may carry the code, in the order of trust.
const FIELDS: [&str; 2] = ["credential_error", "code"];

/// Returns the Win32 code with which the domain refused the credential of a step that was given
/// one, if it did.
pub fn credential_refusal(end: &StepEnd) -> Option<i64> {
    let code = match end {
        StepEnd::Answered { answer } => match refused_credential(answer) {
            Some(code) => return Some(code),
            None => told(answer)?,
        },
        StepEnd::Failed { code, .. } => (*code)?,
        StepEnd::NotRun { .. } | StepEnd::Unknown { .. } => return None,
    };
    let code = to_win32(code);
    REFUSALS.contains(&code).then_some(code)
}

/// Tells whether the step's end proves that the domain took the credential: a code of 0. A
/// missing code proves nothing (the step may have ended before it used the credential).
pub fn credential_proven(end: &StepEnd) -> bool {
    let StepEnd::Answered { answer } = end else {
        return false;
    };
    told(answer) == Some(0)
}

/// Returns why a step did not use its credential, if the controller could not be asked: its
/// `credential_error` is null, and `probe_errors` may have the number.
pub(super) fn credential_not_asked(answer: &Value) -> Option<String> {
    if !answer.get("credential_error")?.is_null() {
        return None;
    }
    let errors = answer.get("probe_errors").and_then(Value::as_array);
    let numbers: Vec<String> = errors
        .into_iter()
        .flatten()
        .filter_map(|error| {
            let probe = error.get("probe")?.as_str()?;
            let code = error.get("code").and_then(Value::as_i64);
            let id = error.get("error_id").and_then(Value::as_str);
            let number = code.map(|code| code.to_string());
            Some(format!("{probe}: {}", number.as_deref().or(id)?))
        })
        .collect();
    let numbers = if numbers.is_empty() {
        String::new()
    } else {
        format!(" ({})", numbers.join(", "))
    };
    Some(format!(
        "the controller could not be asked whether it takes the credential{numbers}"
    ))
}

fn told(answer: &Value) -> Option<i64> {
    FIELDS
        .iter()
        .find_map(|field| answer.get(field).and_then(Value::as_i64))
}

/// Turns an HRESULT of facility Win32 (0x8007xxxx) or an NTSTATUS, signed or not, into its Win32
/// code; leaves anything else alone.
fn to_win32(code: i64) -> i64 {
    let Ok(bits) = u32::try_from(code & 0xFFFF_FFFF) else {
        return code;
    };
    if bits >> 16 == 0x8007 {
        return i64::from(bits & 0xFFFF);
    }
    STATUSES
        .iter()
        .find(|(status, _)| *status == bits)
        .map_or(code, |(_, win32)| *win32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(answer: Value) -> StepEnd {
        StepEnd::Answered { answer }
    }

    fn failed(code: i64) -> StepEnd {
        StepEnd::Failed {
            error_id: "X".into(),
            code: Some(code),
            message: "失敗".into(),
        }
    }

    #[test]
    fn reads_every_form_of_a_refusal() {
        assert_eq!(
            credential_refusal(&answered(json!({"credential_error": 1909}))),
            Some(1909)
        );
        assert_eq!(
            credential_refusal(&answered(json!({"code": 1326}))),
            Some(1326)
        );
        assert_eq!(credential_refusal(&failed(-2_147_023_570)), Some(1326)); // 0x8007052E
        assert_eq!(credential_refusal(&failed(0x8007_0775)), Some(1909));
        assert_eq!(credential_refusal(&failed(-1_073_741_260)), Some(1909)); // 0xC0000234
        assert_eq!(credential_refusal(&failed(0xC000_006D)), Some(1326));
    }

    #[test]
    fn reads_nothing_into_other_ends() {
        assert_eq!(credential_refusal(&answered(json!({"code": 1355}))), None);
        assert_eq!(credential_refusal(&answered(json!({"code": null}))), None);
        assert_eq!(credential_refusal(&answered(json!("1326"))), None);
        assert_eq!(credential_refusal(&failed(5)), None);
        assert_eq!(
            credential_refusal(&StepEnd::Unknown {
                reason: "1326".into()
            }),
            None
        );
    }

    #[test]
    fn says_with_the_number_when_nobody_could_be_asked() {
        let errors = json!([{"probe": "credential", "code": 81, "error_id": "LdapException"}]);
        let answer = json!({"credential_error": null, "probe_errors": errors});
        assert_eq!(
            credential_not_asked(&answer).unwrap(),
            "the controller could not be asked whether it takes the credential (credential: 81)"
        );
        assert_eq!(credential_not_asked(&json!({"credential_error": 0})), None);
        assert_eq!(credential_not_asked(&json!({"done": true})), None);
    }

    #[test]
    fn a_credential_error_outweighs_another_code() {
        let end = answered(json!({"credential_error": 0, "code": 1326}));
        assert_eq!(credential_refusal(&end), None);
        assert!(credential_proven(&end));
        assert!(!credential_proven(&answered(
            json!({"credential_error": null})
        )));
        assert!(!credential_proven(&answered(json!({}))));
    }
}
