use std::io::Write;

use super::*;
use crate::behaviour::path;
use crate::{CheckpointStreams, LocalStorage, StreamPolicy};

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
