use crate::behaviour::path;
use crate::claim_attempt;

use super::*;

fn files(storage: &Arc<dyn Storage>, subtask: u16, attempt: AttemptId) -> TaskOwnedFiles {
    let uid = OperatorUid::new("sink").unwrap();
    TaskOwnedFiles::new(Arc::clone(storage), uid, SubtaskIndex::new(subtask), attempt)
}

fn write(files: &TaskOwnedFiles, bytes: &[u8]) -> TaskOwnedFile {
    let mut writer = files.create();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn a_file_is_written_named_in_state_read_and_deleted() {
    let storage = crate::open("memory:task-owned").unwrap();
    let attempt = claim_attempt(&*storage).unwrap();
    let (own, other) = (files(&storage, 0, attempt), files(&storage, 1, attempt));
    let first = write(&own, b"records");
    let empty = write(&own.clone(), b"");
    let third = write(&other, b"more");
    drop(own.create());
    assert_eq!(first.path(), &path("taskowned/sink/0-1-1"));
    assert_eq!((first.len_bytes(), empty.len_bytes()), (7, 0));
    let restored = TaskOwnedFile::from_state(first.to_state()).unwrap();
    assert_eq!(restored, first);
    assert_eq!(other.read(&restored).unwrap(), "records");
    assert_eq!(own.read(&empty).unwrap(), "");
    let all = ["taskowned/sink/0-1-1", "taskowned/sink/0-1-2", "taskowned/sink/1-1-1"];
    assert_eq!(own.of_earlier_runs().unwrap(), []);
    let next = files(&storage, 0, claim_attempt(&*storage).unwrap());
    write(&next, b"of the next run");
    assert_eq!(next.of_earlier_runs().unwrap(), all.map(path));
    let own = next;
    own.delete(third.path()).unwrap();
    own.delete(third.path()).unwrap();
    assert_eq!(
        own.of_earlier_runs().unwrap(),
        all[..2].iter().map(|it| path(it)).collect::<Vec<_>>()
    );
    let error = own.read(&third).unwrap_err();
    assert!(matches!(error, StorageError::NotFound { .. }), "{error}");
    TaskOwnedFile::from_state(("../other".to_owned(), 1, 2)).unwrap_err();
}

#[test]
fn a_damaged_file_is_refused_wherever_the_damage_is() {
    let storage = crate::open("memory:task-owned-damaged").unwrap();
    let own = files(&storage, 0, claim_attempt(&*storage).unwrap());
    let file = write(&own, b"records");
    let bytes = storage.read_all(file.path()).unwrap();
    for at in 0..bytes.len() {
        let mut wrong = bytes.to_vec();
        wrong[at] ^= 1;
        storage.replace(file.path(), &wrong).unwrap();
        let error = own.read(&file).unwrap_err();
        assert!(matches!(error, StorageError::SealMismatch { .. }), "{at}: {error}");
        storage.replace(file.path(), &bytes[..at]).unwrap();
        let error = own.read(&file).unwrap_err();
        assert!(matches!(error, StorageError::Truncated { .. }), "{at}: {error}");
    }
}

#[test]
fn a_run_that_was_replaced_deletes_nothing() {
    let storage = crate::open("memory:task-owned-fenced").unwrap();
    let own = files(&storage, 0, claim_attempt(&*storage).unwrap());
    let file = write(&own, b"records");
    claim_attempt(&*storage).unwrap();
    let error = own.delete(file.path()).unwrap_err();
    assert!(matches!(error, StorageError::Fenced { .. }), "{error}");
    assert_eq!(own.read(&file).unwrap(), "records");
}
