//! What an incremental snapshot writes, and what later ones may build upon.
#![expect(clippy::unwrap_used, reason = "functions that the tests share are not tests to clippy")]

use alluvium_core::KeyedStateHandle;
use alluvium_format::codec::DefaultCodec;
use alluvium_heap::{HeapKeyedStateBackend, HeapStateBackend, StateMapKind};
use alluvium_state::{KeyedStateBackend, SnapshotMode, ValueState, ValueStateDescriptor};
use alluvium_storage::StreamPolicy;
use alluvium_testkit::job::TestJob;

type Keyed = HeapKeyedStateBackend<u64, DefaultCodec>;

const BACKEND: HeapStateBackend =
    HeapStateBackend::new(StateMapKind::CopyOnWrite).max_segment_entries(16);
const KEYS: u64 = 5_000;

fn job(backend: &HeapStateBackend) -> TestJob<'_, HeapStateBackend, u64> {
    let mut job = TestJob::new(backend);
    job.policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
    job
}

fn wide(keyed: &mut Keyed) -> ValueState<u64> {
    keyed.value_state(ValueStateDescriptor::new("count")).unwrap()
}

fn filled(job: &TestJob<'_, HeapStateBackend, u64>) -> Keyed {
    let mut keyed = job.open_one(&[]);
    let count = keyed.value_state(ValueStateDescriptor::<u32>::new("count")).unwrap();
    for key in 0..KEYS {
        count.set(&mut keyed.at(&key).unwrap(), 7).unwrap();
    }
    keyed
}

fn check(keyed: &mut Keyed, expected: impl Fn(u64) -> u64) {
    let count = wide(keyed);
    assert_eq!(keyed.entry_count().unwrap() as u64, KEYS);
    for key in 0..KEYS {
        let found = count.get(&keyed.at(&key).unwrap()).unwrap().map(|value| *value);
        assert_eq!(found, Some(expected(key)), "key {key}");
    }
}

fn own_len(handles: &[KeyedStateHandle]) -> u64 {
    handles.iter().map(|handle| handle.stream.len_bytes).sum()
}

/// 1. A state is restored, and a checkpoint is frozen before anybody registers it: it refers to
///    the restored blocks.
/// 2. The state is registered with a wider codec, so its values are migrated.
/// 3. The checkpoint completes and is the base of the next one, whose header names the wide codec:
///    a reference to a block of narrow values would make it unreadable.
#[test]
fn a_state_that_is_migrated_after_a_freeze_is_written_in_full() {
    for backend in [BACKEND, BACKEND.lazy()] {
        let job = job(&backend);
        let narrow = job.snapshot_one(&mut filled(&job));
        let mut keyed = job.open_one(&narrow);
        let frozen = job.freeze_one(&mut keyed);
        let checkpoint = frozen.checkpoint();
        check(&mut keyed, |_| 7);
        let handles = frozen.write();
        assert!(handles.iter().all(|handle| !handle.shared.is_empty()), "nothing was written anew");
        keyed.complete(checkpoint);
        let handles = job.snapshot_one(&mut keyed);
        check(&mut job.open_one(&handles), |_| 7);
    }
}

#[test]
fn what_one_change_costs_does_not_depend_on_the_size_of_the_state() {
    let backend = HeapStateBackend::default();
    let job = job(&backend);
    let mut keyed = filled(&job);
    let full = job.snapshot_one(&mut keyed);
    let count = keyed.value_state(ValueStateDescriptor::<u32>::new("count")).unwrap();
    count.set(&mut keyed.at(&3).unwrap(), 8).unwrap();
    let one = job.snapshot_one(&mut keyed);
    let none = job.snapshot_one(&mut keyed);
    // A block of one record: the number of removals, the key, the value; and its index entry.
    assert!(own_len(&one).abs_diff(own_len(&none)) < 40, "{one:?} and {none:?}");
    assert!(own_len(&one) * 5 < own_len(&full), "{one:?} and {full:?}");
    let mut restored = job.open_one(&one);
    check(&mut restored, |key| if key == 3 { 8 } else { 7 });
}

#[test]
fn nested_maps_read_what_copy_on_write_maps_wrote_and_back() {
    let nested = HeapStateBackend::new(StateMapKind::Nested);
    let mut first = job(&BACKEND);
    first.mode = SnapshotMode::Full;
    let handles = first.snapshot_one(&mut filled(&first));
    let mut read = TestJob::with_storage(&nested, std::sync::Arc::clone(first.storage()));
    read.policy = first.policy;
    let mut keyed: Keyed = read.open_one(&handles);
    check(&mut keyed, |_| 7);
    let back = read.snapshot_one(&mut keyed);
    let mut keyed = first.open_one(&back);
    check(&mut keyed, |_| 7);
    let again = first.snapshot_one(&mut keyed);
    check(&mut first.open_one(&again), |_| 7);
}
