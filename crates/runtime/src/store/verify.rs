//! Verifies a checkpoint to its last byte, and that its streams belong to it. Of the streams of
//! earlier checkpoints that it refers to, length, seal and the blocks that it uses are compared.

use alluvium_core::{
    CheckpointMetadata, CheckpointProperties, KeyedStateHandle, OperatorState, OperatorStateHandle,
    SharedFile, StateHandle, StateLocation, SubtaskIndex,
};
use alluvium_format::keyed::{KeyedReader, MapEntry, read_block};
use alluvium_format::operator::read_operator_state;
use alluvium_state::RestoreError;
use alluvium_storage::HandleReader;

/// Opens every stream, compares every checksum, and compares what each says with the metadata.
/// Every shared file must be there with its length and seal, and hold the blocks that are used.
///
/// Errors: [`RestoreError`], naming the file.
pub fn verify_checkpoint(
    metadata: &CheckpointMetadata,
    reader: &HandleReader,
) -> Result<(), RestoreError> {
    let properties = &metadata.properties;
    for operator in &metadata.operators {
        for subtask in &operator.subtasks {
            if let Some(keyed) = &subtask.keyed {
                verify_keyed(operator, subtask.index, keyed, properties, reader)?;
            }
            if let Some(state) = &subtask.operator {
                verify_operator(operator, subtask.index, state, reader)?;
            }
        }
    }
    Ok(())
}

fn name_of(
    stream: &StateHandle,
    operator: &OperatorState,
    subtask: SubtaskIndex,
    reader: &HandleReader,
) -> String {
    match stream.file() {
        Some(path) => format!("{}/{path}", reader.root()),
        None => format!("state of {} subtask {subtask} inside the metadata", operator.uid),
    }
}

fn verify_keyed(
    operator: &OperatorState,
    subtask: SubtaskIndex,
    handle: &KeyedStateHandle,
    properties: &CheckpointProperties,
    reader: &HandleReader,
) -> Result<(), RestoreError> {
    let max = properties.max_parallelism;
    let stream = name_of(&handle.stream, operator, subtask, reader);
    for file in &handle.shared {
        reader.shared_source(file)?;
    }
    let bytes = reader.open(&handle.stream)?;
    let damaged = |source| RestoreError::Damaged { stream: stream.clone(), source };
    let keyed = KeyedReader::open_bytes(bytes).map_err(damaged)?;
    keyed.verify(max.all_key_groups()).map_err(damaged)?;
    let header = keyed.header();
    let found_subtask = keyed.identity().subtask.map(|subtask| subtask.to_string());
    let pairs = [
        ("operator", operator.uid.to_string(), header.uid.to_string()),
        ("subtask", subtask.to_string(), found_subtask.unwrap_or_default()),
        ("max parallelism", max.to_string(), header.max_parallelism.to_string()),
        ("key-group assigner", properties.assigner.to_string(), header.assigner.to_string()),
        ("key-group range", handle.key_groups.to_string(), header.key_groups.to_string()),
    ];
    compare(&stream, pairs)?;
    let list = |files: &[SharedFile]| files.iter().map(|file| format!("{file:?}")).collect();
    let (listed, found): (Vec<String>, Vec<String>) = (list(&handle.shared), list(keyed.shared()));
    compare(&stream, [("shared files", listed.join(", "), found.join(", "))])?;
    (1..)
        .zip(&handle.shared)
        .try_for_each(|(number, file)| verify_shared(number, file, &keyed, reader))
}

/// Compares the checksums of the blocks that lie in one shared file.
fn verify_shared(
    number: u16,
    file: &SharedFile,
    keyed: &KeyedReader,
    reader: &HandleReader,
) -> Result<(), RestoreError> {
    let SharedFile { path, len_bytes, seal } = file.clone();
    let stream = format!("{}/{path}", reader.root());
    let bytes =
        reader.open(&StateHandle { location: StateLocation::File(path), len_bytes, seal })?;
    let mut blocks = keyed.maps().iter().flat_map(MapEntry::blocks);
    blocks.try_for_each(|block| {
        if block.file != number {
            return Ok(());
        }
        let read = read_block(&bytes, &block.block).map(drop);
        read.map_err(|source| RestoreError::Damaged { stream: stream.clone(), source })
    })
}

fn verify_operator(
    operator: &OperatorState,
    subtask: SubtaskIndex,
    handle: &OperatorStateHandle,
    reader: &HandleReader,
) -> Result<(), RestoreError> {
    let stream = name_of(&handle.stream, operator, subtask, reader);
    let bytes = reader.open(&handle.stream)?;
    let (uid, identity, _) = read_operator_state(bytes)
        .map_err(|source| RestoreError::Damaged { stream: stream.clone(), source })?;
    let found_subtask = identity.subtask.map(|subtask| subtask.to_string());
    let pairs = [
        ("operator", operator.uid.to_string(), uid.to_string()),
        ("subtask", subtask.to_string(), found_subtask.unwrap_or_default()),
    ];
    compare(&stream, pairs)
}

fn compare<const N: usize>(
    stream: &str,
    pairs: [(&'static str, String, String); N],
) -> Result<(), RestoreError> {
    for (what, expected, found) in pairs {
        if expected != found {
            let stream = stream.to_owned();
            return Err(RestoreError::Mismatch { stream, what, expected, found });
        }
    }
    Ok(())
}
