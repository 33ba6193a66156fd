//! Cases: streams that belong to something else, and streams that are damaged. Nothing of them is
//! used.

use alluvium_core::{
    KeyGroupAssigner, KeyGroupRange, KeyedStateHandle, MaxParallelism, OperatorUid, StateHandle,
    StateLocation,
};
use alluvium_state::{
    AggregatingStateDescriptor, BackgroundLoad, KeyedStateBackend, ListStateDescriptor,
    MapStateDescriptor, ReducingStateDescriptor, RestoreError, SortedMapStateDescriptor,
    StateBackend, StateError, TimerDescriptor, ValueStateDescriptor,
};
use alluvium_storage::{StorageError, seal_of};

use super::refused;
use super::snapshots::{ALWAYS_FILES, NAMESPACES, random_snapshot};
use crate::job::TestJob;
use crate::model::change::{Change, CountAndSum};
use crate::model::check_contents;

/// Every so many bytes a bit is flipped.
const FLIP_EVERY: usize = 7;

#[track_caller]
fn assert_mismatch<T>(outcome: Result<T, RestoreError>, expected: [&str; 3]) {
    let error = refused(outcome);
    let RestoreError::Mismatch { what, expected: wanted, found, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!([what, wanted.as_str(), found.as_str()], expected, "{error}");
}

/// Key groups of another number are other key groups.
pub fn another_max_parallelism_is_refused_by_name<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    let (handles, _) = random_snapshot(&job, 1, 20);
    for (max, text) in [(64, "64"), (256, "256")] {
        job.max_parallelism = MaxParallelism::new(max).unwrap();
        assert_mismatch(job.try_open_one(&handles), ["max parallelism", text, "128"]);
    }
}

/// State assigned one way is never read the other way.
pub fn another_assigner_is_refused_by_name<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    let (stable, _) = random_snapshot(&job, 1, 21);
    job.assigner = KeyGroupAssigner::flink();
    let (flink, _) = random_snapshot(&job, 1, 21);
    assert_mismatch(job.try_open_one(&stable), ["key-group assigner", "flink", "stable"]);
    job.assigner = KeyGroupAssigner::Stable;
    assert_mismatch(job.try_open_one(&flink), ["key-group assigner", "stable", "flink"]);
}

/// The state of one operator is not that of another.
pub fn another_operator_is_refused_by_name<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    let (handles, _) = random_snapshot(&job, 1, 22);
    job.uid = OperatorUid::new("other").unwrap();
    assert_mismatch(job.try_open_one(&handles), ["operator", "other", "operator"]);
}

/// A handle that says other key groups than its stream is of another stream.
pub fn another_key_group_range_is_refused_by_name<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (handles, _) = random_snapshot(&job, 2, 23);
    let [mut first, second] = <[_; 2]>::try_from(handles).expect("two handles");
    first.key_groups = KeyGroupRange::new(0, 62, job.max_parallelism).unwrap();
    let outcome = job.try_open_one(&[first, second]);
    assert_mismatch(outcome, ["key-group range", "0..=62", "0..=63"]);
}

/// A key group comes from one stream: two that hold the same key groups are refused, also when
/// they hold the same entries and when nobody registers their states.
pub fn overlapping_handles_are_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (halves, _) = random_snapshot(&job, 2, 25);
    let (whole, _) = random_snapshot(&job, 1, 25);
    let twice = [halves.clone(), halves.clone()].concat();
    let mixed = [halves, whole].concat();
    for handles in [twice, mixed] {
        let error = refused(job.try_open_one(&handles));
        let named = matches!(&error, RestoreError::Mismatch { what, .. } if *what == "key groups");
        assert!(named, "{error}");
    }
}

/// A file that is gone is a failure of the restore, not an empty state.
pub fn a_missing_file_is_refused<B: StateBackend>(backend: &B) {
    let mut job = TestJob::<B, String>::new(backend);
    job.policy = ALWAYS_FILES;
    let (handles, _) = random_snapshot(&job, 2, 24);
    let gone = handles.last().and_then(|handle| handle.stream.file()).expect("a file");
    job.storage().delete(gone).unwrap();
    let error = refused(job.try_open_one(&handles));
    let missing = matches!(error, RestoreError::Storage(StorageError::NotFound { .. }));
    assert!(missing, "{error}");
}

/// A small stream of all kinds, whole.
fn small_stream<B: StateBackend>(job: &TestJob<'_, B, String>) -> (KeyedStateHandle, Vec<u8>) {
    let mut state = job.open_one(&[]);
    for change in super::basics::one_of_each() {
        for key in ["a", "b"] {
            change.apply(&mut state, &key.to_owned(), 1);
        }
    }
    Change::MapPut(2, "z".repeat(300)).apply(&mut state, &"a".to_owned(), 2);
    let handles = job.snapshot_one(&mut state);
    let [handle] = <[_; 1]>::try_from(handles).expect("one handle");
    let stream = job.reader().open(&handle.stream).unwrap().to_vec();
    (handle, stream)
}

