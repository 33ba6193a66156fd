//! The suite and random programs on the model backend, and state that moves between it and heap.

#![expect(clippy::unwrap_used, reason = "a call that fails fails the test")]

use alluvium_heap::{HeapStateBackend, StateMapKind};
use alluvium_state::{SnapshotMode, StateBackend};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::backend::ModelStateBackend;
use alluvium_testkit::conformance::{CASES, cases};
use alluvium_testkit::job::{KeyedOf, TestJob};
use alluvium_testkit::model::change::Change;
use alluvium_testkit::model::{Model, Program, check_contents, check_timers};
use alluvium_testkit::random::Random;

const BACKEND: ModelStateBackend = ModelStateBackend::new();
/// Segments of two entries, so that small states have chains.
const HEAP: HeapStateBackend =
    HeapStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(2);
const NAMESPACES: [u32; 2] = [0, 7];
const ALWAYS_FILES: StreamPolicy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };

alluvium_testkit::conformance_tests!(BACKEND);

#[test]
fn the_list_of_cases_is_that_of_the_tests() {
    let listed: Vec<&str> = cases::<ModelStateBackend>().iter().map(|case| case.name).collect();
    assert_eq!(listed, CASES);
    assert!(cases::<ModelStateBackend>().iter().all(|case| case.name.starts_with(case.group())));
}

#[test]
fn random_programs_agree_with_the_model_and_with_heap() {
    for seed in 0..60 {
        let program = Program::new(seed, 500);
        let contents = program.run(&BACKEND);
        assert_eq!(contents, program.run(&HEAP), "{program:?}");
        assert_eq!(contents, program.restored_one_in(9).run(&BACKEND), "{program:?}");
    }
}

fn change_at_random<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    subtasks: &mut [KeyedOf<B, String>],
    (model, random): (&mut Model, &mut Random),
) {
    let parallelism = u32::try_from(subtasks.len()).unwrap();
    for _ in 0..120 {
        let key = format!("key-{}", random.below(60));
        let (namespace, change) = (*random.pick(&NAMESPACES), Change::draw(random));
        let owner = subtasks.get_mut(job.owner_of(&key, parallelism)).unwrap();
        change.apply(owner, &key, namespace);
        model.apply(&key, namespace, &change);
    }
}

/// What heap wrote, with chains of delta blocks in several files, comes back after a stay here.
#[test]
fn chains_of_heap_are_read_and_full_streams_go_back() {
    for seed in 0..20 {
        let (mut model, mut random) = (Model::default(), Random::new(seed));
        let mut source = TestJob::<_, String>::new(&HEAP);
        (source.policy, source.mode) = (ALWAYS_FILES, SnapshotMode::Incremental);
        let mut subtasks = source.open(2, &[]);
        let mut handles = Vec::new();
        for _ in 0..5 {
            change_at_random(&source, &mut subtasks, (&mut model, &mut random));
            handles = source.snapshot(&mut subtasks);
        }
        assert!(handles.iter().any(|handle| !handle.shared.is_empty()), "nothing is referred to");

        let middle = TestJob::<_, String>::new(&BACKEND);
        let mut subtasks = middle.open_from(3, &handles, &source.reader());
        if random.one_in(2) {
            // Once with nobody registering anything.
            subtasks = middle.open(1, &middle.snapshot(&mut subtasks));
        }
        check_contents(&middle, &mut subtasks, &NAMESPACES, &model);
        change_at_random(&middle, &mut subtasks, (&mut model, &mut random));
        let handles = middle.snapshot(&mut subtasks);

        let last = TestJob::<_, String>::new(&HEAP);
        let mut subtasks = last.open_from(2, &handles, &middle.reader());
        check_contents(&last, &mut subtasks, &NAMESPACES, &model);
        check_timers(&last, &mut subtasks, &model);
    }
}
