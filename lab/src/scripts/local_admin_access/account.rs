//! What several scripts of local-admin-access do alike.

use serde_json::{Map, Value, json};

use crate::machine::{LocalAccount, Machine};
use crate::scripts::StepContext;
use crate::win32;

/// NERR_UserNotFound.
pub(super) const USER_NOT_FOUND: u32 = 2221;
/// NERR_PasswordTooShort.
pub(super) const PASSWORD_TOO_SHORT: u32 = 2245;

/// Lays out an account as diagnose does. The lab has UAC on, and grants the right to log on to
/// everybody.
pub(super) fn facts(pc: &Machine, name: &str, account: &LocalAccount) -> Map<String, Value> {
    let Value::Object(facts) = json!({
        "name": name,
        "sid": pc.local_sid(account.rid),
        "rid": account.rid,
        "enabled": account.enabled,
        "locked": account.locked,
        "expired": account.expired,
        "must_change": account.must_change,
        "may_be_blank": account.password.is_empty(),
        "administrator": account.administrator,
        "full_token": pc.remote_admins || account.rid == 500,
        "network_logon": !would_be_denied(pc, account),
        "bad_logons": account.bad_passwords,
        "own": false,
    }) else {
        return Map::new();
    };
    facts
}

/// Tells whether it would be kept out over the network, were it an administrator.
fn would_be_denied(pc: &Machine, account: &LocalAccount) -> bool {
    let administrator = LocalAccount {
        administrator: true,
        ..account.clone()
    };
    pc.denies_network(&administrator)
}

/// Puts an account in order, and returns the part of the answer that tells of it.
pub(super) fn repair(context: &mut StepContext<'_>, name: &str) -> Map<String, Value> {
    let mut done = nothing();
    let wanted = |key: &str| context.params.get(key) == Some(&json!(true));
    let (enable, add, remote) = (wanted("enable"), wanted("add"), wanted("allow_remote"));
    let Some(account) = context.pc.accounts.get_mut(&name.to_lowercase()) else {
        return done;
    };
    if enable {
        if !account.enabled || account.locked {
            account.enabled = true;
            account.locked = false;
            account.bad_passwords = 0;
            done.insert("flags_error".to_owned(), json!(win32::OK));
        }
        if account.expired {
            account.expired = false;
            done.insert("expiry_error".to_owned(), json!(win32::OK));
        }
    }
    if add {
        account.administrator = true;
        done.insert("member_error".to_owned(), json!(win32::OK));
    }
    if remote {
        context.pc.remote_admins = true;
        done.insert("remote_allowed".to_owned(), json!(true));
    }
    done
}

/// Returns the same part where nothing was done.
pub(super) fn nothing() -> Map<String, Value> {
    let fields = [
        "flags_error",
        "expiry_error",
        "member_error",
        "remote_allowed",
    ];
    let fields = fields.into_iter();
    fields
        .map(|field| (field.to_owned(), Value::Null))
        .collect()
}

/// Returns the failure of a probe.
pub(super) fn failed(probe: &str, code: u32) -> Value {
    let id = "System.ComponentModel.Win32Exception";
    json!([{ "probe": probe, "code": code, "error_id": id }])
}
