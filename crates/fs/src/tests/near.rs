//! Lazy restores from copies on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use crate::FsStateBackend;
use alluvium_core::JobId;
use alluvium_state::KeyedStateBackend;
use alluvium_storage::{LocalCopies, Storage};
use alluvium_testkit::job::fresh_memory;

use super::lazy::checkpoint::{
    BOTH, Checkpoint, KEYS, check_tags, content, job_on, register, spread, value, write,
};
use super::lazy::counting::CountingStorage;

const BACKEND: FsStateBackend = FsStateBackend::new(alluvium_heap::StateMapKind::CopyOnWrite);

fn copies_in(dir: &Path, storage: &dyn Storage) -> LocalCopies {
    LocalCopies::new(dir, &JobId::new("job").unwrap(), storage.root())
}

/// All copies.
fn files_of(copies: &LocalCopies) -> Vec<PathBuf> {
    let children = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let dirs = children(&copies.dir().join("files"));
    dirs.iter().flat_map(|dir| children(dir)).collect()
}

#[test]
fn a_lazy_restore_from_copies_reads_nothing_else() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let storage = CountingStorage::new(fresh_memory());
        let mut job = job_on(&BACKEND, storage.clone(), mode);
        let copies = copies_in(dir.path(), &*storage);
        job.copies = Some(copies.clone());
        let Checkpoint { handles, mut model, .. } = write(&job, mode);
        let before = storage.reads();
        let mut backend = job.open_one(&handles);
        let state = register(&mut backend);
        // The map outlives the name, as it does for files of the storage.
        copies.keep_only(None, []);
        assert_eq!(*state.get(&backend.at(&7).unwrap()).unwrap().unwrap(), model[&7]);
        state.set(&mut backend.at(&3).unwrap(), value(77)).unwrap();
        model.insert(3, value(77));
        assert_eq!(content(&mut backend), model);
        assert_eq!(storage.reads(), before);
    }
}

#[test]
fn copies_of_other_subtasks_serve_another_parallelism() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let storage = CountingStorage::new(fresh_memory());
        let mut job = job_on(&BACKEND, storage.clone(), mode);
        job.copies = Some(copies_in(dir.path(), &*storage));
        let Checkpoint { handles, model, .. } = write(&job, mode);
        let before = storage.reads();
        assert_eq!(spread(&job, 3, &handles), model);
        check_tags(&job, 2, &handles);
        assert_eq!(storage.reads(), before);
    }
}

#[test]
fn damage_that_is_met_when_a_key_is_touched_sends_it_to_the_file_itself() {
    for mode in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let storage = CountingStorage::new(fresh_memory());
        let mut job = job_on(&BACKEND, storage.clone(), mode);
        let copies = copies_in(dir.path(), &*storage);
        job.copies = Some(copies.clone());
        let Checkpoint { handles, mut model, .. } = write(&job, mode);
        let before = storage.reads();
        let mut backend = job.open_one(&handles);
        let state = register(&mut backend);
        // Behind the back of the map.
        for damaged in files_of(&copies) {
            let mut bytes = fs::read(&damaged).unwrap();
            bytes.iter_mut().step_by(1_000).for_each(|byte| *byte ^= 0x40);
            fs::write(&damaged, bytes).unwrap();
        }
        for key in [5, KEYS / 2] {
            let found = state.get(&backend.at(&key).unwrap()).unwrap().map(|found| *found);
            assert_eq!(found.as_ref(), model.get(&key));
        }
        state.set(&mut backend.at(&3).unwrap(), value(77)).unwrap();
        model.insert(3, value(77));
        assert_eq!(content(&mut backend), model);
        assert!(storage.reads() > before);
        assert!(copies.statistics().damaged_files > 0);
        drop(backend);

        // The same from the beginning, with half of the copies gone.
        let files = files_of(&copies);
        files.iter().step_by(2).for_each(|file| fs::remove_file(file).unwrap());
        model.remove(&3);
        let mut found = spread(&job, 2, &handles);
        found.remove(&3);
        assert_eq!(found, model);
    }
}
