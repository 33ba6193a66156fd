//! The tables of the metadata and of its handles.

use alluvium_core::{
    AssignerName, CheckpointMetadata, CheckpointProperties, JobId, KeyGroupRange, KeyedStateHandle,
    MaxParallelism, OperatorState, OperatorStateHandle, OperatorUid, Parallelism, SharedFile,
    StateHandle, StateLocation, StoragePath, SubtaskIndex, SubtaskState,
};
use alluvium_format::envelope::{Envelope, StreamKind};
use alluvium_format::metadata::{read_metadata, write_metadata};
use bytes::Bytes;

use crate::fields::{compare, text};
use crate::{identity, section};

const OWN: &str = "shared/count-0-keyed-2-3";
const OTHER: &str = "shared/count-0-keyed-2-1";

fn path(path: &str) -> StoragePath {
    StoragePath::new(path).unwrap()
}

/// An operator with two subtasks, of which the second has nothing.
fn metadata() -> CheckpointMetadata {
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let parallelism = Parallelism::new(2, max_parallelism).unwrap();
    let index = SubtaskIndex::new(0);
    let location = StateLocation::File(path(OWN));
    let stream = StateHandle { location, len_bytes: 300, seal: 0x0102_0304 };
    let shared = vec![SharedFile { path: path(OTHER), len_bytes: 1 << 20, seal: 5 }];
    let key_groups = KeyGroupRange::of_subtask(index, parallelism).unwrap();
    let keyed = KeyedStateHandle { key_groups, stream, shared, written: Vec::new() };
    let location = StateLocation::Inline(Bytes::from_static(b"stream"));
    let stream = StateHandle { location, len_bytes: 6, seal: 7 };
    let first =
        SubtaskState { index, keyed: Some(keyed), operator: Some(OperatorStateHandle { stream }) };
    let second = SubtaskState { index: SubtaskIndex::new(1), keyed: None, operator: None };
    CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("wordcount").unwrap(),
            checkpoint: identity().checkpoint,
            attempt: identity().attempt,
            triggered_at_ms: 8,
            completed_at_ms: 9,
            max_parallelism,
            assigner: AssignerName::Flink,
        },
        operators: vec![OperatorState {
            uid: OperatorUid::new("count").unwrap(),
            parallelism,
            subtasks: vec![first, second],
        }],
    }
}

/// An index of fields of known values, in the order of the tables of 8.1 and 8.2.
#[test]
fn metadata_and_handles_have_the_fields_of_the_tables() {
    let bytes = write_metadata(&metadata()).unwrap();
    assert_eq!(read_metadata(bytes.clone().into()).unwrap(), metadata());
    let envelope = Envelope::open_bytes(bytes.into(), StreamKind::Metadata).unwrap();
    assert_eq!(envelope.index_offset(), 40);
    let number = |number: u64| number.to_le_bytes().to_vec();
    let fields = [
        ("job", text("wordcount")),
        ("triggered", number(8)),
        ("completed", number(9)),
        ("max parallelism", vec![4, 0]),
        ("assigner", vec![2]),
        ("number of operators", vec![1, 0]),
        ("operators: uid", text("count")),
        ("operators: parallelism", vec![2, 0]),
        ("operators: subtasks: flags", vec![3]),
        ("operators: subtasks: first key group", vec![0, 0]),
        ("operators: subtasks: last key group", vec![1, 0]),
        ("operators: subtasks: keyed handle: location", vec![2]),
        ("operators: subtasks: keyed handle: stream length", number(300)),
        ("operators: subtasks: keyed handle: seal", vec![4, 3, 2, 1]),
        ("operators: subtasks: keyed handle: content", text(OWN)),
        ("operators: subtasks: number of shared files", vec![1, 0]),
        ("operators: subtasks: shared files: path", text(OTHER)),
        ("operators: subtasks: shared files: stream length", number(1 << 20)),
        ("operators: subtasks: shared files: seal", vec![5, 0, 0, 0]),
        ("operators: subtasks: operator handle: location", vec![1]),
        ("operators: subtasks: operator handle: stream length", number(6)),
        ("operators: subtasks: operator handle: seal", vec![7, 0, 0, 0]),
        ("operators: subtasks: operator handle: content", b"stream".to_vec()),
        ("operators: subtasks: flags", vec![0]),
    ];
    let tables = [
        ("", "8.1", "job"),
        ("operators: ", "8.1", "uid"),
        ("operators: subtasks: ", "8.1", "flags"),
        ("operators: subtasks: keyed handle: ", "8.2", "location"),
        ("operators: subtasks: operator handle: ", "8.2", "location"),
        ("operators: subtasks: shared files: ", "6.2", "path"),
    ];
    compare(envelope.index(), &fields, &tables);
    // The codes that stand above.
    assert!(section("8.2").contains("u8: 1 inline, 2 file"), "locations");
    assert!(section("8.1").contains("bit 0 has keyed state, bit 1 has operator state"), "flags");
}
