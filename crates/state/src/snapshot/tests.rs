use std::io::Write;

use alluvium_core::{MaxParallelism, StoragePath};
use alluvium_storage::StreamPolicy;

use super::*;

fn target(case: &str, policy: StreamPolicy, mode: SnapshotMode) -> SnapshotTarget {
    let storage = alluvium_storage::open(&format!("memory:snapshot-{case}")).unwrap();
    SnapshotTarget {
        streams: CheckpointStreams::new(storage, policy),
        checkpoint: CheckpointId::new(7).unwrap(),
        attempt: AttemptId::new(2),
        mode,
    }
}

#[test]
fn only_checkpoints_in_files_are_incremental_and_only_when_asked() {
    let files = StreamPolicy::files();
    assert!(target("files", files, SnapshotMode::Incremental).is_incremental());
    assert!(!target("full", files, SnapshotMode::Full).is_incremental());
    let memory = StreamPolicy::coordinator_memory();
    assert!(!target("memory", memory, SnapshotMode::Incremental).is_incremental());
    assert_eq!(SnapshotMode::default(), SnapshotMode::Full);
}

#[test]
fn a_keyed_stream_goes_where_it_is_placed() {
    let target = target("placed", StreamPolicy::files(), SnapshotMode::Incremental);
    let (uid, subtask) = (OperatorUid::new("count").unwrap(), SubtaskIndex::new(3));
    let range = MaxParallelism::new(8).unwrap().all_key_groups();
    let earlier =
        SharedFile { path: StoragePath::new("shared/earlier").unwrap(), len_bytes: 100, seal: 1 };
    for (placement, len_bytes, expected) in [
        (KeyedPlacement::Exclusive, 8, None),
        (KeyedPlacement::Shared, 8, None),
        (KeyedPlacement::Exclusive, 30_000, Some("chk-7/count-3-keyed-2")),
        (KeyedPlacement::Shared, 30_000, Some("shared/count-3-keyed-2-7")),
    ] {
        let (mut stream, identity) = target.keyed_stream(&uid, subtask, placement);
        assert_eq!((identity.kind, identity.subtask), (StreamKind::Keyed, Some(subtask)));
        assert_eq!((identity.checkpoint, identity.attempt), (target.checkpoint, target.attempt));
        stream.write_all(&vec![5; len_bytes]).unwrap();
        let shared = vec![earlier.clone()];
        let handle = SnapshotTarget::finish_keyed(stream, 0x0505_0505, range, shared).unwrap();
        let file = handle.stream.file().map(|path| path.as_str().to_owned());
        assert_eq!(file.as_deref(), expected, "{placement:?} {len_bytes}");
        let needed: Vec<&str> = handle.files().map(StoragePath::as_str).collect();
        let own = expected.into_iter();
        assert_eq!(needed, own.chain(["shared/earlier"]).collect::<Vec<_>>());
    }
}

#[test]
fn a_shared_file_is_a_file_however_small() {
    let target = target("small", StreamPolicy::files(), SnapshotMode::Incremental);
    let (uid, subtask) = (OperatorUid::new("count").unwrap(), SubtaskIndex::new(0));
    let (mut stream, _) = target.keyed_stream(&uid, subtask, KeyedPlacement::SharedFile);
    stream.write_all(&[5; 8]).unwrap();
    let range = MaxParallelism::new(8).unwrap().all_key_groups();
    let handle = SnapshotTarget::finish_keyed(stream, 0x0505_0505, range, Vec::new()).unwrap();
    assert_eq!(handle.stream.file().unwrap().as_str(), "shared/count-0-keyed-2-7");
}
