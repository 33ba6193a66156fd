mod lazy;
mod near;

use std::sync::Arc;

use alluvium_core::{
    AttemptId, CheckpointId, KeyGroupAssigner, MaxParallelism, OperatorUid, Parallelism,
    SubtaskIndex,
};
use alluvium_format::codec::DefaultCodec;
use alluvium_state::{
    FrozenState, KeyedStateBackend, SnapshotMode, SnapshotTarget, ValueStateDescriptor,
};
use alluvium_storage::{CheckpointStreams, StreamPolicy};

use super::*;

fn spec() -> KeyedBackendSpec<u64, DefaultCodec> {
    KeyedBackendSpec {
        uid: OperatorUid::new("op").unwrap(),
        subtask: SubtaskIndex::new(0),
        parallelism: Parallelism::new(1, MaxParallelism::new(128).unwrap()).unwrap(),
        key: DefaultCodec,
        assigner: KeyGroupAssigner::Stable,
        hash_seed: 1,
    }
}

#[test]
fn restored_state_outlives_its_deleted_file() {
    for map in [StateMapKind::CopyOnWrite, StateMapKind::Nested] {
        let dir = tempfile::tempdir().unwrap();
        let storage = alluvium_storage::open(dir.path().to_str().unwrap()).unwrap();
        let reader = HandleReader::new(Arc::clone(&storage), ReadAccess::Copy);
        let backend = FsStateBackend::new(map);
        let mut first = backend.open(spec(), &[], &reader).unwrap();
        let state = first.value_state(ValueStateDescriptor::<u64>::new("n")).unwrap();
        for key in 0..10_000_u64 {
            state.set(&mut first.at(&key).unwrap(), key + 1).unwrap();
        }
        let streams = CheckpointStreams::new(Arc::clone(&storage), StreamPolicy::files());
        let (checkpoint, attempt) = (CheckpointId::FIRST, AttemptId::new(1));
        let mode = SnapshotMode::Full;
        let frozen: Box<dyn FrozenState> = first.freeze(checkpoint).unwrap();
        let handle = frozen.write(&SnapshotTarget { streams, checkpoint, attempt, mode }).unwrap();
        let handle = handle.expect("there is state");

        let mut second = backend.open(spec(), std::slice::from_ref(&handle), &reader).unwrap();
        storage.delete(handle.stream.file().expect("more than 20 KiB")).unwrap();
        let state = second.value_state(ValueStateDescriptor::<u64>::new("n")).unwrap();
        for key in 0..10_000_u64 {
            assert_eq!(*state.get(&second.at(&key).unwrap()).unwrap().unwrap(), key + 1);
        }
        assert_eq!(second.entry_count().unwrap(), 10_000);
        let gone = backend.open(spec(), &[handle], &reader).err().unwrap();
        assert!(gone.to_string().contains("op-0-keyed-1"), "{gone}");
    }
}