/// Opens other bytes in the place of a stream: once with the handle as it was, once with a handle
/// that was made for these bytes, so that only the stream's own checksums are left.
#[track_caller]
fn assert_refused<B: StateBackend>(
    job: &TestJob<'_, B, String>,
    intact: &KeyedStateHandle,
    bytes: &[u8],
    what: &str,
) {
    let location = StateLocation::Inline(bytes.to_vec().into());
    let replaced = StateHandle { location: location.clone(), ..intact.stream.clone() };
    let resealed = StateHandle { location, len_bytes: bytes.len() as u64, seal: seal_of(bytes) };
    for stream in [replaced, resealed] {
        let handle = KeyedStateHandle {
            key_groups: intact.key_groups,
            stream,
            shared: Vec::new(),
            written: Vec::new(),
        };
        // A backend that restores lazily may find the damage when it loads.
        let is_read = job.try_open_one(&[handle]).is_ok_and(|mut state| load(&mut state).is_ok());
        assert!(!is_read, "{what}");
    }
}

/// Registers all states and loads them.
fn load(state: &mut impl KeyedStateBackend<Key = String>) -> Result<(), StateError> {
    state.value_state(ValueStateDescriptor::<u64>::new("value").namespaced::<u32>())?;
    state.list_state(ListStateDescriptor::<String>::new("list").namespaced::<u32>())?;
    state.map_state(MapStateDescriptor::<u32, String>::new("map").namespaced::<u32>())?;
    let reducing = ReducingStateDescriptor::<u64>::new("reducing", |_, _| ());
    state.reducing_state(reducing.namespaced::<u32>())?;
    let aggregating = AggregatingStateDescriptor::new("aggregating", CountAndSum);
    state.aggregating_state(aggregating.namespaced::<u32>())?;
    state.timers(TimerDescriptor::new("timers").namespaced::<u32>())?;
    let sorted = SortedMapStateDescriptor::<i32, String>::new("sorted");
    state.sorted_map_state(sorted.namespaced::<u32>())?;
    state.list_state(ListStateDescriptor::<String>::new("long").long().namespaced::<u32>())?;
    state.background_load().map_or(Ok(()), BackgroundLoad::run)
}

/// The stream that was not damaged is still read.
fn assert_intact_is_read<B: StateBackend>(job: &TestJob<'_, B, String>, intact: &KeyedStateHandle) {
    let mut state = job.open(1, std::slice::from_ref(intact));
    let (mut model, key) = (crate::model::Model::default(), "a");
    for change in super::basics::one_of_each() {
        for key in [key, "b"] {
            model.apply(key, 1, &change);
        }
    }
    model.apply(key, 2, &Change::MapPut(2, "z".repeat(300)));
    check_contents(job, &mut state, &NAMESPACES, &model);
}

/// A stream that ends early is refused, wherever it ends.
pub fn a_stream_cut_anywhere_is_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (intact, stream) = small_stream(&job);
    for len in 0..stream.len() {
        let cut = stream.get(..len).expect("shorter");
        assert_refused(&job, &intact, cut, &format!("cut to {len} of {} bytes", stream.len()));
    }
    assert_intact_is_read(&job, &intact);
}

/// A stream with one flipped bit is refused before anything of it is used.
pub fn a_stream_with_a_flipped_bit_is_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (intact, mut stream) = small_stream(&job);
    // Every seventh byte, and the last ones, which hold the footer.
    let len = stream.len();
    let offsets = (0..len).step_by(FLIP_EVERY).chain(len.saturating_sub(24)..len);
    for offset in offsets {
        let bit = 1 << (offset % 8);
        *stream.get_mut(offset).expect("inside") ^= bit;
        assert_refused(&job, &intact, &stream, &format!("bit {bit:#x} of byte {offset}"));
        *stream.get_mut(offset).expect("inside") ^= bit;
    }
    assert_intact_is_read(&job, &intact);
}

/// A stream with something before, within or after it is refused.
pub fn a_longer_stream_is_refused<B: StateBackend>(backend: &B) {
    let job = TestJob::<B, String>::new(backend);
    let (intact, stream) = small_stream(&job);
    for offset in [0, 1, stream.len() / 2, stream.len() - 1, stream.len()] {
        let mut longer = stream.clone();
        longer.insert(offset, 0);
        assert_refused(&job, &intact, &longer, &format!("a byte more at {offset}"));
    }
    let twice = stream.repeat(2);
    assert_refused(&job, &intact, &twice, "twice");
    assert_intact_is_read(&job, &intact);
}
