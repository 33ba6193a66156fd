use bytes::Bytes;

use super::*;
use crate::StateLocation;

fn path(text: &str) -> StoragePath {
    StoragePath::new(text).unwrap()
}

fn shared(file: &str, len_bytes: u64) -> SharedFile {
    SharedFile { path: path(file), len_bytes, seal: 1 }
}

fn state(
    index: u16,
    keyed: StateLocation,
    shared: Vec<SharedFile>,
    operator: &str,
) -> SubtaskState {
    let stream = |location| StateHandle { location, len_bytes: 10, seal: 1 };
    let key_groups = MaxParallelism::new(4).unwrap().all_key_groups();
    SubtaskState {
        index: SubtaskIndex::new(index),
        keyed: Some(KeyedStateHandle {
            key_groups,
            stream: stream(keyed),
            shared,
            written: Vec::new(),
        }),
        operator: Some(OperatorStateHandle { stream: stream(StateLocation::File(path(operator))) }),
    }
}

#[test]
fn files_are_those_of_streams_and_those_that_streams_refer_to() {
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let inline = StateLocation::Inline(Bytes::from_static(b"0123456789"));
    let file = StateLocation::File(path("shared/new"));
    let metadata = CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("job").unwrap(),
            checkpoint: CheckpointId::FIRST,
            attempt: AttemptId::new(1),
            triggered_at_ms: 1,
            completed_at_ms: 2,
            max_parallelism,
            assigner: AssignerName::Stable,
        },
        operators: vec![OperatorState {
            uid: OperatorUid::new("op").unwrap(),
            parallelism: Parallelism::new(2, max_parallelism).unwrap(),
            subtasks: vec![
                state(0, file, vec![shared("shared/a", 100), shared("shared/b", 1)], "chk-1/0"),
                state(1, inline, vec![shared("shared/a", 100)], "chk-1/1"),
            ],
        }],
    };
    let found: Vec<&str> = metadata.files().map(StoragePath::as_str).collect();
    let expected = ["shared/new", "chk-1/0", "shared/a", "shared/b", "chk-1/1", "shared/a"];
    assert_eq!(found, expected);
    assert_eq!(metadata.streams().count(), 4);
    assert_eq!((metadata.state_len_bytes(), metadata.shared_len_bytes()), (40, 101));
}
