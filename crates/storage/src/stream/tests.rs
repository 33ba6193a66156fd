use super::*;
use crate::behaviour::path;
use crate::seal_of;

fn fresh(case: &str) -> Arc<dyn Storage> {
    crate::open(&format!("memory:stream-{case}")).unwrap()
}

fn body(len_bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(len_bytes).collect()
}

/// Writes `body` in pieces of `piece` bytes.
fn write(
    storage: &Arc<dyn Storage>,
    policy: StreamPolicy,
    body: &[u8],
    piece: usize,
) -> Result<StateHandle, StorageError> {
    let mut stream = CheckpointStreams::new(Arc::clone(storage), policy).stream(path("chk-1/s"));
    for bytes in body.chunks(piece) {
        if let Err(error) = stream.write_all(bytes) {
            assert!(error.downcast::<StorageError>().is_ok(), "the error is typed");
            break;
        }
    }
    stream.finish()
}

#[test]
fn streams_below_20_kib_are_inlined_and_others_become_files() {
    for (len_bytes, is_file) in
        [(0, false), (1, false), (20_479, false), (20_480, true), (20_481, true)]
    {
        for piece in [1000, 20_479, 20_480, 50_000] {
            let storage = fresh(&format!("threshold-{len_bytes}-{piece}"));
            let body = body(len_bytes);
            let handle = write(&storage, StreamPolicy::files(), &body, piece).unwrap();
            assert_eq!(handle.len_bytes, body.len() as u64);
            assert_eq!(handle.seal, seal_of(&body));
            let stored = match &handle.location {
                StateLocation::Inline(bytes) => bytes.clone(),
                StateLocation::File(file) => storage.read_all(file).unwrap(),
                other => panic!("{other:?}"),
            };
            assert!(stored == body, "{len_bytes} in pieces of {piece}");
            assert_eq!(handle.file().is_some(), is_file, "{len_bytes} in pieces of {piece}");
            assert_eq!(storage.list(None).unwrap().len(), usize::from(is_file));
        }
    }
}

#[test]
fn with_a_threshold_of_zero_even_an_empty_stream_is_a_file() {
    let storage = fresh("zero");
    let policy = StreamPolicy { inline_below_bytes: 0, ..StreamPolicy::files() };
    let handle = write(&storage, policy, b"", 1).unwrap();
    assert_eq!(storage.read_all(handle.file().unwrap()).unwrap(), "");
    assert_eq!((handle.len_bytes, handle.seal), (0, 0));
}

#[test]
fn a_stream_that_must_be_a_file_is_one_however_short() {
    for (case, policy) in
        [("files", StreamPolicy::files()), ("memory", StreamPolicy::coordinator_memory())]
    {
        for len_bytes in [0, 1, 20_479, 20_480, 100_000] {
            let storage = fresh(&format!("file-{case}-{len_bytes}"));
            let streams = CheckpointStreams::new(Arc::clone(&storage), policy);
            assert_eq!(streams.keeps_everything_inline(), case == "memory");
            let mut stream = streams.file(path("shared/s"));
            stream.write_all(&body(len_bytes)).unwrap();
            let handle = stream.finish().unwrap();
            let file = handle.file().expect("never inlined");
            assert!(storage.read_all(file).unwrap() == body(len_bytes), "{case} {len_bytes}");
            assert_eq!(handle.seal, seal_of(&body(len_bytes)));
        }
    }
}

#[test]
fn coordinator_memory_holds_5_mib_and_not_one_byte_more() {
    let storage = fresh("memory");
    let limit = 5 * 1024 * 1024;
    let policy = StreamPolicy::coordinator_memory();
    let handle = write(&storage, policy, &body(limit), 100_000).unwrap();
    let StateLocation::Inline(bytes) = handle.location else { panic!("not inlined") };
    assert!(bytes == body(limit));

    let error = write(&storage, policy, &body(limit + 1), 100_000).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the state stream chk-1/s is larger than the 5 MiB that coordinator memory holds per \
         state handle; use a file system or object store for checkpoints"
    );
    assert!(matches!(error, StorageError::StateTooLarge { limit_bytes: 5_242_880, .. }));
    assert_eq!(storage.list(None).unwrap(), [], "nothing goes to files");
}

#[test]
fn a_stream_that_failed_takes_no_more_bytes() {
    let policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: Some(3) };
    let mut stream = CheckpointStreams::new(fresh("failed"), policy).stream(path("s"));
    stream.write_all(b"ab").unwrap();
    stream.write_all(b"cd").unwrap_err();
    assert_eq!(stream.position(), 2);
    stream.write_all(b"c").unwrap_err();
    let error = stream.finish().unwrap_err();
    assert!(matches!(error, StorageError::StateTooLarge { limit_bytes: 3, .. }), "{error}");
}

#[test]
fn a_stream_that_is_not_finished_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(crate::LocalStorage::open(dir.path()).unwrap());
    let streams = CheckpointStreams::new(storage, StreamPolicy::files());
    let mut dropped = streams.stream(path("chk-1/dropped"));
    dropped.write_all(&body(1_000_000)).unwrap();
    drop(dropped);
    let mut aborted = streams.stream(path("chk-1/aborted"));
    aborted.write_all(&body(1_000_000)).unwrap();
    aborted.abort();
    assert_eq!(std::fs::read_dir(dir.path().join("chk-1")).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_there_already_is_not_replaced() {
    let storage = fresh("replaced");
    storage.create(&path("chk-1/s"), b"first").unwrap();
    let error = write(&storage, StreamPolicy::files(), &body(30_000), 30_000).unwrap_err();
    assert!(matches!(error, StorageError::AlreadyExists { .. }), "{error}");
    assert_eq!(storage.read_all(&path("chk-1/s")).unwrap(), "first");
}

#[test]
fn a_storage_that_cannot_write_is_reported_by_write_and_by_finish() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("chk-1"), "a file").unwrap();
    let storage: Arc<dyn Storage> = Arc::new(crate::LocalStorage::open(dir.path()).unwrap());
    let error = write(&storage, StreamPolicy::files(), &body(30_000), 10_000).unwrap_err();
    assert!(matches!(error, StorageError::NotADirectory { .. }), "{error}");
}
