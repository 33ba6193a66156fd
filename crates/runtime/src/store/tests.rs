use alluvium_core::{
    AssignerName, CheckpointProperties, KeyGroupRange, KeyedStateHandle, MaxParallelism,
    OperatorState, OperatorStateHandle, OperatorUid, Parallelism, SharedFile, StateHandle,
    StateLocation, StoragePath, SubtaskIndex, SubtaskState,
};
use alluvium_state::RestoreError;
use alluvium_storage::open;

use super::*;

mod noted;
mod owners;
mod renamed;
mod sst;

fn job() -> JobId {
    JobId::new("job").unwrap()
}

fn id(n: u64) -> CheckpointId {
    CheckpointId::new(n).unwrap()
}

fn store(name: &str) -> CheckpointStore {
    CheckpointStore::open(&*open(&format!("memory:store-{name}")).unwrap(), job()).unwrap()
}

/// A checkpoint with one file, which is written when there is content.
fn checkpoint(
    store: &CheckpointStore,
    n: u64,
    attempt: AttemptId,
    content: Option<&[u8]>,
) -> CheckpointMetadata {
    let (index, uid) = (SubtaskIndex::new(0), OperatorUid::new("op").unwrap());
    let kind = alluvium_storage::StateFileKind::Keyed;
    let path = JobLayout::state_file(id(n), &uid, index, kind, attempt);
    let len_bytes = content.map_or(0, |content| content.len() as u64);
    if let Some(content) = content {
        store.storage().create(&path, content).unwrap();
    }
    let stream = StateHandle { location: StateLocation::File(path), len_bytes, seal: 0 };
    with_keyed(n, attempt, stream)
}

fn with_keyed(n: u64, attempt: AttemptId, stream: StateHandle) -> CheckpointMetadata {
    let max_parallelism = MaxParallelism::new(4).unwrap();
    let parallelism = Parallelism::new(1, max_parallelism).unwrap();
    let (index, uid) = (SubtaskIndex::new(0), OperatorUid::new("op").unwrap());
    let keyed = KeyedStateHandle {
        key_groups: max_parallelism.all_key_groups(),
        stream,
        shared: Vec::new(),
        written: Vec::new(),
    };
    let subtasks = vec![SubtaskState { index, keyed: Some(keyed), operator: None }];
    CheckpointMetadata {
        properties: CheckpointProperties {
            job: job(),
            checkpoint: id(n),
            attempt,
            triggered_at_ms: 1,
            completed_at_ms: 2,
            max_parallelism,
            assigner: AssignerName::Stable,
        },
        operators: vec![OperatorState { uid, parallelism, subtasks }],
    }
}

/// A checkpoint without state: whole whatever the files are.
fn empty(store: &CheckpointStore, n: u64, attempt: AttemptId) -> CheckpointMetadata {
    let mut metadata = checkpoint(store, n, attempt, None);
    metadata.operators[0].subtasks[0].keyed = None;
    metadata
}

#[test]
fn a_committed_checkpoint_is_found_and_an_unfinished_one_is_not() {
    let store = store("commit");
    let attempt = store.claim_attempt().unwrap();
    assert!(store.latest().unwrap().is_none());
    let first = empty(&store, 1, attempt);
    store.commit(&first).unwrap();
    checkpoint(&store, 2, attempt, Some(b"state without metadata"));
    assert_eq!(store.latest().unwrap(), Some(first.clone()));
    let entries = store.list().unwrap();
    assert!(matches!(entries[0].status, CheckpointStatus::Complete(_)));
    assert!(matches!(entries[1].status, CheckpointStatus::Unfinished));
    assert_eq!(CheckpointStore::next_id(&entries), id(3));
    store.commit(&first).unwrap();
    let other = CheckpointMetadata {
        properties: CheckpointProperties { triggered_at_ms: 9, ..first.properties },
        ..first
    };
    let taken = store.commit(&other).unwrap_err();
    assert!(matches!(taken, StoreError::TakenBy { .. }), "{taken}");
}

