//! Operator state of rewritten subtasks.
//!
//! Invariants: raw keyed state belongs to key groups and is made of bytes that only its operator knows,
//! so another max parallelism is refused where there is some.

use alluvium_core::{
    OperatorState, OperatorStateHandle, OperatorUid, Parallelism, SubtaskIndex, SubtaskState,
};
use alluvium_format::envelope::StreamKind;
use alluvium_format::operator::{DistributionMode, OperatorStateItems, write_operator_state};

use super::Job;
use crate::InspectError;
use crate::operator_items::read_states;

/// The subtasks of an operator with their operator state, and without keyed state yet.
pub(super) fn subtasks(
    job: &Job<'_>,
    operator: &OperatorState,
    uid: &OperatorUid,
    parallelism: Parallelism,
) -> Result<Vec<SubtaskState>, InspectError> {
    let same_groups = parallelism.max() == operator.parallelism.max();
    let rewritten = operator.subtasks.iter().map(|subtask| {
        let mut rewritten = SubtaskState { index: subtask.index, keyed: None, operator: None };
        let Some(handle) = &subtask.operator else { return Ok(rewritten) };
        let mut states = read_states(job.checkpoint, operator, subtask.index, handle)?;
        states.retain(|state| !job.is_dropped(&operator.uid, &state.name));
        let in_groups = |state: &&OperatorStateItems| {
            state.mode == DistributionMode::Keyed && !state.items.is_empty()
        };
        if let (false, Some(state)) = (same_groups, states.iter().find(in_groups)) {
            let what = format!("state {:?} of operator {}", state.name, operator.uid);
            let reason = "raw keyed state cannot be given other key groups";
            return Err(InspectError::CannotRewrite { what, reason });
        }
        if !states.is_empty() {
            rewritten.operator = Some(write(job, uid, subtask.index, &states)?);
        }
        Ok(rewritten)
    });
    rewritten.collect()
}

fn write(
    job: &Job<'_>,
    uid: &OperatorUid,
    subtask: SubtaskIndex,
    states: &[OperatorStateItems],
) -> Result<OperatorStateHandle, InspectError> {
    let (stream, identity) = job.target.stream(StreamKind::Operator, uid, subtask);
    let (stream, _seal) = write_operator_state(stream, &identity, uid, states)
        .map_err(|source| InspectError::Encode { what: "operator state", source })?;
    Ok(OperatorStateHandle { stream: stream.finish()? })
}
