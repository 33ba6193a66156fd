use std::io::Write;

use super::*;
use crate::behaviour::path;
use crate::{CheckpointStreams, LocalStorage, StreamPolicy};

fn local() -> (Arc<dyn Storage>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Arc::new(LocalStorage::open(dir.path()).unwrap()), dir)
}

fn body(len_bytes: usize) -> Vec<u8> {
    (0..=250).cycle().take(len_bytes).collect()
}

/// The same file as several checkpoints refer to it.
fn shared_of(handle: &StateHandle) -> SharedFile {
    let path = handle.file().unwrap().clone();
    SharedFile { path, len_bytes: handle.len_bytes, seal: handle.seal }
}

fn handle_of(storage: &Arc<dyn Storage>, name: &str, body: &[u8]) -> StateHandle {
    let streams = CheckpointStreams::new(Arc::clone(storage), StreamPolicy::files());
    let mut stream = streams.stream(path(name));
    stream.write_all(body).unwrap();
    stream.finish().unwrap()
}

#[test]
fn copying_and_mapping_give_the_bytes_that_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::open(dir.path()).unwrap());
    for len_bytes in [0, 3, 20_000, 100_000] {
        let body: Vec<u8> = (0..=250).cycle().take(len_bytes).collect();
        let handle = handle_of(&storage, &format!("f{len_bytes}"), &body);
        for access in [ReadAccess::Copy, ReadAccess::Map] {
            let found = HandleReader::new(Arc::clone(&storage), access).open(&handle).unwrap();
            assert!(found == body, "{len_bytes} by {access:?}");
        }
    }
}

#[test]
fn a_file_of_another_length_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::open(dir.path()).unwrap());
    let handle = handle_of(&storage, "file", &vec![7; 30_000]);
    for (len_bytes, text) in [(29_999, "29999"), (30_001, "30001"), (0, "0")] {
        std::fs::write(dir.path().join("file"), vec![7; len_bytes]).unwrap();
        for access in [ReadAccess::Copy, ReadAccess::Map] {
            let error = HandleReader::new(Arc::clone(&storage), access).open(&handle).unwrap_err();
            assert!(matches!(error, StorageError::Truncated { .. }), "{error}");
            let expected =
                format!("{}/file holds {text} bytes where 30000 are expected", storage.root());
            assert_eq!(error.to_string(), expected);
        }
    }
}

/// 1. A handle says that a stream has 30,000 bytes;
/// 2. a file of 4 TiB lies in its place, all of it a hole, so that it takes no room on the disk;
/// 3. whoever takes memory for the file before its length is compared ends the process.
#[test]
fn a_file_that_is_longer_than_memory_is_refused_before_it_is_read() {
    const LEN_BYTES: u64 = 1 << 42;
    let (storage, dir) = local();
    let handle = handle_of(&storage, "file", &vec![7; 30_000]);
    let file = std::fs::File::options().write(true).open(dir.path().join("file")).unwrap();
    file.set_len(LEN_BYTES).unwrap();
    for access in [ReadAccess::Copy, ReadAccess::Map] {
        let reader = HandleReader::new(Arc::clone(&storage), access);
        for error in [reader.open(&handle).unwrap_err(), reader.source(&handle).unwrap_err()] {
            assert!(
                matches!(error, StorageError::Truncated { found_len_bytes: LEN_BYTES, .. }),
                "{error}"
            );
        }
    }
}

#[test]
fn another_file_of_the_same_length_is_refused() {
    let storage = crate::open("memory:handle-reader-swapped").unwrap();
    let handle = handle_of(&storage, "chk-1/a", &vec![7; 30_000]);
    let file = path("chk-1/a");
    storage.delete(&file).unwrap();
    storage.create(&file, &vec![8; 30_000]).unwrap();
    let reader = HandleReader::new(storage, ReadAccess::Copy);
    let error = reader.open(&handle).unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory:handle-reader-swapped/chk-1/a is not the file that the checkpoint refers to: \
         its seal is 0x08080808, not 0x07070707"
    );
}

#[test]
fn a_missing_file_is_not_found() {
    let storage = crate::open("memory:handle-reader-missing").unwrap();
    let handle = handle_of(&storage, "file", &vec![7; 30_000]);
    storage.delete(&path("file")).unwrap();
    let error = HandleReader::new(storage, ReadAccess::Map).open(&handle).unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
}

#[test]
fn inlined_bytes_are_checked_too() {
    let storage = crate::open("memory:handle-reader-inline").unwrap();
    let handle = handle_of(&storage, "file", b"inlined");
    let reader = HandleReader::new(storage, ReadAccess::Copy);
    assert_eq!(reader.open(&handle).unwrap(), "inlined");
    let longer = StateHandle { len_bytes: 8, ..handle.clone() };
    let error = reader.open(&longer).unwrap_err();
    assert!(matches!(error, StorageError::Truncated { .. }), "{error}");
    let other = StateHandle { seal: handle.seal ^ 1, ..handle };
    let error = reader.open(&other).unwrap_err();
    assert!(matches!(error, StorageError::SealMismatch { .. }), "{error}");
}