#[test]
fn a_replaced_run_neither_commits_nor_deletes() {
    let store = store("fence");
    let old = store.claim_attempt().unwrap();
    let first = empty(&store, 1, old);
    store.commit(&first).unwrap();
    let new = store.claim_attempt().unwrap();
    let late = store.commit(&empty(&store, 2, old)).unwrap_err();
    assert!(late.to_string().contains("was replaced by attempt 2"), "{late}");
    assert!(matches!(store.read(id(2)), Err(StoreError::NotACheckpoint { .. })));
    assert!(store.delete(old, id(1), &[]).is_err());
    assert!(store.read(id(1)).is_ok(), "nothing was removed");
    store.delete(new, id(1), &[]).unwrap();
    assert!(matches!(store.read(id(1)), Err(StoreError::NotACheckpoint { .. })));
}

#[test]
fn deleting_spares_files_that_are_not_named() {
    let store = store("delete");
    let attempt = store.claim_attempt().unwrap();
    let metadata = checkpoint(&store, 1, attempt, Some(b"state"));
    store.commit(&metadata).unwrap();
    let dir = JobLayout::checkpoint_dir(id(1));
    store.storage().create(&dir.join("foreign").unwrap(), b"kept").unwrap();
    let files: Vec<StoragePath> = metadata.files().cloned().collect();
    store.delete(attempt, id(1), &files).unwrap();
    let left: Vec<String> =
        store.storage().list(Some(&dir)).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(left, ["foreign"]);
}

#[test]
fn a_damaged_latest_is_refused_and_the_newest_whole_one_is_named() {
    let store = store("damage");
    let attempt = store.claim_attempt().unwrap();
    store.commit(&empty(&store, 1, attempt)).unwrap();
    store.commit(&empty(&store, 2, attempt)).unwrap();
    // State that is not what the metadata says.
    store.commit(&checkpoint(&store, 3, attempt, Some(b"garbage"))).unwrap();
    let text = store.latest().unwrap_err().to_string();
    assert!(text.contains("chk-3") && text.contains("the newest whole one is"), "{text}");
    assert!(text.contains("/chk-2"), "{text}");
    // Metadata that is cut.
    store.storage().create(&JobLayout::metadata(id(4)), b"ALLUVIUM").unwrap();
    let text = store.latest().unwrap_err().to_string();
    assert!(text.contains("chk-4/_metadata") && text.contains("/chk-2"), "{text}");
    // Old damage stops nobody.
    store.commit(&empty(&store, 5, attempt)).unwrap();
    assert_eq!(store.latest().unwrap().unwrap().properties.checkpoint, id(5));
}

#[test]
fn a_higher_attempt_wins_over_a_higher_id() {
    let store = store("attempts");
    let old = store.claim_attempt().unwrap();
    store.commit(&empty(&store, 9, old)).unwrap();
    let new = store.claim_attempt().unwrap();
    store.commit(&empty(&store, 7, new)).unwrap();
    assert_eq!(store.latest().unwrap().unwrap().properties.attempt, new);
}

/// 1. A run creates metadata, and the answer is lost;
/// 2. it looks whether the checkpoint exists, and what it reads lacks what is not stored;
/// 3. if it took that for the checkpoint of another, it would delete the state of its own.
#[test]
fn own_metadata_is_known_again_although_not_all_of_it_is_stored() {
    let store = store("own");
    let attempt = store.claim_attempt().unwrap();
    let mut own = checkpoint(&store, 1, attempt, Some(b"state"));
    let written = own.files().cloned().collect();
    own.operators[0].subtasks[0].keyed.as_mut().unwrap().written = written;
    assert!(!store.exists_all_the_same(&own).unwrap());
    store.commit(&own).unwrap();
    assert!(store.exists_all_the_same(&own).unwrap());
    store.commit(&own).unwrap();
    let target = open("memory:store-own-savepoint").unwrap();
    let savepoint = store.begin_savepoint(&target, 1).unwrap();
    store.commit_savepoint(&savepoint, &own).unwrap();
    assert!(store.savepoint_exists_all_the_same(&savepoint, &own).unwrap());
    store.commit_savepoint(&savepoint, &own).unwrap();
    // The next one of the same seed has a folder of its own, and takes nothing along when it fails.
    let next = store.begin_savepoint(&target, 1).unwrap();
    assert_ne!(next.location(), savepoint.location());
    next.discard().unwrap();
    assert!(store.savepoint_exists_all_the_same(&savepoint, &own).unwrap());
}

