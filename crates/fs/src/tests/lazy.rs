//! Lazy restores from real files: what is read when, and what happens to the files meanwhile.
//!
//! Every case runs with self-contained checkpoints, and with incremental ones whose state lies in
//! several files.

pub(super) mod checkpoint;
pub(super) mod counting;
mod damaged;

use std::sync::Mutex;

use crate::FsStateBackend;
use alluvium_core::{StoragePath, SubtaskIndex};
use alluvium_state::{KeyedStateBackend, SnapshotMode};
use alluvium_testkit::job::TestJob;

use self::checkpoint::{
    BOTH, Checkpoint, DELTAS, KEYS, check_tags, content, job_on, local, register, spread, value,
    write,
};
use self::counting::CountingStorage;

const BACKEND: FsStateBackend = FsStateBackend::new(alluvium_heap::StateMapKind::CopyOnWrite);

#[test]
fn the_first_keys_need_a_small_part_of_the_files() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let storage = CountingStorage::new(local(&dir));
        let job = job_on(&BACKEND, storage.clone(), mode);
        let Checkpoint { handles, mut model, len_bytes } = write(&job, mode);

        let before = storage.read_bytes();
        let mut backend = job.open_one(&handles);
        let state = register(&mut backend);
        assert_eq!(backend.entry_count().unwrap(), model.len());
        let opened = storage.read_bytes() - before;
        assert!(opened * 10 < len_bytes, "{opened} of {len_bytes} bytes to open");

        let (read, written) = (7, 1000);
        let expected = model[&read];
        assert_eq!(*state.get(&backend.at(&read).unwrap()).unwrap().unwrap(), expected);
        state.set(&mut backend.at(&written).unwrap(), value(99)).unwrap();
        model.insert(written, value(99));
        assert_eq!(*state.get(&backend.at(&written).unwrap()).unwrap().unwrap(), value(99));
        let touched = storage.read_bytes() - before;
        assert!(touched * 5 < len_bytes, "{touched} of {len_bytes} bytes for two keys");

        assert_eq!(content(&mut backend), model);
        let all = storage.read_bytes() - before;
        // The index, all blocks once, and the one that is read to try how keys are parted.
        assert!(all < len_bytes * 5 / 4, "{all} of {len_bytes} bytes for all keys");
    }
}

#[test]
fn mapped_files_may_be_deleted_once_they_are_open() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let job = job_on(&BACKEND, local(&dir), mode);
        let Checkpoint { handles, model, .. } = write(&job, mode);
        let mut backend = job.open_one(&handles);
        register(&mut backend);
        delete_all(&job);
        assert_eq!(content(&mut backend), model);
    }
}

#[test]
fn the_background_load_brings_in_everything() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let storage = CountingStorage::new(local(&dir));
        let job = job_on(&BACKEND, storage.clone(), mode);
        let Checkpoint { handles, mut model, .. } = write(&job, mode);
        let mut backend = job.open_one(&handles);
        let state = register(&mut backend);
        let load = backend.background_load().expect("nothing is loaded yet");
        state.set(&mut backend.at(&3).unwrap(), value(77)).unwrap();
        model.insert(3, value(77));
        let (loaded, load) = (Mutex::new(false), Mutex::new(Some(load)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                load.lock().unwrap().take().unwrap().run().unwrap();
                *loaded.lock().unwrap() = true;
            });
            // The task goes on meanwhile.
            for key in [1, 2, KEYS / 2] {
                let found = state.get(&backend.at(&key).unwrap()).unwrap().map(|found| *found);
                assert_eq!(found.as_ref(), model.get(&key));
            }
        });
        assert!(*loaded.lock().unwrap());
        let reads = storage.reads();
        delete_all(&job);
        assert_eq!(content(&mut backend), model);
        assert_eq!(storage.reads(), reads, "nothing is read twice");
    }
}

#[test]
fn the_background_load_stops_when_its_backend_is_gone() {
    const ENOUGH: u64 = 5;
    let dir = tempfile::tempdir().unwrap();
    let storage = CountingStorage::new(local(&dir));
    let job = job_on(&BACKEND, storage.clone(), SnapshotMode::Full);
    let Checkpoint { handles, .. } = write(&job, SnapshotMode::Full);

    let mut backend = job.open_one(&handles);
    register(&mut backend);
    let load = backend.background_load().unwrap();
    drop(backend);
    let before = storage.reads();
    load.run().unwrap();
    assert_eq!(storage.reads(), before, "the backend was gone before");

    let mut backend = job.open_one(&handles);
    register(&mut backend);
    let load = backend.background_load().unwrap();
    let before = storage.reads();
    let backend = Mutex::new(Some(backend));
    storage.on_read(move |reads| {
        if reads == before + ENOUGH {
            backend.lock().unwrap().take();
        }
    });
    load.run().unwrap();
    assert_eq!(storage.reads(), before + ENOUGH, "the backend went away meanwhile");
}

