//! Streams and sections that belong to another subtask than the one that they are given to.

use alluvium_core::{CheckpointMetadata, KeyedStateHandle};
use alluvium_format::codec::{Codec, DefaultCodec};
use alluvium_format::envelope::{StreamIdentity, StreamKind};
use alluvium_format::keyed::{HashSeedRun, KeyedHeader, KeyedWriter};
use alluvium_format::operator::{DistributionMode, OperatorStateItems, write_operator_state};
use alluvium_storage::StateFileKind;
use bytes::Bytes;

use super::*;

fn identity(kind: StreamKind, index: u16) -> StreamIdentity {
    let subtask = Some(SubtaskIndex::new(index));
    StreamIdentity { kind, subtask, checkpoint: id(1), attempt: AttemptId::new(1) }
}

/// Raw keyed state with a section for one key group.
fn operator_stream(index: u16, key_group: u16) -> (Vec<u8>, u32) {
    let section = (key_group, Bytes::from(vec![7; usize::from(index) * 3]));
    let mut item = Vec::new();
    DefaultCodec.encode(&section, &mut item).unwrap();
    let state = OperatorStateItems {
        name: "raw".to_owned(),
        mode: DistributionMode::Keyed,
        item: Codec::<(u16, Bytes)>::snapshot(&DefaultCodec),
        items: vec![item.into()],
    };
    let uid = OperatorUid::new("op").unwrap();
    write_operator_state(Vec::new(), &identity(StreamKind::Operator, index), &uid, &[state])
        .unwrap()
}

fn keyed_stream(index: u16, parallelism: Parallelism) -> (Vec<u8>, u32) {
    let key_groups = KeyGroupRange::of_subtask(SubtaskIndex::new(index), parallelism).unwrap();
    let header = KeyedHeader {
        uid: OperatorUid::new("op").unwrap(),
        max_parallelism: parallelism.max(),
        assigner: AssignerName::Stable,
        key_groups,
        key: Codec::<u64>::snapshot(&DefaultCodec),
        hash_seeds: vec![HashSeedRun { last: key_groups.last(), seed: 1 }],
        states: Vec::new(),
    };
    let identity = identity(StreamKind::Keyed, index);
    let finished = KeyedWriter::new(Vec::new(), &identity, &header).unwrap().finish().unwrap();
    (finished.out, finished.seal)
}

/// A checkpoint of two subtasks, each with keyed state and a section of one of its two key groups.
fn two_subtasks(store: &CheckpointStore, sections: [u16; 2]) -> CheckpointMetadata {
    let attempt = AttemptId::new(1);
    let mut metadata = checkpoint(store, 1, attempt, None);
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let parallelism = Parallelism::new(2, max_parallelism).unwrap();
    let operator = metadata.operators.first_mut().unwrap();
    operator.parallelism = parallelism;
    let subtasks = (0..).zip(sections).map(|(number, section)| {
        let index = SubtaskIndex::new(number);
        let file = |kind, (bytes, seal): (Vec<u8>, u32)| {
            let path = JobLayout::state_file(id(1), &operator.uid, index, kind, attempt);
            store.storage().delete(&path).unwrap();
            store.storage().create(&path, &bytes).unwrap();
            let len_bytes = bytes.len() as u64;
            StateHandle { location: StateLocation::File(path), len_bytes, seal }
        };
        let keyed = KeyedStateHandle {
            key_groups: KeyGroupRange::of_subtask(index, parallelism).unwrap(),
            stream: file(StateFileKind::Keyed, keyed_stream(number, parallelism)),
            shared: Vec::new(),
            written: Vec::new(),
        };
        let operator = file(StateFileKind::Operator, operator_stream(number, section));
        let operator = Some(OperatorStateHandle { stream: operator });
        SubtaskState { index, keyed: Some(keyed), operator }
    });
    operator.subtasks = subtasks.collect();
    metadata
}

fn refused(store: &CheckpointStore, metadata: &CheckpointMetadata) -> String {
    match store.verify(metadata).unwrap_err() {
        StoreError::State { source, .. } => match *source {
            error @ RestoreError::Mismatch { .. } => error.to_string(),
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

/// Somebody moved the file of one subtask to the place of that of another: the error says whose it is.
#[test]
fn swapped_files_are_refused_and_both_subtasks_are_named() {
    let store = store("swapped");
    let metadata = two_subtasks(&store, [1, 2]);
    store.verify(&metadata).unwrap();
    for kind in ["keyed", "operator"] {
        let paths =
            [0, 1].map(|index| StoragePath::new(&format!("chk-1/op-{index}-{kind}-1")).unwrap());
        let files = paths.each_ref().map(|path| store.storage().read_all(path).unwrap());
        for (path, bytes) in paths.iter().zip(files.iter().rev()) {
            store.storage().delete(path).unwrap();
            store.storage().create(path, bytes).unwrap();
        }
        let error = refused(&store, &metadata);
        let said =
            format!("{kind} state of op subtask 0 expected, {kind} state of op subtask 1 found");
        assert!(error.contains(&said), "{error}");
        assert!(error.contains(&format!("chk-1/op-0-{kind}-1: ")), "{error}");
        for (path, bytes) in paths.iter().zip(&files) {
            store.storage().delete(path).unwrap();
            store.storage().create(path, bytes).unwrap();
        }
        store.verify(&metadata).unwrap();
    }
}

/// The handles were swapped with the files, so each file is what its handle says.
#[test]
fn swapped_handles_are_refused_and_both_subtasks_are_named() {
    let store = store("swapped-handles");
    let metadata = two_subtasks(&store, [1, 2]);
    let subtasks = |metadata: &CheckpointMetadata| metadata.operators[0].subtasks.clone();
    let mut operator = metadata.clone();
    operator.operators[0].subtasks[0].operator = subtasks(&metadata)[1].operator.clone();
    let mut keyed = metadata.clone();
    keyed.operators[0].subtasks[0].keyed = subtasks(&metadata)[1].keyed.clone();
    for metadata in [operator, keyed] {
        let error = refused(&store, &metadata);
        assert!(error.contains("subtask 0 expected, 1 found"), "{error}");
    }
}

#[test]
fn sections_of_key_groups_of_another_subtask_are_refused() {
    let store = store("sections");
    let error = refused(&store, &two_subtasks(&store, [1, 1]));
    let said =
        "chk-1/op-1-operator-1: owner of a section subtask 1 expected, subtask 0 of key group 1";
    assert!(error.contains(said), "{error}");
    let error = refused(&store, &two_subtasks(&store, [4, 3]));
    assert!(error.contains("subtask 0 expected, a key group that no subtask has found"), "{error}");
}
