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

/// The handle of such a state: an index, which is small here, and files that are not inlined.
#[test]
fn an_index_of_sst_files_and_the_files() {
    let target = target("sst", StreamPolicy::files(), SnapshotMode::Incremental);
    let (uid, subtask) = (OperatorUid::new("count").unwrap(), SubtaskIndex::new(3));
    let mut files = Vec::new();
    for (number, bytes) in [(0, &b"123456789"[..]), (1, &vec![5; 30_000])] {
        let mut stream = target.sst_file(&uid, subtask, number);
        bytes.chunks(7).for_each(|piece| stream.write_all(piece).unwrap());
        assert_eq!(stream.position(), bytes.len() as u64);
        let (file, checksum) = stream.finish().unwrap();
        assert_eq!(file.path.as_str(), format!("shared/count-3-sst-2-7-{number}"));
        assert_eq!(file.len_bytes, bytes.len() as u64);
        let last: [u8; 4] = bytes.last_chunk().copied().unwrap();
        assert_eq!(file.seal, u32::from_le_bytes(last));
        if number == 0 {
            assert_eq!(checksum, 0xcbf4_3926, "the checksum of SPEC 1.3");
        }
        files.push(file);
    }
    for (len_bytes, expected) in [(8, None), (30_000, Some("chk-7/count-3-keyed-2"))] {
        let (mut stream, identity) = target.sst_index_stream(&uid, subtask);
        assert_eq!((identity.kind, identity.subtask), (StreamKind::SstIndex, Some(subtask)));
        stream.write_all(&vec![5; len_bytes]).unwrap();
        let range = MaxParallelism::new(8).unwrap().all_key_groups();
        let handle =
            SnapshotTarget::finish_keyed(stream, 0x0505_0505, range, files.clone()).unwrap();
        assert_eq!(handle.stream.file().map(StoragePath::as_str), expected);
        assert_eq!(
            (handle.files().count(), handle.shared),
            (2 + expected.iter().count(), files.clone())
        );
    }
}

#[test]
fn what_a_failing_snapshot_has_written_can_be_removed() {
    let storage = alluvium_storage::open("memory:snapshot-discard").unwrap();
    let streams = CheckpointStreams::new(storage.clone(), StreamPolicy::files());
    let target =
        SnapshotTarget { streams, ..target("x", StreamPolicy::files(), SnapshotMode::Full) };
    let uid = OperatorUid::new("count").unwrap();
    let file = |number| {
        let mut stream = target.sst_file(&uid, SubtaskIndex::new(0), number);
        stream.write_all(b"table").unwrap();
        stream
    };
    let (first, _) = file(1).finish().unwrap();
    assert_eq!(storage.len_bytes(&first.path).unwrap(), 5);
    let taken = file(1).finish().unwrap_err();
    assert!(matches!(taken, StorageError::AlreadyExists { .. }), "{taken}");
    file(2).abort();
    target.discard([&first, &first]);
    assert!(matches!(storage.len_bytes(&first.path), Err(StorageError::NotFound { .. })));
}
