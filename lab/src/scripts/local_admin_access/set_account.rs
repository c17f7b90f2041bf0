//! `local-admin-access/set-account.ps1`.

use fleetmend_model::Secret;
use serde_json::{Map, Value, json};

use super::account;
use crate::machine::LocalAccount;
use crate::scripts::{StepContext, StepOutcome};
use crate::win32;

/// How a password was taken: Windows's code, and whether the account is new.
struct Taken {
    code: u32,
    created: bool,
}

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let name = context.text("account").unwrap_or_default().to_owned();
    let given = context.params.get("local_admin_credential");
    let password = given.and_then(|given| given.get("password"));
    let password = password.and_then(Value::as_str).unwrap_or_default();
    let password = password.to_owned();
    let taken = take(context, &name, &password);
    let (mut answer, logon) = if taken.code == win32::OK {
        let done = account::repair(context, &name);
        let logon = log_on(context, &name, &password);
        (done, Some(logon))
    } else {
        (account::nothing(), None)
    };
    tell(&mut answer, &taken, logon);
    StepOutcome::Done(Ok(Value::Object(answer)))
}

fn tell(answer: &mut Map<String, Value>, taken: &Taken, logon: Option<u32>) {
    let fields = [
        ("created", json!(taken.created)),
        ("account_error", json!(taken.code)),
        ("logon_error", json!(logon)),
        ("probe_errors", json!([])),
    ];
    answer.extend(fields.map(|(field, value)| (field.to_owned(), value)));
}

fn take(context: &mut StepContext<'_>, name: &str, password: &str) -> Taken {
    let allowed = |key: &str| context.params.get(key) == Some(&json!(true));
    let (create, replace) = (allowed("create"), allowed("replace"));
    let missing = context.pc.account(name).is_none();
    let refused = |code| Taken {
        code,
        created: false,
    };
    if !context.elevated || !(if missing { create } else { replace }) {
        return refused(win32::ACCESS_DENIED);
    }
    if password.chars().count() < context.pc.shortest_password.max(1) {
        return refused(account::PASSWORD_TOO_SHORT);
    }
    let next = context.pc.accounts.values().map(|account| account.rid);
    let next = next.max().unwrap_or(1000).max(1000) + 1;
    let account = context.pc.accounts.entry(name.to_lowercase());
    let account = account.or_insert_with(|| LocalAccount {
        rid: next,
        ..LocalAccount::new(password, false)
    });
    account.password = Secret::new(password.to_owned());
    account.must_change = false;
    Taken {
        code: win32::OK,
        created: missing,
    }
}

/// Logs on once as over the network, which counts as any logon does.
fn log_on(context: &mut StepContext<'_>, name: &str, password: &str) -> u32 {
    let code = match context.pc.account(name) {
        Some(account) if account.locked => win32::ACCOUNT_LOCKED_OUT,
        Some(account) if !account.enabled => win32::ACCOUNT_DISABLED,
        Some(account) if account.expired => win32::ACCOUNT_EXPIRED,
        Some(account) if context.pc.denies_network(account) => win32::LOGON_TYPE_NOT_GRANTED,
        _ => win32::OK,
    };
    if code == win32::OK {
        let right = context.pc.password_of(name) == Some(password);
        context.pc.note_logon(name, right);
        return if right {
            win32::OK
        } else {
            win32::LOGON_FAILURE
        };
    }
    code
}