#[test]
fn metadata_in_the_wrong_place_is_refused() {
    let store = store("place");
    let attempt = store.claim_attempt().unwrap();
    let bytes = write_metadata(&empty(&store, 1, attempt)).unwrap();
    store.storage().create(&JobLayout::metadata(id(2)), &bytes).unwrap();
    let error = store.read(id(2)).unwrap_err();
    assert!(matches!(error, StoreError::Mismatch { what: "checkpoint", .. }), "{error}");
    let other = JobId::new("other").unwrap();
    let other = CheckpointStore::in_folder(Arc::clone(store.storage()), other);
    store.storage().create(&JobLayout::metadata(id(1)), &bytes).unwrap();
    let error = other.read(id(1)).unwrap_err();
    assert!(matches!(error, StoreError::Mismatch { what: "job", .. }), "{error}");
}

#[test]
fn one_process_at_a_time_on_local_files() {
    let dir = tempfile::tempdir().unwrap();
    let root = open(dir.path().to_str().unwrap()).unwrap();
    let first = CheckpointStore::open_exclusive(&*root, job()).unwrap();
    let attempt = first.claim_attempt().unwrap();
    checkpoint(&first, 1, attempt, Some(b"left behind"));
    let second = CheckpointStore::open_exclusive(&*root, job()).unwrap_err();
    assert!(matches!(second, StoreError::Storage(StorageError::Locked { .. })), "{second}");
    drop(first);
    let second = CheckpointStore::open_exclusive(&*root, job()).unwrap();
    assert!(second.list().unwrap().is_empty(), "unfinished checkpoints are removed");
}

/// A job on local files, with the files that are written to it.
struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> CheckpointStore {
        let root = open(self.dir.path().to_str().unwrap()).unwrap();
        CheckpointStore::open_exclusive(&*root, job()).unwrap()
    }

    fn write(&self, file: &str) {
        let path = self.dir.path().join("job").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file).unwrap();
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("job").join(dir));
        let names = entries.into_iter().flatten().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn file(path: &str) -> StateLocation {
    StateLocation::File(StoragePath::new(path).unwrap())
}

/// A checkpoint that needs two empty files, wherever they lie.
fn needing(n: u64, attempt: AttemptId, keyed: &str, operator: &str) -> CheckpointMetadata {
    let stream = |path| StateHandle { location: file(path), len_bytes: 0, seal: 0 };
    let mut metadata = with_keyed(n, attempt, stream(keyed));
    let operator = OperatorStateHandle { stream: stream(operator) };
    metadata.operators[0].subtasks[0].operator = Some(operator);
    metadata
}

#[test]
fn leftovers_go_and_what_a_checkpoint_refers_to_stays_wherever_it_lies() {
    let folder = Folder::new();
    let store = folder.open();
    let attempt = store.claim_attempt().unwrap();
    for name in [
        "shared/own",
        "shared/earlier",
        "shared/nobody",
        "shared/.tmp-nobody-1-1",
        "chk-3/full",
        "chk-3/nobody",
        "chk-4/nobody",
        "chk-5/foreign",
    ] {
        folder.write(name);
    }
    store.commit(&needing(5, attempt, "shared/own", "chk-3/full")).unwrap();
    store.commit(&needing(6, attempt, "shared/own", "shared/earlier")).unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(folder.names("shared"), ["earlier", "own"]);
    assert_eq!(folder.names("chk-3"), ["full"], "5 needs it, although 3 is gone");
    assert!(!folder.names("").contains(&"chk-4".to_owned()));
    assert_eq!(folder.names("chk-5"), ["_metadata", "foreign"]);
    assert!(store.read(id(5)).is_ok());
}

#[test]
fn without_any_checkpoint_all_shared_files_are_leftovers() {
    let folder = Folder::new();
    drop(folder.open());
    folder.write("shared/nobody");
    folder.write("shared/.tmp-nobody-1-1");
    drop(folder.open());
    assert_eq!(folder.names(""), ["_lock"]);
}

