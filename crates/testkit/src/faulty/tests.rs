use std::io::Write;

use alluvium_storage::LocalStorage;

use super::*;
use crate::job::fresh_memory;

fn path(text: &str) -> StoragePath {
    StoragePath::new(text).unwrap()
}

fn kind_of<T: std::fmt::Debug>(outcome: Result<T, StorageError>) -> io::ErrorKind {
    match outcome {
        Err(StorageError::Io { source, .. }) => source.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_fault_it_is_the_storage_below() {
    let storage = FaultyStorage::new(fresh_memory());
    storage.create(&path("a/b"), b"0123").unwrap();
    let mut writer = storage.writer(&path("a/c")).unwrap();
    writer.write_all(b"45").unwrap();
    writer.flush().unwrap();
    writer.finish().unwrap();
    assert_eq!(storage.read(&path("a/b"), 1..3).unwrap(), "12");
    assert_eq!(storage.map(&path("a/c")).unwrap(), "45");
    assert_eq!(storage.len_bytes(&path("a/c")).unwrap(), 2);
    assert_eq!(storage.list(Some(&path("a"))).unwrap().len(), 2);
    assert_eq!(storage.operation_count(), 4);
    assert_eq!(storage.failed_count(), 0);
}

#[test]
fn one_operation_fails_and_the_next_works() {
    let storage = FaultyStorage::new(fresh_memory());
    storage.set_fault(Some(Fault::once(2, io::ErrorKind::StorageFull)));
    storage.create(&path("a"), b"x").unwrap();
    assert_eq!(kind_of(storage.create(&path("b"), b"x")), io::ErrorKind::StorageFull);
    assert!(storage.read_all(&path("b")).is_err());
    storage.create(&path("b"), b"x").unwrap();
    assert_eq!((storage.operation_count(), storage.failed_count()), (3, 1));
}

#[test]
fn all_operations_from_one_on_fail_and_reading_works() {
    let storage = FaultyStorage::new(fresh_memory());
    storage.create(&path("a"), b"x").unwrap();
    storage.set_fault(Some(Fault::from(2, io::ErrorKind::PermissionDenied)));
    for _ in 0..3 {
        assert_eq!(kind_of(storage.delete(&path("a"))), io::ErrorKind::PermissionDenied);
        for folder in [storage.delete_dir(&path("d")), storage.delete_empty_dir(&path("d"))] {
            assert_eq!(kind_of(folder), io::ErrorKind::PermissionDenied);
        }
    }
    assert_eq!(storage.read_all(&path("a")).unwrap(), "x");
    storage.set_fault(None);
    storage.delete(&path("a")).unwrap();
    assert_eq!(storage.count_of(StorageOperation::Delete), 4);
}

#[test]
fn a_fault_can_be_for_one_kind_of_operation() {
    let storage = FaultyStorage::new(fresh_memory());
    let fault = Fault::once(2, io::ErrorKind::StorageFull).only(StorageOperation::Finish);
    storage.set_fault(Some(fault));
    for (name, works) in [("a", true), ("b", false), ("c", true)] {
        storage.create(&path(&format!("created-{name}")), b"x").unwrap();
        let mut writer = storage.writer(&path(name)).unwrap();
        writer.write_all(b"x").unwrap();
        assert_eq!(writer.finish().is_ok(), works, "{name}");
        assert_eq!(storage.read_all(&path(name)).is_ok(), works, "{name}");
    }
}

#[test]
fn a_failed_write_spoils_its_writer() {
    let storage = FaultyStorage::new(fresh_memory());
    let fault = Fault::once(1, io::ErrorKind::StorageFull).only(StorageOperation::Write);
    storage.set_fault(Some(fault));
    let mut writer = storage.writer(&path("a")).unwrap();
    let error = writer.write_all(b"0123").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let location = Location::new("other", None);
    let error = StorageError::from_write(error, location);
    assert!(error.to_string().ends_with("a: injected fault (no storage space)"), "{error}");
    assert!(writer.write_all(b"0123").is_err());
    assert_eq!(kind_of(writer.finish()), io::ErrorKind::StorageFull);
    assert!(storage.read_all(&path("a")).is_err());
}

#[test]
fn an_operation_can_fail_after_the_act() {
    let storage = FaultyStorage::new(fresh_memory());
    storage.set_fault(Some(Fault::once(1, io::ErrorKind::TimedOut).after_the_act()));
    assert_eq!(kind_of(storage.create(&path("a"), b"x")), io::ErrorKind::TimedOut);
    assert_eq!(storage.read_all(&path("a")).unwrap(), "x");
    let again = storage.create(&path("a"), b"x");
    assert!(matches!(again, Err(StorageError::AlreadyExists { .. })), "{again:?}");
}

#[test]
fn after_a_crash_nothing_works_and_nothing_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let inner = Arc::new(LocalStorage::open(dir.path().to_str().unwrap()).unwrap());
    let storage = FaultyStorage::new(inner);
    storage.create(&path("kept"), b"x").unwrap();
    let mapped = storage.map_guarded(&path("kept")).unwrap().expect("local files are mapped");
    assert_eq!(mapped.read(0..1).unwrap(), "x");
    let mut writer = storage.writer(&path("lost")).unwrap();
    writer.write_all(&vec![1; 1 << 20]).unwrap();
    storage.set_fault(Some(Fault::crash(storage.operation_count() + 1)));
    assert!(storage.create(&path("late"), b"x").is_err());
    assert!(storage.has_crashed());

    assert!(writer.write_all(b"x").is_err());
    assert!(writer.flush().is_err());
    assert!(writer.finish().is_err());
    assert!(storage.writer(&path("late")).is_err());
    assert!(storage.read_all(&path("kept")).is_err());
    assert!(storage.map(&path("kept")).is_err());
    assert!(storage.map_guarded(&path("kept")).is_err());
    assert!(mapped.read(0..1).is_err());
    assert!(storage.read(&path("kept"), 0..1).is_err());
    assert!(storage.len_bytes(&path("kept")).is_err());
    assert!(storage.list(None).is_err());
    assert!(storage.delete(&path("kept")).is_err());
    assert!(storage.lock(&path("_lock")).is_err());
    let below = storage.below(&path("dir")).unwrap();
    assert!(below.create(&path("late"), b"x").is_err());

    let left = storage.inner().list(None).unwrap();
    assert_eq!(left.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["kept"]);
    let on_disk = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(on_disk, 2, "the temporary file of the writer stays");
}

#[test]
fn storages_below_share_the_counts_and_the_fault() {
    let storage = FaultyStorage::new(fresh_memory());
    let below = storage.below(&path("job")).unwrap();
    below.create(&path("a"), b"x").unwrap();
    assert_eq!(storage.operation_count(), 1);
    storage.set_fault(Some(Fault::once(2, io::ErrorKind::StorageFull)));
    assert!(below.create(&path("b"), b"x").is_err());
}