#[test]
fn the_first_checkpoint_after_a_lazy_restore_is_incremental_at_every_parallelism() {
    for parallelism in [1, 2, 3] {
        let dir = tempfile::tempdir().unwrap();
        let storage = CountingStorage::new(local(&dir));
        let job = job_on(&BACKEND, storage.clone(), SnapshotMode::Incremental);
        let Checkpoint { handles, mut model, len_bytes } = write(&job, SnapshotMode::Incremental);

        let before = storage.read_bytes();
        let mut subtasks = job.open(parallelism, &handles);
        let key = KEYS / 3;
        for (at, backend) in subtasks.iter_mut().enumerate() {
            let state = register(backend);
            if at == job.owner_of(&key, parallelism) {
                state.set(&mut backend.at(&key).unwrap(), value(55)).unwrap();
            }
        }
        model.insert(key, value(55));
        let restored = job.snapshot(&mut subtasks);
        let written: u64 = restored.iter().map(|handle| handle.stream.len_bytes).sum();
        assert!(written * 20 < len_bytes, "{written} of {len_bytes} bytes at {parallelism}");
        let read = storage.read_bytes() - before;
        assert!(read * 3 < len_bytes, "{read} of {len_bytes} bytes read at {parallelism}");

        // What it refers to and itself is all that it needs, at any parallelism.
        for other in [1, 2, 5] {
            assert_eq!(spread(&job, other, &restored), model, "from {parallelism} to {other}");
            check_tags(&job, other, &restored);
        }
        // Those that follow build on it as well.
        let again: u64 =
            job.snapshot(&mut subtasks).iter().map(|handle| handle.stream.len_bytes).sum();
        assert!(again * 20 < len_bytes, "{again} of {len_bytes} bytes at {parallelism}");
    }
}

#[test]
fn a_full_snapshot_of_a_lazily_restored_backend_needs_no_other_file() {
    for mode in BOTH {
        for parallelism in [1, 2] {
            let dir = tempfile::tempdir().unwrap();
            let mut job = job_on(&BACKEND, local(&dir), mode);
            let Checkpoint { handles, mut model, .. } = write(&job, mode);
            let older = all_files(&job);
            let mut subtasks = job.open(parallelism, &handles);
            // Only a few segments of a state are touched; the other state is not even registered.
            let key = 11;
            let owner = &mut subtasks[job.owner_of(&key, parallelism)];
            let state = register(owner);
            state.set(&mut owner.at(&key).unwrap(), value(44)).unwrap();
            model.insert(key, value(44));

            job.mode = SnapshotMode::Full;
            let full = job.snapshot(&mut subtasks);
            assert!(full.iter().all(|handle| handle.shared.is_empty()));
            drop(subtasks);
            for path in older {
                job.storage().delete(&path).unwrap();
            }
            assert_eq!(spread(&job, 1, &full), model);
            assert_eq!(spread(&job, 3, &full), model);
            check_tags(&job, 2, &full);
        }
    }
}

#[test]
fn checkpoints_of_several_kinds_follow_a_lazy_restore() {
    let dir = tempfile::tempdir().unwrap();
    let mut job = job_on(&BACKEND, local(&dir), SnapshotMode::Incremental);
    let Checkpoint { mut handles, mut model, .. } = write(&job, SnapshotMode::Incremental);
    for round in 0..DELTAS {
        let mut backend = job.try_open(SubtaskIndex::new(0), 1, &handles).unwrap();
        let state = register(&mut backend);
        for key in (round..KEYS).step_by(97) {
            state.set(&mut backend.at(&key).unwrap(), value(key ^ round)).unwrap();
            model.insert(key, value(key ^ round));
        }
        let full = SnapshotMode::Full;
        job.mode = if round % 3 == 1 { full } else { SnapshotMode::Incremental };
        handles = job.snapshot_one(&mut backend);
        assert_eq!(content(&mut backend), model, "round {round}");
        assert_eq!(spread(&job, 2, &handles), model, "round {round}");
        check_tags(&job, 1, &handles);
    }
}

/// The paths of all files.
pub(crate) fn all_files(job: &TestJob<'_, FsStateBackend, u64>) -> Vec<StoragePath> {
    let mut files = Vec::new();
    for dir in job.storage().list(None).unwrap().iter().filter(|entry| entry.is_dir) {
        let dir = StoragePath::new(&dir.name).unwrap();
        let entries = job.storage().list(Some(&dir)).unwrap();
        files.extend(
            entries.iter().map(|e| StoragePath::new(&format!("{dir}/{}", e.name)).unwrap()),
        );
    }
    files
}

fn delete_all(job: &TestJob<'_, FsStateBackend, u64>) {
    let files = all_files(job);
    assert!(!files.is_empty());
    for path in files {
        job.storage().delete(&path).unwrap();
    }
}
