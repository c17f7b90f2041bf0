//! What a stick did, judged again by the decisions of the controller.

use std::collections::BTreeMap;

use fleetmend_engine::machine::{self, Action, Context, PcState, Stop, Work as Task};
use fleetmend_model::{Host, HostEvent, HostResult, Outcome, RunMode, TransportKind};
use fleetmend_playbooks::Situation;
use serde_json::Value;

use super::work::Work;
use crate::credentials;
use crate::error::CliError;

/// Returns the result that follows from what happened on a PC, in order. The stick's own word for
/// it is not asked.
///
/// # Errors
/// The run has no playbook for such a PC.
pub(super) fn judge(
    work: &Work,
    host: &Host,
    story: &[HostEvent],
    credential_for: Option<&str>,
    elapsed_ms: u64,
) -> Result<HostResult, CliError> {
    let program = work
        .programs
        .on(host.platform)
        .ok_or_else(|| CliError::internal("the run has no playbook for this PC"))?;
    let mut situation = work.situation(host)?;
    if let Some(name) = credential_for {
        give(&mut situation, name);
    }
    let connected = [
        HostEvent::Connecting,
        HostEvent::Connected {
            transport: TransportKind::WinrmHttp,
            address: String::new(),
        },
    ];
    let state = connected
        .iter()
        .chain(story)
        .fold(PcState::default(), PcState::apply);
    let context = Context {
        mode: RunMode::Repair,
        stop: Stop::No,
        situation: &situation,
        refused: &BTreeMap::new(),
        directory_refused: None,
        overdue: false,
        aged: false,
    };
    let ending = match machine::next(Task::Playbook(program), &context, &state) {
        Action::Finish(ending) => ending,
        // The script was ended before it came to an end of its own.
        _ => machine::halted(&state, "by-hand"),
    };
    let mut result = ending.into_result(host.name.clone(), elapsed_ms);
    if let Outcome::Repaired { rung } = &mut result.outcome {
        *rung = format!("by-hand/{rung}");
    }
    Ok(result)
}

fn give(situation: &mut Situation, name: &str) {
    situation.credentials.insert(name.to_owned());
    situation.credentials_for_pcs.insert(name.to_owned());
    situation
        .params
        .insert(name.to_owned(), Value::from(credentials::DOMAIN));
}