/// Folders below those of checkpoints are not made by any run, so they are somebody else's.
#[test]
fn what_a_person_has_put_into_a_folder_stays() {
    let folder = Folder::new();
    drop(folder.open());
    for name in ["chk-4/left", "chk-4/theirs/notes", "shared/left", "shared/theirs/notes"] {
        folder.write(name);
    }
    drop(folder.open());
    assert_eq!(folder.names("chk-4"), ["theirs"]);
    assert_eq!(folder.names("shared"), ["theirs"]);
    assert_eq!(folder.names("shared/theirs"), ["notes"]);
}

#[test]
fn while_metadata_is_damaged_nothing_is_removed() {
    let folder = Folder::new();
    let store = folder.open();
    let attempt = store.claim_attempt().unwrap();
    store.commit(&needing(5, attempt, "shared/own", "shared/own")).unwrap();
    drop(store);
    for name in ["shared/own", "shared/perhaps", "chk-2/_metadata", "chk-4/perhaps"] {
        folder.write(name);
    }
    drop(folder.open());
    assert_eq!(folder.names("shared"), ["own", "perhaps"]);
    assert_eq!(folder.names("chk-4"), ["perhaps"]);
}

/// A run that goes on beside damaged metadata keeps away from every file that it may refer to.
#[test]
fn while_metadata_is_damaged_all_shared_files_are_spared() {
    let folder = Folder::new();
    let store = folder.open();
    let attempt = store.claim_attempt().unwrap();
    store.commit(&needing(6, attempt, "shared/own", "chk-6/own")).unwrap();
    for name in ["shared/own", "shared/perhaps", "chk-6/own"] {
        folder.write(name);
    }
    let spared = || store.needed_by_others(&store.list().unwrap()).unwrap();
    assert!(spared().is_empty());
    folder.write("chk-5/_metadata");
    let spared: Vec<String> = spared().iter().map(ToString::to_string).collect();
    assert_eq!(spared, ["shared/own", "shared/perhaps"]);
}

#[test]
fn files_of_earlier_folders_go_with_their_empty_folders_and_shared_stays() {
    let folder = Folder::new();
    let store = folder.open();
    let attempt = store.claim_attempt().unwrap();
    for name in ["shared/own", "chk-3/full", "chk-4/full", "chk-4/kept"] {
        folder.write(name);
    }
    store.commit(&needing(5, attempt, "shared/own", "chk-3/full")).unwrap();
    let files = ["chk-3/full", "chk-4/full", "shared/own"];
    let files = files.map(|path| StoragePath::new(path).unwrap());
    store.delete(attempt, id(5), &files).unwrap();
    // The lock and the claim are there too.
    assert_eq!(folder.names(""), ["_lock", "attempts", "chk-4", "shared"]);
    assert_eq!(folder.names("chk-4"), ["kept"]);
    assert!(folder.names("shared").is_empty());
    // What is gone already is no error.
    store.delete(attempt, id(5), &files).unwrap();
}

#[test]
fn a_shared_file_must_be_there_with_its_length_and_seal() {
    let store = store("verify-shared");
    let attempt = store.claim_attempt().unwrap();
    let mut metadata = checkpoint(&store, 2, attempt, Some(b"garbage"));
    let path = StoragePath::new("shared/earlier").unwrap();
    let mut refer = |len_bytes, seal| {
        let keyed = metadata.operators[0].subtasks[0].keyed.as_mut().unwrap();
        keyed.shared = vec![SharedFile { path: path.clone(), len_bytes, seal }];
        match store.verify(&metadata).unwrap_err() {
            StoreError::State { source, .. } => *source,
            other => panic!("{other}"),
        }
    };
    let missing = refer(8, 0x0404_0404);
    assert!(matches!(missing, RestoreError::Storage(StorageError::NotFound { .. })), "{missing}");
    store.storage().create(&path, &[4; 8]).unwrap();
    let cut = refer(9, 0x0404_0404);
    assert!(matches!(cut, RestoreError::Storage(StorageError::Truncated { .. })), "{cut}");
    let other = refer(8, 0x0404_0405);
    assert!(matches!(other, RestoreError::Storage(StorageError::SealMismatch { .. })), "{other}");
    // Now the stream itself is looked at, which is not one.
    let own = refer(8, 0x0404_0404);
    assert!(own.to_string().contains("chk-2/op-0-keyed-1"), "{own}");
}
