//! Verifies a checkpoint to its last byte, and that its streams, and the sections in them, belong to
//! those whom the metadata gives them to. Of the streams of
//! earlier checkpoints that it refers to, length, seal and the blocks that it uses are compared; of
//! SST files, all bytes.

mod owner;

use alluvium_core::{
    AssignerName, CheckpointMetadata, CheckpointProperties, KeyGroupRange, KeyedStateHandle,
    MaxParallelism, OperatorState, OperatorStateHandle, OperatorUid, SharedFile, StateHandle,
    StateLocation, SubtaskIndex,
};
use alluvium_format::envelope::{StreamKind, read_identity};
use alluvium_format::keyed::{KeyedHeader, KeyedReader, MapEntry, read_block};
use alluvium_format::operator::read_operator_state;
use alluvium_format::sst::{SstChecksum, SstIndexHeader, SstIndexReader, SstMeta};
use alluvium_state::{RestoreError, StreamSource};
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
            let swapped = |handle, error| owner::of_another(metadata, handle, reader, error);
            if let Some(keyed) = &subtask.keyed {
                verify_keyed(operator, subtask.index, keyed, properties, reader)
                    .map_err(|error| swapped(&keyed.stream, error))?;
            }
            if let Some(state) = &subtask.operator {
                verify_operator(operator, subtask.index, state, reader)
                    .map_err(|error| swapped(&state.stream, error))?;
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
    let stream = name_of(&handle.stream, operator, subtask, reader);
    for file in &handle.shared {
        reader.shared_source(file)?;
    }
    let bytes = reader.open(&handle.stream)?;
    let damaged = |source| RestoreError::Damaged { stream: stream.clone(), source };
    let expected = Scope {
        uid: &operator.uid,
        subtask: Some(subtask),
        max_parallelism: properties.max_parallelism,
        assigner: properties.assigner,
        key_groups: handle.key_groups,
        shared: &handle.shared,
    };
    if read_identity(&bytes).map_err(damaged)?.kind == StreamKind::SstIndex {
        let index = SstIndexReader::open_bytes(bytes).map_err(damaged)?;
        compare(&stream, expected.pairs(&Scope::of_ssts(&index)))?;
        return index.ssts().try_for_each(|(file, meta)| verify_sst(file, meta, reader));
    }
    let keyed = KeyedReader::open_bytes(bytes).map_err(damaged)?;
    keyed.verify(properties.max_parallelism.all_key_groups()).map_err(damaged)?;
    compare(&stream, expected.pairs(&Scope::of_blocks(&keyed)))?;
    (1..)
        .zip(&handle.shared)
        .try_for_each(|(number, file)| verify_shared(number, file, &keyed, reader))
}

/// What the metadata and the index of a keyed stream both say (SPEC 8.3).
struct Scope<'a> {
    uid: &'a OperatorUid,
    subtask: Option<SubtaskIndex>,
    max_parallelism: MaxParallelism,
    assigner: AssignerName,
    key_groups: KeyGroupRange,
    shared: &'a [SharedFile],
}

impl<'a> Scope<'a> {
    fn of_blocks(keyed: &'a KeyedReader) -> Self {
        let (header, subtask) = (keyed.header(), keyed.identity().subtask);
        let KeyedHeader { uid, max_parallelism, assigner, key_groups, .. } = header;
        let (max_parallelism, assigner, key_groups) = (*max_parallelism, *assigner, *key_groups);
        Self { uid, subtask, max_parallelism, assigner, key_groups, shared: keyed.shared() }
    }

    fn of_ssts(index: &'a SstIndexReader) -> Self {
        let (header, subtask) = (index.header(), index.identity().subtask);
        let SstIndexHeader { uid, max_parallelism, assigner, key_groups, .. } = header;
        let (max_parallelism, assigner, key_groups) = (*max_parallelism, *assigner, *key_groups);
        Self { uid, subtask, max_parallelism, assigner, key_groups, shared: index.shared() }
    }

    fn pairs(&self, found: &Self) -> [(&'static str, String, String); 6] {
        let subtask = |of: &Self| of.subtask.map(|it| it.to_string()).unwrap_or_default();
        let files = |of: &Self| {
            let files: Vec<String> = of.shared.iter().map(|file| format!("{file:?}")).collect();
            files.join(", ")
        };
        let pair = |what, of: &dyn Fn(&Self) -> String| (what, of(self), of(found));
        [
            pair("operator", &|of| of.uid.to_string()),
            pair("subtask", &subtask),
            pair("max parallelism", &|of| of.max_parallelism.to_string()),
            pair("key-group assigner", &|of| of.assigner.to_string()),
            pair("key-group range", &|of| of.key_groups.to_string()),
            pair("shared files", &files),
        ]
    }
}

/// Compares all bytes of an SST with its checksum, piece by piece.
fn verify_sst(
    file: &SharedFile,
    meta: &SstMeta,
    reader: &HandleReader,
) -> Result<(), RestoreError> {
    let source = StreamSource::new(reader.shared_source(file)?);
    SstChecksum::verify(&source, meta.checksum).map_err(|source| {
        RestoreError::of_stream(format!("{}/{}", reader.root(), file.path), source)
    })
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
    let damaged = |source| RestoreError::Damaged { stream: stream.clone(), source };
    let (uid, identity, states) = read_operator_state(bytes).map_err(damaged)?;
    let found_subtask = identity.subtask.map(|subtask| subtask.to_string());
    let pairs = [
        ("operator", operator.uid.to_string(), uid.to_string()),
        ("subtask", subtask.to_string(), found_subtask.unwrap_or_default()),
    ];
    compare(&stream, pairs)?;
    states.iter().try_for_each(|state| owner::verify_sections(&stream, operator, subtask, state))
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
