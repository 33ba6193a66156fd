//! Files that are cut short or damaged: an error that names them, never a key that seems absent.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use alluvium_core::{KeyGroup, KeyedStateHandle, StoragePath};
use alluvium_format::keyed::{BlockRef, KeyedReader, MapEntry};
use alluvium_state::{KeyedStateBackend, LoadFailure, SnapshotMode, StateError, ValueState};
use alluvium_storage::StorageError;
use tempfile::TempDir;

use super::checkpoint::{
    BOTH, Backend, Checkpoint, Job, KEYS, Value, check_tags, job_on, local, register, spread,
    value, write,
};
use super::{BACKEND, all_files};

/// What went wrong below an error of a state.
fn failure_of(error: &StateError) -> (&str, &str, &LoadFailure) {
    match error {
        StateError::NotLoaded { source } => failure_of(source),
        StateError::Restore { state, stream, source } => (state, stream, source),
        other => panic!("another error: {other}"),
    }
}

fn get(
    backend: &mut Backend,
    state: ValueState<Value>,
    key: u64,
) -> Result<Option<Value>, StateError> {
    state.get(&backend.at(&key).unwrap()).map(|found| found.map(|value| *value))
}

fn cut(dir: &TempDir, path: &StoragePath, len_bytes: u64) {
    let file = OpenOptions::new().write(true).open(dir.path().join(path.as_str())).unwrap();
    file.set_len(len_bytes).unwrap();
}

#[test]
fn a_mapped_file_that_is_cut_short_is_refused_by_name() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let job = job_on(&BACKEND, local(&dir), mode);
        let Checkpoint { handles, model, .. } = write(&job, mode);
        let mut backend = job.open_one(&handles);
        let state = register(&mut backend);
        let loaded = 42;
        assert_eq!(get(&mut backend, state, loaded).unwrap(), model.get(&loaded).copied());

        let [handle] = handles.as_slice() else { panic!("one handle") };
        let own = handle.stream.file().unwrap();
        let files: Vec<_> = handle.shared.iter().map(|file| &file.path).chain([own]).collect();
        for path in &files {
            cut(&dir, path, 100);
        }
        assert_eq!(get(&mut backend, state, loaded).unwrap(), model.get(&loaded).copied());

        let mut refused = 0;
        for key in 0..KEYS {
            let error = match get(&mut backend, state, key) {
                Ok(found) => {
                    assert_eq!(found, model.get(&key).copied(), "key {key}");
                    continue;
                }
                Err(error) => error,
            };
            refused += 1;
            let (name, stream, failure) = failure_of(&error);
            assert_eq!(name, "numbers");
            let path = files.iter().find(|path| stream.ends_with(path.as_str()));
            let path = path.unwrap_or_else(|| panic!("{stream} is no file of the checkpoint"));
            assert!(
                matches!(
                    failure,
                    LoadFailure::Storage(StorageError::Truncated { found_len_bytes: 100, .. })
                ),
                "{failure}"
            );
            assert!(error.to_string().contains(path.as_str()), "{error}");

            // Whoever comes again, by whichever way, hears the same.
            let again = get(&mut backend, state, key).unwrap_err();
            assert_eq!(again.to_string(), error.to_string());
            let mut at = backend.at(&key).unwrap();
            let written = state.set(&mut at, value(1)).unwrap_err();
            assert_eq!(written.to_string(), error.to_string());
            assert_eq!(state.clear(&mut at).unwrap_err().to_string(), error.to_string());
        }
        assert!(refused > KEYS / 2, "{refused} keys");
        assert_eq!(backend.entry_count().unwrap(), model.len());
        assert!(backend.keys(state, &()).is_err());
        let load = backend.background_load().unwrap();
        failure_of(&load.run().unwrap_err());
    }
}

