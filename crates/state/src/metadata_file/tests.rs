use alluvium_core::{
    AssignerName, AttemptId, CheckpointId, CheckpointProperties, JobId, MaxParallelism,
    OperatorState, OperatorStateHandle, OperatorUid, Parallelism, StateHandle, StateLocation,
    SubtaskIndex, SubtaskState,
};
use alluvium_format::metadata::{MAX_METADATA_LEN_BYTES, write_metadata};

use super::*;

fn path(text: &str) -> StoragePath {
    StoragePath::new(text).unwrap()
}

/// Metadata that refers to one file.
fn metadata(file: &str) -> CheckpointMetadata {
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let stream = StateHandle { location: StateLocation::File(path(file)), len_bytes: 64, seal: 0 };
    let operator = Some(OperatorStateHandle { stream });
    CheckpointMetadata {
        properties: CheckpointProperties {
            job: JobId::new("job").unwrap(),
            checkpoint: CheckpointId::FIRST,
            attempt: AttemptId::new(1),
            triggered_at_ms: 0,
            completed_at_ms: 1,
            max_parallelism,
            assigner: AssignerName::Stable,
        },
        operators: vec![OperatorState {
            uid: OperatorUid::new("op").unwrap(),
            parallelism: Parallelism::new(1, max_parallelism).unwrap(),
            subtasks: vec![SubtaskState { index: SubtaskIndex::new(0), keyed: None, operator }],
        }],
    }
}

#[test]
fn folders_of_other_names_are_found_with_what_they_refer_to() {
    let storage = alluvium_storage::open("memory:other-metadata").unwrap();
    let bytes = write_metadata(&metadata("shared/a")).unwrap();
    for (file, bytes) in [
        ("chk-1/_metadata", &bytes[..]),
        ("chk-01/_metadata", &bytes),
        ("kept/_metadata", &bytes),
        ("kept.bad/_metadata", b"damaged"),
        ("shared/_metadata", b"a file of that name"),
        ("notes/text", b"no metadata"),
        ("below/kept/_metadata", &bytes),
    ] {
        storage.create(&path(file), bytes).unwrap();
    }
    let found = OtherMetadata::of_job(&*storage).unwrap();
    let names: Vec<_> = found.iter().map(|other| other.dir.as_str()).collect();
    assert_eq!(names, ["chk-01", "kept", "kept.bad"]);
    let files: Vec<_> = found[1].files().collect();
    assert_eq!(files, [path("shared/a"), path("kept/shared/a")]);
    assert!(matches!(found[2].content, Err(MetadataError::Damaged(_))));
    assert_eq!(found[2].files().count(), 0);
}

#[test]
fn a_metadata_file_is_read_with_its_length() {
    let storage = alluvium_storage::open("memory:metadata-file").unwrap();
    let expected = metadata("shared/a");
    let bytes = write_metadata(&expected).unwrap();
    storage.create(&path("_metadata"), &bytes).unwrap();
    let (found, len_bytes) = read_metadata_file(&*storage, &path("_metadata")).unwrap();
    assert_eq!((found, len_bytes), (expected, bytes.len() as u64));
    let absent = read_metadata_file(&*storage, &path("absent")).unwrap_err();
    assert!(matches!(absent, MetadataError::Storage(StorageError::NotFound { .. })), "{absent}");
}

/// All of the file is a hole: it takes no room on the disk, and would take 4 TiB of memory.
#[test]
fn a_metadata_file_of_any_length_is_refused_before_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let storage = alluvium_storage::open(dir.path().to_str().unwrap()).unwrap();
    let file = std::fs::File::create(dir.path().join("_metadata")).unwrap();
    for len_bytes in [MAX_METADATA_LEN_BYTES + 1, 1 << 42] {
        file.set_len(len_bytes).unwrap();
        let error = read_metadata_file(&*storage, &path("_metadata")).unwrap_err();
        let MetadataError::Damaged(FormatError::Limit { found, limit, .. }) = error else {
            panic!("{error}")
        };
        assert_eq!((found, limit), (len_bytes, MAX_METADATA_LEN_BYTES));
    }
}
