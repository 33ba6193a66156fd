//! Leftovers on a storage without locks.

use super::*;

fn create(store: &CheckpointStore, name: &str) -> StoragePath {
    let path = StoragePath::new(name).unwrap();
    store.storage().create(&path, b"bytes").unwrap();
    path
}

/// An old run, and what it has left before a newer one claims its attempt.
fn old_run(name: &str) -> (CheckpointStore, AttemptId, CheckpointMetadata) {
    let store = store(name);
    let old = store.claim_attempt().unwrap();
    // Written, and not committed yet.
    let late = checkpoint(&store, 2, old, Some(b"state"));
    create(&store, "shared/left");
    (store, old, late)
}

fn note(store: &CheckpointStore) -> Vec<String> {
    let noted = store.note_leftovers(&store.list().unwrap()).unwrap();
    noted.iter().map(ToString::to_string).collect()
}

fn paths(names: &[String]) -> Vec<StoragePath> {
    names.iter().map(|name| StoragePath::new(name).unwrap()).collect()
}

#[test]
fn what_was_there_before_a_run_goes_and_what_came_since_stays() {
    let (store, _, _) = old_run("noted");
    let new = store.claim_attempt().unwrap();
    let noted = note(&store);
    assert_eq!(noted, ["chk-2/op-0-keyed-1", "shared/left"]);
    let own = create(&store, "shared/own");
    assert!(store.remove_noted(new, &paths(&noted)).unwrap().is_none());
    assert_eq!(note(&store), [own.as_str()]);
}

/// 1. An old run writes the files of checkpoint 2, and is slow;
/// 2. a newer run notes them;
/// 3. the old run creates the metadata of checkpoint 2, which has no effect and can be read.
#[test]
fn files_of_a_checkpoint_that_appears_late_stay() {
    let (store, _, late) = old_run("noted-late");
    let new = store.claim_attempt().unwrap();
    let noted = note(&store);
    let bytes = write_metadata(&late).unwrap();
    store.storage().create(&JobLayout::metadata(id(2)), &bytes).unwrap();
    assert!(store.remove_noted(new, &paths(&noted)).unwrap().is_none());
    for file in late.files() {
        store.storage().len_bytes(file).unwrap();
    }
    assert_eq!(note(&store), [""; 0]);
}

#[test]
fn nothing_is_noted_or_removed_while_metadata_is_damaged_or_by_a_replaced_run() {
    let (store, old, _) = old_run("noted-damaged");
    let new = store.claim_attempt().unwrap();
    let noted = note(&store);
    let error = store.remove_noted(old, &paths(&noted)).unwrap_err();
    assert!(error.is_fenced(), "{error}");
    let damaged = JobLayout::metadata(id(1));
    store.storage().create(&damaged, b"damaged").unwrap();
    assert!(store.remove_noted(new, &paths(&noted)).unwrap().is_none());
    assert_eq!(note(&store), [""; 0]);
    store.storage().delete(&damaged).unwrap();
    assert_eq!(note(&store), noted);
}