#[test]
fn a_snapshot_that_needs_a_cut_file_fails_and_the_backend_goes_on() {
    let mode = SnapshotMode::Full;
    let dir = tempfile::tempdir().unwrap();
    let job = job_on(&BACKEND, local(&dir), mode);
    let Checkpoint { handles, .. } = write(&job, mode);
    let mut backend = job.open_one(&handles);
    let state = register(&mut backend);
    state.set(&mut backend.at(&42).unwrap(), value(1)).unwrap();
    let path = handles[0].stream.file().unwrap();
    cut(&dir, path, 100);
    let error = job.freeze_one(&mut backend).try_write().unwrap_err();
    assert!(error.to_string().contains(path.as_str()), "{error}");
    assert_eq!(get(&mut backend, state, 42).unwrap(), Some(value(1)));
}

/// 1. A lazily restored backend writes a full snapshot, so it has read all of its blocks, those of
///    the state that nobody registered as well.
/// 2. The files that it was restored from are no longer needed, and are cut short.
/// 3. The next full snapshot reads the blocks of that state again: from memory, not from the map.
#[test]
fn what_a_full_snapshot_has_read_outlives_its_cut_files() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let mut job = job_on(&BACKEND, local(&dir), mode);
        let Checkpoint { handles, model, .. } = write(&job, mode);
        let older = all_files(&job);
        let mut backend = job.open_one(&handles);
        register(&mut backend);
        job.mode = SnapshotMode::Full;
        job.snapshot_one(&mut backend);
        for path in older {
            cut(&dir, &path, 100);
        }
        let full = job.snapshot_one(&mut backend);
        assert_eq!(spread(&job, 2, &full), model);
        check_tags(&job, 2, &full);
    }
}

/// A block of a checkpoint, with its key group and the path of its file.
fn some_block(
    job: &Job<'_>,
    handle: &KeyedStateHandle,
    at: usize,
) -> (KeyGroup, BlockRef, StoragePath) {
    let own = handle.stream.file().unwrap();
    let reader = KeyedReader::open_bytes(job.storage().read_all(own).unwrap()).unwrap();
    let numbers =
        |map: &&MapEntry| reader.header().states[usize::from(map.state)].name == "numbers";
    let blocks = reader.maps().iter().filter(numbers);
    let blocks = blocks.flat_map(|map| map.blocks().map(|block| (map.key_group, *block)));
    let blocks: Vec<_> = blocks.collect();
    let (key_group, block) = blocks[at % blocks.len()];
    let path = match usize::from(block.file).checked_sub(1) {
        None => own.clone(),
        Some(number) => handle.shared[number].path.clone(),
    };
    (key_group, block, path)
}

#[test]
fn a_damaged_block_is_found_when_it_is_first_touched_and_spares_the_others() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let job = job_on(&BACKEND, local(&dir), mode);
        let Checkpoint { handles, model, .. } = write(&job, mode);
        for at in [13, 40, 77] {
            let (key_group, block, path) = some_block(&job, &handles[0], at);
            let on_disk = dir.path().join(path.as_str());
            let file = OpenOptions::new().read(true).write(true).open(on_disk).unwrap();
            let offset = block.block.offset + u64::from(block.block.len_bytes) / 2;
            let mut byte = [0];
            file.read_exact_at(&mut byte, offset).unwrap();
            file.write_all_at(&[byte[0] ^ 0x10], offset).unwrap();

            let mut backend = job.open_one(&handles);
            let state = register(&mut backend);
            let mut refused = 0;
            for key in 0..KEYS {
                match get(&mut backend, state, key) {
                    Ok(found) => assert_eq!(found, model.get(&key).copied(), "key {key}"),
                    Err(error) => {
                        refused += 1;
                        assert_eq!(job.key_group_of(&key), key_group, "{error}");
                        let (name, stream, failure) = failure_of(&error);
                        assert_eq!(name, "numbers");
                        assert!(stream.ends_with(path.as_str()), "{stream}");
                        assert!(matches!(failure, LoadFailure::Format(_)), "{failure}");
                    }
                }
            }
            assert!(refused > 0, "block {at} of {path}");
            assert!(refused < KEYS / 20, "{refused} keys for one block");
            file.write_all_at(&byte, offset).unwrap();
        }
    }
}
