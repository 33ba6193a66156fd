//! Writes metadata.

use alluvium_core::{CheckpointMetadata, OperatorState, StateHandle, StateLocation, SubtaskState};

use super::{FILE, HAS_KEYED, HAS_OPERATOR, INLINE, check_metadata_len};
use crate::envelope::{EnvelopeWriter, StreamIdentity, StreamKind};
use crate::shared::put_shared;
use crate::wire::{put_count, put_text};
use crate::{CodecError, FormatError};

/// The bytes of a `_metadata` file.
///
/// Errors: [`FormatError::Codec`] when a path or a list is longer than the format can hold,
/// [`FormatError::Limit`].
pub fn write_metadata(metadata: &CheckpointMetadata) -> Result<Vec<u8>, FormatError> {
    let properties = &metadata.properties;
    let identity = StreamIdentity {
        kind: StreamKind::Metadata,
        subtask: None,
        checkpoint: properties.checkpoint,
        attempt: properties.attempt,
    };
    let index = encode_index(metadata).map_err(|source| FormatError::Codec {
        what: "index",
        offset: 0,
        source,
    })?;
    let (bytes, _seal) = EnvelopeWriter::new(Vec::new(), &identity)?.finish(&index)?;
    check_metadata_len(bytes.len() as u64)?;
    Ok(bytes)
}

fn encode_index(metadata: &CheckpointMetadata) -> Result<Vec<u8>, CodecError> {
    let properties = &metadata.properties;
    let mut out = Vec::new();
    put_text(properties.job.as_str(), &mut out)?;
    out.extend_from_slice(&properties.triggered_at_ms.to_le_bytes());
    out.extend_from_slice(&properties.completed_at_ms.to_le_bytes());
    out.extend_from_slice(&properties.max_parallelism.get().to_le_bytes());
    out.push(properties.assigner.code());
    put_count(metadata.operators.len(), "number of operators", &mut out)?;
    metadata.operators.iter().try_for_each(|operator| put_operator(operator, &mut out))?;
    Ok(out)
}

fn put_operator(operator: &OperatorState, out: &mut Vec<u8>) -> Result<(), CodecError> {
    put_text(operator.uid.as_str(), out)?;
    out.extend_from_slice(&operator.parallelism.get().to_le_bytes());
    operator.subtasks.iter().try_for_each(|subtask| put_subtask(subtask, out))
}

fn put_subtask(subtask: &SubtaskState, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let keyed = if subtask.keyed.is_some() { HAS_KEYED } else { 0 };
    let operator = if subtask.operator.is_some() { HAS_OPERATOR } else { 0 };
    out.push(keyed | operator);
    if let Some(keyed) = &subtask.keyed {
        out.extend_from_slice(&keyed.key_groups.first().get().to_le_bytes());
        out.extend_from_slice(&keyed.key_groups.last().get().to_le_bytes());
        put_handle(&keyed.stream, out)?;
        put_shared(&keyed.shared, out)?;
    }
    subtask.operator.iter().try_for_each(|operator| put_handle(&operator.stream, out))
}

fn put_handle(handle: &StateHandle, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.push(if handle.file().is_some() { FILE } else { INLINE });
    out.extend_from_slice(&handle.len_bytes.to_le_bytes());
    out.extend_from_slice(&handle.seal.to_le_bytes());
    match &handle.location {
        StateLocation::File(path) => put_text(path.as_str(), out),
        StateLocation::Inline(bytes) => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        _ => Err(CodecError::Invalid {
            what: "state handle",
            offset: 0,
            reason: "a location that this version cannot write",
        }),
    }
}