#[test]
fn pieces_of_a_stream_are_those_of_the_whole() {
    let (files, _keep) = local();
    let memory = crate::open("memory:handle-reader-pieces").unwrap();
    for (storage, len_bytes) in
        [&files, &memory].into_iter().flat_map(|it| [0, 3, 100, 100_000].map(|len| (it, len)))
    {
        let body = body(len_bytes);
        let handle = handle_of(storage, &format!("f{len_bytes}"), &body);
        for access in [ReadAccess::Copy, ReadAccess::Map] {
            let reader = HandleReader::new(Arc::clone(storage), access);
            let source = reader.source(&handle).unwrap();
            let len = body.len() as u64;
            assert_eq!(source.len_bytes(), len);
            for (start, end) in [(0, len), (0, len / 2), (len / 3, len / 2), (len, len)] {
                let expected =
                    &body[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()];
                assert!(source.read(start..end).unwrap() == expected, "{start}..{end} of {len}");
            }
            let (start, end) = (len, len.saturating_sub(2));
            assert_eq!(source.read(start..end).unwrap(), "", "it ends before it starts");
            let error = source.read(len..len + 1).unwrap_err();
            assert!(matches!(error, StorageError::Truncated { .. }), "{error}");
            assert!(error.to_string().starts_with(&source.name()), "{error}");
        }
    }
}

#[test]
fn a_mapped_source_outlives_its_deleted_file_and_a_copied_one_does_not() {
    let (storage, _keep) = local();
    let handle = handle_of(&storage, "shared/file", &body(100_000));
    let open = |access| HandleReader::new(Arc::clone(&storage), access);
    let mapped = open(ReadAccess::Map).shared_source(&shared_of(&handle)).unwrap();
    let copied = open(ReadAccess::Copy).shared_source(&shared_of(&handle)).unwrap();
    storage.delete(&path("shared/file")).unwrap();
    assert!(mapped.read(50_000..60_000).unwrap() == body(100_000)[50_000..60_000]);
    let error = copied.read(0..10).unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
    let error = open(ReadAccess::Map).shared_source(&shared_of(&handle)).unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
}

/// Without the look before each read, the first touch of a page beyond the new end would end the
/// process.
#[test]
fn a_file_that_is_cut_while_it_is_mapped_is_named() {
    let (storage, dir) = local();
    let handle = handle_of(&storage, "shared/file", &body(100_000));
    for access in [ReadAccess::Map, ReadAccess::Copy] {
        std::fs::write(dir.path().join("shared/file"), body(100_000)).unwrap();
        let reader = HandleReader::new(Arc::clone(&storage), access);
        let source = reader.shared_source(&shared_of(&handle)).unwrap();
        let file =
            std::fs::OpenOptions::new().write(true).open(dir.path().join("shared/file")).unwrap();
        file.set_len(70_000).unwrap();
        let error = source.read(90_000..100_000).unwrap_err();
        let expected =
            format!("{}/shared/file holds 70000 bytes where 100000 are expected", storage.root());
        assert_eq!(error.to_string(), expected);
        file.set_len(0).unwrap();
        let error = source.read(0..10).unwrap_err();
        assert!(matches!(error, StorageError::Truncated { found_len_bytes: 0, .. }), "{error}");
    }
}

#[test]
fn a_source_of_another_length_or_seal_is_refused() {
    let (files, _keep) = local();
    let memory = crate::open("memory:handle-reader-source").unwrap();
    for storage in [files, memory] {
        for len_bytes in [2, 30_000] {
            let handle = handle_of(&storage, &format!("f{len_bytes}"), &vec![7; len_bytes]);
            let longer = StateHandle { len_bytes: handle.len_bytes + 1, ..handle.clone() };
            let other = StateHandle { seal: handle.seal ^ 1, ..handle.clone() };
            for access in [ReadAccess::Copy, ReadAccess::Map] {
                let reader = HandleReader::new(Arc::clone(&storage), access);
                assert_eq!(reader.source(&handle).unwrap().len_bytes(), handle.len_bytes);
                let error = reader.source(&longer).unwrap_err();
                assert!(matches!(error, StorageError::Truncated { .. }), "{error}");
                let error = reader.source(&other).unwrap_err();
                assert!(matches!(error, StorageError::SealMismatch { .. }), "{error}");
                if handle.file().is_some() {
                    let error = reader.shared_source(&shared_of(&longer)).unwrap_err();
                    assert!(matches!(error, StorageError::Truncated { .. }), "{error}");
                    let error = reader.shared_source(&shared_of(&other)).unwrap_err();
                    assert!(matches!(error, StorageError::SealMismatch { .. }), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_reader_shares_files_only_when_it_was_told() {
    let storage = crate::open("memory:handle-reader-shareable").unwrap();
    let reader = HandleReader::new(storage, ReadAccess::Copy);
    assert!(!reader.is_shareable());
    let reader = reader.shareable(true);
    assert!(reader.is_shareable() && reader.with_access(ReadAccess::Map).is_shareable());
    assert!(!reader.shareable(false).is_shareable());
}
