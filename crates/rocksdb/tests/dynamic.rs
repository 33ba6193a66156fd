//! State by bytes, through the object-safe traits: one program on every backend, and savepoints that go
//! from each to each.

use std::path::Path;

use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_rocksdb::RocksDbStateBackend;
use alluvium_state::SnapshotMode;
use alluvium_state::dynamic::{DynKeyedState, DynStateBackend};
use alluvium_testkit::job::TestJob;
use alluvium_testkit::model::Model;
use alluvium_testkit::model::by_bytes::{DynStates, open, snapshot};
use alluvium_testkit::model::change::Change;
use alluvium_testkit::random::Random;

const NAMESPACES: [u32; 3] = [0, 7, u32::MAX];
/// Segments of two entries, so that small states have many.
const HEAP: HeapStateBackend =
    HeapStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(2);
const NESTED: HeapStateBackend = HeapStateBackend::new(StateMapKind::Nested);
/// Whoever opens a job says which storage and which key groups; what keeps its state is said apart.
static OF_JOBS: HeapStateBackend = NESTED;

fn backends() -> [(&'static str, Box<dyn DynStateBackend>); 3] {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let rocksdb = RocksDbStateBackend::new(base.join("alluvium-rocksdb-dynamic"));
    [
        ("copy-on-write", Box::new(HEAP)),
        ("nested", Box::new(NESTED)),
        ("rocksdb", Box::new(rocksdb)),
    ]
}

/// Draws changes, and makes them in every subtask and in the model.
fn change_at_random(
    subtasks: &mut [Box<dyn DynKeyedState>],
    (model, random): (&mut Model, &mut Random),
    changes: usize,
) {
    let states: Vec<_> =
        subtasks.iter_mut().map(|state| DynStates::register(&mut **state)).collect();
    for _ in 0..changes {
        let key = format!("key-{}", random.below(20));
        let (namespace, change) = (*random.pick(&NAMESPACES), Change::draw(random));
        for (state, own) in subtasks.iter_mut().zip(&states) {
            own.apply(&mut **state, &key, namespace, &change);
        }
        model.apply(&key, namespace, &change);
    }
}

fn check(state: &mut dyn DynKeyedState, model: &Model) {
    model.check(&DynStates::register(state).contents(state));
}

/// The storage, the key groups and the way of snapshots of all backends of a test.
fn job() -> TestJob<'static, HeapStateBackend, String> {
    let mut job = TestJob::new(&OF_JOBS);
    job.mode = SnapshotMode::Full;
    job
}

#[test]
fn one_program_ends_with_equal_contents_on_every_backend() {
    for seed in 0..6 {
        let (job, mut model, mut random) = (job(), Model::default(), Random::new(seed));
        let mut subtasks = backends().map(|(_, backend)| open(&job, &*backend, &[]));
        for _ in 0..4 {
            change_at_random(&mut subtasks, (&mut model, &mut random), 150);
            for state in &mut subtasks {
                check(&mut **state, &model);
            }
        }
        assert!(model.contents().len() > 50, "seed {seed} ends with little");
    }
}

#[test]
fn savepoints_go_from_every_backend_to_every_backend() {
    for (from, first) in backends() {
        for (to, second) in backends() {
            let seed = (from.len() * 100 + to.len()) as u64;
            let (job, mut model, mut random) = (job(), Model::default(), Random::new(seed));
            let mut source = [open(&job, &*first, &[])];
            change_at_random(&mut source, (&mut model, &mut random), 300);
            let savepoint = snapshot(&job, &mut *source[0], 1);

            let mut restored = [open(&job, &*second, &savepoint)];
            assert_eq!(restored[0].unregistered_states().len(), 8, "{from} to {to}");
            check(&mut *restored[0], &model);
            change_at_random(&mut restored, (&mut model, &mut random), 200);
            let savepoint = snapshot(&job, &mut *restored[0], 2);
            check(&mut *open(&job, &*first, &savepoint), &model);
        }
    }
}
