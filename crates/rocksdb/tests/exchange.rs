//! State moves between the heap backend and this one, through full snapshots of either and through
//! incremental ones of heap, with chains of delta blocks in several files.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]

use std::path::Path;

use alluvium_core::MaxParallelism;
use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_state::{SnapshotMode, StateBackend};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::job::{KeyedOf, TestJob};
use alluvium_testkit::model::change::Change;
use alluvium_testkit::model::{Model, check_contents};
use alluvium_testkit::random::Random;

const NAMESPACES: [u32; 3] = [0, 7, u32::MAX];
const ALWAYS_FILES: StreamPolicy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
/// Segments of two entries, so that small states have chains.
const HEAP: HeapStateBackend =
    HeapStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(2);
const NESTED: HeapStateBackend = HeapStateBackend::new(StateMapKind::Nested);

fn rocksdb() -> RocksDbStateBackend {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    RocksDbStateBackend::new(base.join("alluvium-rocksdb-exchange"))
}

/// A job in files, with a number of key groups that random programs draw too.
fn job<B: StateBackend>(backend: &B, max: u32, mode: SnapshotMode) -> TestJob<'_, B, String> {
    let mut job = TestJob::new(backend);
    job.max_parallelism = MaxParallelism::new(max).unwrap();
    (job.policy, job.mode) = (ALWAYS_FILES, mode);
    job
}

fn change_at_random<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    (model, random): (&mut Model, &mut Random),
    changes: usize,
) {
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    for _ in 0..changes {
        let key = format!("key-{}", random.below(60));
        let (namespace, change) = (*random.pick(&NAMESPACES), Change::draw(random));
        let owner = subtasks.get_mut(job.owner_of(&key, parallelism)).unwrap();
        change.apply(owner, &key, namespace);
        model.apply(&key, namespace, &change);
    }
}

/// From one backend to another and back, changing something everywhere.
fn there_and_back(heap: &HeapStateBackend, mode: SnapshotMode, seed: u64) {
    let rocksdb = rocksdb();
    let (mut model, mut random) = (Model::default(), Random::new(seed));
    let max = *random.pick(&[2, 5, 128, 300]);
    let parallelisms = [*random.pick(&[1, 2]), *random.pick(&[1, 2]), *random.pick(&[1, 2])];
    let [first, second, third] = parallelisms;

    let source = job(heap, max, mode);
    let mut subtasks = source.open(first, &[]);
    let mut handles = Vec::new();
    for _ in 0..5 {
        change_at_random(&source, &mut subtasks, (&mut model, &mut random), 120);
        handles = source.snapshot(&mut subtasks);
    }
    if mode == SnapshotMode::Incremental {
        assert!(handles.iter().any(|handle| !handle.shared.is_empty()), "nothing is referred to");
    }

    let middle = job(&rocksdb, max, SnapshotMode::Full);
    let mut subtasks = middle.open_from(second, &handles, &source.reader());
    if random.one_in(2) {
        // Once with nobody registering anything.
        let kept = middle.snapshot(&mut subtasks);
        subtasks = middle.open(first, &kept);
    }
    check_contents(&middle, &mut subtasks, &NAMESPACES, &model);
    change_at_random(&middle, &mut subtasks, (&mut model, &mut random), 200);
    let handles = middle.snapshot(&mut subtasks);
    change_at_random(&middle, &mut subtasks, (&mut Model::default(), &mut random), 50);

    let last = job(heap, max, mode);
    let mut subtasks = last.open_from(third, &handles, &middle.reader());
    check_contents(&last, &mut subtasks, &NAMESPACES, &model);
    change_at_random(&last, &mut subtasks, (&mut model, &mut random), 100);
    check_contents(&last, &mut subtasks, &NAMESPACES, &model);
}

#[test]
fn full_snapshots_of_heap_come_back_after_a_stay_here() {
    for seed in 0..8 {
        there_and_back(&HEAP, SnapshotMode::Full, seed);
    }
}

#[test]
fn full_snapshots_of_nested_maps_come_back_after_a_stay_here() {
    for seed in 20..26 {
        there_and_back(&NESTED, SnapshotMode::Full, seed);
    }
}

#[test]
fn incremental_snapshots_of_heap_are_read_with_their_chains() {
    for seed in 40..52 {
        there_and_back(&HEAP, SnapshotMode::Incremental, seed);
    }
}
