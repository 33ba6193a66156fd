//! Checkpoints to look into, written as a job writes them.

use std::path::Path;
use std::sync::Arc;

use alluvium_benches::random::Random;
use alluvium_benches::targets::{full_target, spec_of, write};
use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointMetadata, CheckpointProperties, JobId,
    OperatorState, SubtaskState,
};
use alluvium_format::metadata::write_metadata;
use alluvium_heap::HeapStateBackend;
use alluvium_state::{KeyedStateBackend, StateBackend, ValueStateDescriptor};
use alluvium_storage::{HandleReader, JobLayout, ReadAccess, Storage, StreamPolicy};

/// Most there may be.
const KEY_GROUPS: u32 = 32_768;
const CHECKPOINT: CheckpointId = CheckpointId::FIRST;
/// Subtasks of the checkpoint of many bytes.
const WIDE: u16 = 8;
const VALUE_LEN_BYTES: usize = 4_096;

/// A checkpoint of an operator with so many subtasks, each with a file of one entry; gives its address.
pub(crate) fn many_files(dir: &Path, files: u16) -> String {
    written(dir, files, 1, 8)
}

/// A checkpoint of so many MiB in values of 4 KiB; gives its address.
pub(crate) fn many_bytes(dir: &Path, mib: u32) -> String {
    let values = u64::from(mib) * (1 << 20) / VALUE_LEN_BYTES as u64;
    written(dir, WIDE, values / u64::from(WIDE), VALUE_LEN_BYTES)
}

fn written(dir: &Path, subtasks: u16, values: u64, len_bytes: usize) -> String {
    let job = dir.join("measured").display().to_string();
    let storage = alluvium_storage::open(&job).expect("a folder");
    let metadata = metadata(&storage, subtasks, values, len_bytes);
    let bytes = write_metadata(&metadata).expect("sound metadata");
    storage.create(&JobLayout::metadata(CHECKPOINT), &bytes).expect("a new file");
    format!("{job}/{}", JobLayout::checkpoint_dir(CHECKPOINT))
}

fn metadata(
    storage: &Arc<dyn Storage>,
    subtasks: u16,
    values: u64,
    len_bytes: usize,
) -> CheckpointMetadata {
    let reader = HandleReader::new(Arc::clone(storage), ReadAccess::Copy);
    let policy = StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() };
    let target = full_target(Arc::clone(storage), policy, CHECKPOINT);
    let mut random = Random::new(alluvium_benches::targets::ACCESS_SEED);
    let mut states = Vec::new();
    for subtask in 0..subtasks {
        let spec = spec_of::<u64>(subtask, u32::from(subtasks), KEY_GROUPS);
        let index = spec.subtask;
        let mut backend = HeapStateBackend::default().open(spec, &[], &reader).expect("empty");
        let range = backend.key_groups();
        let state = ValueStateDescriptor::<Vec<u8>>::new("bytes");
        let state = backend.value_state(state).expect("a new state");
        // Groups in turn; no job looks for these keys by their hash.
        let groups: Vec<_> = range.iter().collect();
        for (key, group) in (0..values).zip(groups.into_iter().cycle()) {
            let mut value = vec![0; len_bytes];
            for piece in value.chunks_mut(8) {
                let noise = random.next_u64().to_le_bytes();
                piece.iter_mut().zip(noise).for_each(|(byte, noise)| *byte = noise);
            }
            let mut at = backend.at_key_group(group, &key, &()).expect("an own key group");
            state.set(&mut at, value).expect("a value");
        }
        let frozen = backend.freeze(CHECKPOINT).expect("no other snapshot");
        let keyed = Some(write(frozen, &target));
        states.push(SubtaskState { index, keyed, operator: None });
    }
    let spec = spec_of::<u64>(0, u32::from(subtasks), KEY_GROUPS);
    let (uid, parallelism) = (spec.uid, spec.parallelism);
    CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("measured").expect("a valid name"),
            checkpoint: CHECKPOINT,
            attempt: AttemptId::new(1),
            triggered_at_ms: 0,
            completed_at_ms: 1,
            max_parallelism: alluvium_benches::targets::max_parallelism(KEY_GROUPS),
            assigner: AssignerName::Stable,
        },
        operators: vec![OperatorState { uid, parallelism, subtasks: states }],
    }
}
