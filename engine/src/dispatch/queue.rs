//! Which PCs wait, in which batches.

use std::collections::VecDeque;

use super::host_task::Done;
use super::past::Past;
use super::plan::RunPlan;
use crate::machine::PcState;

/// A batch that was not begun.
pub(super) struct Batch {
    /// The first is 1.
    pub(super) number: usize,
    /// The PCs of the batch that have their result from before a cut.
    pub(super) done: Vec<usize>,
    /// The others, those amid a repair first, else in the plan's order.
    pub(super) waiting: VecDeque<(usize, PcState)>,
}

/// Returns the batches of these sizes, and the results that there are.
pub(super) fn batches(
    plan: &RunPlan,
    sizes: &[usize],
    past: &mut Past,
) -> (VecDeque<Batch>, Vec<Option<Done>>) {
    let mut hosts = plan.hosts.iter().enumerate();
    let mut done = Vec::with_capacity(plan.hosts.len());
    let batches = sizes.iter().zip(1..).map(|(size, number)| {
        let mut amid = VecDeque::new();
        let mut others = VecDeque::new();
        let mut ended = Vec::new();
        for (index, host) in hosts.by_ref().take(*size) {
            let state = past.take(&host.name);
            done.push(state.result.clone().map(|result| Done {
                index,
                result,
                exec: None,
                tried: !state.tried.is_empty(),
            }));
            match &state {
                PcState {
                    result: Some(_), ..
                } => ended.push(index),
                PcState { rung: Some(_), .. } => amid.push_back((index, state)),
                _ => others.push_back((index, state)),
            }
        }
        amid.append(&mut others);
        Batch {
            number,
            done: ended,
            waiting: amid,
        }
    });
    let batches = batches.collect();
    (batches, done)
}
