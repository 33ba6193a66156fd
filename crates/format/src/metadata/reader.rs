//! Reads metadata and checks every rule of it.

use std::collections::BTreeSet;

use alluvium_core::{
    AssignerName, CheckpointMetadata, CheckpointProperties, JobId, KeyGroupRange, KeyedStateHandle,
    MaxParallelism, OperatorState, OperatorStateHandle, OperatorUid, Parallelism, StateHandle,
    StateLocation, StoragePath, SubtaskIndex, SubtaskState,
};
use bytes::Bytes;

use super::{FILE, HAS_KEYED, HAS_OPERATOR, INLINE};
use crate::FormatError;
use crate::codec::Input;
use crate::envelope::{Envelope, StreamKind};
use crate::refusal::Refusal;
use crate::shared::read_shared;
use crate::wire::first_room;

/// Reads the bytes of a `_metadata` file.
///
/// Errors: those of [`Envelope::open`]; [`FormatError::Codec`], [`FormatError::Malformed`].
pub fn read_metadata(bytes: Bytes) -> Result<CheckpointMetadata, FormatError> {
    let envelope = Envelope::open_bytes(bytes, StreamKind::Metadata)?;
    envelope.check_tiling([])?;
    let identity = *envelope.identity();
    if let Some(subtask) = identity.subtask {
        let reason = format!("metadata of subtask {subtask}");
        return Err(FormatError::Malformed { what: "header", offset: 0, reason });
    }
    let start = envelope.index_offset();
    let mut input = Input::new(envelope.index());
    let parts = read_index(&mut input).map_err(|refusal| refusal.of_index(start, &input))?;
    let Index { job, triggered_at_ms, completed_at_ms, max_parallelism, assigner, operators } =
        parts;
    let properties = CheckpointProperties {
        job,
        checkpoint: identity.checkpoint,
        attempt: identity.attempt,
        triggered_at_ms,
        completed_at_ms,
        max_parallelism,
        assigner,
    };
    Ok(CheckpointMetadata { properties, operators })
}

struct Index {
    job: JobId,
    triggered_at_ms: u64,
    completed_at_ms: u64,
    max_parallelism: MaxParallelism,
    assigner: AssignerName,
    operators: Vec<OperatorState>,
}

fn read_index(input: &mut Input<'_>) -> Result<Index, Refusal> {
    let job = JobId::new(input.text("job")?)?;
    let triggered_at_ms = input.u64("time of triggering")?;
    let completed_at_ms = input.u64("time of completion")?;
    let max_parallelism = MaxParallelism::new(u32::from(input.u16("max parallelism")?))?;
    let assigner = input.u8("assigner")?;
    let assigner = AssignerName::from_code(assigner)
        .ok_or_else(|| Refusal::Rule(format!("key-group assigner {assigner} is unknown")))?;
    let (mut operators, mut uids) = (Vec::new(), BTreeSet::new());
    for _ in 0..input.u16("number of operators")? {
        let operator = read_operator(input, max_parallelism)?;
        if !uids.insert(operator.uid.clone()) {
            return Err(Refusal::Rule(format!("operator {} comes twice", operator.uid)));
        }
        operators.push(operator);
    }
    if !input.is_empty() {
        let left = input.rest().len();
        return Err(Refusal::Rule(format!("{left} bytes after the last operator")));
    }
    Ok(Index { job, triggered_at_ms, completed_at_ms, max_parallelism, assigner, operators })
}

fn read_operator(input: &mut Input<'_>, max: MaxParallelism) -> Result<OperatorState, Refusal> {
    let uid = OperatorUid::new(input.text("operator uid")?)?;
    let parallelism = Parallelism::new(u32::from(input.u16("parallelism")?), max)?;
    let room = first_room::<SubtaskState>(usize::from(parallelism.get()), input);
    let mut subtasks = Vec::with_capacity(room);
    for index in parallelism.subtasks() {
        subtasks.push(read_subtask(input, index, parallelism)?);
    }
    Ok(OperatorState { uid, parallelism, subtasks })
}

fn read_subtask(
    input: &mut Input<'_>,
    index: SubtaskIndex,
    parallelism: Parallelism,
) -> Result<SubtaskState, Refusal> {
    let flags = input.u8("subtask flags")?;
    if flags & !(HAS_KEYED | HAS_OPERATOR) != 0 {
        return Err(Refusal::Rule(format!("subtask flags {flags:#04x} are unknown")));
    }
    let keyed = if flags & HAS_KEYED == 0 {
        None
    } else {
        let (first, last) = (input.u16("first key group")?, input.u16("last key group")?);
        let key_groups = KeyGroupRange::new(first, last, parallelism.max())?;
        let expected = KeyGroupRange::of_subtask(index, parallelism)?;
        if key_groups != expected {
            let rule = format!("subtask {index} has key groups {key_groups} instead of {expected}");
            return Err(Refusal::Rule(rule));
        }
        let stream = read_handle(input)?;
        Some(KeyedStateHandle {
            key_groups,
            stream,
            shared: read_shared(input)?,
            written: Vec::new(),
        })
    };
    let operator = if flags & HAS_OPERATOR == 0 {
        None
    } else {
        Some(OperatorStateHandle { stream: read_handle(input)? })
    };
    Ok(SubtaskState { index, keyed, operator })
}

fn read_handle(input: &mut Input<'_>) -> Result<StateHandle, Refusal> {
    let location = input.u8("location")?;
    let len_bytes = input.u64("stream length")?;
    let seal = input.u32("seal")?;
    let location = match location {
        INLINE => {
            let bytes = input.take(len_bytes, "inlined stream")?;
            StateLocation::Inline(Bytes::copy_from_slice(bytes))
        }
        FILE => StateLocation::File(StoragePath::new(input.text("path")?)?),
        other => return Err(Refusal::Rule(format!("location {other} is unknown"))),
    };
    Ok(StateHandle { location, len_bytes, seal })
}
