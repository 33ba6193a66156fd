//! Restores from copies on this machine: links of SSTs, and files themselves where copies are wrong.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]
#![expect(clippy::indexing_slicing, reason = "so does an index that is out of bounds")]

use std::fs;
use std::path::{Path, PathBuf};

use alluvium_core::{JobId, KeyedStateHandle, StoragePath};
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_storage::LocalCopies;
use alluvium_testkit::job::{KeyedOf, TestJob, fresh_memory};
use alluvium_testkit::model::change::Change;
use alluvium_testkit::model::{Model, check_contents};
use alluvium_testkit::random::Random;

const NAMESPACES: [u32; 3] = [0, 7, u32::MAX];

type Job<'b> = TestJob<'b, RocksDbStateBackend, String>;
type Subtasks = Vec<KeyedOf<RocksDbStateBackend, String>>;

struct World<'b> {
    job: Job<'b>,
    copies: LocalCopies,
    model: Model,
    handles: Vec<KeyedStateHandle>,
}

/// Some checkpoints of two subtasks, in memory, with copies.
fn world<'b>(backend: &'b RocksDbStateBackend, dir: &Path) -> World<'b> {
    let mut job = Job::with_storage(backend, fresh_memory());
    let id = JobId::new("job").unwrap();
    let copies = LocalCopies::new(&dir.join("copies"), &id, job.storage().root());
    job.copies = Some(copies.clone());
    let (mut model, mut random) = (Model::default(), Random::new(3));
    let mut subtasks = job.open(2, &[]);
    let mut handles = Vec::new();
    for _ in 0..4 {
        for _ in 0..200 {
            let key = format!("key-{}", random.below(60));
            let (namespace, change) = (*random.pick(&NAMESPACES), Change::draw(&mut random));
            change.apply(&mut subtasks[job.owner_of(&key, 2)], &key, namespace);
            model.apply(&key, namespace, &change);
        }
        handles = job.snapshot(&mut subtasks);
    }
    assert!(handles.iter().all(|handle| handle.shared.len() > 1), "several SSTs each");
    World { job, copies, model, handles }
}

fn ssts(world: &World<'_>) -> Vec<(StoragePath, PathBuf)> {
    let shared = world.handles.iter().flat_map(|handle| &handle.shared);
    let at = |path: &StoragePath| world.copies.dir().join("files").join(path.as_str());
    shared.map(|file| (file.path.clone(), at(&file.path))).collect()
}

fn check(world: &World<'_>, parallelism: u32) -> u64 {
    let mut subtasks: Subtasks = world.job.open(parallelism, &world.handles);
    check_contents(&world.job, &mut subtasks, &NAMESPACES, &world.model);
    subtasks.iter().map(|subtask| subtask.restore_statistics().files_linked).sum()
}

fn backend(dir: &Path) -> RocksDbStateBackend {
    RocksDbStateBackend::new(dir.join("databases")).write_buffer_len_bytes(64 * 1024)
}

#[test]
fn ssts_are_linked_both_ways_when_the_storage_has_lost_them() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let backend = backend(dir.path());
    let world = world(&backend, dir.path());
    for (path, copy) in ssts(&world) {
        assert!(fs::metadata(copy).unwrap().is_file());
        world.job.storage().delete(&path).unwrap();
    }
    assert!(check(&world, 2) > 0);
    check(&world, 3);
    check(&world, 1);
    assert_eq!(world.copies.statistics().remote_files, 0);
}

#[test]
fn a_wrong_sst_is_fetched_from_the_storage() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let backend = backend(dir.path());
    let world = world(&backend, dir.path());
    let ssts = ssts(&world);
    let (_, damaged) = &ssts[0];
    // Not in place: the copy is a link of a file of the database.
    let mut bytes = fs::read(damaged).unwrap();
    bytes[10] ^= 1;
    fs::remove_file(damaged).unwrap();
    fs::write(damaged, bytes).unwrap();
    fs::remove_file(&ssts[1].1).unwrap();
    check(&world, 2);
    let statistics = world.copies.statistics();
    assert!(statistics.damaged_files > 0 && statistics.remote_files > 0, "{statistics:?}");
    check(&world, 3);
}
