//! A savepoint walks from backend to backend: heap, RocksDB, nested maps, heap restored lazily, and
//! so on, over 20 hops of random parallelism, with changes between the hops.
//!
//! Invariants: at each hop the content is that of the model; a savepoint lies in one folder, which is
//! moved before every second hop or so, and everything else is deleted.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alluvium_core::{KeyGroupAssigner, KeyedStateHandle, MaxParallelism};
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_state::{SnapshotMode, StateBackend};
use alluvium_storage::{HandleReader, LocalStorage, ReadAccess, Storage, StreamPolicy};
use alluvium_testkit::job::{KeyedOf, TestJob};
use alluvium_testkit::model::change::Change;
use alluvium_testkit::model::{Kind, Model, check_contents, check_timers};
use alluvium_testkit::random::Random;

const HOPS: usize = 20;
const CHANGES: usize = 150;
const NAMESPACES: [u32; 3] = [0, 7, u32::MAX];
const HEAP: HeapStateBackend =
    HeapStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(2);
const LAZY: HeapStateBackend = HEAP.max_segment_entries(3).lazy();
const NESTED: HeapStateBackend = HeapStateBackend::new(StateMapKind::Nested);

fn rocksdb() -> RocksDbStateBackend {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    RocksDbStateBackend::new(base.join("alluvium-rocksdb-walk"))
}

/// A savepoint: the state of all subtasks, in one folder.
struct Savepoint {
    folder: PathBuf,
    handles: Vec<KeyedStateHandle>,
}

fn storage(folder: &Path) -> Arc<dyn Storage> {
    Arc::new(LocalStorage::open(folder).unwrap())
}

/// One walk: what it is drawn from, and where it is.
struct Walk {
    dir: tempfile::TempDir,
    random: Random,
    model: Model,
    max_parallelism: MaxParallelism,
    assigner: KeyGroupAssigner<String>,
    savepoint: Option<Savepoint>,
    moves: usize,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let max_parallelism = MaxParallelism::new(*random.pick(&[3, 7, 128, 300])).unwrap();
        let assigner = match random.below(2) {
            0 => KeyGroupAssigner::flink(),
            _ => KeyGroupAssigner::Stable,
        };
        let (dir, model) = (tempfile::tempdir().unwrap(), Model::default());
        Self { dir, random, model, max_parallelism, assigner, savepoint: None, moves: 0 }
    }

    /// Restores the savepoint in another backend, changes something, and takes the next one.
    fn hop<B: StateBackend>(&mut self, backend: &B, number: usize) {
        let folder = self.dir.path().join(format!("savepoint-{number}"));
        let mut job = TestJob::with_storage(backend, storage(&folder));
        (job.max_parallelism, job.assigner) = (self.max_parallelism, self.assigner);
        job.mode = SnapshotMode::Full;
        let inline_below_bytes = *self.random.pick(&[0, 600]);
        job.policy = StreamPolicy { inline_below_bytes, ..StreamPolicy::files() };

        let parallelism = 1 + u32::try_from(self.random.below(3)).unwrap();
        let mut subtasks = self.open(&job, parallelism);
        // Once in a while nobody registers anything, and all of it is written again.
        if !self.random.one_in(5) {
            check_contents(&job, &mut subtasks, &NAMESPACES, &self.model);
            for _ in 0..CHANGES {
                let key = format!("key-{}", self.random.below(60));
                let change = Change::draw(&mut self.random);
                let namespace = *self.random.pick(&NAMESPACES);
                let owner = subtasks.get_mut(job.owner_of(&key, parallelism)).unwrap();
                change.apply(owner, &key, namespace);
                self.model.apply(&key, namespace, &change);
            }
        }
        let handles = job.snapshot(&mut subtasks);
        assert!(handles.iter().all(|handle| handle.shared.is_empty()), "it refers to other files");
        drop(subtasks);
        // Elsewhere first: a job empties its own folder when it ends.
        let kept = self.dir.path().join(format!("kept-{number}"));
        fs::rename(&folder, &kept).unwrap();
        drop(job);
        self.savepoint = Some(Savepoint { folder: kept, handles });
        self.move_and_delete_the_rest(number);
    }

    fn open<B: StateBackend>(
        &self,
        job: &TestJob<'_, B, String>,
        parallelism: u32,
    ) -> Vec<KeyedOf<B, String>> {
        let Some(Savepoint { folder, handles }) = &self.savepoint else {
            return job.open(parallelism, &[]);
        };
        let reader = HandleReader::new(storage(folder), ReadAccess::Copy);
        job.open_from(parallelism, handles, &reader)
    }

    fn move_and_delete_the_rest(&mut self, number: usize) {
        let savepoint = self.savepoint.as_mut().unwrap();
        if self.random.one_in(2) {
            let moved = self.dir.path().join(format!("elsewhere/{number}"));
            fs::create_dir_all(moved.parent().unwrap()).unwrap();
            fs::rename(&savepoint.folder, &moved).unwrap();
            savepoint.folder = moved;
            self.moves += 1;
        }
        for dir in [self.dir.path().to_owned(), self.dir.path().join("elsewhere")] {
            for entry in fs::read_dir(&dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                if !savepoint.folder.starts_with(&path) {
                    fs::remove_dir_all(path).unwrap();
                }
            }
        }
    }

    /// What arrives is what the model holds, timers in their order.
    fn arrive<B: StateBackend>(&mut self, backend: &B) {
        let mut job = TestJob::new(backend);
        (job.max_parallelism, job.assigner) = (self.max_parallelism, self.assigner);
        let mut subtasks = self.open(&job, 2);
        check_contents(&job, &mut subtasks, &NAMESPACES, &self.model);
        check_timers(&job, &mut subtasks, &self.model);
    }
}

#[test]
fn a_savepoint_walks_over_20_hops() {
    for seed in 0..6 {
        let rocksdb = rocksdb();
        let mut walk = Walk::new(seed);
        for number in 0..HOPS {
            match number % 4 {
                0 => walk.hop(&HEAP, number),
                1 => walk.hop(&rocksdb, number),
                2 => walk.hop(&NESTED, number),
                _ if number % 8 == 3 => walk.hop(&LAZY, number),
                _ => walk.hop(&rocksdb, number),
            }
        }
        for kind in Kind::ALL {
            let is_there = walk.model.contents().keys().any(|address| address.kind == kind);
            assert!(is_there, "seed {seed}: {kind:?}");
        }
        assert!(walk.moves > 2, "seed {seed}: moved {} times", walk.moves);
        walk.arrive(&HEAP);
        walk.arrive(&rocksdb);
        walk.arrive(&NESTED);
    }
}
