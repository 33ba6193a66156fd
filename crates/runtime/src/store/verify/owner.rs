//! Who owns what was found: sections of raw keyed state, and files that stand in the place of others.

use alluvium_core::{
    CheckpointMetadata, KeyGroup, OperatorState, StateHandle, StateLocation, SubtaskIndex,
};
use alluvium_format::operator::{DistributionMode, OperatorStateItems, section_key_group};
use alluvium_state::RestoreError;
use alluvium_storage::{HandleReader, StorageError};

/// The sections of raw keyed state must be those of key groups of the subtask (SPEC 7.2).
///
/// Errors: [`RestoreError::Mismatch`], naming both subtasks.
pub(super) fn verify_sections(
    stream: &str,
    operator: &OperatorState,
    subtask: SubtaskIndex,
    state: &OperatorStateItems,
) -> Result<(), RestoreError> {
    if state.mode != DistributionMode::Keyed {
        return Ok(());
    }
    let (parallelism, stream) = (operator.parallelism, stream.to_owned());
    let owner_of = |section: &[u8]| {
        let number = section_key_group(section).ok()?;
        let key_group = KeyGroup::new(number, parallelism.max()).ok()?;
        Some((key_group, parallelism.owner_of(key_group)))
    };
    let what = "owner of a section";
    for section in &state.items {
        let found = match owner_of(section) {
            Some((_, owner)) if owner == subtask => continue,
            Some((key_group, owner)) => format!("subtask {owner} of key group {key_group}"),
            None => "a key group that no subtask has".to_owned(),
        };
        let expected = format!("subtask {subtask}");
        return Err(RestoreError::Mismatch { stream, what, expected, found });
    }
    Ok(())
}

/// What to say of a stream that is not the one of its handle: whose it is, if it is that of another
/// handle of the checkpoint. Any other error stays as it is, and that of a file that the stream refers to.
pub(super) fn of_another(
    metadata: &CheckpointMetadata,
    handle: &StateHandle,
    reader: &HandleReader,
    error: RestoreError,
) -> RestoreError {
    let RestoreError::Storage(
        StorageError::SealMismatch { location, .. } | StorageError::Truncated { location, .. },
    ) = &error
    else {
        return error;
    };
    let StateLocation::File(path) = &handle.location else { return error };
    if location.path() != Some(path) {
        return error;
    }
    let stands_there = |other: &StateHandle| {
        let (location, len_bytes, seal) = (handle.location.clone(), other.len_bytes, other.seal);
        reader.source(&StateHandle { location, len_bytes, seal }).is_ok()
    };
    let (expected, found) = (name_of(metadata, |it| it == handle), name_of(metadata, stands_there));
    match (expected, found) {
        (Some(expected), Some(found)) => {
            let stream = format!("{}/{path}", reader.root());
            RestoreError::Mismatch { stream, what: "stream", expected, found }
        }
        _ => error,
    }
}

/// The first stream of a checkpoint that is wanted, for people.
fn name_of(
    metadata: &CheckpointMetadata,
    is_wanted: impl Fn(&StateHandle) -> bool,
) -> Option<String> {
    metadata.operators.iter().find_map(|operator| {
        operator.subtasks.iter().find_map(|subtask| {
            let keyed = subtask.keyed.as_ref().map(|it| ("keyed", &it.stream));
            let own = subtask.operator.as_ref().map(|it| ("operator", &it.stream));
            let (kind, _) = keyed.into_iter().chain(own).find(|(_, it)| is_wanted(it))?;
            Some(format!("{kind} state of {} subtask {}", operator.uid, subtask.index))
        })
    })
}
