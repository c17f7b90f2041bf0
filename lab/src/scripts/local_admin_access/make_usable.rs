//! `local-admin-access/make-usable.ps1`.

use serde_json::{Value, json};

use super::account;
use crate::scripts::{StepContext, StepOutcome};
use crate::win32;

pub(crate) fn run(context: &mut StepContext<'_>) -> StepOutcome {
    let name = context.text("account").unwrap_or_default().to_owned();
    let error = if !context.elevated {
        Some(win32::ACCESS_DENIED)
    } else if context.pc.account(&name).is_none() {
        Some(account::USER_NOT_FOUND)
    } else {
        None
    };
    let (mut answer, errors) = match error {
        None => (account::repair(context, &name), json!([])),
        Some(code) => (account::nothing(), account::failed("account", code)),
    };
    answer.insert("probe_errors".to_owned(), errors);
    StepOutcome::Done(Ok(Value::Object(answer)))
}
